"""SciPy's own test_special_sparse_arrays.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg.tests.test_special_sparse_arrays"))
