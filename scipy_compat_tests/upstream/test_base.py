"""SciPy's own test_base.py: the classes of the formats that mlx_sparse has."""

from scipy_compat_tests.upstream.loader import collect

NAMES = [
    f"Test{f}{kind}"
    for f in ("CSR", "CSC", "COO", "BSR")
    for kind in ("", "Matrix", "NonCanonical", "NonCanonicalMatrix")
]
NAMES += [f"Test{f}{kind}" for f in ("DIA", "LIL", "DOK") for kind in ("", "Matrix")]

globals().update(collect("test_base", NAMES))
