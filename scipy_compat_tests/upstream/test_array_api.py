"""SciPy's own test_array_api.py."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("test_array_api"))
