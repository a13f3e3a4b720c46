"""Sparse tensors of PyTorch and JAX, where these are installed."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

DENSE = np.array([[0, 1.5, 0, 2], [0, 0, 0, 0], [-3, 0, 0, 0.5]])
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")


def made(fmt, dtype):
    return sp.csr_array(DENSE).astype(dtype).asformat(fmt)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def jax():
    return pytest.importorskip("jax")


@pytest.mark.parametrize("dtype", ("float32", "float64", "complex64", "int32", "bool", "float16"))
@pytest.mark.parametrize("fmt", FORMATS)
def test_torch(torch, fmt, dtype, device):
    if dtype == "float64" and device == "gpu":
        pytest.skip("MLX has no float64 on a GPU")
    A = made(fmt, dtype)
    T = sp.io.to_torch(A)
    layout = fmt if fmt in ("csr", "csc", "coo", "bsr") else "csr"
    assert T.layout == getattr(torch, f"sparse_{layout}") and str(T.dtype) == f"torch.{dtype}"
    np.testing.assert_array_equal(T.to_dense().numpy(), DENSE.astype(dtype))
    B = sp.io.from_torch(T)
    assert B.format == layout and sp.issparse(B)
    np.testing.assert_array_equal(np.asarray(B.toarray()), DENSE.astype(dtype))
    values = T.values()
    values.fill_(1)
    np.testing.assert_array_equal(np.asarray(A.toarray()), DENSE.astype(dtype))
    np.testing.assert_array_equal(np.asarray(B.toarray()), DENSE.astype(dtype))


def test_torch_bfloat16_and_other_ranks(torch):
    A = sp.csr_array(mx.array([[0, 1.5], [2, 0]], mx.bfloat16))
    T = sp.io.to_torch(A)
    assert T.dtype == torch.bfloat16 and T.to_dense().tolist() == [[0, 1.5], [2, 0]]
    assert sp.io.from_torch(T).dtype == mx.bfloat16
    N = sp.coo_array(np.arange(8.0).reshape(2, 2, 2))
    assert sp.io.from_torch(sp.io.to_torch(N)).toarray().tolist() == N.toarray().tolist()
    twice = sp.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 2))
    assert sp.io.to_torch(twice.tocsr()).to_dense().tolist() == [[0, 3]]
    assert twice.nnz == 2


def test_torch_refuses(torch):
    with pytest.raises(TypeError, match="sparse tensors of PyTorch"):
        sp.io.from_torch(torch.eye(2))
    with pytest.raises(TypeError, match="got ndarray"):
        sp.io.from_torch(np.eye(2))
    with pytest.raises(ValueError, match="no batches and no dense dimensions"):
        sp.io.from_torch(torch.ones(2, 3, 4).to_sparse(2))
    with pytest.raises(ValueError, match="no batches"):
        sp.io.from_torch(torch.ones(2, 3, 4).to_sparse_csr())
    with pytest.raises(ValueError, match="trace"):
        mx.grad(lambda v: sp.io.to_torch(sp.csr_array(DENSE).with_data(v)).sum())(mx.ones(4))


@pytest.mark.parametrize("dtype", ("float32", "complex64", "int32", "float16"))
@pytest.mark.parametrize("fmt", FORMATS)
def test_jax(jax, fmt, dtype):
    A = made(fmt, dtype)
    M = sp.io.to_jax(A)
    assert type(M).__name__ == ("BCSR" if fmt == "csr" else "BCOO") and M.dtype == dtype
    np.testing.assert_array_equal(np.asarray(M.todense()), DENSE.astype(dtype))
    B = sp.io.from_jax(M)
    assert B.format == ("csr" if fmt == "csr" else "coo")
    np.testing.assert_array_equal(np.asarray(B.toarray()), DENSE.astype(dtype))


def test_jax_widths_padding_and_refusals(jax, device):
    from jax.experimental import sparse

    if not jax.config.jax_enable_x64 and device != "gpu":
        with pytest.raises(ValueError, match="jax_enable_x64"):
            sp.io.to_jax(made("csr", "float64"))
    A = sp.csr_array(mx.array([[0, 1.5], [2, 0]], mx.bfloat16))
    assert sp.io.from_jax(sp.io.to_jax(A)).dtype == mx.bfloat16
    padded = sparse.BCOO.fromdense(jax.numpy.eye(2), nse=5)
    assert sp.io.from_jax(padded).nnz == 2
    with pytest.raises(TypeError, match="BCOO and BCSR"):
        sp.io.from_jax(jax.numpy.eye(2))
    with pytest.raises(ValueError, match="no batches"):
        sp.io.from_jax(sparse.BCOO.fromdense(jax.numpy.ones((2, 2, 2)), n_batch=1))
    with pytest.raises(ValueError, match="traced by JAX"):
        jax.jit(lambda d: sp.io.from_jax(sparse.BCOO((d, padded.indices), shape=(2, 2))).nnz)(padded.data)
