"""SciPy's own test_sputils.py."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("test_sputils"))
