"""Results of linalg that are as large as dense arrays are refused before they are computed."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp

from ..csgraph.graphs import host


@pytest.fixture(params=["mlx", "numpy"], autouse=True)
def mode(request):
    with sp.runtime.context(dense_namespace=request.param):
        yield


def limited(monkeypatch, most):
    """Memory for `most` bytes only, as far as functions of the host ask for it."""

    def expect(size):
        if size > most:
            raise MemoryError(f"unable to allocate {size} bytes")

    monkeypatch.setattr(sp._dense, "expect_on_host", expect)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex128])
def test_inverses_are_as_large_as_a_sample_of_columns_tells(fmt, kind, monkeypatch):
    n = 300
    A = scipy.sparse.block_diag([scipy.sparse.random_array((3, 3), density=1, rng=i) for i in range(n // 3)]) * 1.0
    A = (A + 4 * scipy.sparse.eye_array(n)).asformat(fmt).astype(kind)
    limited(monkeypatch, n * n * 4)  # a full inverse takes more, and the one of three entries a column does not
    found = sp.linalg.inv(sp.from_scipy(A))
    assert found.format == fmt and found.nnz == 3 * n
    np.testing.assert_allclose(host(found.toarray()) @ A.toarray(), np.eye(n), atol=1e-5)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_inverses_that_do_not_fit(fmt, monkeypatch):
    n = 300
    path = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format=fmt)
    limited(monkeypatch, n * n * 4)
    with pytest.raises(MemoryError, match="unable to allocate [0-9]+ bytes"):
        sp.linalg.inv(path)
    front = scipy.sparse.coo_array((np.ones(40 * n), (np.tile(np.arange(n), 40), np.repeat(np.arange(40), n))))
    front.resize(n, n)  # full columns that a sample of 32 may underrate are met when they are found
    b = sp.from_scipy(front.tocsc())
    limited(monkeypatch, 5000)
    with pytest.raises(MemoryError, match="unable to allocate [0-9]+ bytes"):
        sp.linalg.spsolve(sp.eye_array(n, format=fmt), b)


@pytest.mark.parametrize("method", ["dense", "banded"])
def test_dense_factors_that_do_not_fit(method, monkeypatch):
    n = 300
    A = sp.random_array((n, n), density=0.05, format="csc", rng=0) + 9 * sp.eye_array(n)
    limited(monkeypatch, n * n * 4)
    with pytest.raises(MemoryError, match="unable to allocate [0-9]+ bytes"):
        sp.linalg.spsolve(A.tocsc(), np.ones(n), method=method)
