"""A^H A x in one pass, natively: against NumPy, for every number of workers the same, and what it leaves to others."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import _native, runtime


def matrix(dtype, shape):
    rng = np.random.default_rng(1)
    S = scipy.sparse.random_array(shape, density=0.02, rng=rng, dtype=np.float64).tolil()
    S[7] = rng.standard_normal(shape[1])  # a long row among empty ones
    S = S.tocsr().astype(dtype)
    if np.dtype(dtype).kind == "c":
        S.data += np.array(1j * rng.standard_normal(S.nnz), dtype)
    return S


@pytest.mark.parametrize("shape", [(30, 20), (9000, 700), (40, 6000)])
@pytest.mark.parametrize("dtype", "fdFD")
def test_one_pass(dtype, shape):
    if runtime.EXECUTOR == "shader" or mx.default_device() != mx.Device(mx.cpu):
        pytest.skip("of CPU kernels")
    S = matrix(dtype, shape)
    A, x = sp.from_scipy(S), np.random.default_rng(2).standard_normal(shape[1]).astype(dtype)
    seen = set()
    for threads in (1, 2, 5):
        with runtime.context(N_THREADS=threads):
            y = _native.gram_numpy(A._structure, A._data, x)
        seen.add(y.tobytes())
    assert len(seen) == 1 and y.dtype == x.dtype
    expected = S.conj().T @ (S @ x)
    np.testing.assert_allclose(y, expected, atol=100 * np.finfo(dtype).eps * abs(expected).max())


def test_what_it_does_not_take():
    A = sp.from_scipy(matrix("d", (30, 20)))
    for x in (np.zeros(30), np.zeros(20, np.float32), np.zeros((20, 2)), np.zeros(40)[::2]):
        assert _native.gram_numpy(A._structure, A._data, x) is None
    B = A.tocoo()
    assert _native.gram_numpy(B._structure, B._data, np.zeros(20)) is None
