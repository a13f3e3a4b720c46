"""SciPy's own test_svds.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg._eigen.tests.test_svds"))
