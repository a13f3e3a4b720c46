"""Parametrisation over the dtypes that the device under test holds, and what needs float64."""

import pytest

from .systems import dtypes


def pytest_generate_tests(metafunc):
    if "dtype" in metafunc.fixturenames:
        held = dtypes(metafunc.config.getoption("--device"))
        if metafunc.module.__name__.endswith(("test_gradients", "test_factor_nodes")):  # which are of MLX's dtypes
            held = held.replace("D", "")
        metafunc.parametrize("dtype", list(held))


@pytest.fixture
def double(device):
    """For tests of what float64 alone can show: skipped where MLX's default device has none."""
    if device == "gpu":
        pytest.skip("MLX has no float64 on a GPU")
