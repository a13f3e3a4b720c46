"""What others have made, as a preconditioner: arrays, operators, functions and multigrid hierarchies."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes
from ..._base import as_sparse, issparse
from .._interface import LinearOperator, aslinearoperator
from .._operator import Operator, Stage, as_operator, kept
from .._problem import float_dtype, refuse_traced, require_square
from ._base import Preconditioner, Product, bound, constants, matrix
from ._factored import exact, from_factorized
from ._sweeps import polynomial, ritz_values


class _Given(Preconditioner):
    """Products of an operator."""

    def __init__(self, front: Operator, dtype: Any) -> None:
        super().__init__("operator", front.shape[0], dtype, False)
        self._given, self.on_device = front, not front.on_host

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        return bound(self._given.H if adjoint else self._given, lazy, dtype)

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        return (self._given.H if adjoint else self._given).stages(dtype)


def aspreconditioner(M: Any, A: Any = None, *, assume_inverse: bool = True) -> Preconditioner:
    """Anything that is near the inverse of a matrix, as a `Preconditioner`.

    Parameters
    ----------
    M : Preconditioner, LinearOperator, sparse array, dense array, object with `solve`, or callable
        A callable takes a vector of shape (n,).
    A : sparse array or operator, optional
        The matrix of the system, whose shape and dtype a callable is taken to have.
    assume_inverse : bool
        Whether an array `M` is near the inverse of the matrix of the system; else it is near that matrix itself, and is
        factored by `exact`.

    Returns
    -------
    Preconditioner
        `M` itself if it is one.

    Raises
    ------
    TypeError
        `M` is none of these, or it is to be inverted and has no entries.
    ValueError
        `M` is not square, or of another shape than `A`, or its values are traced; or a callable without an `A`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0], [1.0, 2.0]])
    >>> M = sp.linalg.preconditioners.aspreconditioner(lambda r: r / np.array([4.0, 2.0]), A)
    >>> M @ np.array([4.0, 2.0])
    array([1., 1.])
    """
    made = _made(M, A, assume_inverse)
    if A is not None and tuple(A.shape) != made.shape:
        raise ValueError(f"shapes of A {tuple(A.shape)} and of the preconditioner {made.shape} differ")
    return made


def _made(M: Any, A: Any, assume_inverse: bool) -> Preconditioner:
    if isinstance(M, Preconditioner):
        return M
    if issparse(M) or _dense.is_dense(M):
        require_square(M)
        return _operator(as_sparse(M) if issparse(M) else M) if assume_inverse else exact(M)
    if not assume_inverse:
        raise TypeError(f"only an array can be inverted; got {type(M).__name__}")
    if hasattr(M, "solve"):
        return from_factorized(M, None if hasattr(M, "shape") or A is None else tuple(A.shape))
    if hasattr(M, "shape") and (hasattr(M, "matvec") or hasattr(M, "__matmul__")):
        require_square(M)
        return _operator(aslinearoperator(M))
    if not callable(M):
        raise TypeError(f"expected an array, an operator, a factorisation or a function; got {type(M).__name__}")
    if A is None:
        raise ValueError("a function does not tell its shape; give A")
    return _operator(LinearOperator(tuple(A.shape), matvec=M, dtype=getattr(A, "dtype", None)))


def _operator(M: Any) -> Preconditioner:
    front = as_operator(kept(M))
    refuse_traced(front, "a preconditioner made of it")
    dtype = np.asarray(front.host()(np.ones(front.shape[1]))).dtype if front.dtype is None else front.dtype
    return _Given(front, float_dtype(np.dtype(dtype)))


class _PyamgCycle(Preconditioner):
    """pyamg's own cycle, on ndarrays."""

    on_device = False

    def __init__(self, hierarchy: Any, cycle: str, dtype: Any, is_hermitian: bool) -> None:
        super().__init__("pyamg", hierarchy.levels[0].A.shape[0], dtype, is_hermitian)
        self._cycle = hierarchy.aspreconditioner(cycle=cycle).matvec

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        if adjoint:
            raise NotImplementedError(
                "pyamg does not tell the adjoint of a cycle; give smoother='chebyshev' for one that is its own"
            )
        numbers = _dtypes.numpy_dtype(dtype)

        def product(x: np.ndarray) -> np.ndarray:
            if x.ndim == 2:
                columns = [product(x[:, j]) for j in range(x.shape[1])]
                return np.stack(columns, axis=1) if columns else np.zeros(x.shape, numbers)
            held = np.promote_types(numbers, np.float64) if numbers.kind == "c" else self.dtype
            found = np.asarray(self._cycle(x.astype(held)))
            return found.astype(numbers, casting="same_kind", copy=False)

        return (lambda x: _dense.to_mlx(product(_dense.view(x)), dtype)) if lazy else product


class _Multigrid(Preconditioner):
    """A V cycle over the matrices of a hierarchy, smoothed by Chebyshev's iteration: products alone."""

    def __init__(self, levels: list[Any], coarsest: np.ndarray, degree: int) -> None:
        n = levels[0][0].shape[0] if levels else len(coarsest)
        super().__init__("pyamg", n, coarsest.dtype, True)
        self._levels, self._coarsest, self._degree = levels, coarsest, degree

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        levels = []
        for *parts, (low, high) in self._levels:
            A, P, R = (bound(as_operator(part), lazy, dtype) for part in parts)
            levels.append((A, P, R, polynomial(A, low, high, self._degree)))
        coarsest = constants(self._coarsest, lazy, dtype)

        def cycle(b: Any, level: int) -> Any:
            if level == len(levels):
                return coarsest @ b
            A, P, R, smooth = levels[level]
            x = smooth(b)
            x = x + P(cycle(R(b - A(x)), level + 1))
            return x + smooth(b - A(x))

        return lambda b: cycle(b, 0)


def from_pyamg(hierarchy: Any, *, cycle: str = "V", smoother: str | None = None, degree: int = 2) -> Preconditioner:
    """A multigrid hierarchy of pyamg's as a preconditioner: one cycle from a zero guess.

    Parameters
    ----------
    hierarchy : pyamg.multilevel.MultilevelSolver
        As `pyamg.smoothed_aggregation_solver(A.to_scipy())` makes it.
    cycle : {"V", "W", "F", "AMLI"}
        pyamg's cycle.
    smoother : {None, "chebyshev"}
        None: pyamg's cycle with the smoothers of the hierarchy, which computes on ndarrays. "chebyshev": a V cycle over
        the hierarchy's matrices, made of products alone, which runs on MLX's default device; for Hermitian positive
        definite systems.
    degree : int
        Of Chebyshev's smoother: its products with the matrix of a level.

    Returns
    -------
    Preconditioner
        With Chebyshev's smoother Hermitian; with pyamg's own smoothers if the hierarchy says that these are symmetric.

    Raises
    ------
    TypeError
        `hierarchy` is none.
    ValueError
        An unknown `smoother`, or a `cycle` other than V for it.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> class Level:
    ...     def __init__(self, A, P=None):
    ...         self.A, self.P, self.R = A, P, None if P is None else P.T
    >>> P = sp.kron(sp.eye_array(8), np.ones((2, 1)), format="csr").to_scipy()
    >>> A = sp.linalg.LaplacianNd((16,), boundary_conditions="dirichlet").tosparse().tocsr().to_scipy() * -1.0
    >>> class Hierarchy:
    ...     levels = [Level(A, P), Level((P.T @ A @ P).tocsr())]
    >>> M = sp.linalg.preconditioners.from_pyamg(Hierarchy(), smoother="chebyshev")
    >>> x, info = sp.linalg.cg(A, np.ones(16), M=M)
    >>> info
    0
    """
    levels = getattr(hierarchy, "levels", None)
    if not levels or not all(hasattr(level, "A") for level in levels):
        raise TypeError(f"expected a multigrid hierarchy with levels; got {type(hierarchy).__name__}")
    if smoother not in (None, "chebyshev"):
        raise ValueError(f"smoother must be None or 'chebyshev'; got {smoother!r}")
    if smoother is None:
        dtype = float_dtype(np.dtype(levels[0].A.dtype))
        symmetric = bool(getattr(hierarchy, "symmetric_smoothing", False)) and cycle in ("V", "W")
        return _PyamgCycle(hierarchy, cycle, dtype, symmetric)
    if cycle != "V":
        raise ValueError(f"Chebyshev's smoother has the V cycle only; got {cycle!r}")
    what = "a preconditioner made of it"
    parts = [(matrix(k.A, what), as_sparse(k.P).tocsr(), as_sparse(k.R).tocsr()) for k in levels[:-1]]
    smoothed = [(A, P, R, _upper_part(as_operator(A))) for A, P, R in parts]
    coarsest = matrix(levels[-1].A, what).toarray()
    return _Multigrid(smoothed, np.linalg.pinv(coarsest, hermitian=True), degree)


def _upper_part(A: Operator) -> tuple[float, float]:
    """The part of the spectrum that a smoother is to reduce."""
    assert A.dtype is not None
    highest = 1.1 * float(ritz_values(A, A.dtype).max())
    return highest / 4, highest
