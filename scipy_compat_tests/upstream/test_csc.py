"""SciPy's own test_csc.py."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("test_csc"))
