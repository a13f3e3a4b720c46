"""SciPy's own test_traversal.py of its `csgraph`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("csgraph.tests.test_traversal"))
