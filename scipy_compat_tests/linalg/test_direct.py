"""splu, spilu, factorized, spsolve_triangular and the structure tests, against SciPy's on the same systems."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse.linalg import (
    SuperLU,
    factorized,
    is_sptriangular,
    spbandwidth,
    spilu,
    splu,
    spsolve_triangular,
    use_solver,
)

from .systems import NAMESPACES, TOLERANCE, as_namespace, check_namespace, general, ours, residual, vector

N = 60
ALL_FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
_TRANSPOSED = {"N": lambda S: S, "T": lambda S: S.T, "H": lambda S: S.conj().T}


def right_hand_side(dtype, columns):
    if columns is None:
        return vector(N, dtype)
    return np.stack([vector(N, dtype, seed) for seed in range(columns)], axis=1)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 1, 4])
@pytest.mark.parametrize("trans", ["N", "T", "H"])
def test_splu_solves(dtype, namespace, columns, trans):
    S, b = general(N, dtype), right_hand_side(dtype, columns)
    lu = splu(ours(S, "csc"))
    x = lu.solve(as_namespace(b, namespace), trans)
    check_namespace(x, namespace)
    assert tuple(x.shape) == b.shape and np.asarray(x).dtype == np.dtype(dtype)
    assert residual(_TRANSPOSED[trans](S), x, b) < TOLERANCE[dtype]


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
        (lu.L @ lu.U).toarray(), (rows @ S @ columns).toarray(), rtol=0, atol=TOLERANCE[dtype] * abs(S).max()
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


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_spilu_approximates(dtype, namespace):
    S, b = general(N, dtype), vector(N, dtype)
    x = spilu(ours(S, "csc")).solve(as_namespace(b, namespace))
    check_namespace(x, namespace)
    assert residual(S, x, b) < 1e-2
    exact = spilu(ours(S, "csc"), drop_tol=0, fill_factor=50).solve(as_namespace(b, namespace))
    assert residual(S, exact, b) < TOLERANCE[dtype]


@pytest.mark.parametrize("method", [splu, spilu, factorized])
@pytest.mark.parametrize("format", ALL_FORMATS)
def test_other_formats_are_converted(method, format, dtype):
    S, b = general(N, dtype), vector(N, dtype)
    A = ours(S, format)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        made = method(A)
    assert [w.category for w in seen] == ([] if format == "csc" else [sp.SparseEfficiencyWarning])
    assert all(w.filename == __file__ for w in seen)
    solve = made if method is factorized else made.solve
    assert residual(S, solve(b), b) < 1e-2


@pytest.mark.parametrize("method", [splu, spilu])
def test_dense_and_scipy_operands(method):
    S, b = general(N, "f"), vector(N, "f")
    expected = method(ours(S, "csc")).solve(b)
    np.testing.assert_array_equal(method(S.tocsc()).solve(b), expected)
    for dense in (S.toarray(), mx.array(S.toarray())):
        with pytest.warns(sp.SparseEfficiencyWarning):
            np.testing.assert_array_equal(method(dense).solve(b), expected)


def test_the_operand_is_left_alone(dtype):
    data = np.array([1, 2, 1, 4], dtype)
    A = sp.csc_array((data, np.array([1, 0, 0, 1]), np.array([0, 3, 4])), shape=(2, 2))
    lu = splu(A)
    assert A.nnz == 4
    A.data = mx.zeros_like(A._data)
    x = lu.solve(np.array([7, 5], dtype))
    np.testing.assert_allclose(np.array([[3, 0], [1, 4]]) @ x, [7, 5], rtol=1e-5)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_half_precision_is_factored_in_float32(half):
    lu = splu(sp.csc_array(np.array([[3.0, 1.0], [1.0, 2.0]])).astype(half))
    for b in (mx.array([5.0, 5.0]).astype(half), mx.array([5.0, 5.0])):
        x = lu.solve(b)
        assert x.dtype == mx.float32
        np.testing.assert_allclose(np.asarray(x), [1, 2], rtol=1e-6)


def test_integers():
    A = sp.csc_array(np.array([[3, 1], [1, 2]]))
    np.testing.assert_allclose(factorized(A)(np.array([5, 5])), [1, 2], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(splu(A).solve(mx.array([5, 5], dtype=mx.int64))), [1, 2], rtol=1e-6)


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
def test_bad_right_hand_sides(b, error):
    with pytest.raises(error):
        splu(sp.eye_array(3, format="csc", dtype=np.float32)).solve(b)


@pytest.mark.parametrize("method", [splu, spilu, factorized])
def test_bad_matrices(method):
    with pytest.raises(ValueError, match="square"):
        method(sp.csc_array((3, 4)))
    with pytest.raises(RuntimeError, match="singular"):
        method(sp.csc_array((4, 4)))


def test_bad_use():
    with pytest.raises(ValueError, match="trans"):
        splu(sp.eye_array(3, format="csc")).solve(np.ones(3), "X")
    with pytest.raises(TypeError):
        SuperLU()
    with pytest.raises(TypeError, match="solver"):
        use_solver(solver="SuperLU")
    assert use_solver(useUmfpack=True, assumeSortedIndices=True) is None


# ---- triangular systems -------------------------------------------------------------------------------------------


def triangle(dtype, lower, format):
    S = general(N, dtype)
    return (scipy.sparse.tril if lower else scipy.sparse.triu)(S, format=format)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("columns", [None, 3])
def test_triangular(dtype, namespace, format, lower, unit, columns):
    S, b = triangle(dtype, lower, format), right_hand_side(dtype, columns)
    if unit:
        S.data /= abs(S).max()
    before = S.copy()
    A = sp.from_scipy(S)
    given = as_namespace(b, namespace)
    x = spsolve_triangular(A, given, lower=lower, unit_diagonal=unit, overwrite_A=True, overwrite_b=True)
    check_namespace(x, namespace)
    if unit:
        S.setdiag(1)
    assert tuple(x.shape) == b.shape and np.asarray(x).dtype == np.dtype(dtype)
    assert residual(S, x, b) < TOLERANCE[dtype]
    np.testing.assert_array_equal(np.asarray(given), b)
    np.testing.assert_array_equal(A.toarray(), before.toarray())


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
