"""SciPy's own test_matfuncs.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg.tests.test_matfuncs"))
