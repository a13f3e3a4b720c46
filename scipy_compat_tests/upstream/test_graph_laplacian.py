"""SciPy's own test_graph_laplacian.py of its `csgraph`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("csgraph.tests.test_graph_laplacian"))
