"""Functions that build sparse arrays."""

from __future__ import annotations

import math
import operator
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse

from . import _dense, _dtypes, _native
from ._base import as_sparse, issparse
from ._coo import coo_array
from ._csc import csc_array
from ._csr import csr_array
from ._shape import check_shape

_CLASSES: dict[str, Any] = {"coo": coo_array, "csr": csr_array, "csc": csc_array}


def from_scipy(matrix: Any, *, format: str | None = None, dtype: Any = None) -> Any:
    """This package's form of a SciPy sparse array or matrix; the buffers are copied.

    Parameters
    ----------
    matrix : scipy sparse array or matrix
    format : {"coo", "csr", "csc"}, optional
        Default: the format of `matrix` where it exists here, else csr.
    dtype : dtype, optional

    Raises
    ------
    TypeError
        `matrix` is not a SciPy sparse array.
    """
    if not _scipy_sparse.issparse(matrix):
        raise TypeError(f"from_scipy takes a SciPy sparse array; got {type(matrix).__name__}")
    if matrix.format not in _CLASSES:
        matrix = matrix.tocsr()
    target = _dtypes.mlx_dtype(matrix.dtype if dtype is None else dtype)
    data = _dense.to_mlx(matrix.data, target)
    shape = tuple(int(n) for n in matrix.shape)
    if matrix.format == "coo":
        index = _dtypes.index_dtype([c.dtype for c in matrix.coords])
        coords = tuple(_dense.to_index(c, index, "coords") for c in matrix.coords)
        check_shape(shape, (1, 2))
        new = coo_array._from_parts(data, coords, shape, canonical=bool(matrix.has_canonical_format))
    else:
        index = _dtypes.index_dtype([matrix.indices.dtype, matrix.indptr.dtype])
        n = int(matrix.indptr[-1])
        new = _CLASSES[matrix.format]._from_parts(
            data[:n],
            _dense.to_index(matrix.indices[:n], index, "indices"),
            _dense.to_index(matrix.indptr, index, "indptr"),
            shape,
        )
    return new.asformat(format)


def fromdense(array: Any, *, threshold: float = 0.0, dtype: Any = None, format: str = "csr") -> Any:
    """Sparse form of a dense array: the entries with ``abs(value) > threshold``. Synchronises.

    Parameters
    ----------
    array : array_like, 1-D or 2-D
    threshold : float
        Non-negative.
    dtype : dtype, optional
    format : {"csr", "csc", "coo"}

    Raises
    ------
    ValueError
        `threshold` is negative or `array` has another rank.
    """
    if threshold < 0:
        raise ValueError(f"threshold must not be negative; got {threshold}")
    if issparse(array):
        return as_sparse(array).asformat(format)
    x = _dense.as_dense(array)
    if threshold:
        values = _dense.view(x) if _dense.is_mlx(x) else x
        keep = np.where(np.abs(values) > threshold, values, values.dtype.type(0))
        x = _dense.to_mlx(keep, x.dtype) if _dense.is_mlx(x) else keep
    return _class(format)(x, dtype=dtype)


from_dense = fromdense
from_numpy = fromdense


def asarray(x: Any, *, dtype: Any = None, format: str | None = None) -> Any:
    """`x` as a sparse array: kept if it is one, converted from SciPy, or built from a dense array (csr)."""
    if not issparse(x):
        return fromdense(x, dtype=dtype, format=format or "csr")
    A = as_sparse(x).asformat(format)
    return A if dtype is None else A.astype(dtype, copy=False)


def todense(A: Any, *, stream: Any = None) -> Any:
    """Dense form of a sparse array; see the method of the same name."""
    if not issparse(A):
        raise TypeError(f"todense takes a sparse array; got {type(A).__name__}")
    return as_sparse(A).todense(stream=stream)


def eye_array(
    m: int, n: int | None = None, *, k: int = 0, dtype: Any = float, format: str | None = None, stream: Any = None
) -> Any:
    """Array of shape (m, n) with ones on diagonal `k`.

    Raises
    ------
    ValueError
        A dimension that is negative or not whole, or a diagonal outside the array.

    Differences from SciPy
    ----------------------
    The default format is csr.
    """
    m, n, k = _count(m, "m"), _count(m if n is None else n, "n"), operator.index(k)
    dtype = _dtypes.mlx_dtype(dtype)
    count = min(m + k, n - k, m, n)
    if count < 0:
        raise ValueError(f"Offset {k} (index 0) out of bounds")
    index = _dtypes.index_dtype(maxval=max(m, n))
    first = mx.arange(count, dtype=index, stream=stream)
    coords = (first + max(-k, 0), first + max(k, 0))
    coo = coo_array._from_parts(mx.ones(count, dtype=dtype, stream=stream), coords, (m, n), canonical=True)
    return coo.asformat(format or "csr")


def eye(m: int, n: int | None = None, k: int = 0, dtype: Any = float, format: str | None = None) -> Any:
    """Array of shape (m, n) with ones on diagonal `k`. As `eye_array`."""
    return eye_array(m, n, k=k, dtype=dtype, format=format)


def identity(n: int, dtype: Any = "d", format: str | None = None) -> Any:
    """Identity of shape (n, n)."""
    return eye_array(n, dtype=dtype, format=format)


def diags_array(
    diagonals: Any, /, *, offsets: Any = 0, shape: Any = None, format: str | None = None, dtype: Any = ...
) -> Any:
    """Array with the given diagonals. Lazy and differentiable in values given as `mx.array`.

    Parameters
    ----------
    diagonals : sequence of array_like
        One per offset: at least as long as the offset's diagonal (the rest is not used), or of length 1, which
        fills it. For a scalar offset, one flat sequence.
    offsets : int or sequence of int
        0 is the main diagonal, k > 0 above it.
    shape : tuple of int, optional
        Default: square, just large enough.
    format : {"csr", "csc", "coo"}, optional
        Default csr.
    dtype : dtype, optional
        Default: what the diagonals promote to, but the default float dtype for integers; None keeps integers.

    Raises
    ------
    ValueError
        Numbers of diagonals and offsets differ, a diagonal is too short, or an offset repeats or lies outside `shape`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(3, 3)).toarray()
    array([[ 2., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  2.]])
    """
    if np.ndim(offsets) == 0:
        if len(diagonals) > 0 and np.ndim(diagonals[0]) > 0:
            raise ValueError("Different number of diagonals and offsets: one offset takes one flat diagonal")
        diagonals = [diagonals]
    offsets = [operator.index(k) for k in np.atleast_1d(offsets)]
    values: list[Any] = [d if _dense.is_mlx(d) else np.atleast_1d(d) for d in diagonals]
    values = [mx.reshape(d, (1,)) if d.ndim == 0 else d for d in values]
    if len(values) != len(offsets):
        raise ValueError(f"Different number of diagonals and offsets: {len(values)} and {len(offsets)}")
    if len(set(offsets)) != len(offsets):
        raise ValueError(f"offset array contains duplicate values: {offsets}")
    if shape is None:
        n = len(values[0]) + abs(offsets[0])
        shape = (n, n)
    m, n = (_count(s, "shape") for s in shape)
    target = _diagonals_dtype(values, dtype)
    counts = [min(m + k, n - k, m, n) for k in offsets]
    parts = [_diagonal(values[j], offsets[j], counts[j], j, (m, n), target) for j in np.argsort(offsets)]
    # By ascending offset, so a stable compression leaves rows sorted.
    data, rows, cols = (mx.concatenate(list(p)) for p in zip(*parts, strict=True))
    return _assembled(coo_array._from_parts(data, (rows, cols), (m, n)), format or "csr", unique=True)


def _diagonals_dtype(values: list[Any], dtype: Any) -> mx.Dtype:
    if dtype is not None and dtype is not ...:
        return _dtypes.mlx_dtype(dtype)
    if any(v.dtype == np.object_ for v in values if isinstance(v, np.ndarray)):
        raise TypeError("diagonals must be numeric; got dtype object")
    common = _dtypes.result_type(*(v.dtype for v in values))
    if dtype is None or not _dtypes.is_integral(common):
        return common
    if _dense.numpy_mode():
        warn(
            f"the diagonals are {_dtypes.numpy_dtype(common)}, but the output has been cast to the default float "
            "dtype, which SciPy is going to stop doing; dtype=None keeps theirs",
            FutureWarning,
            stacklevel=4,
        )
    return _dtypes.default_float()


def _diagonal(
    values: Any, k: int, count: int, j: int, shape: tuple[int, int], dtype: mx.Dtype
) -> tuple[mx.array, mx.array, mx.array]:
    """Entries of diagonal `k`, which takes the first `count` of `values`, or its only one `count` times."""
    if count < 0:
        raise ValueError(f"Offset {k} (index {j}) out of bounds")
    if len(values) != 1 and len(values) < count:
        raise ValueError(
            f"Diagonal length (index {j}: {len(values)} at offset {k}) does not agree with array size {shape}."
        )
    x = _dense.to_mlx(values, dtype)
    x = mx.broadcast_to(x, (count,)) if x.size == 1 else x[:count]
    first = mx.arange(count, dtype=_dtypes.index_dtype(maxval=max(shape)))
    return x, first + max(-k, 0), first + max(k, 0)


def diags(diagonals: Any, offsets: Any = 0, shape: Any = None, format: str | None = None, dtype: Any = ...) -> Any:
    """Array with the given diagonals. As `diags_array`."""
    return diags_array(diagonals, offsets=offsets, shape=shape, format=format, dtype=dtype)


def random_array(
    shape: Any,
    *,
    density: float = 0.01,
    format: str = "coo",
    dtype: Any = None,
    rng: Any = None,
    data_sampler: Any = None,
    random_state: Any = None,
) -> Any:
    """Array with ``round(density * size)`` entries at positions drawn uniformly without replacement.

    Parameters
    ----------
    shape : tuple of int, 1-D or 2-D
    density : float in [0, 1]
    format : {"coo", "csr", "csc"}
    dtype : dtype, optional
        Default: the default float dtype.
    rng : int or numpy.random.Generator, optional
        `random_state` is SciPy's older name for it, and may be a `numpy.random.RandomState`.
    data_sampler : callable, optional
        ``data_sampler(size=k)`` gives the values; default: uniform on [0, 1), or over the range of an integer dtype.

    Raises
    ------
    ValueError
        `density` outside [0, 1].
    """
    if not 0 <= density <= 1:
        raise ValueError("density expected to be 0 <= density <= 1")
    shape = check_shape(shape, (1, 2))
    rng = _generator(random_state if rng is None else rng)
    count = int(round(math.prod(shape) * density))
    dtype = _dtypes.default_float() if dtype is None else _dtypes.mlx_dtype(dtype)
    if data_sampler is not None:
        values = data_sampler(size=count)
    elif _dtypes.is_integral(dtype):
        info = None if dtype == mx.bool_ else np.iinfo(_dtypes.numpy_dtype(dtype))
        values = np.ones(count, bool) if info is None else rng.integers(info.min, info.max, count, info.dtype)
    else:
        values = rng.uniform(size=count)
        if dtype == mx.complex64:
            values = values + 1j * rng.uniform(size=count)
    index = _dtypes.index_dtype(maxval=max(shape, default=0))
    coords = tuple(_dense.to_index(c, index, "coords") for c in _positions(rng, shape, count))
    return coo_array._from_parts(_dense.to_mlx(values, dtype), coords, shape, canonical=True).asformat(format)


def _positions(rng: np.random.Generator, shape: tuple[int, ...], count: int) -> tuple[np.ndarray, ...]:
    """Coordinates of `count` distinct positions in ascending order."""
    total = math.prod(shape)
    if total <= np.iinfo(np.int64).max:
        flat = rng.choice(total, size=count, replace=False, shuffle=False) if total else np.zeros(0, np.int64)
        return np.unravel_index(np.sort(flat), shape)
    found = np.zeros((len(shape), 0), np.int64)
    while found.shape[1] < count:  # so sparse that equal draws are rare
        drawn = [rng.integers(0, n, count - found.shape[1]) for n in shape]
        found = np.unique(np.concatenate([found, drawn], axis=1), axis=1)
    return tuple(found)


def _generator(rng: Any) -> np.random.Generator:
    if isinstance(rng, np.random.RandomState):
        return np.random.Generator(rng._bit_generator)
    return np.random.default_rng(rng)


def vstack(blocks: Any, format: str | None = None, dtype: Any = None) -> Any:
    """Stack arrays vertically (row-wise). See `block_array`."""
    rows = [[b] for b in blocks]
    return block_array(rows, format=format, dtype=dtype)


def hstack(blocks: Any, format: str | None = None, dtype: Any = None) -> Any:
    """Stack arrays horizontally (column-wise); a 1-D array counts as one row. See `block_array`."""
    return block_array([list(blocks)], format=format, dtype=dtype)


def block_array(blocks: Any, *, format: str | None = None, dtype: Any = None) -> Any:
    """Array assembled from a grid of blocks. Lazy and differentiable in the blocks' values.

    Parameters
    ----------
    blocks : sequence of sequences
        Sparse arrays, dense 2-D arrays or None for a zero block; row heights and column widths must agree.
    format : {"csr", "csc", "coo"}, optional
        Default: csr (csc) when every block is csr (csc), else coo.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        `blocks` is not a grid, or sizes disagree. A row or column of nothing but None has size 0.
    """
    grid = [list(row) for row in blocks]
    if not grid or not grid[0] or any(len(row) != len(grid[0]) for row in grid):
        raise ValueError("blocks must be 2-D")
    grid = [[None if b is None else _as_block(b) for b in row] for row in grid]
    present = [b for row in grid for b in row if b is not None]
    heights, widths = _block_sizes(grid)
    row_start, col_start = np.concatenate([[0], np.cumsum(heights)]), np.concatenate([[0], np.cumsum(widths)])
    shape = (int(row_start[-1]), int(col_start[-1]))
    common = _dtypes.result_type(*(b._data.dtype for b in present)) if present else _dtypes.default_float()
    target = common if dtype is None else _dtypes.mlx_dtype(dtype)
    kinds = {b.format for b in present}
    uniform = len(present) == len(heights) * len(widths) and kinds in ({"csr"}, {"csc"})
    if format is None:
        format = kinds.copy().pop() if uniform else "coo"
    index = _dtypes.index_dtype([], max(*shape, sum(b.nnz for b in present)))
    if any(c.dtype == mx.int64 for b in present for c in _structure(b)):
        index = mx.int64
    data, rows, cols = [], [], []
    unique = uniform and kinds == {format}  # joined as they are, duplicates included
    for i, row in enumerate(grid):
        for j, b in enumerate(row):
            if b is None:
                continue
            coo = b.tocoo(copy=False)
            data.append(coo._data.astype(target))
            rows.append(coo._row.astype(index) + int(row_start[i]))
            cols.append(coo._coords[-1].astype(index) + int(col_start[j]))
    if not data:
        return coo_array(shape, dtype=target).asformat(format)
    coo = coo_array._from_parts(mx.concatenate(data), (mx.concatenate(rows), mx.concatenate(cols)), shape)
    return _assembled(coo, format, unique or all(b.has_canonical_format for b in present))


def kron(A: Any, B: Any, format: str | None = None) -> Any:
    """Kronecker product. Lazy and differentiable in the values.

    Differences from SciPy
    ----------------------
    The default format is coo also where SciPy picks bsr.
    """
    A, B = _as_block(A), _as_block(B)
    a, b = A.tocoo(copy=False), B.tocoo(copy=False)
    (m, n), (p, q) = a._shape_as_2d, b._shape_as_2d
    shape = (m * p, n * q)
    dtype = _dtypes.result_type(a._data.dtype, b._data.dtype)
    index = _dtypes.index_dtype([a._row.dtype, b._row.dtype], max(*shape, a.nnz * b.nnz))
    if a.nnz == 0 or b.nnz == 0:
        return coo_array(shape, dtype=dtype).asformat(format)

    def spread(x: mx.array, y: mx.array, scale: int) -> mx.array:
        return mx.reshape((x.astype(index) * scale)[:, None] + y.astype(index)[None, :], (-1,))

    data = mx.reshape(a._data.astype(dtype)[:, None] * b._data.astype(dtype)[None, :], (-1,))
    coords = (spread(a._row, b._row, p), spread(a._coords[-1], b._coords[-1], q))
    unique = bool(A.has_canonical_format and B.has_canonical_format)
    return _assembled(coo_array._from_parts(data, coords, shape), format or "coo", unique)


def _assembled(coo: Any, format: str, unique: bool) -> Any:
    """`coo` in `format`; without the search for duplicates when its parts had none."""
    cls = _class(format)
    if not unique or cls is coo_array:
        return coo.asformat(format)
    major, minor = (coo._row, coo._coords[-1]) if cls is csr_array else (coo._coords[-1], coo._row)
    n = coo.shape[0] if cls is csr_array else coo.shape[1]
    return cls._from_parts(*_native.coo_to_cs(coo._data, major, minor, n, None), coo.shape)


def _as_block(b: Any) -> Any:
    b = as_sparse(b) if issparse(b) else coo_array(np.atleast_2d(b) if not _dense.is_mlx(b) else b)
    return b.reshape((1, b.shape[0])) if b.ndim == 1 else b


def _structure(b: Any) -> tuple[mx.array, ...]:
    return b._coords if b.format == "coo" else (b._indices,)


def _block_sizes(grid: list[list[Any]]) -> tuple[list[int], list[int]]:
    heights: list[int | None] = [None] * len(grid)
    widths: list[int | None] = [None] * len(grid[0])
    for i, row in enumerate(grid):
        for j, b in enumerate(row):
            if b is None:
                continue
            for axis, sizes, at in ((0, heights, i), (1, widths, j)):
                got = b.shape[axis]
                if sizes[at] is None:
                    sizes[at] = got
                elif sizes[at] != got:
                    raise ValueError(
                        f"Mismatching blocks: incompatible {('row', 'column')[axis]} dimensions. "
                        f"Got blocks[{i},{j}].shape[{axis}] == {got}, expected {sizes[at]}."
                    )
    return [h or 0 for h in heights], [w or 0 for w in widths]


def _class(format: str) -> Any:
    if format not in _CLASSES:
        raise ValueError(f"unknown format {format!r}; the formats are {', '.join(_CLASSES)}")
    return _CLASSES[format]


def _count(n: Any, name: str) -> int:
    value = int(n)
    if value != n or value < 0:
        raise ValueError(f"{name} must be a non-negative integer; got {n!r}")
    return value


__all__ = [
    "asarray",
    "block_array",
    "diags",
    "diags_array",
    "eye",
    "eye_array",
    "from_dense",
    "from_numpy",
    "from_scipy",
    "fromdense",
    "hstack",
    "identity",
    "kron",
    "random_array",
    "todense",
    "vstack",
]
