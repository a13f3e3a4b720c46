"""The front of every solver: A @ x and A^H @ x of whatever is given, bound once for one dtype and namespace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from scipy.sparse.linalg import LinearOperator

from .. import _dense, _dtypes, _native
from .._base import _spbase, as_sparse, check_structure, issparse

Product = Callable[[Any], Any]
Stage = tuple[Any, Sequence[mx.array]]  # a kind (`_recording.Kinds`), and the arrays that it takes in one dtype


class Operator:
    """A linear map of vectors, shape (n,), and blocks, shape (n, k); a subclass knows one kind of operand.

    Attributes
    ----------
    shape : tuple of int
    dtype : np.dtype or None
        None where only a product tells.
    values : tuple of mx.array
        What products over `mx.array` are differentiable in, besides their operand.
    required : mx.Dtype or None
        The dtype that an `mx.array` operand must have; None if that is not settled.
    operand : object
        What was given, in a form that has products or is converted to one when a product is bound.
    sparse : bool
        Whether that is a sparse array of this package: products with ndarrays follow the default device and its dtypes.
    explicit : bool
        Whether its entries are known, not only its products.
    on_host : bool
        Whether products are made over ndarrays alone, so that those with an `mx.array` have no derivative.
    """

    shape: tuple[int, ...]
    dtype: np.dtype | None
    values: tuple[mx.array, ...] = ()
    required: mx.Dtype | None = None
    operand: Any
    sparse = False
    explicit = True
    on_host = False

    def host(self, dtype: Any = None) -> Product:
        """x -> A x over ndarrays of `dtype` (default: as they come); conversions are made here, not in each product."""
        raise NotImplementedError

    def device(self, dtype: mx.Dtype) -> Product:
        """x -> A x over `mx.array` of `dtype`; lazy and differentiable, unless the operand's own products are not."""
        raise NotImplementedError

    @property
    def H(self) -> Operator:
        """The adjoint."""
        raise NotImplementedError

    def with_values(self, values: Sequence[mx.array]) -> Operator:
        """The same operator with other `values`; itself if it has none."""
        return self

    def stored(self) -> Operator:
        """What holds the entries of an operator that is made of a matrix."""
        return self

    def stages(self, dtype: mx.Dtype) -> list[Stage] | None:
        """What recorded programs do for a product, one after the other; None where it takes Python."""
        return None

    def constant(self) -> Operator:
        """This operator, cut off from what traces its values."""
        return self.with_values([constant(v) for v in self.values]) if is_traced(*self.values) else self


def as_operator(A: Any) -> Operator:
    """The front of a sparse or dense array, or of anything with `shape` and `matvec` or ``@``.

    Raises
    ------
    TypeError
        `A` is none of these.
    ValueError
        A dense `A` has more than 2 dimensions.
    """
    if isinstance(A, Operator):
        return A
    if isinstance(A, _spbase):
        return _Sparse(A)
    if isinstance(A, LinearOperator) and hasattr(A, "_front"):  # of this package
        return A._front()
    if issparse(A):
        return _ScipySparse(A)
    if _dense.is_dense(A):
        if A.ndim > 2:
            raise ValueError("Only 2-D input is accepted: array must have ndim <= 2")
        return _Dense(A)
    if hasattr(A, "shape") and (hasattr(A, "matvec") or hasattr(A, "__matmul__")):
        return Opaque(A)
    raise TypeError(
        f"expected a sparse or dense array, or an object with shape and matvec or @; got {type(A).__name__}"
    )


def kept(A: Any) -> Any:
    """A sparse or dense array as an object that outlives the call holds it: no change of `A` reaches it."""
    if isinstance(A, _spbase):
        return A._with_data(A._data)  # over the same buffers, until someone writes to them
    return A.copy() if isinstance(A, np.ndarray) else A


def is_traced(*arrays: Any) -> bool:
    """Whether any of these is an `mx.array` that `mx.grad` or another transformation traces.

    While MLX runs functions for derivatives, every array counts as traced, and evaluating one keeps what it is made of.
    """
    return any(_dense.is_mlx(a) and _native.is_tracer(a) for a in arrays)


def surely_traced(*arrays: Any) -> bool:
    """As `is_traced`, but False where every array counts as traced."""
    return is_traced(*arrays) and not is_traced(mx.zeros(0))


def constant(a: mx.array) -> mx.array:
    """`a`, cut off from what traces it; evaluates it if anything does.

    Raises
    ------
    ValueError
        Inside `mx.compile` and `mx.vmap`, where `a` has no values.
    """
    if not _native.is_tracer(a):
        return a
    try:
        return _dense.to_mlx(_dense.view(mx.stop_gradient(a)), a.dtype)
    except ValueError as error:
        raise ValueError(
            "solvers read values to know when to stop, and inside mx.compile and mx.vmap there are none yet: call them "
            "outside; several right-hand sides are the columns of one array"
        ) from error


def refusing(x: Any, sources: Sequence[Any], why: str) -> Any:
    """`x`, a constant made of what traces `sources`, as an `mx.array` that raises where its derivative is asked for;
    `x` itself if there are none.
    """
    if not sources:
        return x
    known = _dense.to_mlx(x)

    def refuse(*_: Any) -> Any:
        raise ValueError(why)

    made: Any = mx.custom_function(lambda *_: known)
    made.vjp(refuse)
    made.jvp(refuse)
    return made(*sources)


class _Sparse(Operator):
    """An array of this package. Formats without products of their own are converted when a product is bound."""

    sparse = True

    def __init__(self, A: Any) -> None:
        self.operand = A if A.format in ("csr", "csc", "bsr", "dia", "coo") else A.tocsr()
        self.shape, self.dtype = tuple(A.shape), _dtypes.numpy_dtype(self.operand._data.dtype)
        self.values = (self.operand._data,)
        self.required = self.operand._data.dtype

    def __reduce__(self) -> Any:
        return _Sparse, (self.operand,)  # a dtype of MLX's cannot be pickled

    def _bound(self, dtype: Any) -> Any:
        A = self.operand.tocsr() if self.operand.format == "coo" else self.operand
        return A if dtype is None else A.astype(dtype, copy=False)

    def host(self, dtype: Any = None) -> Product:
        A = self._bound(dtype)
        _native.settle([A._data])  # evaluated values spare every product the graph
        return A.__matmul__

    def device(self, dtype: mx.Dtype) -> Product:
        return self._bound(dtype).__matmul__

    @property
    def H(self) -> Operator:
        return _Sparse(self.operand.transpose().conj(copy=False))

    def stages(self, dtype: mx.Dtype) -> list[Stage] | None:
        A = self.operand
        if A.format == "dia" and A._offsets.shape[0] == 1 and int(_dense.view(A._offsets)[0]) == 0:
            return [("diagonal", [A.astype(dtype, copy=False)._diagonal(0)])]
        return [("matrix", by_rows(self, dtype))]

    def with_values(self, values: Sequence[mx.array]) -> Operator:
        return _Sparse(self.operand._with_data(values[0]))


def by_rows(A: Operator, dtype: mx.Dtype) -> Sequence[mx.array]:
    """(data, indices, indptr) of a sparse array of this package."""
    return A.operand.astype(dtype, copy=False).tocsr()._trio


class _ScipySparse(Operator):
    """A sparse array of SciPy's, whose products with ndarrays are SciPy's."""

    def __init__(self, A: Any) -> None:
        self.operand = A.tocsr() if A.format in ("lil", "dok") else A
        self.shape, self.dtype = A.shape, A.dtype
        check_structure(self.operand)

    def host(self, dtype: Any = None) -> Product:
        return (self.operand if dtype is None else self.operand.astype(dtype, copy=False)).__matmul__

    def device(self, dtype: mx.Dtype) -> Product:
        return _Sparse(as_sparse(self.operand)).device(dtype)

    @property
    def H(self) -> Operator:
        return _ScipySparse(self.operand.conj().T)


class _Dense(Operator):
    """An ndarray or an `mx.array`."""

    def __init__(self, A: Any) -> None:
        self.operand = _native.handle(A) if _dense.is_mlx(A) else np.atleast_2d(np.asarray(A))
        if _dense.is_mlx(A):
            self.values, self.required = (self.operand,), A.dtype
        self.shape, self.dtype = tuple(self.operand.shape), _dtypes.numpy_dtype(A.dtype)

    def host(self, dtype: Any = None) -> Product:
        A = _dense.view(self.operand) if self.values else self.operand
        return (A if dtype is None else A.astype(dtype, copy=False)).__matmul__

    def device(self, dtype: mx.Dtype) -> Product:
        A = _dense.to_mlx(self.operand, dtype)
        return lambda x: A @ x

    @property
    def H(self) -> Operator:
        return _Dense(mx.conj(self.operand).T if self.values else self.operand.conj().T)

    def with_values(self, values: Sequence[mx.array]) -> Operator:
        return _Dense(values[0]) if self.values else self


class Opaque(Operator):
    """A LinearOperator, or an object with `shape` and `matvec` or ``@``; without `matmat`, blocks go by columns.

    The values of a LinearOperator of this package are its parameters, whatever it is composed of.
    """

    explicit = False

    def __init__(self, A: Any, adjoint: bool = False) -> None:
        self.operand, self._adjoint = A, adjoint
        ours = hasattr(A, "_front")
        self.on_host = isinstance(A, LinearOperator) and not ours  # SciPy's
        self.values = A._parameters() if ours else ()
        self.shape = tuple(A.shape)[::-1] if adjoint else tuple(A.shape)
        self.dtype = None if getattr(A, "dtype", None) is None else _dtypes.numpy_dtype(A.dtype)
        vector, block = ("rmatvec", "rmatmat") if adjoint else ("matvec", "matmat")
        self._vector, self._block = getattr(A, vector, None), getattr(A, block, None)
        if self._vector is None:
            if adjoint:
                raise TypeError(f"{type(A).__name__} has no product with its adjoint (rmatvec)")
            self._vector = self._block = A.__matmul__

    def host(self, dtype: Any = None) -> Product:
        def finish(y: Any) -> np.ndarray:
            y = _dense.view(y) if _dense.is_mlx(y) else np.asarray(y)
            return y if dtype is None else y.astype(dtype, casting="same_kind", copy=False)

        return self._product(finish, np.stack)

    def device(self, dtype: mx.Dtype) -> Product:
        if self.on_host:
            product = self.host(_dtypes.numpy_dtype(dtype))
            return lambda x: _dense.to_mlx(product(_dense.view(x)), dtype)

        def finish(y: Any) -> mx.array:
            if dtype != mx.complex64 and (y.dtype == mx.complex64 if _dense.is_mlx(y) else np.iscomplexobj(y)):
                raise TypeError(f"a product of A is complex, and that with an mx.array of {dtype} must not be")
            return _dense.to_mlx(y, dtype)

        return self._product(finish, mx.stack)

    def _product(self, finish: Product, stack: Any) -> Product:
        vector: Any = self._vector

        def product(x: Any) -> Any:
            if x.ndim == 1:
                return finish(vector(x)).reshape(-1)
            if self._block is not None:
                return finish(self._block(x))
            return stack([finish(vector(x[:, j])).reshape(-1) for j in range(x.shape[1])], axis=1)

        return product

    @property
    def H(self) -> Operator:
        return Opaque(self.operand, not self._adjoint)

    def with_values(self, values: Sequence[mx.array], fixed: bool = False) -> Operator:
        return Opaque(self.operand._with_parameters(values, fixed), self._adjoint) if self.values else self

    def constant(self) -> Operator:
        return self.with_values([constant(v) for v in self.values], fixed=True)


class Matrix(Operator):
    """A LinearOperator made of a matrix: with its products and values, but like any other one without entries."""

    explicit = False

    def __init__(self, operand: Any, matrix: Operator) -> None:
        self.operand, self._matrix, self.sparse = operand, matrix, matrix.sparse
        self.values, self.required = matrix.values, matrix.required
        self.shape, self.dtype = matrix.shape, matrix.dtype

    def host(self, dtype: Any = None) -> Product:
        return self._matrix.host(dtype)

    def device(self, dtype: mx.Dtype) -> Product:
        return self._matrix.device(dtype)

    @property
    def H(self) -> Operator:
        return Matrix(self.operand.H, self._matrix.H)

    def stored(self) -> Operator:
        return self._matrix

    def stages(self, dtype: mx.Dtype) -> list[Stage] | None:
        return self._matrix.stages(dtype)

    def with_values(self, values: Sequence[mx.array]) -> Operator:
        return Matrix(self.operand, self._matrix.with_values(values))
