"""SciPy's own test_linsolve.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg._dsolve.tests.test_linsolve"))
