"""The factorisation L D L^H of Hermitian arrays that are not definite: factors, inertia, solutions, inverses."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse.linalg import cholesky, eigsh, spsolve

from .systems import NAMESPACES, as_namespace, check_namespace, hermitian, indefinite, ours, residual, vector, vectors
from .table import eps
from .test_cholesky import grid


def saddle(H, m, seed=0):
    """[H B^T; B 0] with m constraints of full rank."""
    n = H.shape[0]
    B = scipy.sparse.random_array((m, n), density=2 / n, rng=np.random.default_rng(seed))
    B = B + scipy.sparse.eye_array(m, n)
    return scipy.sparse.block_array([[H, B.T], [B, None]])


def zero_diagonal(n, seed=0):
    """Pairs of unknowns that are joined to each other, and weakly to a few others."""
    rng = np.random.default_rng(seed)
    R = scipy.sparse.triu(scipy.sparse.random_array((n, n), density=3 / n, rng=rng), k=1)
    pairs = scipy.sparse.kron(scipy.sparse.eye_array(n // 2), np.array([[0.0, 1.0], [1.0, 0.0]]))
    return pairs + 0.1 * (R + R.T)


SQUARE = scipy.sparse.eye_array(144)
MATRICES = {
    "empty": scipy.sparse.csr_array((0, 0)),
    "one": scipy.sparse.csr_array([[-4.0]]),
    "exchange": scipy.sparse.csr_array([[0.0, 1.0], [1.0, 0.0]]),
    "definite": grid(12, 12),
    "negative": -grid(9, 11),
    "shifted": grid(12, 12) - 1.7 * SQUARE,
    "shifted in space": grid(5, 6, 7) - 3.1 * scipy.sparse.eye_array(210),
    "saddle": saddle(grid(9, 9), 25),
    "quasi-definite": scipy.sparse.block_array([[grid(12, 12), SQUARE], [SQUARE, -2 * grid(12, 12)]]),
    "zero diagonal": zero_diagonal(80),
    "dense": scipy.sparse.csr_array(indefinite(150, "d").toarray() + 0.01),
    "tall front": scipy.sparse.csr_array(np.random.default_rng(1).standard_normal((90, 90))),
}
MATRICES["tall front"] = MATRICES["tall front"] + MATRICES["tall front"].T


def of(name, dtype):
    """With phases in complex dtypes."""
    S = MATRICES[name].tocsr().astype(dtype)
    S.eliminate_zeros()
    if dtype in "FD":
        phase = scipy.sparse.diags_array(np.exp(1j * np.arange(S.shape[0])).astype(dtype))
        S = (phase @ S @ phase.conj()).tocsr().astype(dtype)
        S = ((S + S.conj().T) / 2).astype(dtype)
    return S


def wide(S):
    return S.toarray().astype(np.complex128)


def bound(S, dtype):
    return 200 * eps(dtype) * (np.linalg.cond(wide(S)) if S.shape[0] else 1)


def signs(S):
    w = np.linalg.eigvalsh(wide(S)) if S.shape[0] else np.zeros(0)
    assert S.shape[0] == 0 or abs(w).min() > 1e-5 * abs(w).max()
    return int((w > 0).sum()), int((w < 0).sum()), 0


@pytest.mark.parametrize("ordering", ["amd", "natural"])
@pytest.mark.parametrize("name", MATRICES)
def test_factors_and_solutions(dtype, name, ordering):
    S = of(name, dtype)
    n = S.shape[0]
    factor = cholesky(ours(S, "csc"), ordering=ordering, method="ldl")
    perm, L, D = np.asarray(factor.perm), factor.L, factor.D
    assert type(L) is type(D) is sp.csc_array and L.has_canonical_format and sorted(perm) == list(range(n))
    assert L.nnz == factor.nnz and factor.inertia == signs(S)
    L, D = L.toarray(), D.toarray()
    assert L.dtype == D.dtype == np.dtype(dtype) and not np.triu(L, 1).any() and (L.diagonal() == 1).all()
    assert not np.tril(D, -2).any() and not (np.abs(D.diagonal(-1)[:-1]) * np.abs(D.diagonal(-1)[1:])).any()
    scale = abs(S).max() if n else 1
    np.testing.assert_allclose(L @ D @ L.conj().T, wide(S)[perm][:, perm], rtol=0, atol=500 * eps(dtype) * scale)
    for columns in (None, 1, 3, 70):
        b = vectors(n, dtype, columns)
        x = factor.solve(b)
        assert x.shape == b.shape and x.dtype == np.dtype(dtype)
        if n:
            assert residual(S, x, b) < bound(S, dtype)
            for half, triangle in ((factor.solve_L(b), L), (factor.solve_Lt(b), L.conj().T)):
                atol = 1000 * eps(dtype) * np.linalg.cond(L) * abs(b).max()
                np.testing.assert_allclose(triangle @ half, b, rtol=0, atol=atol)


@pytest.mark.parametrize("name", MATRICES)
def test_determinants_and_inverses(dtype, name):
    S = of(name, dtype)
    factor = cholesky(ours(S, "csc"), method="ldl")
    sign, logarithm = (complex(np.asarray(x)) for x in factor.slogdet())
    expected = np.linalg.slogdet(wide(S))
    assert abs(sign - expected[0]) < 1e-5 and abs(logarithm - expected[1]) < bound(S, dtype) * (1 + abs(expected[1]))
    if expected[0].real > 0:
        assert float(np.asarray(factor.logdet())) == logarithm.real
    else:
        with pytest.raises(LinAlgError, match="slogdet"):
            factor.logdet()
    if S.shape[0] == 0:
        return
    X = np.linalg.inv(wide(S))
    atol = bound(S, dtype) * abs(X).max()
    np.testing.assert_allclose(np.asarray(factor.inverse_diagonal()), X.diagonal().real, rtol=0, atol=atol)
    Z = factor.selected_inverse()
    np.testing.assert_allclose(Z.toarray(), np.where(S.toarray() != 0, X, 0), rtol=0, atol=atol)


def test_random_matrices(double):
    """Badly scaled ones too: scaling changes no signs of eigenvalues, and no residual relative to it."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 120))
        B = scipy.sparse.random_array((n, n), density=min(1.0, rng.choice([1.0, 3.0, 8.0]) / n), rng=rng)
        S = (B + B.T + scipy.sparse.diags_array(rng.standard_normal(n) * (rng.random(n) < 0.5))).tocsc()
        w = np.linalg.eigvalsh(S.toarray())
        if abs(w).min() < 1e-7 * abs(w).max():
            continue
        scale = scipy.sparse.diags_array(2.0 ** rng.integers(-20, 20, n))
        b = vector(n, "d", seed)
        for scaled in (S, (scale @ S @ scale).tocsc()):
            for A in (ours(scaled, "csc"), ours(scaled, "csr")):
                factor = cholesky(A, method="ldl")
                assert factor.inertia == (int((w > 0).sum()), int((w < 0).sum()), 0), seed
        x = factor.solve(scale @ b)
        # Pivots are chosen for the scaled system: by the order alone this differs by an order of magnitude.
        assert residual(S, scale @ x, b) < 10 * bound(S, "d"), seed


def test_pivots_are_delayed(double):
    """Ordered first, constraints have no pivot in fronts of their own."""
    S = saddle(grid(20, 20), 150).tocsr()
    order = np.concatenate([np.arange(400, 550), np.arange(400)])
    factor = cholesky(ours(S, "csc"), ordering=order, method="ldl")
    assert factor.nnz > factor._cholesky.plan.entries
    b = vector(550, "d")
    assert residual(S, factor.solve(b), b) < 1e-11 and factor.inertia == (400, 150, 0)


def test_the_number_of_workers_changes_nothing():
    S = saddle(grid(50, 60), 900)
    found = []
    for n in (1, 2, 3):
        with sp.runtime.context(n_threads=n):
            factor = cholesky(ours(S, "csc"), method="ldl")
            found.append([np.asarray(factor.L.data), factor.solve(vectors(3900, "d", 40))])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespaces(dtype, namespace):
    S = indefinite(60, dtype)
    factor = cholesky(ours(S, "csc"), method="ldl")
    b = as_namespace(vector(60, dtype), namespace)
    for x in (factor.solve(b), factor.solve_L(b), factor.solve_Lt(b)):
        check_namespace(x, namespace)
    if dtype != "D":
        assert residual(S, np.asarray(factor.solve(b)), np.asarray(b)) < bound(S, dtype)


def test_refactor(dtype):
    S, b = indefinite(60, dtype), vector(60, dtype)
    A = ours(S, "csc")
    factor = cholesky(A, method="ldl")
    for other in (S + 0.3 * scipy.sparse.eye_array(60, dtype=dtype), -S):
        again = factor.refactor(ours(other, "csc").data)
        assert residual(other, again(b), b) < bound(S, dtype) and again.inertia == signs(other)
        assert again._cholesky.analysis is factor._cholesky.analysis
    with pytest.raises(ValueError, match="shape"):
        factor.refactor(np.asarray(A.data)[1:])


def test_derivative_of_the_determinant():
    S = indefinite(40, "f")
    A = ours(S, "csc")
    gradient = mx.grad(lambda v: cholesky(A.with_data(v), method="ldl").slogdet()[1])(mx.array(A.data))
    expected = np.linalg.inv(S.toarray().astype(np.float64)).T
    got = A.with_data(gradient).toarray()
    np.testing.assert_allclose(got, np.where(S.toarray() != 0, expected, 0), rtol=0, atol=1e-4 * abs(expected).max())


def test_singular(dtype):
    """A cycle's Laplacian, alone and beside other blocks; rows of zeros; the zero matrix."""
    n = 40
    ring = scipy.sparse.diags_array([-1.0] * 4, offsets=[-1, 1, n - 1, 1 - n], shape=(n, n))
    ring = (ring + 2 * scipy.sparse.eye_array(n)).astype(dtype)
    blocks = scipy.sparse.block_diag([ring, -ring, indefinite(20, dtype), scipy.sparse.csr_array((3, 3))])
    plus, minus, _ = signs(indefinite(20, dtype))
    for S, inertia in (
        (ring, (n - 1, 0, 1)),
        (blocks.astype(dtype), (n - 1 + plus, n - 1 + minus, 5)),
        (scipy.sparse.csr_array((7, 7), dtype=dtype), (0, 0, 7)),
    ):
        factor = cholesky(ours(S, "csc"), method="ldl")
        assert factor.inertia == inertia
        sign, logarithm = factor.slogdet()
        assert complex(np.asarray(sign)) == 0 and float(np.asarray(logarithm)) == -np.inf
        m = S.shape[0]
        for ask in (lambda f=factor, m=m: f.solve(np.ones(m, dtype)), factor.inverse_diagonal, factor.logdet):
            with pytest.raises(LinAlgError, match="singular|positive"):
                ask()


@pytest.mark.parametrize(
    ("A", "match"),
    [
        (sp.csc_array((3, 2)), "square"),
        (sp.csc_array([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (sp.csc_array([[1.0, 2.0], [2.1, 9.0]]), "Hermitian"),
        (sp.csc_array([[2.0, 1j], [1j, 2.0]]), "Hermitian"),
        (sp.csc_array([[1j, 0.0], [0.0, 2.0]]), "Hermitian"),
        (sp.csc_array([[np.nan, 0.0], [0.0, 1.0]]), "infs or NaNs"),
    ],
)
def test_bad_input(A, match):
    with pytest.raises(ValueError, match=match):
        cholesky(A, method="ldl")


def test_samples_are_refused():
    with pytest.raises(ValueError, match="ldl"):
        cholesky(ours(hermitian(9, "d"), "csc"), method="ldl").sample(np.ones(9))


def test_of_a_cholesky_factor():
    factor = cholesky(ours(hermitian(9, "d"), "csc"))
    assert factor.inertia == (9, 0, 0)
    np.testing.assert_array_equal(factor.D.toarray(), np.eye(9))


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_spsolve_takes_it(dtype, format):
    S = scipy.sparse.block_diag([of("saddle", dtype)] * 5, format="csr")
    b = vector(S.shape[0], dtype)
    x, used = spsolve(ours(S, format), b, return_info=True)
    assert used == "ldl" and residual(S, x, b) < bound(of("saddle", dtype), dtype)
    y, used = spsolve(ours(of("shifted", dtype), format), vector(144, dtype), method="ldl", return_info=True)
    assert used == "ldl" and residual(of("shifted", dtype), y, vector(144, dtype)) < bound(of("shifted", dtype), dtype)
    with pytest.raises(LinAlgError, match="symmetric"):
        spsolve(ours(scipy.sparse.triu(S), format), b, method="ldl")


def test_shift_invert_inside_the_spectrum(double):
    S = grid(30, 31)
    found = eigsh(ours(S, "csc"), k=5, sigma=3.3, return_eigenvectors=False)
    lines = (2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in (30, 31))
    exact = np.add.outer(*lines).ravel()
    nearest = exact[np.argsort(abs(exact - 3.3))[:5]]
    np.testing.assert_allclose(np.sort(np.asarray(found)), np.sort(nearest), rtol=1e-9)
