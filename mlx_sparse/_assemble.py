"""Arrays assembled from arrays: stacked, in blocks, and Kronecker products."""

from __future__ import annotations

import math
import numbers
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _scipy_release, _values
from ._base import as_sparse, issparse
from ._classes import container
from ._construct import eye_array
from ._coo import coo_array
from ._csc import csc_array
from ._csr import csr_array
from ._kinds import array_if, as_array, is_array
from ._shape import check_shape

_FEW_PAIRS = 1 << 16  # which NumPy makes before MLX's stream has begun

__all__ = ["block_array", "block_diag", "bmat", "hstack", "kron", "kronsum", "vstack"]

_ONE_BLOCK = "blocks must be a sequence of arrays, as in hstack([A, B]); got one sparse array"
_COMPRESSED: dict[str, Any] = {"csr": csr_array, "csc": csc_array}


def vstack(blocks: Any, format: str | None = None, dtype: Any = None) -> Any:
    """Stack arrays vertically (row-wise); a 1-D array counts as one row. See `block_array`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[1, 0], [0, 2]])
    >>> sp.vstack([A, A]).shape
    (4, 2)
    """
    if issparse(blocks):
        raise TypeError(_ONE_BLOCK)
    blocks = list(blocks)
    return array_if(any(map(is_array, blocks)), _block([[b] for b in blocks], format, dtype))


def hstack(blocks: Any, format: str | None = None, dtype: Any = None) -> Any:
    """Stack arrays horizontally (column-wise); a 1-D array counts as one row. See `block_array`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[1, 0], [0, 2]])
    >>> sp.hstack([A, A]).shape
    (2, 4)
    """
    if issparse(blocks):
        raise ValueError(_ONE_BLOCK)
    blocks = list(blocks)
    return array_if(any(map(is_array, blocks)), _block([blocks], format, dtype))


def bmat(blocks: Any, format: str | None = None, dtype: Any = None) -> Any:
    """As `block_array`, but a matrix unless some block is a sparse array.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.coo_matrix([[1, 2]])
    >>> B = sp.bmat([[A, None], [None, A]], format="csr")
    >>> sp.isspmatrix(B), B.shape
    (True, (2, 4))
    """
    grid = _grid(blocks)
    return array_if(any(is_array(b) for row in grid for b in row), _block(grid, format, dtype))


def block_array(blocks: Any, *, format: str | None = None, dtype: Any = None) -> Any:
    """Array assembled from a grid of blocks. Lazy and differentiable in the blocks' values.

    Parameters
    ----------
    blocks : sequence of sequences
        Sparse arrays, dense arrays (a 1-D one is one row) or None for a zero block; row heights and column widths must
        agree.
    format : str, optional
        Default: csr (csc) when every block is csr (csc), else coo.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        `blocks` is not a grid, or sizes disagree. A row or column of nothing but None has size 0.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.coo_array([[1, 2]])
    >>> sp.block_array([[A, None], [None, A]]).toarray()
    array([[1, 2, 0, 0],
           [0, 0, 1, 2]])
    """
    return _block(_grid(blocks), format, dtype)


def _grid(blocks: Any) -> list[list[Any]]:
    try:
        grid = [] if any(map(issparse, blocks)) else [list(row) for row in blocks]
    except TypeError:
        grid = []
    if not grid or not grid[0] or any(len(row) != len(grid[0]) for row in grid):
        raise ValueError("blocks must be 2-D: a list of rows of one length, at least one block in each")
    return grid


def _block(grid: list[list[Any]], format: str | None, dtype: Any) -> Any:
    if not grid or not grid[0]:
        raise ValueError("blocks must be 2-D: a list of rows of one length, at least one block in each")
    if format is not None and not isinstance(format, str):
        raise TypeError(f"format must be a string; got {type(format).__name__}")
    grid = [[None if b is None else _as_block(b) for b in row] for row in grid]
    present = [b for row in grid for b in row if b is not None]
    common = _dtypes.result_type(*(b._data.dtype for b in present)) if present else _dtypes.default_float()
    target = common if dtype is None else _dtypes.mlx_dtype(dtype)
    kinds = {b.format for b in present}
    uniform = len(present) == len(grid) * len(grid[0]) and kinds in ({"csr"}, {"csc"})
    stacked = uniform and format in (None, *kinds)
    heights, widths = _block_sizes(grid, stacked)
    if stacked:
        return _stacked(_COMPRESSED[kinds.pop()], grid, target)
    return _assembled(*_joined(grid, heights, widths, target), format or "coo")


def _joined(grid: list[list[Any]], heights: list[int], widths: list[int], dtype: mx.Dtype) -> tuple[Any, bool]:
    """The coo array of all blocks' entries, and whether they are known to be unique."""
    shape = check_shape((sum(heights), sum(widths)))
    blocks = [(i, j, b.tocoo(copy=False)) for i, row in enumerate(grid) for j, b in enumerate(row) if b is not None]
    if not blocks:
        return coo_array(shape, dtype=dtype), True
    row_start, col_start = ([0, *np.cumsum(sizes).tolist()] for sizes in (heights, widths))
    index = _dtypes.index_dtype([b._coords[0].dtype for *_, b in blocks], max(shape))
    placed = [(b, row_start[i], col_start[j]) for i, j, b in blocks]
    return _joined_entries(placed, shape, dtype, index), all(b.has_canonical_format for *_, b in blocks)


def _joined_entries(
    blocks: list[tuple[Any, int, int]],
    shape: tuple[int, ...],
    dtype: mx.Dtype,
    index: mx.Dtype,
    canonical: bool = False,
) -> Any:
    """The coo array of all entries of coo blocks that begin at (row, column)."""
    now = dtype != mx.bfloat16 and all(_dense.ready(b._data, *b._coords) for b, _, _ in blocks)
    join = _written if now else _concatenated
    data = join([(b._data, 0) for b, _, _ in blocks], dtype)
    rows = join([(b._row, at) for b, at, _ in blocks], index)
    cols = join([(b._coords[-1], at) for b, _, at in blocks], index)
    return coo_array._from_parts(data, (rows, cols), shape, canonical)


def _concatenated(parts: list[tuple[mx.array, int]], dtype: mx.Dtype) -> mx.array:
    """Arrays one after the other, each with a number added. Lazy."""
    return _values.concatenate([_shifted(x, by, dtype) for x, by in parts])


def _written(parts: list[tuple[mx.array, int]], dtype: mx.Dtype) -> mx.array:
    """`_concatenated`, at once and in one pass."""
    out = _dense.uninitialized(sum(x.size for x, _ in parts), dtype)
    host, at = _dense.view(out), 0
    for x, by in parts:
        to = host[at : at + x.size]
        at += x.size
        if by:
            np.add(_dense.view(x), by, out=to, casting="unsafe")
        else:
            to[:] = _dense.view(x)
    return out


def _shifted(x: mx.array, by: int, index: mx.Dtype) -> mx.array:
    x = _dense.cast(x, index)
    return x + mx.array(by, dtype=index) if by else x


def _stacked(cls: Any, grid: list[list[Any]], dtype: mx.Dtype) -> Any:
    """A grid of csr (csc) blocks in that format: duplicates and order within slices stay as they are."""
    by_major = grid if cls is csr_array else [list(column) for column in zip(*grid, strict=True)]
    return _along_major(cls, [_along_minor(cls, line, dtype) for line in by_major], dtype)


def _along_major(cls: Any, blocks: list[Any], dtype: mx.Dtype) -> Any:
    """Slices of one block after another: the buffers joined."""
    if len(blocks) == 1:
        return _cast(blocks[0], dtype)
    major, minor = sum(b._swap(b._shape_as_2d)[0] for b in blocks), blocks[0]._minor
    counts = [b._getnnz() for b in blocks]
    index = _dtypes.index_dtype({b._indptr.dtype for b in blocks}, max(sum(counts), minor))
    canonical = all(b._canonical_format for b in blocks)
    if _ready(blocks):
        parts = _joined_now(blocks, dtype, True, index)
    else:
        starts = [0, *np.cumsum(counts).tolist()]
        parts = (
            _values.concatenate([_dense.cast(b._data, dtype) for b in blocks]),
            mx.concatenate([_dense.as_index(b._indices, index) for b in blocks]),
            mx.concatenate([_shifted(b._indptr[int(k > 0) :], starts[k], index) for k, b in enumerate(blocks)]),
        )
    shape = check_shape(cls._swap((major, minor)))
    return cls._from_parts(*parts, shape, all(b._sorted for b in blocks) or None, canonical or None)


def _along_minor(cls: Any, blocks: list[Any], dtype: mx.Dtype) -> Any:
    """Every slice the blocks' slices one after another."""
    if len(blocks) == 1:
        return blocks[0]
    major, minor = blocks[0]._swap(blocks[0]._shape_as_2d)[0], sum(b._minor for b in blocks)
    canonical = all(b._canonical_format for b in blocks)
    in_order = all(b._sorted for b in blocks)
    if _ready(blocks):
        index = _dtypes.index_dtype({b._indptr.dtype for b in blocks}, max(sum(b._getnnz() for b in blocks), minor))
        parts = _joined_now(blocks, dtype, False, index)
        return cls._from_parts(*parts, check_shape(cls._swap((major, minor))), in_order or None, canonical or None)
    shapes = [b._shape_as_2d for b in blocks]
    one_line = [blocks] if cls is csr_array else [[b] for b in blocks]
    heights, widths = [m for m, _ in shapes], [n for _, n in shapes]
    sizes = (heights[:1], widths) if cls is csr_array else (heights, widths[:1])
    new = _assembled(_joined(one_line, *sizes, dtype)[0], True, cls._format)
    new._sorted, new._canonical_format = in_order or None, canonical or None
    return new


def _ready(blocks: list[Any]) -> bool:
    """Whether all buffers are evaluated: then they are joined at once, else in the graph."""
    return all(_native.is_available(x) for b in blocks for x in (b._data, b._indices, b._indptr))


def _joined_now(blocks: list[Any], dtype: mx.Dtype, along_major: bool, index: mx.Dtype) -> Any:
    one = _dtypes.index_dtype({b._indices.dtype for b in blocks})
    trios = [b._trio_as(dtype, one) for b in blocks]
    return _native.stack(trios, [b._minor for b in blocks], along_major, index == mx.int64)


def _cast(A: Any, dtype: mx.Dtype) -> Any:
    """`A`, never a block itself: what the caller gets must not follow changes of the block."""
    A = A._with_data(_dense.cast(A._data, dtype))
    if A.ndim == 2:
        return A
    return type(A)._from_parts(A._data, A._indices, A._indptr, A._shape_as_2d, A._sorted, A._canonical_format)


def _assembled(coo: Any, unique: bool, format: str) -> Any:
    """`coo` in `format`; without the search for duplicates when its parts had none."""
    cls = _COMPRESSED.get(format)
    if cls is None or not unique:
        return coo.asformat(format)
    major, minor = cls._swap((coo._row, coo._coords[-1]))
    return cls._from_parts(*_native.coo_to_cs(coo._data, major, minor, cls._swap(coo.shape)[0], None), coo.shape)


def _as_block(b: Any) -> Any:
    return _buffered(b) if issparse(b) else coo_array(b)


def _buffered(A: Any) -> Any:
    """`A` as an array in coo, csr or csc format, in its own if it is one of these."""
    A = as_array(as_sparse(A))
    return A if A.format in ("coo", "csr", "csc") else A.tocoo(copy=False)


def _block_sizes(grid: list[list[Any]], strict: bool) -> tuple[list[int], list[int]]:
    """Heights and widths; unless `strict`, a size of 0 gives way to a later block's, as in SciPy."""
    heights: list[int | None] = [None] * len(grid)
    widths: list[int | None] = [None] * len(grid[0])
    for i, row in enumerate(grid):
        for j, b in enumerate(row):
            if b is None:
                continue
            if b.ndim > 2:
                raise ValueError(f"blocks must be 1-D or 2-D; blocks[{i},{j}] is {b.ndim}-D")
            for axis, sizes, at in ((0, heights, i), (1, widths, j)):
                got, size = b._shape_as_2d[axis], sizes[at]
                if size is None or size == 0 and not strict:
                    sizes[at] = got
                elif size != got:
                    line = (f"blocks[{i},:] has incompatible row", f"blocks[:,{j}] has incompatible column")[axis]
                    raise ValueError(
                        f"Mismatching dimensions along axis {axis}: {{{min(got, size)}, {max(got, size)}}}; {line} "
                        f"dimensions (incompatible dimensions for axis {axis}). "
                        f"Got blocks[{i},{j}].shape[{axis}] == {got}, expected {size}."
                    )
    return [h or 0 for h in heights], [w or 0 for w in widths]


def block_diag(mats: Any, format: str | None = None, dtype: Any = None) -> Any:
    """Array with `mats` on its block diagonal, in coo format unless told otherwise. Lazy in the values.

    Parameters
    ----------
    mats : sequence
        Sparse arrays; dense 2-D arrays, all of whose elements are stored; numbers and lists, whose zeros are not.
    format : str, optional
    dtype : dtype, optional

    Returns
    -------
    An array if some of `mats` is a sparse array, else a matrix.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.block_diag([sp.coo_array([[1, 2]]), [[3], [4]]]).toarray()
    array([[1, 2, 0],
           [0, 0, 3],
           [0, 0, 4]])
    """
    mats = list(mats)
    array = any(map(is_array, mats))
    _scipy_release.warn_of_matrix("block_diag", *mats)
    parts = [_diagonal_block(a) for a in mats]
    if not parts:
        raise ValueError("need at least one array to concatenate; got an empty list")
    sizes = [p._shape_as_2d for p in parts]
    starts = np.concatenate([[(0, 0)], np.cumsum(sizes, axis=0)]).tolist()
    shape = check_shape((sum(m for m, _ in sizes), sum(n for _, n in sizes)))
    wide = [p._coords[0].dtype for p, a in zip(parts, mats, strict=True) if issparse(a)][:1]
    index = _dtypes.index_dtype(wide, max(shape))
    common = _dtypes.result_type(*(p._data.dtype for p in parts))
    target = common if dtype is None else _dtypes.mlx_dtype(dtype)
    canonical = all(p.has_canonical_format for p in parts)
    placed = [(p, at[0], at[1]) for p, at in zip(parts, starts, strict=False)]
    new = _joined_entries(placed, shape, target, index, canonical)
    return array_if(array, new.asformat(format))


def _diagonal_block(a: Any) -> Any:
    if issparse(a):
        coo = as_sparse(a).tocoo(copy=False)
        if coo.ndim > 2:
            raise ValueError(f"blocks must be 1-D or 2-D; got {coo.ndim}-D")
        return coo
    if isinstance(a, (list, numbers.Number)):
        return coo_array(_dense.at_least_2d(a))
    x = _dense.as_dense(a)
    if x.ndim != 2:
        raise ValueError(f"dense blocks must be 2-D; got {x.ndim}-D")
    m, n = x.shape
    _dense.expect((m * n,), mx.int64)
    rows, cols = np.divmod(np.arange(m * n, dtype=np.int32 if m * n < 2**31 else np.int64), max(n, 1))
    data = mx.reshape(x, (-1,)) if _dense.is_mlx(x) else _dense.to_mlx(np.ravel(x))
    return coo_array._from_parts(data, (_dense.to_mlx(rows), _dense.to_mlx(cols)), (m, n), True)


def kron(A: Any, B: Any, format: str | None = None) -> Any:
    """Kronecker product. Lazy and differentiable in the values.

    Parameters
    ----------
    A, B : sparse array or array_like
        Of any rank; the one of lower rank gets leading axes of length 1.
    format : str, optional
        Default: bsr when B is 2-D and at least half full, else coo.

    Returns
    -------
    An array if A or B is a sparse array, else a matrix.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.kron(sp.coo_array([[0, 1]]), sp.coo_array([[2, 0]]), format="coo").toarray()
    array([[0, 0, 2, 0]])
    """
    array = is_array(A) or is_array(B)
    _scipy_release.warn_of_matrix("kron", A, B)
    A, B = (_factor(x, array) for x in (A, B))
    if format in (None, "bsr") and A.ndim == B.ndim == 2 and 2 * B.nnz >= math.prod(B.shape):
        if A.nnz and B.nnz:
            return array_if(array, _kron_blocks(A.tocsr(), B.tocoo(copy=False)))
    a, b = A.tocoo(copy=False), B.tocoo(copy=False)
    ndim = max(a.ndim, b.ndim)
    a_shape, b_shape = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    shape = check_shape(tuple(m * n for m, n in zip(a_shape, b_shape, strict=True)), coo_array._allow_nd)
    dtype = _dtypes.result_type(a._data.dtype, b._data.dtype)
    if a.nnz == 0 or b.nnz == 0:
        return array_if(array, coo_array(shape, dtype=dtype).asformat(format))
    index = _dtypes.index_dtype([c.dtype for c in a._coords[:1] + b._coords[:1]], max(shape))
    index = mx.int64 if ndim > 2 else index
    _dense.expect((a.nnz * b.nnz,), dtype)

    def spread(x: mx.array, y: mx.array, scale: int) -> mx.array:
        x, y = _dense.as_index(x, index), _dense.as_index(y, index)
        if _dense.ready(x, y):
            return _native.pair_sums(x, scale, y)
        return mx.reshape(x[:, None] * scale + y[None, :], (-1,))

    data = _products(a._data, b._data, dtype)
    a_coords, b_coords = ((_dense.full(x.nnz, 0, index),) * (ndim - x.ndim) + x._coords for x in (a, b))
    coords = tuple(spread(x, y, n) for x, y, n in zip(a_coords, b_coords, b_shape, strict=True))
    new = coo_array._from_parts(data, coords, shape)
    unique = bool(A.has_canonical_format and B.has_canonical_format)
    return array_if(array, _assembled(new, unique, format or "coo"))


def _products(x: Any, y: Any, dtype: mx.Dtype) -> Any:
    """Every element of `x` times every one of `y`, as `dtype`, flat. By NumPy where few."""
    if x.size * y.size >= _FEW_PAIRS or dtype == mx.bfloat16 or not _dense.ready(x, y):
        return _values.reshape(_dense.cast(x, dtype)[:, None] * _values.reshape(_dense.cast(y, dtype), (1, -1)), (-1,))
    made = _dense.uninitialized(x.size * y.size, dtype)
    x, y = (_dense.view(v).astype(_dtypes.numpy_dtype(dtype), copy=False).ravel() for v in (x, y))
    with np.errstate(all="ignore"):  # as MLX
        np.multiply.outer(x, y, out=_dense.view(made).reshape(x.size, y.size))
    return made


def _factor(x: Any, array: bool) -> Any:
    """A factor of a Kronecker product; a dense one is at least 2-D where the result is a matrix."""
    if issparse(x):
        return _buffered(x)
    if not array and np.ndim(x) > 2:
        raise TypeError(f"expected 2D array or matrix, not {np.ndim(x)}D")
    return coo_array(x if array and np.ndim(x) else _dense.at_least_2d(x))


def _kron_blocks(A: Any, B: Any) -> Any:
    """The bsr form: one dense block B for every entry of A."""
    dtype = _dtypes.result_type(A._data.dtype, B._data.dtype)
    _dense.expect((A.nnz, *B.shape), dtype)
    data = _values.reshape(_products(A._data, B._todense(None), dtype), (A.nnz, *B.shape))
    shape = (A.shape[0] * B.shape[0], A.shape[1] * B.shape[1])
    return container("bsr")((data, A._indices, A._indptr), shape=shape)


def kronsum(A: Any, B: Any, format: str | None = None) -> Any:
    """Kronecker sum of two square arrays: ``kron(I_n, A) + kron(B, I_m)`` with A of shape (m, m) and B (n, n).

    Raises
    ------
    ValueError
        A or B is not 2-D and square.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.coo_array([[0, 1], [1, 0]])
    >>> sp.kronsum(A, A).toarray()
    array([[0, 1, 1, 0],
           [1, 0, 0, 1],
           [1, 0, 0, 1],
           [0, 1, 1, 0]])
    """
    array = is_array(A) or is_array(B)
    _scipy_release.warn_of_matrix("kronsum", A, B)
    A, B = (_factor(x, array).tocoo(copy=False) for x in (A, B))
    for name, x in (("A", A), ("B", B)):
        if x.ndim != 2:
            raise ValueError(f"kronsum requires 2D inputs. `{name}` is {x.ndim}D.")
    for name, x in (("A", A), ("B", B)):
        if x.shape[0] != x.shape[1]:
            raise ValueError(f"{name} is not square; got shape {x.shape}")
    dtype = _dtypes.result_type(A._data.dtype, B._data.dtype)
    inner, outer = (eye_array(x.shape[0], dtype=dtype, format="coo") for x in (A, B))
    total = kron(outer, A, format="coo") + kron(B, inner, format="coo")
    return array_if(array, total.asformat(format))
