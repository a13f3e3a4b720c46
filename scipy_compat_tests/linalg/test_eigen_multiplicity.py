"""eigsh of spectra full of copies, against LAPACK: random matrices of a few kinds, every `which`, shifts and modes."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse.linalg import eigsh


def line(n):
    return scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))


def kron_sum(A, B):
    return scipy.sparse.kron(A, scipy.sparse.eye_array(B.shape[0])) + scipy.sparse.kron(
        scipy.sparse.eye_array(A.shape[0]), B
    )


def symmetric(rng, n):
    A = rng.integers(-2, 3, (n, n)) * 1.0
    return scipy.sparse.csr_array(A + A.T)


def clusters(rng, imaginary):
    n = int(rng.integers(6, 150))
    Q = np.linalg.qr(rng.standard_normal((n, n)) + imaginary * rng.standard_normal((n, n)))[0]
    A = (Q * rng.choice([-3.0, -1, 0, 0.5, 1, 2, 2 + 1e-7], n)) @ Q.conj().T
    return (A + A.conj().T) / 2


def low_rank(rng):
    n, rank = int(rng.integers(5, 200)), int(rng.integers(1, 4))
    U = rng.standard_normal((n, rank))
    return np.eye(n) * rng.choice([1.0, -1, 1e-6, 1e6]) + U @ U.T


KINDS = {
    "square": lambda rng: kron_sum(*[line(int(rng.integers(3, 15)))] * 2),
    "cube": lambda rng: kron_sum(*[kron_sum(*[line(n := int(rng.integers(2, 6)))] * 2), line(n)]),
    "kron sum": lambda rng: kron_sum(symmetric(rng, int(rng.integers(2, 10))), symmetric(rng, int(rng.integers(2, 8)))),
    "copies": lambda rng: scipy.sparse.block_diag([symmetric(rng, int(rng.integers(2, 20)))] * int(rng.integers(2, 7))),
    "low rank": low_rank,
    "zero": lambda rng: scipy.sparse.csr_array((n := int(rng.integers(3, 100)), n)),
    "clusters": lambda rng: clusters(rng, 0),
    "complex clusters": lambda rng: clusters(rng, 1j),
    "diagonal": lambda rng: scipy.sparse.diags_array(rng.integers(-2, 3, int(rng.integers(3, 120))) * 1.0),
}
BACK = {
    "normal": lambda w, sigma: 1 / (w - sigma),
    "buckling": lambda w, sigma: w / (w - sigma),
    "cayley": lambda w, sigma: (w + sigma) / (w - sigma),
}


def chosen(values, k, which):
    values = np.sort(values)
    if which == "BE":
        return np.concatenate([values[: k // 2], values[len(values) - (k - k // 2) :]])
    keys = {"LA": -values, "SA": values, "LM": -abs(values), "SM": abs(values)}[which]
    return values[np.argsort(keys, kind="stable")[:k]]


def check(S, k, which, **options):
    n, dense = S.shape[0], S.toarray()
    w = np.linalg.eigvalsh(dense)
    sigma, mode = options.get("sigma"), options.get("mode", "normal")
    seen = (lambda v: v) if sigma is None else (lambda v: BACK[mode](v, sigma))
    found, X = (np.asarray(x) for x in eigsh(sp.from_scipy(S), k, which=which, **options))
    assert found.shape == (k,) and X.shape == (n, k)
    tolerance = 1e-6 if X.dtype.char in "dD" else 2e-3
    size = max(np.abs(w).max(), abs(sigma or 0), 1e-300)
    assert np.linalg.norm(dense @ X - X * found, axis=0).max() <= tolerance * size
    ranked = np.abs if which in ("LM", "SM") else np.asarray  # of equal magnitudes either sign does
    mine, theirs = (np.sort(ranked(v)) for v in (seen(found), chosen(seen(w), k, which)))
    assert np.abs(mine - theirs).max() <= tolerance * max(np.abs(seen(w)).max(), 1e-300)
    if mode != "buckling":  # whose vectors are orthogonal by A
        assert np.abs(X.conj().T @ X - np.eye(k)).max() <= tolerance


def sizes(rng, n):
    return int(min(n - 1, rng.choice([1, 2, 3, 6, 10, max(n - 2, 1), n - 1, max(n // 2, 1)])))


@pytest.mark.parametrize("which", ["LA", "SA", "LM", "SM", "BE"])
@pytest.mark.parametrize("kind", KINDS)
def test_copies(kind, which):
    rng = np.random.default_rng(list(map(ord, kind + which)))
    for _ in range(6):
        S = scipy.sparse.csr_array(KINDS[kind](rng))
        k = sizes(rng, S.shape[0])
        if which == "BE" and S.dtype.kind == "c":
            continue
        if mx.default_device() == mx.cpu:
            check(S, k, which)
            if which in ("LA", "SA") and S.dtype.kind != "c":
                check(S, k, which, v0=mx.array(rng.standard_normal(S.shape[0]), dtype=mx.float64))


@pytest.mark.parametrize("mode", BACK)
@pytest.mark.parametrize("kind", KINDS)
def test_copies_near_a_shift(kind, mode):
    if mx.default_device() != mx.cpu:
        pytest.skip("bounds are those of double precision, which no GPU has")
    rng, checked = np.random.default_rng(list(map(ord, kind + mode))), 0
    for _ in range(6):
        S = scipy.sparse.csr_array(KINDS[kind](rng))
        k, sigma, which = sizes(rng, S.shape[0]), float(rng.choice([-10.3, 0.13, 0.77, 3.3])), rng.choice(["LM", "LA"])
        w = np.linalg.eigvalsh(S.toarray())
        if np.abs(w - sigma).min() < 1e-3 or mode == "buckling" and w.min() <= 1e-3:
            continue
        if mode == "normal" or S.dtype.kind != "c":
            check(S, k, str(which), sigma=sigma, mode=mode)
            checked += 1
    if checked == 0:
        pytest.skip("no matrix of this kind is taken in this mode")


def test_a_cluster_inside_the_spectrum_that_restarts_do_not_resolve():
    rng = np.random.default_rng(4)
    Q = np.linalg.qr(rng.standard_normal((140, 140)))[0]
    values = np.concatenate([np.full(30, 2.0), np.full(30, 2 + 1e-7), rng.uniform(-3, 0.5, 80)])
    A = (Q * values) @ Q.T
    check(scipy.sparse.csr_array((A + A.T) / 2), 6, "LA", sigma=0.77)


def test_whole_spaces_of_one_eigenvalue_are_quick_on_every_path():
    """A vector that is invariant at once costs one step, not as many as there is room for."""
    n, products = 150, 0
    u = np.random.default_rng(0).standard_normal(n)
    dense = np.eye(n) + np.outer(u, u)

    def product(x):
        nonlocal products
        products += 1
        return mx.array(dense, dtype=x.dtype) @ x

    operator = sp.linalg.LinearOperator((n, n), product, dtype=np.float32, xp=mx)
    eigsh(operator, n - 1, v0=mx.array(u + 1, dtype=mx.float32), tol=1e-4)
    assert products < 6 * n


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["ndarray", "mx.array"])
def test_copies_that_a_loose_tolerance_tells_apart(kind, seed):
    """Twice what a residual may be lies between the copy and what would be returned in its place."""
    values = np.concatenate([[10.0, 9.99, 9.99], np.linspace(0, 9.985, 397)]).astype(np.float32)
    A = sp.diags_array(values, offsets=0, format="csr")
    v0 = np.random.default_rng(seed).standard_normal(400).astype(np.float32)
    tol = 1e-4
    w = sp.linalg.eigsh(
        A, k=3, which="LA", v0=v0 if kind == "ndarray" else mx.array(v0), tol=tol, return_eigenvectors=False
    )
    assert np.abs(np.sort(np.asarray(w)) - np.sort(values)[-3:]).max() <= tol * 10
