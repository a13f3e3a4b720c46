"""Linear operators: what has products with vectors but perhaps no entries, and their algebra.

The class is SciPy's by inheritance, so that SciPy's functions and packages built on it take its instances. Everything
that it does stands here, over ndarrays and `mx.array` alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse.linalg as _scipy
from mlx.utils import tree_flatten, tree_map

from .. import _dense, _dtypes, _native
from .._base import _spbase, check_structure, issparse
from ._operator import Matrix, Opaque, Operator, as_operator, constant, is_traced, surely_traced
from ._products import BATCHES, Products, plain


class LinearOperator(Products):
    """A linear map that is known by its products with vectors and matrices.

    ``LinearOperator(shape, matvec, ...)`` makes one of functions. A subclass defines `_matvec` or `_matmat`, and one of
    `_rmatvec`, `_rmatmat` and `_adjoint` if it has an adjoint. Operators are added, multiplied with each other and with
    scalars, raised to powers and transposed; the result is an operator that combines the products of its parts.

    Parameters
    ----------
    shape : tuple of int
        ``(M, N)``; with SciPy 1.18, axes in front are those of a batch of operators.
    matvec : callable
        ``matvec(v)`` is ``A @ v``, for v of shape (N,).
    rmatvec : callable, optional
        ``rmatvec(v)`` is ``A^H @ v``, for v of shape (M,).
    matmat : callable, optional
        ``matmat(V)`` is ``A @ V``, for V of shape (N, K). Default: `matvec` of each column.
    dtype : dtype, optional
        NumPy's dtype of the entries. Default: that of a product with integers, which is made to find it.
    rmatmat : callable, optional
        ``rmatmat(V)`` is ``A^H @ V``, for V of shape (M, K).
    xp : module, optional
        What the functions take: `mlx.core` for `mx.array`, `numpy` for ndarrays; other operands are converted to that.
        Default: whatever is given. Functions that turn out to take `mx.array` alone, where `dtype` is not given, get
        those.
    params : tuple, optional
        Further arguments of all functions, ``matvec(v, *params)``: `mx.array`, or lists, tuples and dicts of them, such
        as the parameters of a model. Solutions with the operator are differentiable in them. Functions then take
        `mx.array`, and without `rmatvec` and `rmatmat` the products with the adjoint are made by `mx.vjp`.

    Attributes
    ----------
    shape : tuple of int
    dtype : np.dtype or None
    ndim : int
    args : tuple
        The operands of a sum, product, scaled operator or power; else empty.
    T, H : LinearOperator
        Transpose and adjoint.

    Raises
    ------
    TypeError
        There is neither `matvec` nor `matmat`, or `params` is no tuple.
    ValueError
        `shape` is none, or a function fails on the product that finds the dtype. There are `params`, and `xp` is NumPy.

    Notes
    -----
    A product with an ndarray is an ndarray. That with an `mx.array` is an `mx.array`: lazy, and differentiable in the
    operand and in what the functions close over, where they are made of MLX's functions and arrays of this package.
    Where a part computes on ndarrays, a product inside `mx.grad` is a `ValueError`.

    A solver stops by values, so that x is no function of what a product closes over, unless it is told: what x is to be
    differentiated in stands in `params`, or in a matrix. Since they belong to the operator, every solver, sum, product
    and adjoint has them, and no solver has an argument for them. A derivative of x = A^-1 b in them is what
    ``-matvec(x, *params)`` pulls back from the solution of one adjoint system.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> from mlx_sparse.linalg import LinearOperator
    >>> A = LinearOperator((2, 2), matvec=lambda v: np.array([2 * v[0], 3 * v[1]]), dtype=np.float64)
    >>> A
    <2x2 _CustomLinearOperator with dtype=float64>
    >>> (A + 2 * A @ A) @ np.ones(2)
    array([10., 21.])

    Products with an `mx.array` are differentiable:

    >>> import mlx.core as mx
    >>> S = sp.csr_array(mx.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> A = LinearOperator(S.shape, lambda v: S.T @ (S @ v), dtype=np.float32)
    >>> mx.grad(lambda v: v @ (A @ v))(mx.ones(2))
    array([6, 30], dtype=float32)

    So are solutions, in the right-hand side and in parameters:

    >>> def damped(v, weights, damp):
    ...     return weights * v + damp * mx.sum(v)
    >>> def mean(weights, damp):
    ...     A = LinearOperator((2, 2), damped, dtype=np.float32, params=(weights, damp))
    ...     return mx.mean(sp.linalg.cg(A, mx.ones(2), rtol=1e-6)[0])
    >>> mx.grad(mean, argnums=(0, 1))(mx.array([1.0, 2.0]), mx.array(1.0))
    (array([-0.08, -0.02], dtype=float32), array(-0.18, dtype=float32))

    Differences from SciPy
    ----------------------
    Functions see vectors, of shape (N,), and never columns of shape (N, 1). `dtype` is NumPy's dtype also of what has
    one of MLX's; Python scalars are weak in finding that of a scaled operator, as with SciPy 1.18. A scalar may be an
    `mx.array` without axes. What a function gives is checked against the shape that it should have.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> LinearOperator:
        made = object.__new__(_CustomLinearOperator if cls is LinearOperator else cls)
        if not made._defines("_matvec", "_matmat"):
            warn("LinearOperator subclass should implement at least one of _matvec and _matmat.", RuntimeWarning, 2)
        return made

    def _defines(self, *names: str) -> bool:
        """Whether a user's class does, of any of these methods."""
        return any(getattr(type(self), name) is not getattr(LinearOperator, name) for name in names)

    def _adjoint(self) -> LinearOperator:
        return _AdjointLinearOperator(self)

    def _transpose(self) -> LinearOperator:
        return _TransposedLinearOperator(self)

    def _front(self) -> Operator:
        """What solvers bind."""
        return Opaque(self)

    def _parameters(self) -> tuple[mx.array, ...]:
        """What products are differentiable in besides their operand, so that solutions are."""
        return ()

    def _with_parameters(self, values: Sequence[mx.array], fixed: bool) -> LinearOperator:
        """The same operator with other parameters, if it has any; `fixed`: nothing traces them, nor its operands."""
        return self

    # ---- algebra -----------------------------------------------------------------------------------------------

    def dot(self, x: Any) -> Any:
        """The product with a vector (N,), a matrix (N, K), an operator or a scalar; also `A * x` and `A @ x`."""
        if isinstance(x, _scipy.LinearOperator):
            return _ProductLinearOperator(self, aslinearoperator(x))
        if _dense.is_scalar(x):
            return _ScaledLinearOperator(self, x)
        x, n = x if issparse(x) else plain(x), self.shape[-1]
        if x.shape == (n,):
            return self.matvec(x)
        if x.ndim > 1 and x.shape[-2] == n:
            return self.matmat(x)
        raise ValueError(f"Dimension mismatch: x must have shape ({n},) or ({n}, K); got {tuple(x.shape)}")

    def rdot(self, x: Any) -> Any:
        """x A, for a vector (M,), a matrix (K, M), an operator or a scalar."""
        if isinstance(x, _scipy.LinearOperator):
            return _ProductLinearOperator(aslinearoperator(x), self)
        if _dense.is_scalar(x):
            return _ScaledLinearOperator(self, x)
        x, m = x if issparse(x) else plain(x), self.shape[-2]
        if x.shape == (m,):
            return self.T.matvec(x)
        if x.ndim > 1 and x.shape[-1] == m:
            return _swapped(self.T.matmat(_swapped(x)))
        raise ValueError(f"Dimension mismatch: x must have shape ({m},) or (K, {m}); got {tuple(x.shape)}")

    def __call__(self, x: Any) -> Any:
        return self @ x

    def __mul__(self, x: Any) -> Any:
        return self.dot(x)

    def __rmul__(self, x: Any) -> Any:
        return self.rdot(x)

    def __matmul__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self.dot(other)

    def __rmatmul__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self.rdot(other)

    def __truediv__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            raise ValueError(f"Can only divide a linear operator by a scalar. Got {type(other).__name__}")
        return _ScaledLinearOperator(self, 1.0 / other)

    def __pow__(self, p: Any) -> Any:
        return _PowerLinearOperator(self, p) if np.isscalar(p) else NotImplemented

    def __add__(self, x: Any) -> Any:
        if isinstance(x, _scipy.LinearOperator):
            return _SumLinearOperator(self, aslinearoperator(x))
        return NotImplemented

    def __neg__(self) -> Any:
        return _ScaledLinearOperator(self, -1)

    def __sub__(self, x: Any) -> Any:
        return self + -x if isinstance(x, _scipy.LinearOperator) else NotImplemented

    def __repr__(self) -> str:
        dtype = "unspecified dtype" if self.dtype is None else f"dtype={self.dtype}"
        return f"<{'x'.join(map(str, self.shape))} {type(self).__name__} with {dtype}>"

    def adjoint(self) -> Any:
        """The adjoint A^H, as `H`."""
        return self._adjoint()

    def transpose(self) -> Any:
        """The transpose A^T, as `T`."""
        return self._transpose()

    H = property(adjoint)
    T = property(transpose)

    def __getstate__(self) -> dict[str, Any]:
        """Arrays travel as NumPy arrays: `mx.array` cannot be pickled."""
        return {k: _dense.freeze(v) for k, v in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({k: _dense.thaw(v) for k, v in state.items()})


class _CustomLinearOperator(LinearOperator):
    """An operator made of functions."""

    def __init__(
        self,
        shape: Any,
        matvec: Any = None,
        rmatvec: Any = None,
        matmat: Any = None,
        dtype: Any = None,
        rmatmat: Any = None,
        xp: Any = None,
        params: tuple[Any, ...] = (),
    ) -> None:
        if not isinstance(params, tuple):
            raise TypeError(f"params must be a tuple, of what functions take after v; got {type(params).__name__}")
        super().__init__(dtype, shape, mx if params else xp)
        if matvec is None and matmat is None:
            raise TypeError("a LinearOperator needs matvec or matmat")
        if params and xp not in (None, mx):
            raise ValueError("functions with params take mx.array; leave xp out")
        self.args, self._fixed = (), False
        self._functions = matvec, matmat, rmatvec, rmatmat
        self._params = tree_map(lambda leaf: _native.handle(leaf) if _is_parameter(leaf) else leaf, params)
        self._init_dtype()

    def _init_dtype(self) -> None:
        if self._parameters() and self.dtype is None:  # whose values, if they are traced, are none that NumPy can see
            known = mx.result_type(*self._parameters())
            self.dtype = _dtypes.numpy_dtype(self._matvec(mx.zeros(self.shape[-1], known)).dtype)
        super()._init_dtype()

    def _parameters(self) -> tuple[mx.array, ...]:
        leaves: Any = tree_flatten(self._params)
        return tuple(leaf for _, leaf in leaves if _is_parameter(leaf))

    def _with_parameters(self, values: Sequence[mx.array], fixed: bool) -> LinearOperator:
        left = iter(values)
        params = tree_map(lambda leaf: next(left) if _is_parameter(leaf) else leaf, self._params)
        return self._of(self.shape, self._functions, params, fixed)

    def _of(self, shape: Any, functions: Any, params: Any, fixed: bool) -> LinearOperator:
        vector, block, rvector, rblock = functions
        made = _CustomLinearOperator(shape, vector, rvector, block, self.dtype, rblock, params=params)
        made._takes, made._fixed = self._takes, fixed
        return made

    def _matvec(self, x: Any) -> Any:
        return self._functions[0](x, *self._params) if self._functions[0] else super()._matvec(x)

    def _matmat(self, X: Any) -> Any:
        return self._functions[1](X, *self._params) if self._functions[1] else super()._matmat(X)

    def _rmatvec(self, x: Any) -> Any:
        _, _, vector, block = self._functions
        if vector:
            return vector(x, *self._params)
        if block:
            return block(x[..., None], *self._params)[..., 0]
        if self._params:
            return self._pulled_back(x)
        raise NotImplementedError("rmatvec is not defined")

    def _pulled_back(self, x: mx.array) -> mx.array:
        """A^H x, as the derivative of A v in any v."""
        known = mx.zeros(self.shape[-1], _dtypes.result_type(self.dtype, x.dtype))
        product = lambda v: self._matvec(v).reshape(-1).astype(known.dtype)  # noqa: E731
        y = mx.vjp(product, [known], [x.astype(known.dtype)])[1][0]
        # In a trace MLX marks every result of mx.vjp as traced. It is if the function closes over what is.
        return constant(y) if self._fixed and is_traced(y) and not surely_traced(product(known)) else y

    def _rmatmat(self, X: Any) -> Any:
        block = self._functions[3]
        return block(X, *self._params) if block else self._by_columns(self._rmatvec, X, self.shape[-1])

    def _adjoint(self) -> LinearOperator:
        vector, block, rvector, rblock = self._functions
        if rvector is None and rblock is None:
            return _AdjointLinearOperator(self)
        return self._of(_flipped(self.shape), (rvector, rblock, vector, block), self._params, self._fixed)


def _is_parameter(leaf: Any) -> bool:
    return _dense.is_mlx(leaf) and not _dense.is_wide(leaf) and mx.issubdtype(leaf.dtype, mx.inexact)


class _Combined(LinearOperator):
    """An operator whose products are made of those of its `args`, by their names."""

    args: tuple[Any, ...]

    def _product(self, name: str, x: Any) -> Any:
        raise NotImplementedError

    def _parameters(self) -> tuple[mx.array, ...]:
        return tuple(value for part in self.args for value in _parameters_of(part))

    def _with_parameters(self, values: Sequence[mx.array], fixed: bool) -> LinearOperator:
        left, args = list(values), []
        for part in self.args:
            known = len(_parameters_of(part))
            given, left = left[:known], left[known:]
            args.append(_with_parameters_of(part, given, fixed) if given else part)
        return type(self)(*args)

    def _matvec(self, x: Any) -> Any:
        return self._product("matvec", x)

    def _matmat(self, X: Any) -> Any:
        return self._product("matmat", X)

    def _rmatvec(self, x: Any) -> Any:
        return self._product("rmatvec", x)

    def _rmatmat(self, X: Any) -> Any:
        return self._product("rmatmat", X)


def _parameters_of(part: Any) -> tuple[mx.array, ...]:
    if isinstance(part, LinearOperator):
        return part._parameters()
    return (part,) if _is_parameter(part) else ()


def _with_parameters_of(part: Any, values: Sequence[mx.array], fixed: bool) -> Any:
    return part._with_parameters(values, fixed) if isinstance(part, LinearOperator) else values[0]


class _AdjointLinearOperator(_Combined):
    def __init__(self, A: Any) -> None:
        super().__init__(A.dtype, _flipped(A.shape))
        self.A, self.args = A, (A,)

    def _product(self, name: str, x: Any) -> Any:
        return getattr(self.A, _adjoint_name(name))(x)

    def _adjoint(self) -> Any:
        return self.A


class _TransposedLinearOperator(_Combined):
    def __init__(self, A: Any) -> None:
        super().__init__(A.dtype, _flipped(A.shape))
        self.A, self.args = A, (A,)

    def _product(self, name: str, x: Any) -> Any:
        return _conj(getattr(self.A, _adjoint_name(name))(_conj(x)))

    def _transpose(self) -> Any:
        return self.A


class _SumLinearOperator(_Combined):
    def __init__(self, A: Any, B: Any) -> None:
        if A.shape[-2:] != B.shape[-2:]:
            raise ValueError(f"cannot add {A} and {B}: shape mismatch")
        batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        super().__init__(np.result_type(A.dtype, B.dtype), (*batch, *A.shape[-2:]))
        self.args = (A, B)

    def _product(self, name: str, x: Any) -> Any:
        a, b = (getattr(part, name)(x) for part in self.args)
        if _dense.is_mlx(a) != _dense.is_mlx(b):  # one of them has a dtype that MLX lacks and would narrow
            a, b = (_dense.view(y) if _dense.is_mlx(y) else y for y in (a, b))
        return a + b

    def _adjoint(self) -> Any:
        A, B = self.args
        return A.H + B.H


class _ProductLinearOperator(_Combined):
    def __init__(self, A: Any, B: Any) -> None:
        if A.shape[-1] != B.shape[-2]:
            raise ValueError(f"cannot multiply {A} and {B}: shape mismatch")
        batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        super().__init__(np.result_type(A.dtype, B.dtype), (*batch, A.shape[-2], B.shape[-1]))
        self.args = (A, B)

    def _product(self, name: str, x: Any) -> Any:
        for part in self.args if name.startswith("r") else self.args[::-1]:
            x = getattr(part, name)(x)
        return x

    def _adjoint(self) -> Any:
        A, B = self.args
        return B.H @ A.H


class _ScaledLinearOperator(_Combined):
    def __init__(self, A: Any, alpha: Any) -> None:
        if isinstance(A, _ScaledLinearOperator):
            A, inner = A.args
            if _dense.is_mlx(alpha) or _dense.is_mlx(inner):
                alpha, inner = _python(alpha), _python(inner)
            alpha = alpha * inner
        known = _dtypes.numpy_dtype(alpha.dtype) if _dense.is_dense(alpha) else alpha
        super().__init__(np.result_type(np.dtype(A.dtype), known), A.shape)
        self.args = (A, alpha)

    def _product(self, name: str, x: Any) -> Any:
        A, alpha = self.args
        y = getattr(A, name)(x)
        if not _dense.is_mlx(y):
            factor = _dense.view(alpha) if _dense.is_mlx(alpha) else alpha
        else:
            factor = alpha if _dense.is_mlx(alpha) else _python(alpha)
            if type(factor) is complex and y.dtype == mx.float64:  # MLX has no complex numbers of that precision
                y = _dense.view(y)
        return (_conj(factor) if name.startswith("r") else factor) * y

    def _adjoint(self) -> Any:
        A, alpha = self.args
        return A.H * _conj(alpha)


class _PowerLinearOperator(_Combined):
    def __init__(self, A: Any, p: Any) -> None:
        if A.shape[-2] != A.shape[-1]:
            raise ValueError(f"square LinearOperator expected, got {A!r}")
        if isinstance(p, str) or p < 0 or p != int(p):
            raise ValueError(f"non-negative integer expected as p; got {p!r}")
        super().__init__(np.result_type(A.dtype), A.shape)
        self.args = (A, int(p))

    def _product(self, name: str, x: Any) -> Any:
        A, p = self.args
        for _ in range(p):
            x = getattr(A, name)(x)
        if p or issparse(x):
            return x
        return _native.handle(x) if _dense.is_mlx(x) else x.copy()

    def _adjoint(self) -> Any:
        A, p = self.args
        return A.H**p


class IdentityOperator(_Combined):
    """The identity; products are their operands."""

    def __init__(self, shape: Any, dtype: Any = None, xp: Any = None) -> None:
        super().__init__(dtype, shape, xp)
        self.args = ()

    def _product(self, name: str, x: Any) -> Any:
        return x

    def _adjoint(self) -> Any:
        return self

    _transpose = _adjoint


class _ForeignLinearOperator(_Combined):
    """An operator of SciPy's, whose products are made over ndarrays."""

    _takes = "numpy"

    def __init__(self, A: Any) -> None:
        super().__init__(A.dtype, A.shape)
        self.args = (A,)

    def _product(self, name: str, x: Any) -> Any:
        return getattr(self.args[0], name)(x)

    def _adjoint(self) -> Any:
        return aslinearoperator(self.args[0].H)

    def _front(self) -> Operator:
        return as_operator(self.args[0])


class MatrixLinearOperator(LinearOperator):
    """A sparse or dense array, `A`, as an operator."""

    def __init__(self, A: Any, xp: Any = None) -> None:
        super().__init__(A._data.dtype if isinstance(A, _spbase) else A.dtype, A.shape)
        A = _native.handle(A) if _dense.is_mlx(A) else A
        self.A, self.args = A, (A,)
        self._known_adjoint: LinearOperator | None = None

    def _matvec(self, x: Any) -> Any:
        return self._matmat(x) if x.ndim == 1 and self.ndim == 2 else self._matmat(x[..., None])[..., 0]

    def _matmat(self, X: Any) -> Any:
        A = self.A
        if isinstance(A, _spbase):
            if _dense.is_mlx(X) and X.dtype == mx.complex64 and A._data.dtype == mx.float32:
                return as_operator(A).device(X.dtype)(X)  # what a complex operator beside this one gave
            return A @ X
        if not _dense.is_mlx(X):
            return (_dense.view(A) if _dense.is_mlx(A) else A) @ X
        if _dense.is_mlx(A):
            return A @ X
        dtype = _dtypes.result_type(self.dtype, X.dtype)
        if _dtypes.is_wide(dtype):
            return A @ _dense.view(X)
        if issparse(A):
            return as_operator(A).device(dtype)(X.astype(dtype))
        return _dense.to_mlx(A, dtype) @ X.astype(dtype)

    def _adjoint(self) -> LinearOperator:
        if self._known_adjoint is None:
            self._known_adjoint = _AdjointMatrixOperator(self.A)
        return self._known_adjoint

    def _transpose(self) -> LinearOperator:
        return MatrixLinearOperator(_swapped(self.A))

    def _front(self) -> Operator:
        return Matrix(self, as_operator(self.A))

    def _parameters(self) -> tuple[mx.array, ...]:
        return tuple(filter(_is_parameter, as_operator(self.A).values))

    def _with_parameters(self, values: Sequence[mx.array], fixed: bool) -> LinearOperator:
        return MatrixLinearOperator(as_operator(self.A).with_values(values).operand)


class _AdjointMatrixOperator(MatrixLinearOperator):
    def __init__(self, A: Any) -> None:
        super().__init__(_conj(_swapped(A)))
        self.args = (A,)  # and no reference to the operator that keeps this one

    def _adjoint(self) -> LinearOperator:
        return MatrixLinearOperator(self.args[0])


def aslinearoperator(A: Any) -> Any:
    """`A` as a `LinearOperator`.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array, LinearOperator, or any object with `shape` and `matvec` or ``@``
        Of this package or of SciPy. An object may have `rmatvec`, `matmat`, `rmatmat` and `dtype` too; without a dtype
        one product is made to find it.

    Returns
    -------
    LinearOperator
        `A` itself if it is one of this package's. That of an array has it as its attribute `A`, and follows it: a
        product with an `mx.array` is differentiable in both, if `A` is an `mx.array` or a sparse array of this package.

    Raises
    ------
    TypeError
        `A` is none of these.
    ValueError
        A dense `A` has more than 2 dimensions, with SciPy 1.17.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.linalg.aslinearoperator(sp.csr_array([[1.0, 2.0], [0.0, 3.0]]))
    >>> A
    <2x2 MatrixLinearOperator with dtype=float64>
    >>> A.H @ np.ones(2)
    array([1., 5.])

    Differences from SciPy
    ----------------------
    An operator of SciPy's is wrapped in one of this package, whose products follow `mx.array` operands.
    """
    if isinstance(A, LinearOperator):
        return A
    if isinstance(A, _scipy.LinearOperator):
        return _ForeignLinearOperator(A)
    if issparse(A):
        if not isinstance(A, _spbase):
            check_structure(A)
        return MatrixLinearOperator(A)
    if _dense.is_dense(A) or hasattr(A, "__dlpack__"):
        A = plain(A)
        if A.ndim > 2 and not BATCHES:
            raise ValueError(f"array must have ndim <= 2; got shape {tuple(A.shape)}")
        return MatrixLinearOperator(A if A.ndim > 1 else mx.atleast_2d(A) if _dense.is_mlx(A) else np.atleast_2d(A))
    if hasattr(A, "shape") and (hasattr(A, "matvec") or hasattr(A, "__matmul__")):
        if not hasattr(A, "matvec"):
            return _CustomLinearOperator(A.shape, A.__matmul__, None, A.__matmul__, getattr(A, "dtype", None))
        rvector, block, dtype, rblock = (getattr(A, name, None) for name in ("rmatvec", "matmat", "dtype", "rmatmat"))
        return _CustomLinearOperator(A.shape, A.matvec, rvector, block, dtype, rblock)
    raise TypeError(f"type not understood: {type(A).__name__} has no shape with matvec or @")


def _conj(x: Any) -> Any:
    if type(x) is mx.array:
        return mx.conj(x) if x.dtype == mx.complex64 else x
    if issparse(x):
        return x.conj(copy=False)
    return x.conjugate() if np.iscomplexobj(x) else x  # of a Python scalar a Python scalar


def _swapped(x: Any) -> Any:
    """`x` with its last two axes exchanged."""
    if type(x) is mx.array:
        return mx.swapaxes(x, -1, -2)
    return x.T if x.ndim == 2 else x.transpose((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _python(alpha: Any) -> Any:
    """A Python scalar for NumPy's, which would take an `mx.array` for one of its own and lose what traces it."""
    return alpha.item() if isinstance(alpha, (np.generic, np.ndarray)) else alpha


def _flipped(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2])


def _adjoint_name(name: str) -> str:
    """rmatvec for matvec, and the other way round."""
    return name[1:] if name.startswith("r") else f"r{name}"
