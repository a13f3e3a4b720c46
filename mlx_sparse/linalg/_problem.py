"""A linear system A x = b: what it may be made of, its dtype, and where it is solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, runtime
from .._base import _spbase
from ._operator import Operator, as_operator, constant, is_traced, refusing, surely_traced

_HALVES = (mx.float16, mx.bfloat16)
NOT_DIFFERENTIABLE = (
    "only the solution of a solver is differentiable, and what else it tells of an iteration (norms, estimates, "
    "iterates) is not: where no derivative is wanted, use mx.stop_gradient"
)


# ---- checks and dtypes that every function shares ------------------------------------------------------------------


def require_square(A: Any, error: type[Exception] = ValueError, rule: str = "expected a square matrix") -> int:
    """The order of `A`, which must be a square matrix; `error` and the words of the `rule` are SciPy's."""
    shape = tuple(A.shape)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise error(f"{rule}, but got shape {shape}" + ("; expected 2-D" if len(shape) != 2 else ""))
    return shape[0]


def check_dtype(b: Any, *accepted: Any) -> None:
    """Refuse an `mx.array` right-hand side whose dtype is none of `accepted`, the first of which is that of A."""
    if b.dtype not in accepted:
        raise TypeError(
            f"the dtype of b, {b.dtype}, differs from the dtype of A, {accepted[0]}; cast one of them with astype"
        )


def host_dtype(x: Any) -> np.dtype:
    """NumPy's dtype of the values of a sparse or dense array."""
    return _dtypes.numpy_dtype(x._data.dtype if isinstance(x, _spbase) else x.dtype)


def float_dtype(dtype: np.dtype) -> np.dtype:
    """The first of float32, float64 and their complex counterparts that holds `dtype`: SciPy's rule for factors.

    Wider numbers are rounded to double precision.
    """
    if dtype.char in "fdFD":
        return np.dtype(dtype.char)
    held = (np.dtype(c) for c in "fdFD" if np.can_cast(dtype, c))
    return next(held, np.dtype("D" if dtype.kind == "c" else "d"))


def inexact(dtype: np.dtype) -> np.dtype:
    """float64 for integers, however short, else as `float_dtype`: SciPy's rule for everything else."""
    return np.dtype(np.float64) if dtype.kind in "iub" else float_dtype(dtype)


def refuse_traced(x: Any, what: str) -> None:
    """Refuse an operator or array whose values are traced, for `what`, which would look like a constant then."""
    values = x.values if isinstance(x, Operator) else (getattr(x, "_data", x),)
    if surely_traced(*values):
        raise ValueError(
            f"the values are traced (mx.grad, mx.jvp, mx.vmap, mx.compile), and {what} has no derivative here; where "
            "none is wanted, give a copy that is not traced: A.with_data(np.array(A.data))"
        )


def workers() -> AbstractContextManager[None]:
    """The block in which the solvers' own worker count holds (`runtime.SOLVER_THREADS`, `SOLVER_PARALLEL`)."""
    n = runtime.SOLVER_THREADS if runtime.SOLVER_PARALLEL else 1
    return nullcontext() if n == runtime.N_THREADS else runtime.context(n_threads=n)


def on_gpu() -> bool:
    """Whether ndarrays, too, are solved for by a GPU."""
    return mx.default_device() != mx.Device(mx.cpu)


# ---- systems for iterative solvers ---------------------------------------------------------------------------------


@dataclass
class System:
    """A x = b with all vectors of one dtype in one namespace, as (n,), or as (n, k) for several right-hand sides."""

    A: Operator
    M: Operator | None
    b: Any
    x: Any  # initial guess, owned by the solver; None means zero
    dtype: Any  # mx.Dtype where b is an mx.array, else np.dtype
    finish: Callable[[Any], Any]  # solution -> what the user gets
    M2: Operator | None = None  # the preconditioner of the right, in methods that split it
    sources: Sequence[mx.array] = ()  # of constants, what they were before they were cut off from what traces them

    @property
    def lazy(self) -> bool:
        return _dense.is_mlx(self.b)

    def product(self, A: Operator) -> Callable[[Any], Any]:
        """x -> A x over the vectors of this system."""
        return A.device(self.dtype) if self.lazy else A.host(self.dtype)

    def zeros(self) -> Any:
        """x = 0."""
        return (mx if self.lazy else np).zeros((self.A.shape[1], *self.b.shape[1:]), dtype=self.b.dtype)

    def first(self, sizes: Any) -> tuple[Any, Any]:
        """x to begin with, and b - A x, which the solver may write to; x is zero where the `sizes` of b are."""
        b, x = self.b, self.x
        if x is None:
            return self.zeros(), b if self.lazy else b.copy()
        if not np.all(sizes):
            x = mx.where(mx.array(sizes) == 0, 0, x) if self.lazy else np.where(sizes == 0, 0, x)
        return x, b - self.product(self.A)(x)

    def products(self, adjoint: bool) -> dict[str, Callable[[Any], Any] | None]:
        """The products that a vector space has words for, `adjoint` ones too if these are asked for."""
        operators = {"A": self.A, "M": self.M, "M2": self.M2}
        if adjoint:
            operators |= {f"{word}H": None if B is None else B.H for word, B in operators.items()}
        return {word: None if B is None else self.product(B) for word, B in operators.items()}

    def shown(self, x: Any) -> Any:
        """What users see of an iteration besides the solution, which has no derivative."""
        return refusing(x, self.sources, NOT_DIFFERENTIABLE)

    def constant(self) -> System:
        """This system, cut off from what traces it."""
        operators = [B for B in (self.A, self.M, self.M2) if B is not None]
        arrays = [self.b, *([] if self.x is None else [self.x]), *(v for B in operators for v in B.values)]
        return replace(
            self,
            sources=[a for a in arrays if is_traced(a)],
            A=self.A.constant(),
            M=None if self.M is None else self.M.constant(),
            M2=None if self.M2 is None else self.M2.constant(),
            b=constant(self.b),
            x=None if self.x is None else constant(self.x),
        )

    @property
    def H(self) -> System:
        """The same right-hand side with the adjoints of all operators, and no guess."""
        M, M2 = (None if B is None else B.H for B in (self.M, self.M2))
        if M2 is not None:  # (M2 A M)^H = M^H A^H M2^H
            M, M2 = M2, M
        return replace(self, A=self.A.H, M=M, M2=M2, x=None)


def make_system(A: Any, M: Any, x0: Any, b: Any, M2: Any = None) -> System:
    """Check shapes, settle the dtype and the namespace of a square linear system.

    Raises
    ------
    TypeError
        `A` or `M` is no operator, or an `mx.array` operand's dtype differs from that of `A`.
    ValueError
        `A` is not square, another shape does not match it, or `A` is traced and `b` an ndarray.
    """
    A, M, M2 = as_operator(A), None if M is None else as_operator(M), None if M2 is None else as_operator(M2)
    n = require_square(A)
    b = _right_hand_side(A, _dense.as_dense(b))
    for B in (M, M2):
        if B is not None and B.shape != (n, n):
            raise ValueError(f"shapes of A {A.shape} and of the preconditioner {B.shape} differ")
    return _system(A, M, x0, b, M2)


def make_least_squares(A: Any, x0: Any, b: Any) -> System:
    """As `make_system`, of an `A` of any shape (m, n): `b` has m rows, and x has n.

    On the CPU a complex `x0` makes x complex. An object `A` needs `rmatvec` too.
    """
    A = as_operator(A)
    if len(A.shape) != 2:
        raise ValueError(f"expected a matrix, but got shape {A.shape}; expected 2-D")
    b = _dense.as_dense(b)
    b = _right_hand_side(A, b.reshape(1) if b.ndim == 0 else b)
    if isinstance(x0, str):
        raise ValueError(f"x0 must be an array; got {x0!r}")
    x0 = None if x0 is None else _dense.as_dense(x0)
    if not _dense.is_mlx(b):
        refuse_traced(x0, "x of an ndarray b")
        if A.dtype is None:
            A.dtype = _dtypes.numpy_dtype(A.H.host()(b).dtype)
        if x0 is not None and host_dtype(x0).kind == "c":
            b = b.astype(np.promote_types(b.dtype, np.complex64))
    return _system(A, None, x0, b)


def _right_hand_side(A: Operator, b: Any) -> Any:
    if b.ndim not in (1, 2) or b.shape[0] != A.shape[0]:
        raise ValueError(f"shapes of A {A.shape} and b {tuple(b.shape)} are incompatible")
    b = b if _dense.is_mlx(b) else np.asarray(b)
    return b.reshape(-1) if b.ndim == 2 and b.shape[1] == 1 else b


def _system(A: Operator, M: Operator | None, x0: Any, b: Any, M2: Operator | None = None) -> System:
    lazy = _dense.is_mlx(b) or A.sparse and on_gpu()
    system = (_on_device if lazy else _on_host)(A, M, b)
    system.M2 = M2
    for B in (M, M2):
        if B is not None and B.dtype is not None and B.dtype.kind == "c" and host_dtype(system.b).kind != "c":
            raise TypeError(
                f"the dtype of the preconditioner, {B.dtype}, is complex, and those of A and b, {system.dtype}, are not"
            )
    system.x = _initial_guess(x0, system)
    return system


def _same(x: Any) -> Any:
    return x


def _on_host(A: Operator, M: Operator | None, b: np.ndarray) -> System:
    refuse_traced(A, "x of an ndarray b")
    known = np.asarray(A.host()(b)).dtype if A.dtype is None else A.dtype
    dtype = np.promote_types(inexact(known), inexact(b.dtype))
    if A.sparse:  # whose products have the dtypes of this package
        dtype = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
    return System(A, M, b.astype(dtype, copy=False), None, dtype, _same)


def _on_device(A: Operator, M: Operator | None, b: Any) -> System:
    finish = _same if _dense.is_mlx(b) else _dense.view
    if not _dense.is_mlx(b):
        refuse_traced(A, "x of an ndarray b")
        b = _dense.to_mlx(b, _dtypes.result_type(A.dtype, inexact(b.dtype)))
    elif A.required is not None:
        check_dtype(b, A.required)
    elif A.dtype is not None and A.dtype.kind == "c" and b.dtype != mx.complex64:
        check_dtype(b, mx.complex64)
    dtype = b.dtype
    if dtype in _HALVES:  # a residual in half precision would stall
        dtype = mx.float32
    elif not mx.issubdtype(dtype, mx.inexact):
        dtype = _dtypes.default_float()
    return System(A, M, b.astype(dtype), None, dtype, finish)


def _initial_guess(x0: Any, system: System) -> Any:
    if x0 is None:
        return None
    if isinstance(x0, str):
        if x0 != "Mb":
            raise ValueError(f"x0 must be an array or 'Mb'; got {x0!r}")
        x0 = system.b
        for B in (system.M, system.M2):
            x0 = x0 if B is None else system.product(B)(x0)
    shape = np.shape(x0) if not _dense.is_mlx(x0) else tuple(x0.shape)
    expected = (system.A.shape[1], *system.b.shape[1:])
    if shape != expected and not (len(expected) == 1 and shape == (*expected, 1)):
        raise ValueError(f"shapes of A {system.A.shape} and x0 {shape} are incompatible")
    if system.lazy:
        return mx.reshape(_dense.to_mlx(x0, system.dtype), expected)
    host = _dense.view(x0) if _dense.is_mlx(x0) else x0
    x = np.array(host, dtype=system.dtype).reshape(expected)
    return x if x.any() else None
