"""SciPy's own test_indexing1d.py."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("test_indexing1d"))
