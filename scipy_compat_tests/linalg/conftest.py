"""Parametrisation over the dtypes that the device under test holds."""

from .systems import dtypes


def pytest_generate_tests(metafunc):
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", list(dtypes(metafunc.config.getoption("--device"))))
