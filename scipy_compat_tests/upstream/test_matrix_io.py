"""SciPy's own test_matrix_io.py."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("test_matrix_io"))
