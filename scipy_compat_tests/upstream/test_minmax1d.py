"""SciPy's own test_minmax1d.py."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("test_minmax1d"))
