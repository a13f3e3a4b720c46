"""SciPy's own test_funm_multiply_krylov.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg.tests.test_funm_multiply_krylov"))
