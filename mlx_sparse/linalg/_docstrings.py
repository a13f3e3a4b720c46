"""What docstrings of iterative solvers say alike: `documented` puts it in the place of a line like ``{b}``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_PARTS = {
    "A": """\
    A : sparse array, ndarray, mx.array, LinearOperator or any object with `shape` and `matvec` or ``@``, shape (n, n)
""",
    "b": """\
    b : ndarray or mx.array, shape (n,), (n, 1) or (n, k)
        Right-hand side, or several as columns. Integers become the default float dtype.
""",
    "b in cycles": """\
    b : ndarray or mx.array, shape (n,), (n, 1) or (n, k)
        Right-hand side, or several as columns, each with a Krylov space of its own: they are solved one after the
        other, or with a callback cycle by cycle side by side. Integers become the default float dtype.
""",
    "x0": """\
    x0 : array_like, of the shape of `b`, or "Mb", optional
        First guess; "Mb" means ``M @ b``. Default: zero.
""",
    "tolerance": """\
    rtol, atol : float
        Iteration stops once ``norm(r) < max(rtol * norm(b), atol)`` for the residual r of the recurrence. A column that
        has got there stays as it is while the others go on.
""",
    "maxiter": """\
    maxiter : int, optional
        Most iterations. Default: ``10 * n``.
""",
    "callback": """\
    callback : callable, optional
        ``callback(xk)`` after each iteration. With an ndarray `b`, xk is the array being iterated: copy it to keep it.
""",
    "told": """\
    return_info : bool
        Give a `SolverInfo` in place of `info`.
    progress : bool
        Show a bar while iterating; needs tqdm.
""",
    "told in cycles": """\
    return_info : bool
        Give a `SolverInfo` in place of `info`; an iteration of it is a cycle.
    progress : bool
        Show a bar of the cycles while iterating; needs tqdm.
""",
    "refine": """\
    refine : bool, optional
        Solve in float32 for corrections of an x in float64, whose residuals are taken with more digits than either,
        until they meet the tolerance: float64 answers from a GPU, for a sparse real `A` whose condition number is below
        about 1e6. The callback then sees x after each correction, and `maxiter` counts the iterations of all; x is
        float64 (which MLX computes with on the CPU only), and has no derivative. Without effect where everything is
        float64 already. Default: for a float64 ndarray `b` on a GPU and ``rtol < 1e-6``.
""",
    "x": """\
    x : ndarray or mx.array, shape (n,), or (n, k) for k > 1 columns
        In the namespace of `b`.
""",
    "last x": """\
    x : ndarray or mx.array, shape (n,), or (n, k) for k > 1 columns
        In the namespace of `b`. After a breakdown, the last iterate.
""",
    "codes": """\
    info : int
        0 on convergence of every column; else the least code of a column that broke down, if one did; else `maxiter`:
        the tolerance was not reached in so many iterations. The codes:
""",
    "TypeError": """\
    TypeError
        `A` or `M` is no operator, `A` and an `mx.array` `b` differ in dtype, or one of these is complex and `b` is not.
""",
    "derivatives": """\
    An `mx.array` x is differentiable with respect to `b` and the values of `A`, as that of `cg` is.
""",
    "differences": """\
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32.
""",
    "traces": """\
        `A` is not square, another shape does not match it, or `atol` is negative. Inside `mx.compile` and `mx.vmap`,
        where values cannot be read; inside `mx.grad`, if derivatives of `A` would be lost.
""",
    "some traces": """\
        `A` is not square, another shape does not match it, or `atol` is negative. Inside `mx.compile` and `mx.vmap`,
        where values cannot be read, unless `A` is a sparse array and preconditioners are sparse arrays or, on the CPU,
        of those of `preconditioners` that run natively; `info` is a lazy int32 `mx.array` there. Inside `mx.grad`, if
        derivatives of `A` would be lost.
""",
    "least squares": """\
    A : sparse array, ndarray, mx.array, LinearOperator or any object with `shape`, `matvec` and `rmatvec`, shape (m, n)
    b : ndarray or mx.array, shape (m,), (m, 1) or (m, k), or a number if m = 1
        Right-hand side, or several as columns. Integers become the default float dtype.
    damp : float
        Weight of the distance from `x0`.
""",
    "first guess and telling": """\
    x0 : array_like, shape (n,), or (n, k), optional
        First guess. Default: zero.
    return_info : bool
        Give ``(x, info)`` with a `SolverInfo`, whose `estimates` are all the other results, by their names.
    progress : bool
        Show a bar while iterating; needs tqdm.
""",
    "closest x": """\
    x : ndarray or mx.array, shape (n,), or (n, k) for k > 1 columns
        In the namespace of `b`. Without `damp`, of all solutions the one closest to `x0`.
""",
}


def documenting(parts: dict[str, str]) -> Callable[[Function], Function]:
    """A decorator that puts a part in the place of each line ``{its word}`` of a docstring."""

    def documented(function: Function) -> Function:
        text = inspect.cleandoc(function.__doc__ or "") + "\n"  # none with -OO
        for word, part in parts.items():
            text = text.replace(f"{{{word}}}\n", "".join(line[4:] for line in part.splitlines(keepends=True)))
        function.__doc__ = text
        return function

    return documented


documented = documenting(_PARTS)
