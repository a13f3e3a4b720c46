"""SciPy's own test_lobpcg.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg._eigen.lobpcg.tests.test_lobpcg"))
