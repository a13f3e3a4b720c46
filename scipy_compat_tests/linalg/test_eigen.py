"""Eigenvalues and singular values: residuals, multiplicity, namespaces, bad input."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse.linalg import (
    ArpackNoConvergence,
    eigs,
    eigsh,
    funm_multiply_krylov,
    lanczos,
    lobpcg,
    svds,
)

from .systems import (
    NAMESPACES,
    as_namespace,
    bound_of,
    check_namespace,
    general,
    hermitian,
    indefinite,
    ours,
    square,
    vector,
)

HERMITIAN = ("LM", "SM", "LA", "SA", "BE")
GENERAL = ("LM", "SM", "LR", "SR", "LI", "SI")


def eps(dtype):
    return float(np.finfo(np.dtype(dtype)).eps)


def cube(n):
    """That of n x n x n points: up to six copies."""
    L, identity = (
        scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)),
        scipy.sparse.eye_array(n),
    )
    return (scipy.sparse.kron(square(n), identity) + scipy.sparse.kron(scipy.sparse.eye_array(n * n), L)).tocsr()


def copies(n, count):
    """Blocks that are the same: each eigenvalue `count` times."""
    return scipy.sparse.block_diag([hermitian(n, "d")] * count, format="csr")


def wanted(w, k, which):
    """The k of all eigenvalues, ascending, that `which` asks for."""
    w = np.sort(w)
    if which == "BE":
        return np.concatenate([w[: k // 2], w[len(w) - (k - k // 2) :]])
    keys = {"LM": abs(w), "SM": -abs(w), "LA": w, "SA": -w}[which]
    return np.sort(w[np.argsort(-keys, kind="stable")[:k]])


def as_numpy(*arrays):
    return tuple(np.asarray(a) for a in arrays)


def check_pairs(S, w, v, tolerance, M=None):
    """Residuals and orthonormality, in double precision."""
    w, v = as_numpy(w, v)
    wide = np.promote_types(v.dtype, np.float64)
    v, S = v.astype(wide), S.astype(np.promote_types(S.dtype, np.float64))
    Mv = v if M is None else M @ v
    size = scipy.sparse.linalg.norm(scipy.sparse.csr_array(S), 1)
    assert np.linalg.norm(S @ v - Mv * w, axis=0).max() <= tolerance * size
    np.testing.assert_allclose(v.conj().T @ Mv, np.eye(len(w)), atol=tolerance * 10)


# ---- Hermitian -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("which", HERMITIAN)
@pytest.mark.parametrize("n", [40, 150])
def test_eigsh(dtype, which, namespace, n):
    if which == "BE" and dtype in "FD":
        with pytest.raises(ValueError, match="BE"):
            eigsh(ours(hermitian(n, dtype)), 4, which=which)
        return
    S = hermitian(n, dtype) if which == "SM" and n > 64 else indefinite(n, dtype)
    v0 = as_namespace(vector(n, dtype), namespace)
    w, v = eigsh(ours(S), 4, which=which, v0=v0)
    check_namespace(v, namespace)
    check_namespace(w, "numpy" if dtype == "D" else namespace)
    expected = wanted(np.linalg.eigvalsh(S.toarray().astype(np.complex128)), 4, which)
    np.testing.assert_allclose(np.asarray(w), expected, atol=200 * eps(dtype) * abs(expected).max())
    check_pairs(S, w, v, 200 * eps(dtype))


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("S", "k", "which"),
    [
        (square(30), 5, "LA"),
        (square(30), 5, "SA"),
        (square(30), 6, "BE"),
        (square(12), 20, "LM"),
        (cube(8), 10, "LA"),
        (cube(8), 10, "SM"),
        (copies(30, 5), 10, "LA"),
        (copies(30, 5), 7, "SA"),
        (scipy.sparse.eye_array(150, format="csr"), 7, "LM"),
        (scipy.sparse.csr_array((100, 100)), 4, "LM"),
        (scipy.sparse.diags_array(np.repeat([5.0, 4.0, -5.0], 40), format="csr"), 70, "LM"),
    ],
)
def test_all_copies(S, k, which, lazy, device):
    kind = "f" if device == "gpu" else "d"
    S = S.astype(kind)
    n = S.shape[0]
    for seed in range(3):
        v0 = as_namespace(vector(n, kind, seed), "mlx" if lazy else "numpy")
        w, v = eigsh(ours(S), k, which=which, v0=v0, rng=seed)
        expected = wanted(np.linalg.eigvalsh(S.toarray()), k, which)
        if which == "LM" and expected.min() < 0:  # of the same magnitude: any of them
            w, expected = np.sort(abs(np.asarray(w))), np.sort(abs(expected))
            np.testing.assert_allclose(w, expected, atol=1e3 * eps(kind))
            continue
        np.testing.assert_allclose(np.asarray(w), expected, atol=1e3 * eps(kind) * abs(expected).max())
        check_pairs(S, w, v, 1e3 * eps(kind))


@pytest.mark.parametrize("mode", ["normal", "buckling", "cayley"])
@pytest.mark.parametrize("with_mass", [False, True])
@pytest.mark.parametrize("form", ["sparse", "dense", "operator"])
def test_shift_invert(mode, with_mass, form):
    S = square(9)
    M = hermitian(81, "d") if with_mass else None
    make = {"sparse": ours, "dense": lambda X: X.toarray(), "operator": lambda X: sp.linalg.aslinearoperator(ours(X))}
    A = make[form](S)
    mass = None if M is None else make[form](M)
    w, v = as_numpy(*eigsh(A, 5, mass, sigma=0.5, mode=mode, v0=np.ones(81)))
    every = scipy.linalg.eigh(S.toarray(), None if M is None else M.toarray(), eigvals_only=True)
    shifted = {"normal": 1 / (every - 0.5), "buckling": every / (every - 0.5), "cayley": (every + 0.5) / (every - 0.5)}
    near = np.sort(every[np.argsort(-abs(shifted[mode]))[:5]])
    np.testing.assert_allclose(w, near, rtol=bound_of(1e-9, 1e-4))
    Mv = v if M is None else M @ v
    assert np.linalg.norm(S @ v - Mv * w) < bound_of(1e-8, 1e-3)


def test_shift_invert_of_what_only_has_products():
    S = square(7)
    A = sp.linalg.LinearOperator(S.shape, lambda x: S @ x, dtype=np.float64)
    w, v = eigsh(A, 3, sigma=0.2, v0=np.ones(49))
    every = np.linalg.eigvalsh(S.toarray())
    np.testing.assert_allclose(
        np.asarray(w), np.sort(every[np.argsort(abs(every - 0.2))[:3]]), rtol=bound_of(1e-6, 1e-5)
    )
    inverse = np.linalg.inv(S.toarray() - 0.2 * np.eye(49))
    np.testing.assert_allclose(
        np.asarray(eigsh(A, 3, sigma=0.2, OPinv=inverse)[0]), np.asarray(w), rtol=bound_of(1e-8, 1e-5)
    )


@pytest.mark.parametrize("n", [2, 3, 4])
def test_small(n, dtype):
    S = hermitian(n, dtype)
    every = np.linalg.eigvalsh(S.toarray())
    for k in range(1, n):
        w, v = eigsh(ours(S), k, which="LA")
        np.testing.assert_allclose(np.asarray(w), every[n - k :], rtol=100 * eps(dtype))
        check_pairs(S, w, v, 100 * eps(dtype))
    with warnings.catch_warnings(), pytest.raises(TypeError):
        warnings.simplefilter("ignore")
        eigsh(ours(S), n)
    with pytest.warns(RuntimeWarning):
        w, v = eigsh(S.toarray(), n)
    np.testing.assert_allclose(w, every, rtol=100 * eps(dtype))


def test_one_point():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert eigsh(np.array([[3.0]]), 1)[0] == [3.0]
        assert eigs(np.array([[3.0]]), 1)[0] == [3.0]
        with pytest.raises(TypeError):
            eigsh(sp.eye_array(1), 1)


def test_order_without_vectors():
    S = indefinite(30, "d")
    for which in HERMITIAN:
        mine = eigsh(ours(S), 5, which=which, return_eigenvectors=False, v0=np.ones(30))
        theirs = scipy.sparse.linalg.eigsh(S, 5, which=which, return_eigenvectors=False, v0=np.ones(30))
        np.testing.assert_allclose(mine, theirs, rtol=bound_of(1e-10, 1e-5))


def test_namespaces(device):
    S = square(6).astype("f")
    A = ours(S)
    assert all(type(x) is mx.array for x in eigsh(A, 2))
    assert all(type(x) is np.ndarray for x in eigsh(S, 2))
    assert all(type(x) is np.ndarray for x in eigsh(S.toarray(), 2))
    assert all(type(x) is mx.array for x in eigsh(mx.array(S.toarray()), 2))
    assert all(type(x) is mx.array for x in svds(A, 2, rng=0))
    with sp.runtime.context(dense_namespace="numpy"):
        assert all(type(x) is np.ndarray for x in (*eigsh(A, 2), *eigs(A, 2), *svds(A, 2, rng=0)))
    half = eigsh(A.astype(mx.float16), 2)
    assert half[0].dtype == mx.float32


def test_no_convergence():
    S = square(20)
    with pytest.raises(ArpackNoConvergence) as caught:
        eigsh(ours(S), 6, which="SM", ncv=13, maxiter=4, v0=np.ones(400))
    assert isinstance(caught.value, scipy.sparse.linalg.ArpackError)
    w, v = caught.value.eigenvalues, caught.value.eigenvectors
    assert len(w) < 6 and v.shape == (400, len(w))
    if len(w):
        assert np.linalg.norm(S @ v - v * w) < bound_of(1e-10, 1e-4)


def test_what_is_not_hermitian_is_found_out():
    S = general(60, "d")
    with pytest.raises(ArpackNoConvergence):
        eigsh(ours(S), 4, v0=np.ones(60))
    with pytest.raises(ValueError, match="finite"):
        eigsh(ours(S * np.nan), 2, v0=np.ones(60))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"k": 0}, ValueError),
        ({"k": -1}, ValueError),
        ({"k": 1.5}, TypeError),
        ({"k": "1"}, TypeError),
        ({"which": "LR"}, ValueError),
        ({"which": None}, ValueError),
        ({"maxiter": 0}, ValueError),
        ({"maxiter": -3}, ValueError),
        ({"ncv": 3, "k": 3}, ValueError),
        ({"tol": np.nan}, ValueError),
        ({"tol": "x"}, ValueError),
        ({"v0": np.ones(3)}, ValueError),
        ({"v0": np.full(9, np.inf)}, ValueError),
        ({"v0": mx.ones(9, dtype=mx.int32)}, TypeError),
        ({"M": np.eye(4)}, ValueError),
        ({"Minv": np.eye(9)}, ValueError),
        ({"OPinv": np.eye(9)}, ValueError),
        ({"sigma": 1.0, "Minv": np.eye(9)}, ValueError),
        ({"sigma": 1j}, ValueError),
        ({"sigma": [1.0]}, ValueError),
        ({"sigma": np.nan}, ValueError),
        ({"v0": np.full(9, 1j)}, ValueError),
        ({"sigma": 2.0, "mode": "other"}, ValueError),
    ],
)
def test_bad_input(options, error):
    A = sp.diags_array(np.arange(9.0), format="csr")
    with pytest.raises(error):
        eigsh(A, **{"k": 2, **options})


@pytest.mark.parametrize("f", [eigsh, eigs, lanczos])
def test_bad_matrices(f):
    for A in (sp.csr_array((3, 4)), np.ones((2, 3))):
        with pytest.raises(ValueError):
            f(A, 1)
    with pytest.raises(TypeError):
        f("matrix", 1)


def test_singular_shift():
    with pytest.raises(RuntimeError):
        eigsh(sp.diags_array(np.arange(9.0), format="csr"), 2, sigma=3.0)
    with pytest.raises(RuntimeError):
        eigsh(np.diag(np.arange(9.0)), 2, sigma=3.0)


@pytest.mark.parametrize("n", [3, 20, 100])
def test_values_far_from_a_shift_beside_an_eigenvalue(n):
    """The inverse has one value of 1e10 and the wanted one below its rounding: whoever asks whether A is definite."""
    B = np.random.default_rng(n).normal(size=(n, n // 2 + 1))
    A, sigma = B @ B.T, bound_of(-1e-10, -1e-3)
    every = np.linalg.eigvalsh(A)
    w, v = as_numpy(*eigsh(A, 1, sigma=sigma, which="SA", v0=np.ones(n)))
    np.testing.assert_allclose(w, every[-1:], rtol=bound_of(1e-12, 1e-4))
    np.testing.assert_allclose(A @ v, v * w, atol=bound_of(1e-11, 1e-4) * every[-1])


# ---- general -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize(("which", "n"), [*((which, 30) for which in GENERAL), ("LM", 90), ("LR", 90), ("SR", 90)])
def test_eigs(dtype, which, namespace, n):
    S = general(n, dtype)
    v0 = as_namespace(vector(n, dtype), namespace)
    w, v = as_numpy(*eigs(ours(S), 4, which=which, v0=v0))
    every = np.linalg.eigvals(S.toarray().astype(np.complex128))
    imaginary = every.imag if dtype in "FD" else abs(every.imag)
    keys = {"LM": abs(every), "SM": -abs(every), "LR": every.real, "SR": -every.real}
    keys |= {"LI": imaginary, "SI": -imaginary}
    mine = {"LM": abs(w), "SM": -abs(w), "LR": w.real, "SR": -w.real}
    mine |= {"LI": w.imag if dtype in "FD" else abs(w.imag)}
    mine["SI"] = -mine["LI"]
    tolerance = 1e3 * eps(dtype) * abs(every).max()
    np.testing.assert_allclose(np.sort(mine[which]), np.sort(keys[which])[-4:], atol=tolerance)
    assert abs(w[:, None] - every[None]).min(axis=1).max() < tolerance
    assert np.linalg.norm(S @ v - v * w, axis=0).max() < tolerance
    np.testing.assert_allclose(np.linalg.norm(v, axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("lazy", [False, True])
def test_all_copies_of_a_general_operator(lazy, device):
    kind = "f" if device == "gpu" else "d"
    S = scipy.sparse.block_diag([general(30, "d")] * 4, format="csr").astype(kind)
    w, v = as_numpy(*eigs(ours(S), 6, which="LR", v0=as_namespace(vector(120, kind), "mlx" if lazy else "numpy")))
    every = np.sort(np.linalg.eigvals(S.toarray()).real)
    np.testing.assert_allclose(np.sort(w.real), every[-6:], rtol=1e3 * eps(kind))
    assert np.linalg.norm(S @ v - v * w, axis=0).max() < 1e4 * eps(kind)
    assert np.linalg.matrix_rank(v, tol=1e-3) == 6


def test_pairs_are_complex():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    S = scipy.sparse.block_diag([turn * k for k in range(1, 41)], format="csr")
    w, v = as_numpy(*eigs(ours(S), 4, v0=np.ones(80)))
    np.testing.assert_allclose(sorted(w.imag), [-40, -39, 39, 40], rtol=bound_of(1e-10, 1e-5))
    assert np.linalg.norm(S @ v - v * w) < bound_of(1e-9, 1e-3)
    one = np.asarray(eigs(ours(S), 1, v0=np.ones(80))[0])
    np.testing.assert_allclose(abs(one.imag), [40], rtol=bound_of(1e-10, 1e-5))


@pytest.mark.parametrize("sigma", [1.7, 1.7 + 0.3j])
@pytest.mark.parametrize("part", [None, "r", "i"])
def test_eigs_near(sigma, part):
    S = general(60, "d")
    options = {} if part is None else {"OPpart": part}
    if part == "i" and np.imag(sigma) == 0:
        with pytest.raises(ValueError):
            eigs(ours(S), 3, sigma=sigma, **options)
        return
    w, v = as_numpy(*eigs(ours(S), 3, sigma=sigma, v0=np.ones(60), **options))
    assert np.linalg.norm(S @ v - v * w, axis=0).max() < bound_of(1e-8, 1e-3)
    every = np.linalg.eigvals(S.toarray())
    if part is None and np.imag(sigma) == 0:
        near = every[np.argsort(abs(every - sigma))[:3]]
        np.testing.assert_allclose(np.sort(abs(w - sigma)), np.sort(abs(near - sigma)), rtol=bound_of(1e-8, 1e-4))


@pytest.mark.parametrize(
    "options",
    [{"which": "LA"}, {"k": 0}, {"ncv": 3}, {"sigma": np.nan}, {"OPpart": "r"}, {"sigma": 1j, "OPpart": "x"}],
)
def test_eigs_bad_input(options):
    with pytest.raises(ValueError):
        eigs(sp.diags_array(np.arange(9.0), format="csr"), **{"k": 2, **options})


# ---- singular values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("which", ["LM", "SM"])
@pytest.mark.parametrize("shape", [(90, 70), (70, 90), (20, 12)])
def test_svds(dtype, which, shape, namespace):
    S = general(max(shape), dtype)[: shape[0], : shape[1]]
    v0 = as_namespace(vector(min(shape), dtype), namespace)
    u, s, vh = svds(ours(S), 3, which=which, v0=v0)
    check_namespace(u, namespace)
    u, s, vh = as_numpy(u, s, vh)
    every = np.linalg.svd(S.toarray().astype(np.complex128), compute_uv=False)
    expected = np.sort(every)[-3:] if which == "LM" else np.sort(every)[:3]
    np.testing.assert_allclose(s, expected, atol=500 * eps(dtype) * every[0])
    accuracy = 500 * eps(dtype) * every[0] ** 2 / s.min()
    assert np.linalg.norm(S @ vh.conj().T - u * s) < accuracy
    assert np.linalg.norm(S.conj().T @ u - vh.conj().T * s) < accuracy
    np.testing.assert_allclose(u.conj().T @ u, np.eye(3), atol=100 * eps(dtype))


def test_all_copies_of_singular_values():
    S = scipy.sparse.block_diag([general(40, "d")[:, :30]] * 3, format="csr")
    _, s, _ = svds(ours(S), 6, rng=0)
    np.testing.assert_allclose(
        np.asarray(s), np.sort(np.linalg.svd(S.toarray(), compute_uv=False))[-6:], rtol=bound_of(1e-10, 1e-5)
    )


@pytest.mark.parametrize("solver", ["arpack", "lobpcg", "propack"])
@pytest.mark.parametrize("kind", [True, False, "u", "vh"])
def test_svds_solvers(solver, kind):
    S = general(80, "d")[:, :60]
    found = svds(
        ours(S), 2, solver=solver, return_singular_vectors=kind, rng=1, maxiter=None if solver == "arpack" else 200
    )
    expected = np.sort(np.linalg.svd(S.toarray(), compute_uv=False))[-2:]
    s = found if kind is False else found[1]
    np.testing.assert_allclose(np.asarray(s), expected, rtol=1e-5)
    if kind is not False:
        assert (found[0] is None) == (kind == "vh") and (found[2] is None) == (kind == "u")


@pytest.mark.parametrize("shape", [(90, 60), (60, 90)])
def test_randomized_svd(dtype, shape):
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 30)))[0] for n in shape)
    X = (left * 0.5 ** np.arange(30.0)) @ right.T
    S = scipy.sparse.csr_array(X * np.exp(1j * np.arange(shape[1])) if dtype in "FD" else X).astype(dtype)
    u, s, vh = as_numpy(*sp.linalg.randomized_svd(ours(S), 5, rng=1))
    np.testing.assert_allclose(s, 0.5 ** np.arange(4, -1, -1.0), rtol=1e-4)
    np.testing.assert_allclose(u.conj().T @ u, np.eye(5), atol=100 * eps(dtype))
    assert np.linalg.norm(S.toarray() - (u * s) @ vh, 2) < 1.01 * 0.5**5
    for options in ({"k": 0}, {"k": 61}, {"oversampling": -1}, {"iterations": -1}):
        with pytest.raises(ValueError):
            sp.linalg.randomized_svd(ours(S), **options)


# ---- lobpcg --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("with_mass", [False, True])
def test_lobpcg(dtype, namespace, largest, with_mass):
    n, k = 120, 4
    S = scipy.sparse.diags_array(np.linspace(1, 30, n), format="csr").astype(dtype) + hermitian(n, dtype) * 0.01
    M = scipy.sparse.diags_array(np.linspace(1, 2, n), format="csr").astype(dtype) if with_mass else None
    X = np.stack([vector(n, dtype, seed) for seed in range(k)], axis=1)
    mass = None if M is None else ours(M)
    tolerance = 1e3 * eps(dtype) * 30
    given = None if largest else ours(scipy.sparse.diags_array(1 / S.diagonal(), format="csr").astype(dtype))
    found = lobpcg(
        ours(S),
        as_namespace(X, namespace),
        mass,
        given,
        largest=largest,
        tol=tolerance,
        maxiter=200,
        retLambdaHistory=True,
    )
    w, v, history = found
    check_namespace(v, namespace)
    every = scipy.linalg.eigh(S.toarray(), None if M is None else M.toarray(), eigvals_only=True)
    expected = every[::-1][:k] if largest else every[:k]
    np.testing.assert_allclose(np.asarray(w), expected, rtol=1e4 * eps(dtype))
    assert len(history) > 2
    check_pairs(S, w, v, 1e4 * eps(dtype), M)


def test_lobpcg_constraints(device):
    kind = "f" if device == "gpu" else "d"
    S = scipy.sparse.diags_array(np.arange(1.0, 101.0), format="csr").astype(kind)
    Y = np.eye(100, 2, dtype=kind)
    X = np.stack([vector(100, kind, seed) for seed in range(3)], axis=1)
    for namespace in NAMESPACES:
        make = lambda x, namespace=namespace: as_namespace(x.copy(), namespace)  # noqa: E731
        w, _ = lobpcg(ours(S), make(X), Y=make(Y), largest=False, tol=1e-3, maxiter=300)
        np.testing.assert_allclose(np.asarray(w), [3, 4, 5], rtol=1e-4)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_lobpcg_bad_input(namespace):
    A = sp.diags_array(np.arange(1.0, 41.0), format="csr")
    make = lambda x: as_namespace(x, namespace)  # noqa: E731
    for X in (np.ones(40), np.ones((40, 2)), np.zeros((40, 2))):
        with pytest.raises(ValueError):
            lobpcg(A, make(X))
    with pytest.warns(UserWarning, match="not reaching"):
        lobpcg(A, make(np.random.default_rng(0).standard_normal((40, 2))), maxiter=1, tol=1e-9)


# ---- Krylov spaces themselves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("reorthogonalize", [True, False])
def test_lanczos(dtype, namespace, reorthogonalize):
    S = hermitian(50, dtype)
    v0 = vector(50, dtype)
    alphas, betas, Q = lanczos(ours(S), 8, v0=as_namespace(v0, namespace), reorthogonalize=reorthogonalize)
    check_namespace(Q, namespace)
    alphas, betas, Q = as_numpy(alphas, betas, Q)
    T = np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)
    rest = S @ Q - Q @ T
    size = abs(S).sum(axis=1).max()
    assert np.linalg.norm(rest[:, :-1]) < 1e3 * eps(dtype) * size
    np.testing.assert_allclose(np.linalg.norm(rest[:, -1]), betas[-1], rtol=1e-4)
    np.testing.assert_allclose(Q[:, 0], v0 / np.linalg.norm(v0), rtol=1e-4, atol=1e-5)
    again = lanczos(ours(S), 8, v0=as_namespace(v0, namespace), reorthogonalize=reorthogonalize, return_basis=False)
    np.testing.assert_allclose(np.asarray(again[0]), alphas, rtol=1e-5)


def test_lanczos_ends_in_an_invariant_space():
    alphas, betas, Q = lanczos(sp.eye_array(10), 4, v0=np.ones(10))
    assert alphas.shape == betas.shape == (1,) and Q.shape == (10, 1) and betas[0] == 0
    for k in (0, 11):
        with pytest.raises(ValueError):
            lanczos(sp.eye_array(10), k)
    with pytest.raises(ValueError):
        lanczos(sp.eye_array(10), 2, v0=np.zeros(10))


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("f", ["exp", "log", "sqrt", "invsqrt", "sign"])
def test_functions_of_matrices(dtype, namespace, f):
    S = hermitian(60, dtype)
    b = vector(60, dtype)
    w, V = np.linalg.eigh(S.toarray().astype(np.complex128))
    values = {"exp": np.exp(-w), "log": np.log(w), "sqrt": np.sqrt(w), "invsqrt": w**-0.5, "sign": np.sign(w)}[f]
    expected = V @ (values * (V.conj().T @ b))
    for assumed in ("her", "gen"):
        t = -1.0 if f == "exp" else 1.0
        y = funm_multiply_krylov(f, ours(S), as_namespace(b, namespace), assume_a=assumed, t=t, restart_every_m=30)
        check_namespace(y, namespace)
        np.testing.assert_allclose(np.asarray(y), expected, rtol=0, atol=1e-3 if dtype in "fF" else 1e-5)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_complex_functions_of_real_matrices(namespace, dtype):
    S, b = hermitian(40, dtype), vector(40, dtype)
    w, V = np.linalg.eigh(S.toarray().astype(np.complex128))
    cases = [("exp", 0.3j, np.exp(0.3j * w))]
    if dtype in "fd":  # rounding puts complex matrices on either side of the cut
        cases.append(("sqrt", -1.0, 1j * np.sqrt(w)))
    for f, t, values in cases:
        y = np.asarray(funm_multiply_krylov(f, ours(S), as_namespace(b, namespace), t=t, restart_every_m=40))
        mine, other = (abs(y - sign * (V @ (values * (V.conj().T @ b)))).max() for sign in (1, -1))
        assert min(mine, other if f == "sqrt" else mine) < (1e-3 if dtype in "fF" else 1e-6)


def test_functions_of_matrices_bad_input():
    A, b = sp.eye_array(4, format="csr"), np.ones(4)
    for options in ({"assume_a": "sym"}, {"restart_every_m": 0}, {"max_restarts": 0}, {"atol": -1}):
        with pytest.raises(ValueError):
            funm_multiply_krylov("exp", A, b, **options)
    for f, x in (("exp", np.ones((4, 1))), ("tanh", b), ("exp", np.ones(3)), ("exp", np.full(4, np.nan))):
        with pytest.raises(ValueError):
            funm_multiply_krylov(f, A, x)


@pytest.mark.parametrize(
    ("module", "name"), [("isolve", "cg"), ("eigen", "eigsh"), ("dsolve", "splu"), ("matfuncs", "inv")]
)
def test_old_modules(module, name):
    old = getattr(sp.linalg, module)
    with pytest.warns(DeprecationWarning, match=f"import `{name}`"):
        assert getattr(old, name) is getattr(sp.linalg, name)
    assert name in dir(old)
    with pytest.raises(AttributeError):
        old.nothing  # noqa: B018


def test_eigs_of_a_pencil_whose_mass_is_singular():
    """Flow between plates at Re = 10^4 with a pressure that has no mass: the null space of M spoils no vector."""
    n, re = 60, 1e4
    x = np.linspace(-1, 1, n + 2)[1:-1]
    h = x[1] - x[0]
    L = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) / h**2
    D = scipy.sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(n, n)) / h
    V, W = scipy.sparse.diags_array(1 - x**2), scipy.sparse.diags_array(-2 * x)
    eye = scipy.sparse.eye_array(n, format="csr")
    K = 1j * re * V.tocsr() + L + eye
    A = scipy.sparse.block_array([[K, re * W, 1j * re * eye], [None, K, -re * D.T], [1j * re * eye, re * D, None]])
    M = scipy.sparse.block_diag([eye, eye, scipy.sparse.csr_array((n, n))], format="csr")
    w, v = as_numpy(*eigs(ours(A.tocsr()), 12, ours(M.astype(complex)), sigma=0.0, v0=np.ones(3 * n)))
    A, M = A.toarray(), M.toarray()
    np.testing.assert_allclose(A @ v, M @ v * w, atol=bound_of(1e-8, 1e-3) * np.linalg.norm(A, 2))
    np.testing.assert_allclose(np.linalg.norm(v, axis=0), 1.0, rtol=bound_of(1e-12, 1e-5))


@pytest.mark.parametrize("solver", ["arpack", "lobpcg", "propack"])
def test_what_an_operator_raises_reaches_the_caller(solver):
    calls = []

    def product(x):
        calls.append(1)
        if len(calls) > 5:
            raise ArithmeticError("of the operator")
        return 2.0 * x

    A = sp.linalg.LinearOperator((60, 60), matvec=product, rmatvec=product, dtype=np.float64)
    with pytest.raises(ArithmeticError, match="of the operator"):
        sp.linalg.svds(A, 3, solver=solver, rng=0)
