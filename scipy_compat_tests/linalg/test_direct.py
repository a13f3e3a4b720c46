"""Facts of the direct solvers alone: factors, orderings, sparse right-hand sides, and the structure tests."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse.linalg import (
    MatrixRankWarning,
    SparseLU,
    SuperLU,
    factorized,
    is_sptriangular,
    sparse_lu,
    spbandwidth,
    spilu,
    splu,
    spsolve,
    spsolve_triangular,
    use_solver,
)
from mlx_sparse.linalg._direct import umfpack

from .systems import (
    ALL_FORMATS,
    NAMESPACES,
    as_namespace,
    bound_of,
    check_namespace,
    general,
    held,
    ours,
    residual,
    vector,
    vectors,
)
from .table import eps

N = 60


def tolerance(S, dtype):
    return 100 * eps(dtype) * np.linalg.cond(S.toarray())


# ---- factorisations -----------------------------------------------------------------------------------------------


def test_factors(dtype):
    S = general(N, dtype)
    lu = splu(ours(S, "csc"))
    assert isinstance(lu, SuperLU) and lu.shape == (N, N) and str(N) in repr(lu)
    assert type(lu.L) is type(lu.U) is sp.csc_array
    twin = scipy.sparse.linalg.splu(S.tocsc())
    assert lu.nnz == twin.nnz
    for mine, theirs in ((lu.L, twin.L), (lu.U, twin.U)):
        np.testing.assert_array_equal(mine.toarray(), theirs.toarray())
    for namespace in NAMESPACES:
        with sp.runtime.context(dense_namespace=namespace):
            for mine, theirs in ((lu.perm_r, twin.perm_r), (lu.perm_c, twin.perm_c)):
                check_namespace(mine, namespace)
                np.testing.assert_array_equal(np.asarray(mine), theirs)
    rows, columns = (scipy.sparse.csc_array((np.ones(N), pair)) for pair in _permutations(lu))
    np.testing.assert_allclose(
        (lu.L @ lu.U).toarray(), (rows @ S @ columns).toarray(), rtol=0, atol=tolerance(S, dtype) * abs(S).max()
    )


def _permutations(lu):
    i = np.arange(N)
    return (np.asarray(lu.perm_r), i), (i, np.asarray(lu.perm_c))


def test_options_reach_superlu(dtype):
    S = general(N, dtype)
    A = ours(S, "csc")
    natural = splu(A, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    np.testing.assert_array_equal(np.asarray(natural.perm_c), np.arange(N))
    np.testing.assert_array_equal(np.asarray(natural.perm_r), np.arange(N))
    full, dropped = (spilu(A, drop_tol=tol, fill_factor=20) for tol in (0.0, 0.5))
    assert dropped.nnz < full.nnz
    with pytest.raises(ValueError):
        splu(A, permc_spec="nonsense")
    with pytest.raises(TypeError):
        splu(A, options={"nonsense": 1})


@pytest.mark.parametrize("factor", [splu, spilu, sparse_lu])
def test_options_that_superlu_does_not_survive(factor):
    A = sp.csc_array(np.eye(40) * 9 + np.ones((40, 40)))
    bad = [{"panel_size": 0}, {"relax": 0}, {"options": {"PanelSize": -1}}, {"options": {"Fact": "FACTORED"}}]
    for options in bad + [{"fill_factor": f} for f in (0, 0.5, np.nan)] * (factor is spilu):
        with pytest.raises(ValueError, match="must be"):
            factor(A, **options)
    for options in ({"panel_size": 10**9}, {"relax": 2**31 - 1}):
        np.testing.assert_allclose(A @ factor(A, **options).solve(np.ones(40)), np.ones(40), rtol=1e-2)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_spilu_approximates(dtype, namespace):
    S, b = general(N, dtype), vector(N, dtype)
    x = spilu(ours(S, "csc")).solve(as_namespace(b, namespace))
    check_namespace(x, namespace)
    assert residual(S, x, b) < 1e-2


def test_the_operand_is_left_alone(dtype):
    data = np.array([1, 2, 1, 4], dtype)
    A = sp.csc_array((data, np.array([1, 0, 0, 1]), np.array([0, 3, 4])), shape=(2, 2))
    lu = splu(A)
    assert A.nnz == 4
    A.data = 0 * A.data
    x = lu.solve(np.array([7, 5], dtype))
    np.testing.assert_allclose(np.array([[3, 0], [1, 4]]) @ x, [7, 5], rtol=1e-5)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_factors_of_halves_take_both_dtypes(half):
    lu = splu(sp.csc_array(np.array([[3.0, 1.0], [1.0, 2.0]])).astype(half))
    for b in (mx.array([5.0, 5.0]).astype(half), mx.array([5.0, 5.0])):
        x = lu.solve(b)
        assert x.dtype == mx.float32
        np.testing.assert_allclose(np.asarray(x), [1, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("b", "error"),
    [
        (np.ones(3, np.complex64), TypeError),
        (np.ones(4, np.float32), ValueError),
        (np.ones((4, 2), np.float32), ValueError),
        (np.ones((3, 2, 2), np.float32), ValueError),
        (mx.ones(3, dtype=mx.complex64), TypeError),
        (mx.ones(3, dtype=mx.int32), TypeError),
        (mx.ones(4), ValueError),
        (sp.eye_array(3), TypeError),
    ],
)
def test_bad_right_hand_sides_of_factors(b, error):
    with pytest.raises(error):
        splu(sp.eye_array(3, format="csc", dtype=np.float32)).solve(b)


@pytest.mark.parametrize("method", [splu, spilu, factorized])
def test_an_empty_matrix_is_singular(method):
    with pytest.raises(RuntimeError, match="singular"):
        method(sp.csc_array((4, 4)))


def test_bad_use():
    for b in (np.ones(3), mx.ones(3, dtype=mx.float32)):
        for trans in ("X", "C"):
            with pytest.raises(ValueError, match="trans"):
                splu(sp.eye_array(3, format="csc", dtype=np.float32)).solve(as_float32(b), trans)
    with pytest.raises(TypeError):
        SuperLU()
    with pytest.raises(TypeError, match="solver"):
        use_solver(solver="SuperLU")
    assert use_solver(useUmfpack=False, assumeSortedIndices=True) is None


def as_float32(b):
    return b.astype(np.float32) if isinstance(b, np.ndarray) else b


# ---- spsolve ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("columns", [2, 40])
def test_sparse_b(dtype, format, columns):
    S = general(N, dtype)
    B = scipy.sparse.random_array((N, columns), density=0.05, rng=np.random.default_rng(2)).tocsc().astype(dtype)
    X = spsolve(ours(S, format), sp.from_scipy(B))
    assert isinstance(X, getattr(sp, f"{format}_array")) and X.shape == B.shape
    assert np.asarray(X.data).dtype == np.dtype(dtype)
    np.testing.assert_allclose((S @ X.toarray()), B.toarray(), rtol=0, atol=tolerance(S, dtype))


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_sparse_vector_b_gives_a_dense_vector(dtype, shape):
    S, b = general(N, dtype), vector(N, dtype)
    for namespace in NAMESPACES:  # the default one: no dense operand decides
        with sp.runtime.context(dense_namespace=namespace):
            x = spsolve(ours(S), sp.coo_array(b.reshape(shape)))
        check_namespace(x, namespace)
        assert x.shape == (N,)
        assert residual(S, x, b) < tolerance(S, dtype)


@pytest.mark.parametrize("permc_spec", [None, "NATURAL", "MMD_ATA", "MMD_AT_PLUS_A", "COLAMD"])
def test_orderings(dtype, permc_spec):
    S, b = general(N, dtype), vector(N, dtype)
    assert residual(S, spsolve(ours(S), b, permc_spec=permc_spec, use_umfpack=False), b) < tolerance(S, dtype)


def test_unsorted_duplicates_are_summed_in_a_copy(dtype):
    data = np.array([1, 2, 1, 4], dtype)
    indices, indptr = np.array([1, 0, 0, 1]), np.array([0, 3, 4])
    A = sp.csr_array((data, indices, indptr), shape=(2, 2))
    x = spsolve(A, np.array([4, 4], dtype))
    np.testing.assert_allclose(x, [1, 1], rtol=1e-6)
    assert A.nnz == 4
    np.testing.assert_array_equal(np.asarray(A.indices), indices)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 3])
def test_singular_warns_and_gives_nan(dtype, namespace, columns):
    S = general(N, dtype).tolil()
    S[3] = 0
    A, b = ours(S.tocsr()), vectors(N, dtype, columns)
    with pytest.warns(MatrixRankWarning) as seen:
        x = spsolve(A, as_namespace(b, namespace))
    assert seen[0].filename == __file__
    check_namespace(x, namespace)
    assert np.isnan(np.asarray(x)).all() and tuple(x.shape) == b.shape


def test_singular_with_sparse_b(dtype):
    with pytest.raises(RuntimeError):
        spsolve(sp.csc_array((4, 4), dtype=np.dtype(dtype)), sp.eye_array(4, 2, format="csc", dtype=np.dtype(dtype)))


@pytest.mark.parametrize(("matrix", "rhs"), [("b", "h"), ("h", "b"), ("i", "f"), ("f", "i"), ("f", "d"), ("d", "D")])
def test_numpy_dtypes_promote_as_scipys(matrix, rhs, device):
    if device == "gpu" and "d" in matrix:
        pytest.skip("float64 does not exist on the GPU")
    A, b = np.array([[3, 1], [1, 2]], matrix), np.array([5, 5], rhs)
    x = spsolve(sp.csc_array(A), b)
    expected = scipy.sparse.linalg.spsolve(scipy.sparse.csc_array(A), b)
    assert x.dtype == expected.dtype
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_sparse_b_with_another_number_of_rows():
    with pytest.raises(ValueError):
        spsolve(sp.eye_array(3, format="csc"), sp.eye_array(4, 2, format="csc"))


def test_sparse_b_has_no_derivative():
    A, B = sp.eye_array(4, format="csc", dtype=np.float32), sp.eye_array(4, format="csc", dtype=np.float32)
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda v: mx.sum(spsolve(A, B.with_data(v)).data))(B.data)


METHODS = {
    "diagonal": scipy.sparse.diags_array(np.arange(1.0, N + 1)),
    "triangular": scipy.sparse.tril(general(N, "d")),
    "banded": scipy.sparse.diags_array([1.0, -4.0, 2.0], offsets=[-1, 0, 1], shape=(N, N)),
    "dense": general(N, "d"),
    "lu": general(300, "d"),
}
FITTING = {
    "diagonal": {*METHODS},
    "triangular": {"triangular", "banded", "dense", "lu"},
    "banded": {"banded", "dense", "lu"},
    "dense": {"dense", "lu"},
    "lu": {"lu"},
}


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("columns", [None, 3])
def test_methods(dtype, format, name, columns):
    S = METHODS[name].tocsr().astype(dtype)
    b = vectors(S.shape[0], dtype, columns)
    if dtype in "FD":
        S.data *= 1 + 0.1j
    for flipped in (S, S.T.tocsr()):
        A = ours(flipped, format)
        x, used = spsolve(A, b, return_info=True)
        assert used == name
        for method in FITTING[name]:
            y, used = spsolve(A, b, method=method, return_info=True)
            assert used == method and y.dtype == x.dtype == np.dtype(dtype)
            assert residual(flipped, y, b) < tolerance(flipped, dtype)


def test_methods_refuse_what_they_do_not_fit():
    A = ours(general(N, "d"))
    for method in ("diagonal", "triangular"):
        with pytest.raises(LinAlgError, match=method):
            spsolve(A, np.ones(N), method=method)
    with pytest.raises(ValueError, match="method"):
        spsolve(A, np.ones(N), method="qr")


@pytest.mark.parametrize("method", ["auto", "diagonal", "triangular", "banded", "dense", "ldl", "lu"])
def test_every_method_finds_a_singular_matrix(dtype, method):
    S = scipy.sparse.diags_array(np.arange(float(N))).astype(dtype)
    with pytest.warns(MatrixRankWarning):
        x, _ = spsolve(ours(S), np.ones(N, dtype), method=method, return_info=True)
    assert np.isnan(x).all()


# ---- determinants and the like ------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_slogdet(dtype, namespace):
    for seed in range(5):
        S = general(N, dtype, seed)[np.random.default_rng(seed).permutation(N)]
        with sp.runtime.context(dense_namespace=namespace):
            found = sparse_lu(ours(S)).slogdet()
        for mine, theirs in zip(found, np.linalg.slogdet(S.toarray()), strict=True):
            assert isinstance(mine, mx.array) == (namespace == "mlx" and np.asarray(mine).dtype != np.complex128)
            assert np.asarray(mine).dtype == theirs.dtype and np.shape(mine) == ()
            assert abs(np.asarray(mine) - theirs) < 1e3 * eps(dtype) * max(1, abs(theirs))


def test_a_determinant_does_not_overflow():
    _, logabsdet = sparse_lu(1e30 * sp.eye_array(400)).slogdet()
    assert abs(float(logabsdet) - 400 * np.log(1e30)) < bound_of(1e-6, 400 * np.log(1e30) * 1e-6)


def test_sparse_lu(dtype):
    S, b = general(N, dtype), vector(N, dtype)
    for A in (ours(S), ours(S, "coo"), S, S.toarray()):
        lu = sparse_lu(A)
        assert isinstance(lu, SparseLU) and residual(S, lu(b), b) < tolerance(S, dtype)
    rows, columns = np.asarray(lu.perm), np.argsort(np.asarray(lu.perm_c))
    X = S.toarray()[rows][:, columns]
    np.testing.assert_allclose((lu.L @ lu.U).toarray(), X, rtol=0, atol=tolerance(S, dtype) * abs(S).max())
    exact = 1 / np.linalg.cond(S.toarray(), 1)
    assert exact * 0.99 < lu.rcond() < 5 * exact
    values = 2 * np.asarray(lu._A.data)
    again = lu.refactor(values)
    assert residual(2 * S, again.solve(b), b) < tolerance(S, dtype)
    with pytest.raises(ValueError, match="shape"):
        lu.refactor(values[1:])
    with pytest.raises(RuntimeError, match="singular"):
        lu.refactor(0 * values)
    with pytest.raises(ValueError, match="square"):
        sparse_lu(sp.csc_array((3, 2)))


# ---- triangular systems -------------------------------------------------------------------------------------------


def test_triangular_refusals():
    A = sp.csr_array([[1.0, 0.0], [1.0, 2.0]], dtype=np.float32)
    with pytest.raises(LinAlgError, match="upper"):
        spsolve_triangular(A, np.ones(2), lower=False)
    with pytest.raises(LinAlgError, match="zero"):
        spsolve_triangular(sp.csr_array((2, 2)), np.ones(2))
    for b in (np.ones(3), np.ones((2, 2, 2)), np.float32(1)):
        with pytest.raises(ValueError):
            spsolve_triangular(A, b)
    with pytest.raises(ValueError, match="square"):
        spsolve_triangular(sp.csr_array((2, 3)), np.ones(2))
    with pytest.raises(TypeError, match="dtype"):
        spsolve_triangular(A, mx.ones(2, dtype=mx.complex64))
    with pytest.warns(sp.SparseEfficiencyWarning):
        np.testing.assert_allclose(spsolve_triangular(A.tocoo(), np.array([1, 5])), [1, 2])
    zeros = sp.csr_array((np.array([1.0, 0.0, 1.0, 2.0]), [0, 1, 0, 1], [0, 2, 4]))  # as blocks bring them along
    np.testing.assert_allclose(spsolve_triangular(zeros, np.array([1.0, 5.0])), [1, 2])


STRUCTURES = {
    "full": np.ones((4, 4)),
    "wide": np.triu(np.ones((3, 5)), 1),
    "tall": np.tril(np.ones((5, 3)), -2),
    "diagonal": np.eye(4),
    "one": np.eye(4) + np.eye(4, k=-3),
}


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("name", STRUCTURES)
def test_structure(format, name):
    S = scipy.sparse.csr_array(STRUCTURES[name]).asformat(format)
    A = sp.from_scipy(S).asformat(format)
    with warnings.catch_warnings(record=True) as mine:
        warnings.simplefilter("always")
        found = is_sptriangular(A), spbandwidth(A)
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        expected = scipy.sparse.linalg.is_sptriangular(S), scipy.sparse.linalg.spbandwidth(S)
    assert found == expected
    assert all(type(x) in (bool, int) for pair in found for x in pair)
    assert [str(w.message) for w in mine] == [str(w.message) for w in theirs]


@pytest.mark.parametrize("format", ["csr", "coo", "dia", "dok", "csc"])
def test_no_entries(format):
    A = sp.csr_array((3, 3)).asformat(format)
    assert is_sptriangular(A) == (True, True) and spbandwidth(A) == (0, 0)


# ---- UMFPACK ------------------------------------------------------------------------------------------------------


@pytest.fixture
def solver_setting():
    """Each thread's own: what a test chooses is forgotten."""
    umfpack._settings.__dict__.clear()
    yield
    umfpack._settings.__dict__.clear()


@pytest.fixture
def missing_umfpack(monkeypatch, solver_setting):
    monkeypatch.setattr(umfpack, "_module", lambda: None)


def test_without_umfpack(missing_umfpack):
    S, b = general(N, "d"), vector(N, "d")
    A = ours(S, "csc")
    assert spsolve(A, b, return_info=True)[1] != "umfpack"
    with pytest.raises(RuntimeError, match="pip install scikit-umfpack"):
        spsolve(A, b, method="umfpack")
    use_solver(useUmfpack=True)
    for solve in (lambda: spsolve(A, b), lambda: factorized(A)):
        with pytest.raises(RuntimeError, match="not installed"):
            solve()
    assert residual(S, spsolve(A, b, use_umfpack=False), b) < tolerance(S, held("d"))
    assert residual(S, spsolve(A, vectors(N, "d", 2)), vectors(N, "d", 2)) < tolerance(S, held("d"))
    use_solver(useUmfpack=False)
    assert residual(S, factorized(A)(b), b) < tolerance(S, held("d"))


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("char", "dD")
def test_umfpack(format, char, solver_setting):
    pytest.importorskip("scikits.umfpack")
    if held(char) != np.dtype(char):
        pytest.skip("double precision only")
    n = 250
    S, b = general(n, char), vector(n, char)
    A = ours(S, format)
    x, used = spsolve(A, b, return_info=True)
    assert used == "umfpack" and residual(S, x, b) < tolerance(S, char)
    twin = scipy.sparse.linalg.spsolve(S.asformat(format), b)  # by UMFPACK too
    np.testing.assert_allclose(x, twin, rtol=0, atol=tolerance(S, char) * abs(twin).max())
    for options in ({"use_umfpack": False}, {"permc_spec": "COLAMD"}):
        assert spsolve(A, b, return_info=True, **options)[1] == "lu"
    assert spsolve(A, vectors(n, char, 2), return_info=True)[1] == "lu"
    B = vectors(n, char, 3)
    assert residual(S, spsolve(A, B, method="umfpack"), B) < tolerance(S, char)
    single = "f" if char == "d" else "F"
    assert spsolve(A.astype(single), b.astype(single), return_info=True)[1] == "lu"
    with pytest.raises(ValueError, match="cast them by astype"):
        spsolve(A.astype(single), b.astype(single), method="umfpack")
    solve = factorized(A.tocsc())
    assert residual(S, solve(b), b) < tolerance(S, char) and residual(S, solve(B), B) < tolerance(S, char)
    use_solver(useUmfpack=False)
    assert spsolve(A, b, return_info=True)[1] == "lu"


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_derivatives_by_umfpack(format, solver_setting):
    pytest.importorskip("scikits.umfpack")
    if held("d") != np.dtype("d"):
        pytest.skip("double precision only")
    S = general(N, "d")
    A, b = ours(S, format), as_namespace(vector(N, "d"), "mlx")
    grads = [
        mx.grad(lambda v, b, m=m: (spsolve(A.with_data(v), b, method=m) ** 2).sum(), argnums=(0, 1))(A.data, b)
        for m in ("umfpack", "lu")
    ]
    for mine, other in zip(*grads, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=1e-8, atol=1e-10)
    with pytest.raises(TypeError, match="cast"):
        factorized(A.tocsc())(vector(N, "D"))
