"""The sparse Cholesky factorisation: factors, solutions, determinants, inverses, and what it refuses."""

import copy
import pickle
import sys

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse.linalg import SparseCholesky, cholesky, sparse_cholesky, spsolve

from .systems import (
    NAMESPACES,
    as_namespace,
    bound_of,
    check_namespace,
    held,
    hermitian,
    line,
    ours,
    residual,
    vector,
    vectors,
)
from .table import eps

N = 60
FORMS = ("simplicial", "supernodal")


def grid(*sides):
    A = scipy.sparse.csr_array((1, 1))
    for side in sides:
        step = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
        eyes = scipy.sparse.eye_array(side), scipy.sparse.eye_array(A.shape[0])
        A = scipy.sparse.kron(A, eyes[0]) + scipy.sparse.kron(eyes[1], step)
    return A.tocsr()


def arrow(n):
    A = scipy.sparse.diags_array(np.full(n, 2.0 * n)).tolil()
    A[0, :] = A[:, 0] = 1.0
    A[0, 0] = n
    return A.tocsr()


def blocks(n):
    return scipy.sparse.block_diag([hermitian(n // 3, "d", seed) for seed in range(3)] + [np.eye(2)], format="csr")


MATRICES = {
    "empty": scipy.sparse.csr_array((0, 0)),
    "one": scipy.sparse.csr_array([[4.0]]),
    "diagonal": scipy.sparse.diags_array(np.arange(1.0, 50)).tocsr(),
    "line": line(100, "d"),
    "arrow": arrow(90),
    "dense": scipy.sparse.csr_array(hermitian(150, "d").toarray() + 1e-3),
    "disconnected": blocks(60),
    "plane": grid(17, 21),
    "space": grid(7, 8, 6),
    "wide": grid(3, 90),
    "star": grid(12, 12) + arrow(144),
}


def of(name, dtype):
    """With phases in complex dtypes."""
    S = MATRICES[name].astype(dtype)
    if dtype in "FD":
        phase = scipy.sparse.diags_array(np.exp(1j * np.arange(S.shape[0])).astype(dtype))
        S = (phase @ S @ phase.conj()).tocsr().astype(dtype)
    return S


def bound(S, dtype):
    return 100 * eps(dtype) * (np.linalg.cond(S.toarray()) if S.shape[0] else 1)


@pytest.mark.parametrize(
    ("ordering", "method"), [("amd", "supernodal"), ("natural", "supernodal"), ("amd", "simplicial")]
)
@pytest.mark.parametrize("name", MATRICES)
def test_factors_and_solutions(dtype, name, ordering, method):
    S = of(name, dtype)
    n = S.shape[0]
    factor = cholesky(ours(S, "csc"), ordering=ordering, method=method)
    assert factor.method == method
    assert isinstance(factor, SparseCholesky) and factor.shape == S.shape and str(n) in repr(factor)
    perm, L = np.asarray(factor.perm), factor.L
    assert type(L) is sp.csc_array and sorted(perm) == list(range(n)) and L.nnz == factor.nnz
    L = L.toarray()
    assert L.dtype == np.dtype(dtype) and not np.triu(L, 1).any()
    np.testing.assert_allclose(
        L @ L.conj().T, S.toarray()[perm][:, perm], rtol=0, atol=100 * eps(dtype) * abs(S).max() if n else 0
    )
    for columns in (None, 1, 3, 70):
        b = vectors(n, dtype, columns)
        x = factor.solve(b)
        assert x.shape == b.shape and x.dtype == np.dtype(dtype)
        if n:
            assert residual(S, x, b) < bound(S, dtype)
            np.testing.assert_allclose(L @ factor.solve_L(b), b, rtol=0, atol=bound(S, dtype) * abs(b).max())
            np.testing.assert_allclose(L.conj().T @ factor.solve_Lt(b), b, rtol=0, atol=bound(S, dtype) * abs(b).max())
    assert factor.solve(np.zeros((n, 0), dtype)).shape == (n, 0)


@pytest.mark.parametrize("method", FORMS)
@pytest.mark.parametrize("name", MATRICES)
def test_determinants_and_inverses(dtype, name, method):
    S = of(name, dtype)
    factor = cholesky(ours(S, "csc"), method=method)
    sign, logdet = factor.slogdet()
    expected = np.linalg.slogdet(S.toarray().astype(np.complex128))
    assert float(np.asarray(sign).real) == 1 and float(np.asarray(logdet)) == float(np.asarray(factor.logdet()))
    assert abs(float(np.asarray(logdet)) - expected[1]) < 1e3 * eps(dtype) * (1 + abs(expected[1]))
    if S.shape[0] == 0:
        return
    X = np.linalg.inv(S.toarray().astype(np.complex128))
    atol = bound(S, dtype) * abs(X).max()
    np.testing.assert_allclose(np.asarray(factor.inverse_diagonal()), X.diagonal().real, rtol=0, atol=atol)
    Z = factor.selected_inverse()
    pattern = S.toarray() != 0
    assert Z.nnz == S.nnz and Z.dtype == ours(S, "csc").dtype
    np.testing.assert_allclose(Z.toarray(), np.where(pattern, X, 0), rtol=0, atol=atol)


def random_definite(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    B = scipy.sparse.random_array((n, n), density=min(1.0, rng.choice([0.5, 2.0, 6.0]) / n), rng=rng)
    return (B @ B.T + scipy.sparse.diags_array(rng.uniform(0.1, 1, n))).tocsc()


def test_random_matrices():
    for seed in range(300):
        S = random_definite(seed)
        b = vector(S.shape[0], "d", seed)
        for A, method in ((ours(S, "csc"), "simplicial"), (ours(S, "csr"), "supernodal")):
            factor = cholesky(A, method=method)
            assert residual(S, factor(b), b) < bound(S, held("d")), seed
        X = np.linalg.inv(S.toarray())
        np.testing.assert_allclose(np.asarray(factor.inverse_diagonal()), X.diagonal(), rtol=1e3 * bound(S, held("d")))


@pytest.mark.parametrize("seed", range(8))
def test_orders_of_larger_random_matrices(seed):
    """Of more nodes than small graphs have; some rows are nearly full, some equal others."""
    rng = np.random.default_rng(seed)
    n = 900 + 50 * seed
    B = scipy.sparse.random_array((n, n), density=1.5 / n, rng=rng)
    S = (B @ B.T + scipy.sparse.eye_array(n)).tolil()
    if seed % 2:
        S[5, :] = S[:, 5] = 1e-3
        S[5, 5] = n
    S = scipy.sparse.kron(S, np.eye(2) + 0.5).tocsc() if seed % 3 else S.tocsc()
    factor, b = cholesky(ours(S, "csc")), vector(S.shape[0], "d", seed)
    assert sorted(np.asarray(factor.perm)) == list(range(S.shape[0]))
    assert residual(S, factor(b), b) < bound_of(1e-10, 1e-2)


@pytest.mark.parametrize("sides", [(9, 60), (30, 40)])
def test_a_column_of_a_simplicial_factor_holds_what_fills_it(sides):
    """Of a matrix with no positive entry beside its diagonal nothing cancels."""
    factor = cholesky(ours(grid(*sides), "csc"), method="simplicial")
    assert factor.nnz == np.count_nonzero(factor.L.toarray()) < cholesky(ours(grid(*sides), "csc")).nnz


@pytest.mark.parametrize(
    ("S", "method"),
    [
        (line(200, "d"), "simplicial"),
        (grid(3, 100), "simplicial"),
        (MATRICES["diagonal"], "simplicial"),
        (grid(30, 30), "supernodal"),
        (MATRICES["dense"], "supernodal"),
    ],
)
def test_which_method_is_taken(S, method):
    factor = cholesky(ours(S, "csc"))
    assert factor.method == factor.refactor(factor._A.data).method == method
    assert cholesky(ours(S, "csc"), method="ldl").method == "ldl"


def test_unknowns_of_one_node_are_ordered_together():
    S = scipy.sparse.kron(grid(20, 20), 3 * np.eye(3) + 1)
    assert cholesky(ours(S, "csc")).nnz < 9.5 * cholesky(ours(grid(20, 20), "csc")).nnz


def test_orderings_fill_less():
    A = ours(grid(40, 40), "csc")
    entries = {ordering: cholesky(A, ordering=ordering).nnz for ordering in ("amd", "natural")}
    assert entries["amd"] < 0.6 * entries["natural"]
    given = np.random.default_rng(0).permutation(1600)
    factor, b = cholesky(A, ordering=given), vector(1600, "d")
    assert factor.nnz > 2 * entries["amd"] and residual(grid(40, 40), factor(b), b) < bound_of(1e-11, 1e-4)
    natural = np.asarray(cholesky(ours(line(50, "d"), "csc"), ordering="natural").perm)
    np.testing.assert_array_equal(natural, np.arange(50))


def test_nested_dissection(dtype):
    pytest.importorskip("pymetis")
    for name in MATRICES:
        S = of(name, dtype)
        b = vectors(S.shape[0], dtype, 3)
        for method in ("auto", "ldl"):
            factor = cholesky(ours(S, "csc"), ordering="metis", method=method)
            assert sorted(np.asarray(factor.perm)) == list(range(S.shape[0]))
            if S.shape[0]:
                assert residual(S, factor(b), b) < bound(S, dtype)
    A = ours(grid(14, 14, 14).astype(dtype), "csc")
    assert cholesky(A, ordering="metis").nnz < cholesky(A).nnz


def test_nested_dissection_without_metis(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(ImportError, match="pip install pymetis"):
        cholesky(ours(grid(3, 3), "csc"), ordering="metis")
    with pytest.raises(LinAlgError, match="not symmetric"):  # before METIS would see it
        cholesky(sp.csc_array([[1.0, 2.0], [0.0, 1.0]]), ordering="metis")


def test_the_number_of_workers_changes_nothing():
    S = grid(60, 70)
    found = []
    for n in (1, 2, 3):
        with sp.runtime.context(n_threads=n):
            found.append(np.asarray(cholesky(ours(S, "csc")).L.data))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespaces(dtype, namespace):
    S = hermitian(N, dtype)
    factor = sparse_cholesky(ours(S))
    b = as_namespace(vector(N, dtype), namespace)
    for x in (factor.solve(b), factor.solve_L(b), factor.solve_Lt(b), factor.sample(b)):
        check_namespace(x, namespace)
    with sp.runtime.context(dense_namespace=namespace):
        check_namespace(factor.perm, namespace)
        check_namespace(factor.inverse_diagonal().astype(np.float32 if namespace == "numpy" else mx.float32), namespace)
        assert type(factor.logdet()) is (mx.array if namespace == "mlx" else np.dtype(dtype.lower()).type)


def test_samples_have_the_inverse_as_covariance(dtype):
    S = hermitian(12, dtype)
    X = cholesky(ours(S)).sample(np.eye(12, dtype=dtype))
    np.testing.assert_allclose(X @ X.conj().T, np.linalg.inv(S.toarray()), rtol=0, atol=bound(S, dtype))


def test_sparse_right_hand_side(dtype):
    S = hermitian(N, dtype)
    B = scipy.sparse.random_array((N, 7), density=0.1, rng=np.random.default_rng(3)).tocsc().astype(dtype)
    X = cholesky(ours(S)).solve(sp.from_scipy(B))
    assert isinstance(X, sp.csc_array)
    assert residual(S, X.toarray(), B.toarray()) < bound(S, dtype)


def test_complex_right_hand_side_of_a_real_matrix():
    S, b = hermitian(N, "d"), vector(N, "D")
    x = cholesky(ours(S)).solve(b)
    assert x.dtype == held("D") and residual(S, x, b) < bound(S, held("d"))


@pytest.mark.parametrize("method", FORMS)
def test_refactor(dtype, method):
    S, b = hermitian(N, dtype), vector(N, dtype)
    A = ours(S, "csc")
    factor = cholesky(A, method=method)
    other = S + 3 * scipy.sparse.eye_array(N, dtype=dtype)
    again = factor.refactor(ours(other, "csc").data)
    assert residual(other, again(b), b) < bound(S, dtype) and residual(S, factor(b), b) < bound(S, dtype)
    np.testing.assert_array_equal(again.L.toarray(), cholesky(ours(other, "csc"), method=method).L.toarray())
    with pytest.raises(ValueError, match="shape"):
        factor.refactor(np.asarray(A.data)[1:])
    with pytest.raises(LinAlgError, match="positive definite"):
        factor.update(-np.asarray(A.data))


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_halves_are_factored_in_float32(half):
    A = sp.csc_array(np.array([[3.0, 1.0], [1.0, 2.0]])).astype(half)
    for b in (mx.array([5.0, 5.0]).astype(half), mx.array([5.0, 5.0])):
        x = cholesky(A).solve(b)
        assert x.dtype == mx.float32
        np.testing.assert_allclose(np.asarray(x), [1, 2], rtol=1e-6)


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 7, 43, N - 1])
@pytest.mark.parametrize(("value", "method"), [(0.0, "simplicial"), (0.0, "supernodal"), (-1.0, "simplicial")])
def test_the_row_of_a_bad_pivot_is_named(dtype, row, value, method):
    """A row of its own, so that its pivot is its diagonal entry."""
    S = hermitian(N, dtype).tolil()
    S[row, :] = 0
    S[:, row] = 0
    S[row, row] = value
    with pytest.raises(LinAlgError, match=f"row {row} is not positive"):
        cholesky(ours(S.tocsr(), "csc"), method=method)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_singular_at_every_scale(scale):
    """The Laplacian of a cycle has the constant vectors as its null space."""
    n = 50
    ring = scipy.sparse.diags_array([-1.0] * 4, offsets=[-1, 1, n - 1, 1 - n], shape=(n, n))
    S = scale * (ring + 2 * scipy.sparse.eye_array(n))
    for method in FORMS:
        with pytest.raises(LinAlgError, match="positive definite"):
            cholesky(ours(S, "csc"), method=method)
    S = S + bound_of(1e-6, 1e-2) * scale * scipy.sparse.eye_array(n)
    b = vector(n, "d")
    assert residual(S, cholesky(ours(S, "csc"))(b), b) < bound(S, held("d"))


def test_indefinite(dtype):
    S = hermitian(N, dtype) - 20 * scipy.sparse.eye_array(N, dtype=dtype)
    with pytest.raises(LinAlgError, match="positive definite"):
        cholesky(ours(S, "csc"))


@pytest.mark.parametrize(
    ("A", "options", "error", "match"),
    [
        (sp.csc_array((3, 2)), {}, ValueError, "square"),
        (sp.csc_array([[1.0, 2.0], [0.0, 1.0]]), {}, ValueError, "symmetric"),
        (sp.csc_array([[1.0, 2.0], [2.1, 9.0]]), {}, ValueError, "Hermitian"),
        (sp.csc_array([[2.0, 1j], [1j, 2.0]]), {}, ValueError, "Hermitian"),
        (sp.csc_array([[np.nan, 0.0], [0.0, 1.0]]), {}, ValueError, "infs or NaNs"),
        (sp.csc_array([[np.inf, 0.0], [0.0, 1.0]]), {}, ValueError, "infs or NaNs"),
        (sp.csc_array((3, 3)), {}, LinAlgError, "row"),
        (sp.eye_array(3, format="csc"), {"ordering": "nonsense"}, ValueError, "ordering"),
        (sp.eye_array(3, format="csc"), {"ordering": [0, 1, 1]}, ValueError, "permutation"),
        (sp.eye_array(3, format="csc"), {"ordering": [0, 1]}, ValueError, "permutation"),
        (sp.eye_array(3, format="csc"), {"ordering": [0.0, 1.0, 2.0]}, ValueError, "permutation"),
        (sp.eye_array(3, format="csc"), {"method": "nonsense"}, ValueError, "method"),
    ],
)
def test_bad_input(A, options, error, match):
    with pytest.raises(error, match=match):
        cholesky(A, **options)


@pytest.mark.parametrize(
    ("b", "error"),
    [
        (np.ones(4, np.float32), ValueError),
        (np.ones((4, 2), np.float32), ValueError),
        (np.ones((3, 2, 2), np.float32), ValueError),
        (np.float32(1), ValueError),
        (mx.ones(3, dtype=mx.complex64), TypeError),
        (mx.ones(3, dtype=mx.int32), TypeError),
        (mx.ones(4), ValueError),
        (sp.eye_array(4), ValueError),
    ],
)
def test_bad_right_hand_sides(b, error):
    factor = cholesky(sp.eye_array(3, format="csc", dtype=np.float32))
    for solve in (factor.solve, factor.solve_L, factor.solve_Lt):
        with pytest.raises((error, TypeError) if sp.issparse(b) else error):
            solve(b)


def test_it_is_made_by_its_function():
    with pytest.raises(TypeError, match="cholesky"):
        SparseCholesky()


def test_duplicates_are_summed():
    A = sp.csc_array((np.array([1.0, 2.0, 1.0, 4.0]), np.array([1, 0, 0, 1]), np.array([0, 3, 4])), shape=(2, 2))
    with pytest.raises(ValueError, match="symmetric"):
        cholesky(A)
    values, rows = np.array([1.0, 2.0, 1.0, 4.0, 1.0]), np.array([1, 0, 0, 1, 0])
    A = sp.csc_array((values, rows, np.array([0, 3, 5])), shape=(2, 2))
    np.testing.assert_allclose(cholesky(A).solve(np.array([4.0, 5.0])), [1.0, 1.0], rtol=bound_of(1e-7, 1e-6))


def test_spsolve_takes_it(dtype):
    S = of("plane", dtype)
    S = scipy.sparse.block_diag([S, S], format="csr")
    b = vector(S.shape[0], dtype)
    x, used = spsolve(ours(S), b, return_info=True)
    assert used == "cholesky" and residual(S, x, b) < bound(S, dtype)
    with pytest.raises(LinAlgError, match="positive definite"):
        spsolve(ours(-S), b, method="cholesky")


@pytest.mark.parametrize("method", ["simplicial", "supernodal", "ldl"])
def test_copies_and_pickles(method):
    """By protocols 0 and 1, too, by which classes of the native module would end the process."""
    factor = cholesky(sp.csc_array(np.eye(4) * 5 + np.ones((4, 4))), method=method)
    copies = [pickle.loads(pickle.dumps(factor, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for made in [*copies, copy.copy(factor), copy.deepcopy(factor)]:
        np.testing.assert_array_equal(made.solve(np.arange(4.0)), factor.solve(np.arange(4.0)))
        assert type(made) is SparseCholesky and made.inertia == factor.inertia
        assert made.method == method
    for native in (factor._cholesky.factor, factor._cholesky.plan):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="cannot pickle"):
                pickle.dumps(native, protocol)
