"""SciPy's own test_base.py: the classes of the formats that mlx_sparse has."""

from scipy_compat_tests.upstream.loader import collect

FORMATS = ("CSR", "CSC", "COO")

globals().update(collect("test_base", [f"Test{f}{kind}" for f in FORMATS for kind in ("", "NonCanonical")]))
