"""Parametrisation over the dtypes that the device under test holds, and what needs float64."""

import pytest

from mlx_sparse import _native

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


@pytest.fixture(params=["one launch", "separate"])
def launches(request):
    """Both ways to run shaders whose groups would depend on each other: in one launch, and as on Metal in several."""
    _native.set_separate_launches(request.param == "separate")
    yield
    _native.set_separate_launches(False)
