"""Files: .npz both ways with SciPy, Matrix Market, safetensors."""

import io

import mlx.core as mx
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import (
    ALL_DTYPES,
    CASES,
    FORMATS,
    _compare_sparse,
    build,
    narrow,
    numpy_mode,
    outcome,
    twin,
    valid,
)


def same(a, b):
    with numpy_mode():
        _compare_sparse(a, b, None, True, True, narrow(), "file")


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("compressed", [True, False])
def test_npz_is_exchanged_with_scipy(tmp_path, fmt, compressed):
    ours, theirs = tmp_path / "ours.npz", tmp_path / "theirs.npz"
    for case in ("plain", "duplicates", "no_entries", "int64"):
        for dtype in ("float32", "complex64", "int32", "bool"):
            A, S = build(mlx_sparse, fmt, case, dtype), build(scipy.sparse, fmt, case, dtype)
            mlx_sparse.save_npz(ours, A, compressed)
            scipy.sparse.save_npz(theirs, S, compressed)
            same(S, mlx_sparse.load_npz(theirs))
            same(S, mlx_sparse.load_npz(ours))
            back = scipy.sparse.load_npz(ours)
            assert isinstance(back, scipy.sparse.sparray)
            same(back, A)


def test_npz_of_other_ranks(tmp_path):
    for shape in ((7,), (2, 3, 4)):
        A = mlx_sparse.coo_array(np.arange(np.prod(shape), dtype="float32").reshape(shape))
        mlx_sparse.save_npz(tmp_path / "a", A)
        same(scipy.sparse.load_npz(tmp_path / "a.npz"), A)
        same(scipy.sparse.coo_array(A.toarray()), mlx_sparse.load_npz(tmp_path / "a.npz"))


def test_npz_that_is_none(tmp_path):
    np.savez(tmp_path / "none.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="does not contain a sparse"):
        mlx_sparse.load_npz(tmp_path / "none.npz")
    parts = {
        "data": np.ones(1),
        "indices": np.array([9]),
        "indptr": np.array([0, 1]),
        "shape": (1, 2),
        "_is_array": True,
    }
    np.savez(tmp_path / "bad.npz", format=b"csr", **parts)
    with pytest.raises(ValueError, match="indices"):
        mlx_sparse.load_npz(tmp_path / "bad.npz")
    np.savez(tmp_path / "odd.npz", format=b"xyz", **parts)
    with pytest.raises(ValueError, match="format"):
        mlx_sparse.load_npz(tmp_path / "odd.npz")


def test_matrix_market(tmp_path):
    path = str(tmp_path / "a.mtx")
    for dtype in ("float64", "complex64", "int32"):
        A = build(mlx_sparse, "csr", "plain", dtype)
        mlx_sparse.io.mmwrite(path, A)
        same(scipy.io.mmread(path, spmatrix=False), mlx_sparse.io.mmread(path, spmatrix=False))
        assert mlx_sparse.io.mminfo(path) == scipy.io.mminfo(path)
        np.testing.assert_array_equal(mlx_sparse.io.mmread(path, spmatrix=False).toarray(), A.toarray())
    mlx_sparse.io.mmwrite(path, np.arange(6.0).reshape(2, 3))
    assert isinstance(mlx_sparse.io.mmread(path), mx.array)
    with numpy_mode():
        np.testing.assert_array_equal(mlx_sparse.io.mmread(path), np.arange(6.0).reshape(2, 3))
    mlx_sparse.io.mmwrite(path, mx.ones((2, 2)), symmetry="general")
    assert mlx_sparse.io.mminfo(path)[:2] == (2, 2)
    twin(lambda sp: (scipy.io if sp is scipy.sparse else mlx_sparse.io).mmread(io.BytesIO(b"nothing")))


def test_safetensors(tmp_path):
    path = str(tmp_path / "model.safetensors")
    arrays = {f"{f}.{case}": build(mlx_sparse, f, case) for f in FORMATS for case in CASES}
    arrays |= {f"of.{t}": build(mlx_sparse, "csr", "plain", t) for t in ALL_DTYPES}
    arrays["half"] = mlx_sparse.csr_array(np.eye(3)).astype(mx.bfloat16)
    arrays["deep"] = mlx_sparse.coo_array(np.arange(24).reshape(2, 3, 4))
    arrays["bias"] = mx.ones(3)
    mlx_sparse.io.save_safetensors(path, arrays, {"note": "kept"})
    found, metadata = mlx_sparse.io.load_safetensors(path, return_metadata=True)
    assert set(found) == set(arrays) and metadata["note"] == "kept" and "mlx_sparse" not in metadata
    for name, A in arrays.items():
        if name == "bias":
            assert mx.array_equal(found[name], A)
            continue
        B = valid(found[name])
        assert (B.format, B.shape, B.dtype, B.nnz) == (A.format, A.shape, A.dtype, A.nnz), name
        np.testing.assert_array_equal(B.toarray(), A.toarray())
    mx.save_safetensors(path, {"w": mx.ones(2)})
    assert set(mlx_sparse.io.load_safetensors(path)) == {"w"}


def test_safetensors_misuse(tmp_path):
    path = str(tmp_path / "a.safetensors")
    A = mlx_sparse.csr_array(np.eye(2))
    with pytest.raises(ValueError, match="A.data"):
        mlx_sparse.io.save_safetensors(path, {"A": A, "A.data": mx.ones(2)})
    with pytest.raises(TypeError, match="'x'"):
        mlx_sparse.io.save_safetensors(path, {"x": "text"})
    assert isinstance(outcome(lambda sp: sp.io.load_safetensors(str(tmp_path / "missing")), mlx_sparse), Exception)
