"""lsqr and lsmr beyond the table: shapes, damping, first guesses, what they return, derivatives of every rank."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from mlx_sparse import linalg

from .systems import NAMESPACES, as_namespace, bound_of, check_namespace, general, ours, tall, vector, vectors
from .test_gradients import close, curved, dense_inverse, places

SHAPES = ((30, 20), (20, 30), (24, 24), (13_000, 50))
METHODS = ("lsqr", "lsmr")
each = pytest.mark.parametrize("name", METHODS)


def matrix(shape, dtype="d"):
    S = general(max(shape), "D" if dtype in "FD" else "d")[: shape[0], : shape[1]]
    if shape[0] > 100:  # more rows than one block of vectors
        S = scipy.sparse.random_array(shape, density=0.02, rng=np.random.default_rng(2)) + scipy.sparse.eye_array(
            *shape
        )
    return S.tocsr().astype(dtype)


def exact(S, b, damp=0.0, x0=None):
    """x of least squares in double precision, the one closest to x0."""
    X, x0 = S.toarray(), np.zeros((S.shape[1], *b.shape[1:])) if x0 is None else x0
    r = b - X @ x0
    if damp:
        X = np.concatenate([X, damp * np.eye(S.shape[1])])
        r = np.concatenate([r, np.zeros_like(x0, r.dtype)])
    return x0 + np.linalg.lstsq(X, r, rcond=None)[0]


def limited(name, limit, **options):
    return {"iter_lim" if name == "lsqr" else "maxiter": limit, **options}


@each
@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("damp", [0.0, 0.7])
@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("guess", [False, True])
def test_solution(name, namespace, shape, damp, columns, guess, device):
    S, solve = matrix(shape), getattr(linalg, name)
    b, x0 = vectors(shape[0], "d", columns), vectors(shape[1], "d", columns) if guess else None
    dtype, tol = ("f", 1e-6) if device == "gpu" else ("d", 1e-12)
    given = as_namespace(b.astype(dtype), namespace)
    options = limited(name, 500, damp=damp, atol=tol, btol=tol, conlim=0.0, x0=x0)
    x, istop, steps, residual, *_ = solve(ours(S.astype(dtype)), given, **options)
    check_namespace(x, namespace)
    expected = exact(S, b, damp, x0)
    np.testing.assert_allclose(np.asarray(x), expected, rtol=0, atol=2e3 * tol * abs(expected).max())
    assert np.isin(istop, (1, 2, 4, 5)).all() and np.shape(istop) == np.shape(steps) == np.shape(residual)
    if name == "lsqr" or not damp:
        r = np.linalg.norm(b - S @ expected, axis=0)
        np.testing.assert_allclose(residual, r, rtol=0, atol=1e5 * tol * np.linalg.norm(b))


@each
@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("damp", [0.0, 0.7])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_everything_returned_is_scipys(name, namespace, columns, shape, damp, limit, device):
    """While rounding has not yet driven the recurrences apart."""
    S, b, x0 = matrix(shape), vectors(shape[0], "d", columns), vectors(shape[1], "d", columns)
    dtype, rtol = ("f", 1e-3) if device == "gpu" else ("d", 1e-8)
    more = {"calc_var": True} if name == "lsqr" else {}
    options = limited(name, limit, damp=damp, **more)
    found = getattr(linalg, name)(
        ours(S.astype(dtype)), as_namespace(b.astype(dtype), namespace), x0=x0.astype(dtype), **options
    )
    for j in range(columns or 1):
        at = b if columns is None else b[:, j].copy(), x0 if columns is None else x0[:, j].copy()
        expected = getattr(scipy.sparse.linalg, name)(S, at[0], x0=at[1], **options)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            mine = np.asarray(mine) if columns is None else np.asarray(mine)[..., j]
            np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())
    check_namespace(found[0], namespace)


@each
def test_complex_and_mixed_dtypes(name, device):
    S, solve = matrix((30, 20), "D"), getattr(linalg, name)
    b = vector(30, "D")
    if device != "gpu":
        x, istop, *_ = solve(ours(S), b, atol=1e-12, btol=1e-12)
        np.testing.assert_allclose(x, exact(S, b), rtol=0, atol=1e-9)
        x, *_ = solve(S.real, b.real, x0=np.zeros(20, "D"), atol=1e-12, btol=1e-12)
        assert x.dtype == np.complex128
        np.testing.assert_allclose(x, exact(S.real, b.real), rtol=0, atol=1e-9)
    x, *_ = solve(ours(S.astype("F")), mx.array(b.astype("F")))
    assert x.dtype == mx.complex64
    np.testing.assert_allclose(np.asarray(x), exact(S, b), rtol=0, atol=1e-4)
    x, *_ = solve(ours(S.real.astype("f")), b.real.astype("f"))
    assert x.dtype == np.float32


def test_variances(device):
    S = matrix((30, 20), "F")[:, :6]
    for damp in (0.0, 0.5):
        for A in (S, S.real):
            b = vector(30, A.dtype.char)
            X = A.toarray()
            expected = np.linalg.inv(X.conj().T @ X + damp**2 * np.eye(6)).diagonal().real
            for namespace in NAMESPACES:
                found = linalg.lsqr(ours(A), as_namespace(b, namespace), damp, 0.0, 0.0, 0.0, 6, calc_var=True)
                check_namespace(found[-1], namespace)
                assert np.asarray(found[-1]).dtype == np.float32
                np.testing.assert_allclose(np.asarray(found[-1]), expected, rtol=1e-2)


class Products:
    """Neither array nor LinearOperator."""

    def __init__(self, A):
        self.shape, self.matvec, self.rmatvec = A.shape, A.__matmul__, A.conj().T.__matmul__


@each
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_kinds_of_operator(name, namespace, device):
    dtype = "F" if device == "gpu" else "D"
    S, solve = tall(20, "F" if namespace == "mlx" else dtype), getattr(linalg, name)
    b = vectors(30, S.dtype.char, 2)
    expected = exact(S.astype("D"), b)
    operators = S, S.todok(), S.toarray(), scipy.sparse.linalg.aslinearoperator(S)
    for A in (*operators, mx.array(S.toarray().astype("F")), Products(S if namespace == "numpy" else ours(S))):
        for given, theirs in ((b, expected), (b[:, 0], expected[:, 0]), (b[:, :1], expected[:, 0])):
            x, *_ = solve(A, as_namespace(given, namespace), atol=1e-7, btol=1e-7)
            check_namespace(x, namespace)
            np.testing.assert_allclose(np.asarray(x), theirs, rtol=0, atol=1e-4)
    with pytest.raises(TypeError, match="rmatvec"):
        solve(type("Matvec", (), {"shape": S.shape, "matvec": S.__matmul__})(), as_namespace(b, namespace))


# ---- why iteration stops -------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.filterwarnings("error")
def test_trivial_problems(name, namespace):
    solve = getattr(linalg, name)
    A = ours(matrix((30, 20), "f"))
    for b, x0 in ((np.zeros(30), None), (np.zeros(30), np.ones(20)), (A @ np.ones(20, "f"), np.ones(20))):
        x, istop, steps, residual, *_ = solve(A, as_namespace(b.astype("f"), namespace), x0=x0)
        assert (istop, steps, residual) == (0, 0, 0)
        np.testing.assert_array_equal(np.asarray(x), np.ones(20) if b.any() else np.zeros(20))
    for m, n in ((0, 3), (3, 0), (0, 0)):
        for shape in ((m,), (m, 2), (m, 0)):
            B = as_namespace(np.ones(shape, "f"), namespace)
            x, istop, *_ = solve(np.ones((m, n), "f"), B)
            assert tuple(x.shape) == (n, *shape[1:]) and not np.any(istop) and not np.asarray(x).any()
    for A, b, expected in ((np.array([[4.0]]), 2.0, [0.5]), (np.array([[1.0, 1.0]]), 4.0, [2.0, 2.0])):
        x, istop, *_ = solve(A, b)
        assert istop == 1
        np.testing.assert_allclose(x, expected)
    x, istop, *_ = solve(np.zeros((4, 3)), np.ones(4))
    assert istop == 0 and not x.any()


@each
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_codes(name, namespace, device):
    dtype = "f" if device == "gpu" else "d"
    S, solve = matrix((30, 20)).astype(dtype), getattr(linalg, name)
    consistent = (S @ np.ones(20)).astype(dtype)
    exactly = {"atol": 0.0, "btol": 0.0, "conlim": 0.0}
    for b, options, codes in (
        (consistent, {}, (1,)),
        (vector(30, dtype), {}, (2,)),
        (vector(30, dtype), {"conlim": 2.0}, (3,)),
        (consistent, limited(name, 500, **exactly), (4, 5, 6)),
        (vector(30, dtype), limited(name, 500, **exactly), (4, 5, 6)),
        (vector(30, dtype), limited(name, 2), (7,)),
        (vector(30, dtype), limited(name, 0), (0,)),  # as in SciPy, although x solves nothing; `SolverInfo` says so
    ):
        for given in (b, np.stack([b, b], axis=1)):
            x, istop, steps, *_ = solve(ours(S), as_namespace(given, namespace), **options)
            assert np.isin(istop, codes).all()
            assert np.isfinite(np.asarray(x)).all()


@each
@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_finite(name, namespace):
    A, solve = ours(matrix((30, 20), "f")), getattr(linalg, name)
    B = vectors(30, "f", 3)
    B[4, 1], B[5, 2] = np.nan, np.inf
    for j in (1, 2):
        assert solve(A, as_namespace(B[:, j].copy(), namespace))[1] == 7
    X, istop, *_ = solve(A, as_namespace(B, namespace))
    assert istop.tolist() == [2, 7, 7]
    np.testing.assert_allclose(np.asarray(X)[:, 0], solve(A, B[:, 0].copy())[0], rtol=0, atol=1e-4)


@each
def test_scale_does_not_matter(name):
    """Of tiny and huge systems; and columns stop by themselves, whatever their scale."""
    S, b, solve = matrix((30, 20)), vector(30, "d"), getattr(linalg, name)
    alone = solve(S, b)
    for a, c in ((1e-20, 1.0), (1.0, 1e-30), (1e20, 1e30), (1e-20, 1e-30)):
        found = solve(a * S, c * b)
        assert found[1:3] == alone[1:3]
        np.testing.assert_allclose(found[0] * (a / c), alone[0], rtol=0, atol=1e-5)
    x, istop, steps, *_ = solve(S, np.stack([b, 1e-20 * b, S @ np.ones(20)], axis=1))
    assert istop.tolist() == [2, 2, 1] and steps[0] == steps[1] == alone[2]


@each
def test_rank_deficient(name):
    """The shortest solution."""
    S = matrix((30, 20))
    S = S[:, [3 if j == 7 else j for j in range(20)]]
    b = vector(30, "d")
    x, istop, *_ = getattr(linalg, name)(
        ours(S), b, atol=bound_of(1e-12, 1e-6), btol=bound_of(1e-12, 1e-6), **limited(name, 200)
    )
    assert istop == 2
    np.testing.assert_allclose(x, exact(S, b), rtol=0, atol=bound_of(1e-8, 1e-4))


@each
@pytest.mark.parametrize("columns", [None, 2])
def test_show(name, columns, capsys):
    A, solve = ours(matrix((30, 20))), getattr(linalg, name)
    b = vectors(30, "d", columns)
    found = solve(A, b, show=True)
    shown = capsys.readouterr().out
    assert shown.count("stopped after") == (columns or 1) and "solves the least-squares problem" in shown
    for mine, quiet in zip(found, solve(A, b), strict=True):
        np.testing.assert_array_equal(mine, quiet)


@each
def test_defaults_in_place_of_none(name):
    A, b, solve = ours(matrix((30, 20))), vector(30, "d"), getattr(linalg, name)
    for mine, theirs in zip(solve(A, b, None, None, None, None), solve(A, b), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@each
def test_errors_of_an_operator_reach_the_caller(name):
    class Broken(Products):
        def __init__(self, A):
            super().__init__(A)
            self.matvec = self.fail

        def fail(self, x):
            raise KeyboardInterrupt

    for namespace in NAMESPACES:
        with pytest.raises(KeyboardInterrupt):
            getattr(linalg, name)(Broken(matrix((30, 20), "f")), as_namespace(vector(30, "f"), namespace))


@each
def test_bad_input(name):
    A, b, solve = ours(matrix((30, 20), "f")), vector(30, "f"), getattr(linalg, name)
    for x0 in (np.ones(30), np.ones((20, 2)), "Mb"):
        for namespace in NAMESPACES:
            with pytest.raises(ValueError, match="x0"):
                solve(A, as_namespace(b, namespace), x0=x0)
    for wrong, error in ((object(), TypeError), (None, TypeError), (np.ones((2, 2, 2)), ValueError)):
        with pytest.raises(error):
            solve(wrong, b)


# ---- derivatives ---------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("damp", [0.0, 0.7])
@pytest.mark.parametrize("shape", [(18, 12), (12, 18), (12, 12)])
@pytest.mark.parametrize("columns", [None, 2])
def test_gradients(name, damp, shape, columns, device):
    """In b, the values of A and a first guess, of first and second order, both ways."""
    dtype, tol = (mx.float32, 1e-6) if device == "gpu" else (mx.float64, 1e-13)
    A = ours(matrix(shape)).astype(dtype)
    full = places(A)
    b, x0 = (mx.array(vectors(n, "d", columns), dtype=dtype) for n in shape)

    def mine(values, b, x0):
        options = limited(name, 500, damp=damp, atol=tol, btol=tol, conlim=0.0, x0=x0)
        return curved(getattr(linalg, name)(A.with_data(values), b, **options)[0])

    def theirs(values, b, x0):
        X = full(values)
        r, H = b - X @ x0, X.T
        if shape[0] < shape[1] and not damp:
            return curved(x0 + H @ (dense_inverse(X @ H) @ r))
        return curved(x0 + dense_inverse(H @ X + damp**2 * mx.eye(shape[1]).astype(dtype)) @ (H @ r))

    at = mx.array(A.data), b, x0
    tangents = [mx.array(vectors(a.shape[0], "d", columns if a.ndim == 2 else None), dtype=dtype) for a in at]
    made = []
    for f in (mine, theirs):
        slope = mx.grad(f, argnums=(0, 1, 2))
        along = mx.jvp(f, list(at), tangents)[1][0]
        second = mx.grad(lambda *at, slope=slope: sum(map(curved, slope(*at))), argnums=(0, 1, 2))(*at)
        twice = mx.jvp(lambda b, slope=slope: slope(at[0], b, x0)[1], [b], [mx.ones_like(b)])[1][0]
        made.append((*slope(*at), along.reshape(1), *second, twice))
    scale = max(abs(np.asarray(expected)).max() for expected in made[1])
    for found, expected in zip(*made, strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e5 * tol * scale)


@each
def test_what_derivatives_need(name):
    A, b, solve = ours(matrix((12, 12), "f")), mx.array(vector(12, "f")), getattr(linalg, name)
    with pytest.raises(ValueError, match="no derivative with respect to damp"):
        mx.grad(lambda damp: mx.sum(solve(A, b, damp)[0]))(mx.array(1.0))
    with pytest.raises(ValueError, match="closes over"):
        mx.grad(lambda v: mx.sum(solve(Products(A.with_data(v)), b)[0]))(A.data)
    singular = A.toarray()
    singular = ours(scipy.sparse.csr_array(np.asarray(singular) * (np.arange(12) != 5)))
    more = {"iter_lim" if name == "lsqr" else "maxiter": 24}  # rounding may make it one step more than the order
    with pytest.warns(UserWarning, match="full rank"):
        mx.grad(lambda v: mx.sum(solve(singular.with_data(v), b, **more)[0]))(singular.data)
    found = mx.grad(lambda b: mx.sum(solve(Products(A), b, atol=1e-7, btol=1e-7)[0]))(b)
    close(found, np.linalg.solve(np.asarray(A.toarray()).T, np.ones(12, "f")), 1e-3)
