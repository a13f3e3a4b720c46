"""Traces, determinants and densities by stochastic Lanczos quadrature, against all eigenvalues."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse.linalg import slq

from .systems import hermitian, indefinite, ours, square

FUNCTIONS = {"exp": lambda w: np.exp(-w), "square": lambda w: w * w, "inverse": lambda w: 1 / w}


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("n", [1, 2, 30, 200])
def test_trace(dtype, f, n):
    S = hermitian(n, dtype)
    estimate, error = slq.trace(FUNCTIONS[f], ours(S), rng=1)
    assert type(estimate) is mx.array and estimate.shape == ()
    exact = FUNCTIONS[f](np.linalg.eigvalsh(S.toarray().astype(np.complex128))).sum()
    assert abs(estimate.item() - exact) <= 6 * error.item() + 1e-4 * abs(exact)
    assert error.item() < 0.5 * abs(exact)


def test_slogdet(dtype):
    S = hermitian(150, dtype)
    sign, logarithm, error = slq.slogdet(ours(S), rng=2)
    exact = np.linalg.slogdet(S.toarray().astype(np.complex128))[1]
    assert sign.item() == 1 and abs(logarithm.item() - exact) <= 6 * error.item() + 1e-4 * exact
    with pytest.raises(ValueError, match="definite"):
        slq.slogdet(ours(indefinite(50, dtype)))


def test_spectral_density():
    S = square(20)
    every = np.linalg.eigvalsh(S.toarray())
    x = np.linspace(-1, 9, 201)
    mine = np.asarray(slq.spectral_density(ours(S), x, width=0.4, samples=60, rng=0))
    exact = np.exp(-0.5 * ((x[:, None] - every) / 0.4) ** 2).mean(axis=1) / (0.4 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(mine, exact, atol=0.02)
    assert mine.sum() * 0.05 == pytest.approx(1, abs=1e-2)


def test_of_what_is_exact():
    eye = sp.eye_array(40, format="csr")
    estimate, error = slq.trace(np.exp, eye)
    assert estimate.item() == pytest.approx(40 * np.e) and error.item() < 1e-6
    with sp.runtime.context(dense_namespace="numpy"):
        assert not isinstance(slq.trace(np.exp, eye)[0], mx.array)
    assert slq.trace(np.exp, scipy.sparse.csr_array((5, 5)))[0] == pytest.approx(5)


def test_bad_input():
    A = sp.eye_array(9, format="csr")
    for options in ({"samples": 1}, {"steps": 0}):
        with pytest.raises(ValueError):
            slq.trace(np.exp, A, **options)
    for f in (lambda w: w[:1], lambda w: w * np.nan):
        with pytest.raises(ValueError):
            slq.trace(f, A + sp.diags_array(np.arange(9.0)))
    for points, width in (([[0.0]], None), ([np.nan], None), ([0.0], 0.0), ([0.0], -1)):
        with pytest.raises(ValueError):
            slq.spectral_density(A, points, width=width)
    with pytest.raises(ValueError):
        slq.trace(np.exp, sp.csr_array((3, 4)))
    with pytest.raises(TypeError):
        slq.trace(np.exp, "matrix")
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: slq.trace(np.exp, A.with_data(v))[0])(A.data)
