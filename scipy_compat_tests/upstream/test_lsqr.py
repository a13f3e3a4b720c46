"""SciPy's own test_lsqr.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg._isolve.tests.test_lsqr"))
