"""SciPy's own test_lobpcg.py of its `linalg`."""

import pytest

from scipy_compat_tests.upstream.loader import collect

found = collect("linalg._eigen.lobpcg.tests.test_lobpcg")
pytest.mark.heavy(found["test_b_orthonormalize"])  # 1470 cases of a private function of SciPy's
globals().update(found)
