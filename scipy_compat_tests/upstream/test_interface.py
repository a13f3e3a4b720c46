"""SciPy's own test_interface.py of its `linalg`."""

from scipy_compat_tests.upstream.loader import collect

globals().update(collect("linalg.tests.test_interface"))
