"""The loader: what an upstream module sees, and that SciPy and NumPy themselves stay as they are."""

import sys

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.upstream.loader import load, on_gpu
from scipy_compat_tests.upstream.narrow import Narrow


def test_names_are_ours_where_they_exist():
    base = load("test_base")
    assert base.csr_array is mlx_sparse.csr_array
    assert base.sparse.coo_array is mlx_sparse.coo_array
    assert base.scipy.sparse._csr.csr_array is mlx_sparse.csr_array
    assert base.get_index_dtype is mlx_sparse.get_index_dtype
    assert load("test_csr").csr_array is mlx_sparse.csr_array


def test_scipy_is_not_patched():
    load("test_base")
    assert sys.modules["scipy.sparse"] is scipy.sparse
    assert scipy.sparse.csr_array.__module__.startswith("scipy.")
    assert "longdouble" in {t.__name__ for t in scipy.sparse._sputils.supported_dtypes}
    assert np.complex128(1).dtype == "complex128"


def test_dtypes_of_a_module_are_those_of_mlx():
    base = load("test_base")
    names = {np.dtype(t).name for t in base.supported_dtypes + base.TestCSR.math_dtypes}
    assert "complex64" in names and not names & {"longdouble", "clongdouble"}
    assert ("float64" in names) == ("complex128" in names) != on_gpu()


@pytest.mark.parametrize("gpu", [False, True])
def test_narrow(gpu):
    rule = Narrow(gpu=gpu)
    single, pair = (np.float32, np.complex64) if gpu else (np.float64, np.complex128)
    assert rule.numpy.complex128 is rule.numpy.clongdouble is pair and rule.numpy.float64 is single
    assert rule.numpy.array([1j]).dtype == pair and rule.numpy.ones(2).dtype == single
    assert rule.value(np.float64(1)).dtype == single and rule.value("text") == "text"
    rule.testing.assert_equal(np.dtype(pair), np.dtype(np.clongdouble))
    near = np.full(2, 1 + 1e-6), np.ones(2)
    if gpu:
        rule.testing.assert_equal(np.dtype("complex64"), np.dtype("complex128"))
        rule.testing.assert_allclose(np.complex64(1 + 1e-6), 1 + 0j)
        rule.testing.assert_array_equal(*near)
    else:
        with pytest.raises(AssertionError):
            rule.testing.assert_array_equal(*near)
    with pytest.raises(AssertionError):
        rule.testing.assert_allclose(np.complex64(1.01), 1 + 0j)
