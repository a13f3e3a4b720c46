"""The `--device` option: which executor every test of this tree runs on."""

import os
import sys
from pathlib import Path

import pytest

# `python -m pytest` puts the checkout first on the path, where a package without a compiled module would hide the
# installed one: behind it, the checkout still serves the tests' own imports.
ROOT = str(Path(__file__).resolve().parent)
sys.path[:] = [p for p in sys.path if str(Path(p or ".").resolve()) != ROOT] + [ROOT]


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        choices=("cpu", "shader", "gpu"),
        default="cpu",
        help="cpu: CPU kernels; shader: the GPU shaders' text on the host; gpu: MLX's GPU device",
    )


def pytest_configure(config):
    name = config.getoption("--device")
    if name == "cpu":
        return
    os.environ["MLX_ENABLE_TF32"] = "0"  # dense MLX products are references here, so they must not round to TF32
    import mlx_sparse

    try:
        if name == "shader":
            mlx_sparse.runtime.EXECUTOR = "shader"
        else:
            mlx_sparse.use_gpu()
    except Exception as error:
        raise pytest.UsageError(f"--device {name} cannot run here: {error}") from error


def pytest_report_header(config):
    return f"mlx_sparse executor: {config.getoption('--device')}"


@pytest.fixture(scope="session")
def device(request):
    """Name of the executor under test: "cpu", "shader" or "gpu"."""
    return request.config.getoption("--device")
