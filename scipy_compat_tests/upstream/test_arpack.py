"""SciPy's own test_arpack.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg._eigen.arpack.tests.test_arpack"))
