"""The `--device` option: which executor every test of this tree runs on."""

import argparse
import os
import sys
from pathlib import Path

import pytest

# `python -m pytest` puts the checkout first on the path, where a package without a compiled module would hide the
# installed one: behind it, the checkout still serves the tests' own imports.
ROOT = str(Path(__file__).resolve().parent)
sys.path[:] = [p for p in sys.path if str(Path(p or ".").resolve()) != ROOT] + [ROOT]

# Workers of pytest-xdist share the cores. With a thread of OpenBLAS for each core in each of them, the references of
# NumPy wait for one another far longer than they compute.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _Device(argparse.Action):
    """To every test "shader-reversed" is the executor "shader", of which only the order in which lanes run is another,
    and "gpu-dtypes" is "gpu".
    """

    def __call__(self, parser, namespace, values, option_string=None):
        namespace.device = values.removesuffix("-reversed").removesuffix("-dtypes")
        namespace.reverse_lanes = values == "shader-reversed"
        namespace.dtypes_only = values == "gpu-dtypes"


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        action=_Device,
        choices=("cpu", "shader", "shader-reversed", "gpu-dtypes", "gpu"),
        default="cpu",
        help="cpu: CPU kernels; shader: the GPU shaders' text on the host; shader-reversed: the same, but the lanes "
        "of every group from the last to the first; gpu: MLX's GPU device; gpu-dtypes: CPU kernels with the dtypes of "
        "a GPU, where float64 becomes float32",
    )


def pytest_configure(config):
    name = config.getoption("--device")
    os.environ["MLX_ENABLE_TF32"] = "0"  # dense MLX products are references here, so they must not round to TF32
    import mlx_sparse

    try:
        dtypes_only = config.getoption("dtypes_only", False)
        if name != "gpu" or dtypes_only:
            mlx_sparse.use_cpu()
        if dtypes_only:
            mlx_sparse._dtypes.on_cpu = lambda: False
        elif name == "shader":
            mlx_sparse.runtime.EXECUTOR = "shader"
            mlx_sparse._native.set_reverse_lanes(_reverses_lanes(config))
        elif name == "gpu":
            mlx_sparse.use_gpu()
    except Exception as error:
        raise pytest.UsageError(f"--device {name} cannot run here: {error}") from error


def _reverses_lanes(config):
    return config.getoption("reverse_lanes", False)


def pytest_report_header(config):
    order = ", lanes in reverse order" if _reverses_lanes(config) else ""
    return f"mlx_sparse executor: {config.getoption('--device')}{order}"


@pytest.fixture(scope="session")
def device(request):
    """Name of the executor under test: "cpu", "shader" or "gpu"."""
    return request.config.getoption("--device")
