"""Graphs to test on, and comparison with SciPy."""

import mlx.core as mx
import numpy as np
import scipy.sparse
import scipy.sparse.csgraph as theirs

import mlx_sparse as sp
from mlx_sparse import _dtypes

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")


def random_graph(n, edges, seed, integers=False, dtype=np.float64):
    """A SciPy csr array with loops, explicit zeros, nodes without edges, and ties if the weights are `integers`.

    Its duplicates are summed: see `with_duplicates`. Weights are multiples of 2**-16, so that float32 holds the lengths
    of paths exactly.
    """
    rng = np.random.default_rng(seed)
    row, col = rng.integers(0, max(1, n - n // 5), (2, edges)) if n else np.zeros((2, 0), int)
    data = (
        rng.integers(0, 5, len(row)).astype(dtype)
        if integers
        else (rng.integers(0, 2**16, len(row)) / 2**16).astype(dtype)
    )
    A = scipy.sparse.coo_array((data, (row, col)), shape=(n, n)).tocsr()
    A.data[::7] = 0
    return scipy.sparse.csr_array((A.data, A.indices.astype(np.int32), A.indptr.astype(np.int32)), shape=A.shape)


def with_duplicates(A):
    """The edges of `A`, every third one twice, the second time longer, unsorted, as a SciPy csr array."""
    C = A.tocoo()
    again = np.arange(0, C.nnz, 3)
    row, col = (np.concatenate([x, x[again]]) for x in C.coords)
    data = np.concatenate([C.data, C.data[again] + 1])
    order = np.random.default_rng(0).permutation(len(row))
    row, col, data = row[order], col[order], data[order]
    order = np.argsort(row, kind="stable")
    indptr = np.searchsorted(row[order], np.arange(A.shape[0] + 1)).astype(np.int32)
    return scipy.sparse.csr_array((data[order], col[order].astype(np.int32), indptr), shape=A.shape)


def ours(A, index=None):
    """This package's array over the entries of a SciPy csr array, in their order, duplicates included."""
    parts = [np.asarray(x) if index is None else np.asarray(x, index) for x in (A.indices, A.indptr)]
    return sp.csr_array((A.data, *parts), shape=A.shape)


CASES = {
    "empty": random_graph(0, 0, 0),
    "edgeless": scipy.sparse.csr_array((5, 5)),
    "one": scipy.sparse.csr_array([[3.0]]),
    "sparse": random_graph(60, 70, 1),
    "dense": random_graph(30, 500, 2),
    "ties": random_graph(50, 200, 3, integers=True),
    "duplicates": with_duplicates(random_graph(40, 150, 4)),
    "float32": random_graph(40, 150, 5, dtype=np.float32),
    "int64": random_graph(40, 150, 6, integers=True, dtype=np.int64),
    "path": scipy.sparse.diags_array(np.arange(1.0, 50.0), offsets=1, format="csr"),
}


def held(dtype):
    """What the default device holds values of this NumPy dtype in: where it has no float64, in float32."""
    return _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))


def to_mlx(x):
    """An ndarray as an `mx.array` of the dtype that it is held in."""
    return mx.array(x, dtype=_dtypes.mlx_dtype(x.dtype))


def host(x):
    """A result as NumPy sees it."""
    if sp.issparse(x) and not scipy.sparse.issparse(x):
        return x.toarray()
    if scipy.sparse.issparse(x):
        return x.toarray()
    return np.array(x) if isinstance(x, mx.array) else x


def same(found, expected, exact=True, dense=False):
    """Whether a result is SciPy's. Those of `dense` graphs of NumPy's keep SciPy's dtype, as masked arrays do."""
    if isinstance(expected, tuple):
        assert isinstance(found, tuple) and len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other, exact, dense)
        return
    if np.ma.isMaskedArray(expected):
        assert np.ma.isMaskedArray(found)
        np.testing.assert_array_equal(found.mask, expected.mask)
    one, other = np.asarray(host(found)), np.asarray(host(expected))
    if not (dense and isinstance(found, np.ndarray) or np.ma.isMaskedArray(expected)):
        other = other.astype(held(other.dtype))
    assert one.shape == other.shape and one.dtype == other.dtype
    if exact:
        np.testing.assert_array_equal(one, other)
    else:
        np.testing.assert_allclose(one, other, rtol=1e-6 if one.dtype == np.float32 else 1e-12)


def check_class(found, namespace):
    """Dense results are in the namespace, sparse ones of this package."""
    for x in found if isinstance(found, tuple) else (found,):
        if np.ma.isMaskedArray(x) or np.isscalar(x):
            continue
        if scipy.sparse.issparse(x):
            raise AssertionError("an array of SciPy's")
        if not sp.issparse(x):
            assert isinstance(x, mx.array if namespace == "mlx" else np.ndarray)


def error_of(f, *args, **options):
    try:
        f(*args, **options)
    except Exception as error:  # noqa: BLE001 - its type is compared
        return error
    return None


__all__ = [
    "CASES",
    "FORMATS",
    "check_class",
    "error_of",
    "held",
    "host",
    "ours",
    "random_graph",
    "same",
    "theirs",
    "to_mlx",
]
