"""What coo arrays of any rank do: axes folded into the rows and columns of a 2-D array, which does the work."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import _as_operand, as_sparse, issparse
from ._data import _data_array

_INT64_MAX = 2**63 - 1
_FEW_ROWS = 1024


def unravelled(
    coords: Sequence[mx.array], shape: Sequence[int], target: Sequence[int], wide: bool, order: str = "C"
) -> tuple[mx.array, ...]:
    """Coordinates in an array of shape `target` of the entries that have `coords` in one of `shape`. Synchronises."""
    step = 1 if order == "C" else -1
    total = math.prod(shape)
    if total > _INT64_MAX:
        raise ValueError(f"an array of shape {tuple(shape)} has more positions than int64 can count")
    strides, size = [], 1
    for n in tuple(shape)[::step][::-1]:
        strides.append(min(size, _INT64_MAX))
        size *= max(n, 1)
    found = _native.coo_reshape(list(coords)[::step], strides[::-1], list(target)[::step], total, wide)
    return tuple(found[::step])


class _nd_array(_data_array):
    """The n-D part of `coo_array`; up to two dimensions the operators' own ways stand."""

    _coords: tuple[mx.array, ...]
    has_canonical_format: bool
    _from_parts: Any

    # ---- folding ----------------------------------------------------------------------------------------------

    def _grouped(self, rows: Iterable[int], cols: Iterable[int]) -> Any:
        """The 2-D array whose rows run over the axes `rows` and whose columns over `cols`; an axis in neither is
        dropped, one in both is repeated. Values are shared."""
        rows, cols = tuple(rows), tuple(cols)
        sizes = [math.prod(self._shape[a] for a in axes) for axes in (rows, cols)]
        wide = max(sizes) > _dtypes.INT32_MAX
        coords = tuple(self._key(axes, wide) for axes in (rows, cols))
        ordered = rows + cols == tuple(range(self.ndim))
        return self._classes["coo"]._from_parts(self._data, coords, tuple(sizes), ordered and self.has_canonical_format)

    def _key(self, axes: tuple[int, ...], wide: bool) -> mx.array:
        """Position of every entry within the axes `axes`, in C order."""
        index = mx.int64 if wide else mx.int32
        if len(axes) <= 1:
            return self._coords[axes[0]].astype(index) if axes else mx.zeros(self._data.size, dtype=index)
        shape = [self._shape[a] for a in axes]
        return unravelled([self._coords[a] for a in axes], shape, (), wide)[0]

    def _split(self) -> tuple[range, range]:
        """Leading axes that make rows, about as many as there are entries, and the rest, which int64 must count."""
        most, k, rows = max(_FEW_ROWS, self._data.size), 0, 1
        while k < self.ndim - 1 and (
            rows * self._shape[k] <= most or math.prod(self._shape[k:]) > _INT64_MAX >= rows * self._shape[k]
        ):
            rows *= self._shape[k]
            k += 1
        return range(k), range(k, self.ndim)

    def _ungrouped(self, A: Any, row_shape: tuple[int, ...], col_shape: tuple[int, ...]) -> Any:
        """The array of shape ``row_shape + col_shape`` whose folded form is the 2-D array `A`."""
        coo = A.tocoo(copy=False)
        coords: tuple[mx.array, ...] = ()
        for c, n, shape in zip(coo._coords, coo.shape, (row_shape, col_shape), strict=True):
            coords += unravelled((c,), (n,), shape, True) if shape else ()
        shape = row_shape + col_shape
        if not shape:
            return _dense.in_namespace(_native.total(coo._data, None))
        return self._classes["coo"]._from_parts(coo._data, coords, shape, coo.has_canonical_format)

    def _in_2d(self, f: Callable[..., Any], *others: Any) -> Any:
        """f on the folded forms of this array and of `others`, which have its shape, unfolded again."""
        rows, cols = self._split()
        found = f(*(A.tocoo(copy=False)._grouped(rows, cols) for A in (self, *others)))
        if not issparse(found):
            return found
        k = len(rows)
        return self._ungrouped(found, self._shape[:k], self._shape[k:])

    # ---- canonical form ---------------------------------------------------------------------------------------

    def _slices(self) -> tuple[mx.array, mx.array, int, Callable[[mx.array, mx.array], tuple[mx.array, ...]]]:
        """Major and minor indices in whose order entries are in C order, the number of slices, and the way back.

        There are about as many slices as entries at most: rows much more numerous are ranked.
        """
        rows, cols = self._split()
        shapes = [tuple(self._shape[a] for a in axes) for axes in (rows, cols)]
        sizes = [math.prod(shape) for shape in shapes]
        if max(sizes) > _INT64_MAX:
            return self._ranked()
        folded = self._grouped(rows, cols)
        major, minor = folded._coords
        values, count = None, sizes[0]
        if sizes[0] > 4 * self._data.size + _FEW_ROWS:
            values, ranks = np.unique(_dense.view(major), return_inverse=True)
            major, count = _dense.to_index(ranks, minor.dtype, "ranks"), values.size

        def back(major: mx.array, minor: mx.array) -> tuple[mx.array, ...]:
            if values is not None:
                major = _dense.to_mlx(values[_dense.view(major)])
            coords: tuple[mx.array, ...] = ()
            for c, size, shape in zip((major, minor), sizes, shapes, strict=True):
                coords += (c,) if len(shape) == 1 else unravelled((c,), (size,), shape, True) if shape else ()
            return tuple(_dense.as_index(c, self._coords[0].dtype) for c in coords)

        return major, minor, count, back

    def _ranked(self) -> tuple[mx.array, mx.array, int, Callable[[mx.array, mx.array], tuple[mx.array, ...]]]:
        """`_slices` for a shape whose positions int64 cannot count: one slice for every position in use."""
        coords = [_dense.view(c) for c in self._coords]
        order = np.lexsort(coords[::-1])
        new = np.zeros(order.size, np.bool_)
        for c in coords:
            new[1:] |= np.diff(c[order]) != 0
        ranks = np.empty(order.size, np.int64)
        ranks[order] = np.cumsum(new)
        firsts = order[np.concatenate([[0], np.flatnonzero(new)])[: order.size]]
        major = _dense.to_mlx(ranks)
        return (
            major,
            mx.zeros_like(major),
            firsts.size,
            lambda m, _: tuple(_dense.to_mlx(c[firsts][_dense.view(m)]) for c in coords),
        )

    def _summed(self) -> tuple[mx.array, tuple[mx.array, ...]]:
        """Values and coordinates in C order, those of equal coordinates summed."""
        major, minor, n, back = self._slices()
        data, minor, indptr = _native.coo_to_canonical(self._data, major, minor, n)
        return data, back(_native.expand(indptr, minor.size, None), minor)

    def _has_duplicates(self) -> bool:
        major, minor, n, _ = self._slices()
        probe = mx.zeros(self._data.size, dtype=mx.bool_)
        _, indices, indptr = _native.coo_to_cs(probe, major, minor, n, None)
        _, indices, _ = _native.sort_indices((probe, indices, indptr))
        return not _native.is_canonical(indices, indptr)

    # ---- sums -------------------------------------------------------------------------------------------------

    def _sum(self, axes: tuple[int, ...], dtype: mx.Dtype | None, stream: Any) -> mx.array:
        if self.ndim < 3 or len(axes) == self.ndim:
            return super()._sum(axes, dtype, stream)
        kept = tuple(a for a in range(self.ndim) if a not in axes)
        shape = tuple(self._shape[a] for a in kept)
        count = math.prod(shape)
        _dense.expect(shape, self._data.dtype)
        data = _dense.cast(self._entries(), _dtypes.sum_dtype(self._data.dtype), stream)
        total = _values.reshape(
            _native.minor_sum(data, self._key(kept, count > _dtypes.INT32_MAX), count, stream), shape
        )
        return total if dtype is None or dtype == total.dtype else _dense.cast(total, dtype, stream)

    # ---- element-wise -----------------------------------------------------------------------------------------

    def _same_shape(self, other: Any) -> Any:
        other = as_sparse(other)
        if other.shape != self._shape:
            raise ValueError(f"inconsistent shapes {self._shape} and {other.shape}")
        return other

    def _merge(self, other: Any, op: str) -> Any:
        if self.ndim < 3:
            return super()._merge(other, op)
        other = self._same_shape(other)
        if op not in ("plus", "minus"):
            return self._in_2d(lambda a, b: a._merge(b, op), other)
        # A sum is both lists of entries: lazy and differentiable.
        other = other.tocoo(copy=False)
        if op == "minus":
            other = -other
        dtype = _dtypes.result_type(self._data.dtype, other._data.dtype)
        data = _values.concatenate([_dense.cast(A._data, dtype) for A in (self, other)])
        coords = tuple(mx.concatenate([a, b]) for a, b in zip(self._coords, other._coords, strict=True))
        return self._from_parts(data, coords, self._shape)

    def _multiply_nd(self, other: Any) -> Any:
        if not (issparse(other) or _dense.is_dense(other)):
            other = _as_operand(other)
            if other is NotImplemented:
                return NotImplemented
        if tuple(other.shape) != self._shape:
            raise ValueError(
                f"inconsistent shapes {self._shape} and {tuple(other.shape)}: "
                "multiply() does not broadcast above two dimensions"
            )
        if issparse(other):
            return self._in_2d(lambda a, b: a.multiply(b), as_sparse(other))
        if _dense.is_mlx(other):
            if other.dtype != self._data.dtype:
                raise TypeError(
                    f"the dense operand's dtype {other.dtype} differs from the sparse array's dtype "
                    f"{self._data.dtype}; cast one of them with astype"
                )
            x, dtype = other, other.dtype
        else:
            dtype = _dtypes.result_type(self._data.dtype, other.dtype)
            x = _dense.to_mlx(other, dtype)
        key = self._key(tuple(range(self.ndim)), math.prod(self._shape) > _dtypes.INT32_MAX)
        return self._with_data(_dense.cast(self._data, dtype) * _values.take(_values.reshape(x, (-1,)), key))

    def _map_scalar(self, f: Any, traced: Any = None) -> Any:
        if self.ndim < 3:
            return super()._map_scalar(f, traced)
        return self._in_2d(lambda a: a._map_scalar(f, traced))

    def _compare_scalar(self, other: Any, op: Any) -> Any:
        if self.ndim < 3 or (not op(0, other) and np.isnan(other)):
            return super()._compare_scalar(other, op)
        return self._in_2d(lambda a: a._compare_scalar(other, op))

    def _compare_sparse(self, other: Any, op: Any) -> Any:
        if self.ndim < 3 or self._shape != other.shape:
            return super()._compare_sparse(other, op)
        return self._in_2d(lambda a, b: a._compare_sparse(b, op), other)

    # ---- products ---------------------------------------------------------------------------------------------

    def _matmul_dispatch(self, other: Any) -> Any:
        sparse = issparse(other)
        if self.ndim < 3 and not (sparse and other.ndim > 2):
            return super()._matmul_dispatch(other)
        x = as_sparse(other).tocoo(copy=False) if sparse else _as_operand(other)
        if x is NotImplemented:
            return NotImplemented
        if x.ndim == 0:
            raise ValueError("could not interpret dimensions: @ takes no operand of 0 dimensions; use * for scalars")
        n, contracted = self._shape[-1], x.shape[-2] if x.ndim > 1 else x.shape[0]
        if contracted != n:
            raise ValueError(f"matmul: dimension mismatch with signature (n,..,k={n}),(k={contracted},..,m)->(n,..,m)")
        return _Batched(self._shape, tuple(x.shape)).product(self, x)

    def _rmatmul_dispatch(self, other: Any) -> Any:
        if self.ndim < 3 or issparse(other):
            return super()._rmatmul_dispatch(other)
        x = _as_operand(other)
        if x is NotImplemented:
            return NotImplemented
        if x.ndim == 0:
            raise ValueError("could not interpret dimensions: @ takes no operand of 0 dimensions; use * for scalars")
        if x.ndim == 1:
            return self.mT._matmul_dispatch(x)
        swap = mx.swapaxes if _dense.is_mlx(x) else np.swapaxes
        return swap(self.mT._matmul_dispatch(swap(x, -1, -2)), -1, -2)

    @property
    def mT(self) -> Any:
        """Matrix transpose (the last two axes)."""
        if self.ndim < 3:
            return super().mT
        return self.transpose((*range(self.ndim - 2), self.ndim - 1, self.ndim - 2))

    def dot(self, other: Any) -> Any:
        """Sum of products over the last axis of this array and the last but one of `other` (its only one in 1-D).

        Parameters
        ----------
        other : scalar, array_like or sparse array

        Returns
        -------
        Dense for a dense `other` (lazy), sparse otherwise, of shape ``self.shape[:-1]`` and `other`'s shape without the
        axis summed over; up to two dimensions ``self @ other``.

        Raises
        ------
        ValueError
            The lengths of the two axes differ.
        """
        if _dense.is_scalar(other):
            return self * other
        x = as_sparse(other) if issparse(other) else _as_operand(other)
        if x is NotImplemented:
            raise TypeError(f"dot argument not supported type: {type(other).__name__}")
        if self._shape[-1] != x.shape[-2:][0]:
            raise ValueError(f"shapes {self._shape} and {tuple(x.shape)} are not aligned for n-D dot")
        if self.ndim < 3 and x.ndim < 3:
            return self @ x
        return self._contract(x, [self.ndim - 1], [max(0, x.ndim - 2)])

    def tensordot(self, other: Any, axes: Any = 2) -> Any:
        """Sum of products over pairs of axes, as `numpy.tensordot`.

        Parameters
        ----------
        other : array_like or sparse array
        axes : int or pair of sequences of int
            The last `axes` of this array with the first of `other`; or the axes of either, in order.

        Returns
        -------
        Dense for a dense `other` (lazy, differentiable), else a coo array, or a scalar when no axis remains.

        Raises
        ------
        ValueError
            Axes out of range, or of different lengths.

        Examples
        --------
        >>> import numpy as np, mlx_sparse as sp
        >>> A = sp.coo_array(np.arange(8.0).reshape(2, 2, 2))
        >>> A.tensordot(np.ones((2, 2)), axes=2)
        array([ 6., 22.])
        """
        x = as_sparse(other) if issparse(other) else _as_operand(other)
        if x is NotImplemented:
            raise TypeError(f"tensordot arg not supported type: {type(other).__name__}")
        mine, theirs = _contracted_axes(self.ndim, x.ndim, axes)
        if any(self._shape[a] != x.shape[b] for a, b in zip(mine, theirs, strict=True)):
            raise ValueError(
                f"sizes of the corresponding axes must match; got {self._shape}, {tuple(x.shape)} and axes={axes}"
            )
        return self._contract(x, mine, theirs)

    def _contract(self, x: Any, mine: list[int], theirs: list[int]) -> Any:
        rest = tuple(a for a in range(self.ndim) if a not in mine)
        x_rest = tuple(a for a in range(x.ndim) if a not in theirs)
        shape, x_shape = tuple(self._shape[a] for a in rest), tuple(x.shape[a] for a in x_rest)
        A = self._grouped(rest, mine)
        if issparse(x):
            return self._ungrouped(A @ x.tocoo(copy=False)._grouped(theirs, x_rest), shape, x_shape)
        xp: Any = mx if _dense.is_mlx(x) else np
        X = xp.reshape(xp.transpose(x, (*theirs, *x_rest)), (A.shape[1], math.prod(x_shape)))
        return self._finish(_values.reshape(A._dense_product(X, transposed=False), shape + x_shape), x)


class _Batched:
    """How the axes of ``A @ X`` fold into one product of matrices, for A sparse of rank > 2 or X so.

    Batch axes are A's alone, X's alone (the other has length 1 there) or shared. Shared ones stand among A's rows and
    columns both: a block diagonal, so nothing is repeated.
    """

    def __init__(self, a: tuple[int, ...], x: tuple[int, ...]) -> None:
        self.squeeze = tuple(axis for axis, s in ((-2, a), (-1, x)) if len(s) == 1)
        a, x = (1, *a) if len(a) == 1 else a, (*x, 1) if len(x) == 1 else x
        rank = max(len(a), len(x))
        self.a, self.x = (1,) * (rank - len(a)) + a, (1,) * (rank - len(x)) + x
        try:
            self.batch = np.broadcast_shapes(a[:-2], x[:-2])
        except ValueError:
            raise ValueError(f"Batch dimensions are not broadcastable: {a[:-2]} and {x[:-2]}") from None
        axes = range(rank - 2)
        self.theirs = tuple(i for i in axes if self.a[i] == 1 != self.x[i])
        self.shared = tuple(i for i in axes if self.a[i] != 1 and self.x[i] != 1)
        self.mine = tuple(i for i in axes if i not in self.theirs and i not in self.shared)
        self.last, self.inner = rank - 1, rank - 2

    def product(self, A: Any, x: Any) -> Any:
        A = A.reshape(self.a)._grouped((*self.mine, *self.shared, self.inner), (*self.shared, self.last))
        rows, cols = (*self.shared, self.inner), (*self.theirs, self.last)
        row_shape = tuple(self.a[i] for i in (*self.mine, *self.shared, self.inner))
        col_shape = tuple(self.x[i] for i in cols)
        # Result axes as the folded product has them -> in order.
        now = (*self.mine, *self.shared, self.inner, *self.theirs, self.last)
        order = tuple(now.index(i) for i in range(len(now)))
        shape = tuple((*row_shape, *col_shape)[i] for i in order)
        for axis in self.squeeze:
            shape = shape[:-1] if axis == -1 else shape[:-2] + shape[-1:]
        if issparse(x):
            X = x.reshape(self.x)._grouped(rows, cols)
            return A._ungrouped(A @ X, row_shape, col_shape).transpose(order).reshape(shape)
        xp: Any = mx if _dense.is_mlx(x) else np
        X = xp.reshape(xp.transpose(xp.reshape(x, self.x), self.mine + rows + cols), (A.shape[1], math.prod(col_shape)))
        y = _values.transpose(_values.reshape(A._dense_product(X, transposed=False), row_shape + col_shape), order)
        return A._finish(_values.reshape(y, shape), x)


def _contracted_axes(a_ndim: int, b_ndim: int, axes: Any) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, np.integer)):
        if not 1 <= axes <= min(a_ndim, b_ndim):
            raise ValueError(
                f"axes integer is out of bounds for input arrays of {a_ndim} and {b_ndim} dimensions; got {axes}"
            )
        return list(range(a_ndim - axes, a_ndim)), list(range(axes))
    if not isinstance(axes, (tuple, list)):
        raise TypeError(f"axes must be an integer or a tuple/list of integers; got {axes!r}")
    if len(axes) != 2:
        raise ValueError(f"axes must be a tuple/list of length 2; got {axes!r}")
    mine, theirs = ([operator.index(i) for i in side] for side in axes)
    if len(mine) != len(theirs):
        raise ValueError(f"axes lists/tuples must be of the same length; got {axes!r}")
    for side, ndim in ((mine, a_ndim), (theirs, b_ndim)):
        if any(not -ndim <= i < ndim for i in side):
            raise ValueError(
                f"axes indices are out of bounds for input arrays of {a_ndim} and {b_ndim} dimensions; got {axes!r}"
            )
    return [i % a_ndim for i in mine], [i % b_ndim for i in theirs]
