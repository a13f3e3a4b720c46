"""Runtime options, dense namespace, streams, laziness, and what a device refuses."""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse import runtime

DENSE = np.array([[1.0, 0, 2], [0, 0, 3]], dtype=np.float32)


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        cwd=tempfile.gettempdir(),  # not the checkout, whose package has no compiled module
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_dense_operand_decides_the_namespace():
    A = sp.csr_array(DENSE)
    assert isinstance(A @ np.ones(3, np.float32), np.ndarray)
    assert isinstance(A @ [1.0, 2.0, 3.0], np.ndarray)
    assert isinstance(A @ mx.ones(3), mx.array)
    assert isinstance(mx.ones(2) @ A, mx.array)
    assert isinstance(np.ones(2, np.float32) @ A, np.ndarray)
    assert isinstance(mx.ones((2, 3)) + A, mx.array)
    assert isinstance(np.ones((2, 3), np.float32) - A, np.ndarray)


@pytest.mark.parametrize("mode, kind", [("mlx", mx.array), ("numpy", np.ndarray)])
def test_dense_namespace_option(mode, kind):
    with runtime.context(dense_namespace=mode):
        A = sp.csr_array(DENSE)
        for x in (A.data, A.indices, A.indptr, A.sum(axis=0), A.diagonal(), A.todense(), A.tocoo().row, A.nonzero()[0]):
            assert isinstance(x, kind)
        assert isinstance(A.toarray(), np.ndarray)
        assert A.dtype == (mx.float32 if mode == "mlx" else np.float32)


def test_numpy_mode_data_is_a_writable_view():
    with runtime.context(dense_namespace="numpy"):
        A = sp.csr_array(DENSE)
        A.data[0] = 10
        A.data *= 2
        assert A.toarray()[0, 0] == 20
        B = A.copy()
        B.data[:] = 0
        assert A.toarray()[0, 0] == 20


def test_mlx_operand_of_another_dtype_is_a_type_error():
    A = sp.csr_array(DENSE)
    for x in (mx.ones(3, dtype=mx.float16), mx.ones(3, dtype=mx.int32)):
        with pytest.raises(TypeError, match="float32"):
            A @ x
    with pytest.raises(TypeError, match="float16"):
        A + mx.ones((2, 3), dtype=mx.float16)


def test_numpy_operands_promote():
    A = sp.csr_array(DENSE)
    on_gpu = mx.default_device().type == mx.DeviceType.gpu
    assert (A @ np.ones(3)).dtype == (np.float32 if on_gpu else np.float64)
    assert (A @ np.ones(3, np.int8)).dtype == np.float32
    assert (A @ np.ones(3, np.complex64)).dtype == np.complex64


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=str)
def test_half_products_accumulate_in_float32(dtype):
    n = 4096
    A = sp.csr_array(np.ones((1, n), np.float32)).astype(dtype)
    assert (A @ mx.ones(n, dtype=dtype)).astype(mx.float32).item() == n
    assert A.sum(axis=1).astype(mx.float32).item() == n


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=str)
def test_half_sparse_products_keep_the_dtype(dtype):
    A = sp.csr_array(DENSE).astype(dtype)
    row, column = sp.csr_array(DENSE[:1]).astype(dtype), sp.csr_array(DENSE[:, 2:]).astype(dtype)
    assert {B.dtype for B in (A @ A.T, A + A, *map(A.multiply, (A, row, column)))} == {dtype}


def test_fixed_size_operations_are_lazy():
    A = sp.csr_array(DENSE)
    big = sp.eye_array(2_000_000, dtype=mx.float32, format="csr")
    mx.eval(big.data, big.indices, big.indptr)
    lazies = [
        lambda: big @ mx.ones(2_000_000),
        lambda: big.T @ mx.ones(2_000_000),
        lambda: big.sum(axis=0),
        lambda: big.sum(axis=1),
        lambda: big.diagonal(),
        lambda: (big * 2.0).data,
        lambda: (big * 2.0).tocoo().data,
    ]
    for make in lazies:
        assert not sp._native.is_available(make())
    for structure in (big.tocsc()._indices, big.tocoo()._coords[0], (big * 2.0).tocoo()._coords[0]):
        assert sp._native.is_available(structure)
    assert not sp._native.is_available((A * mx.array(2.0, dtype=A.data.dtype)).todense())


def test_stream_argument():
    A = sp.csr_array(DENSE)
    s = mx.new_stream(mx.cpu)
    np.testing.assert_array_equal(np.asarray(A.todense(stream=s)), DENSE)
    np.testing.assert_array_equal(np.asarray(A.sum(axis=0, stream=mx.cpu)), DENSE.sum(0))
    np.testing.assert_array_equal(A.tocsc(stream=s).toarray(), DENSE)
    with pytest.raises(TypeError):
        A.todense(stream="cpu")


def test_options_are_checked_and_restored():
    before = runtime.N_THREADS
    for name, value in [("N_THREADS", 0), ("N_THREADS", "many"), ("dense_namespace", "torch"), ("SPGEMM_PARALLEL", 7)]:
        with pytest.raises(ValueError, match=name):
            setattr(runtime, name, value)
    with pytest.raises(ValueError, match="unknown option"):
        with runtime.context(threads=1):
            pass
    with pytest.raises(AttributeError):
        runtime.THREADS = 2
    with runtime.context(n_threads=1, spgemm_parallel=False):
        assert runtime.N_THREADS == 1 and runtime.SPGEMM_PARALLEL is False
        assert runtime.info()["options"]["N_THREADS"] == {"value": 1, "source": "user"}
    assert runtime.N_THREADS == before


def test_spgemm_threads_follow_until_set():
    with runtime.context(n_threads=3):
        assert runtime.SPGEMM_THREADS == 3
        with runtime.context(spgemm_threads=2):
            assert runtime.SPGEMM_THREADS == 2


@pytest.mark.parametrize(
    "variable, value, expression, expected",
    [
        ("MLX_SPARSE_CPU_THREADS", "3", "runtime.N_THREADS", "3"),
        ("MLX_SPARSE_SPGEMM_THREADS", "5", "runtime.SPGEMM_THREADS", "5"),
        ("MLX_SPARSE_SPGEMM_PARALLEL", "0", "runtime.SPGEMM_PARALLEL", "False"),
        ("MLX_SPARSE_SOLVER_PARALLEL", "off", "runtime.SOLVER_PARALLEL", "False"),
        ("MLX_SPARSE_DENSE_NAMESPACE", "numpy", "type(sp.eye_array(2).data).__name__", "ndarray"),
    ],
)
def test_environment(variable, value, expression, expected):
    done = run(f"import mlx_sparse as sp\nfrom mlx_sparse import runtime\nprint({expression})", **{variable: value})
    assert done.stdout.strip() == expected, done.stderr


def test_bad_environment_names_the_variable():
    done = run("import mlx_sparse", MLX_SPARSE_CPU_THREADS="none")
    assert done.returncode and "MLX_SPARSE_CPU_THREADS" in done.stderr


def test_thread_count_does_not_change_results():
    A = sp.random_array((3000, 2000), density=0.01, rng=3, format="csr", dtype=np.float32)
    x = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    with runtime.context(n_threads=1):
        one, square = A @ x, (A @ A.T).toarray()
    with runtime.context(n_threads=4):
        np.testing.assert_allclose(A @ x, one, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose((A @ A.T).toarray(), square, rtol=1e-5, atol=1e-6)


def test_use_device():
    before = mx.default_device()
    try:
        assert sp.use_cpu().type == mx.DeviceType.cpu
        with pytest.raises(ValueError, match="tpu"):
            sp.use_device("tpu")
        if not mx.metal.is_available() and not getattr(mx, "cuda", mx.metal).is_available():
            with pytest.raises(RuntimeError, match="gpu"):
                sp.use_gpu()
            assert mx.default_device() == mx.cpu
    finally:
        mx.set_default_device(before)


def test_mismatching_mlx_is_an_import_error():
    code = (
        "import sys, importlib.util, pathlib\n"
        "spec = importlib.util.find_spec('mlx_sparse')\n"
        "import types; fake = types.ModuleType('mlx_sparse._built_with')\n"
        "fake.MLX_VERSION = '0.0.1'; fake.__version__ = '0'\n"
        "sys.modules['mlx_sparse._built_with'] = fake\n"
        "import mlx_sparse"
    )
    done = run(code)
    assert "ImportError" in done.stderr and "mlx==0.0.1" in done.stderr and "cuda13" in done.stderr


def test_sources_that_are_not_built_are_an_import_error(tmp_path):
    folder = tmp_path / "mlx_sparse"
    folder.mkdir()
    (folder / "__init__.py").write_text(Path(sp.__file__).read_text())
    done = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport mlx_sparse")
    assert done.returncode and f"ImportError: {folder} holds sources that are not built" in done.stderr


def test_missing_back_end_is_an_import_error():
    done = run("import sys; sys.modules['mlx.core'] = None\nimport mlx_sparse")
    assert "ImportError" in done.stderr and "mlx-sparse[cpu]" in done.stderr


def test_pickle_round_trip():
    for fmt in ("csr", "csc", "coo"):
        A = sp.csr_array(DENSE).asformat(fmt)
        B = pickle.loads(pickle.dumps(A))
        assert type(B) is type(A) and B.shape == A.shape
        np.testing.assert_array_equal(B.toarray(), A.toarray())


def test_deferring_operators_leave_mlx_alone():
    a = mx.array([1.0, 2.0])
    assert (a + a).tolist() == [2, 4] and (a == a).tolist() == [True, True]
    with pytest.raises((TypeError, ValueError)):
        a @ object()
    with pytest.raises((TypeError, ValueError)):
        a + object()
