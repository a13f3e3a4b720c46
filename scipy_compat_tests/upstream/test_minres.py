"""SciPy's own test_minres.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg._isolve.tests.test_minres"))
