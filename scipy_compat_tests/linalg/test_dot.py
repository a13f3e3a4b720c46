"""dot and vdot of sparse arrays: against NumPy, in all formats and dtypes, with derivatives."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse.linalg import dot, vdot

from .systems import ALL_FORMATS


def sample(seed, dtype):
    rng = np.random.default_rng(seed)
    A = rng.integers(-3, 4, (12, 8)) * (rng.random((12, 8)) < 0.4)
    return (A + 1j * (A % 3) if np.dtype(dtype).kind == "c" else A).astype(dtype)


@pytest.mark.parametrize("values", ["float32", "complex64", "int32"])
@pytest.mark.parametrize("format", ALL_FORMATS)
def test_against_numpy(format, values):
    X, Y = sample(0, values), sample(1, values)
    A, B = sp.from_scipy(scipy.sparse.csr_array(X)).asformat(format), scipy.sparse.csc_array(Y)
    for other in (B, sp.from_scipy(B)):
        np.testing.assert_allclose(complex(dot(A, other)), complex((X * Y).sum()), rtol=1e-6)
        np.testing.assert_allclose(complex(vdot(A, other)), complex(np.vdot(X, Y)), rtol=1e-6)


def test_values_of_mixed_dtypes_duplicates_and_halves():
    A = sp.coo_array((np.array([1.0, 2.0, 4.0], np.float32), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert float(dot(A, A)) == 25
    B = sp.csr_array(np.array([[0, 1j], [0, 0]], np.complex64))
    assert complex(vdot(B, A)) == -3j
    assert complex(vdot(A, B)) == complex(dot(A, B)) == 3j
    half = sp.csr_array(np.full((1, 100), 30, np.float16))
    assert float(dot(half, half)) == 90_000  # beyond float16
    assert float(dot(sp.csr_array((3, 4)), sp.csr_array((3, 4)))) == 0


def test_derivatives():
    A = sp.from_scipy(scipy.sparse.csr_array(sample(0, "float32")))
    B = sp.from_scipy(scipy.sparse.csr_array(sample(1, "float32")))
    at = A.tocoo()
    expected = B.toarray()[np.asarray(at.row), np.asarray(at.col)]
    for f in (dot, vdot):
        g = mx.grad(lambda v, f=f: mx.array(f(A.with_data(v), B)))(mx.array(A.data))
        np.testing.assert_allclose(np.asarray(g), expected)
        twice = mx.grad(lambda v, f=f: mx.array(f(A.with_data(v), A.with_data(v))))(mx.array(A.data))
        np.testing.assert_allclose(np.asarray(twice), 2 * np.asarray(A.data))


def test_bad_operands():
    A = sp.csr_array((2, 3))
    for f in (dot, vdot):
        with pytest.raises(TypeError, match="sparse"):
            f(A, np.zeros((2, 3)))
        with pytest.raises(ValueError, match="differ"):
            f(A, A.T)
