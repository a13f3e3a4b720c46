"""Derivatives of solutions, against dense MLX; and refusals where there are none."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse.linalg import cholesky, expm, expm_multiply, inv, onenormest, sparse_lu, spilu, splu

from .systems import as_namespace, bound_of, hermitian, laplacian, line, ours, vector, vectors
from .table import each, eps, informs, iterative, tolerance

N = 24
STRUCTURES = ("csr", "csc", "coo", "bsr", "dia")  # formats whose values an mx.array holds


def dense_inverse(X):
    """X^-1 of dense arrays by Newton's iteration: MLX has no derivative of its own inverse."""
    Y = mx.conj(X).T / (mx.max(mx.sum(mx.abs(X), 0)) * mx.max(mx.sum(mx.abs(X), 1)))
    I = mx.eye(X.shape[0]).astype(X.dtype)
    for _ in range(30):
        Y = Y @ (2 * I - X @ Y)
    return Y


def dense_solution(X, b):
    """Of X x = b, or of least squares."""
    if X.shape[0] == X.shape[1]:
        return dense_inverse(X) @ b
    H = mx.conj(X).T
    return dense_inverse(H @ X) @ (H @ b)


def curved(x):
    """A real function of x with all its derivatives."""
    real = mx.sum(mx.sin(mx.real(x)))
    return real + mx.sum(mx.cos(2 * mx.imag(x))) if x.dtype == mx.complex64 else real


def places(A):
    """The function from A's stored values to its dense form, as a product, whose derivatives are MLX's own."""
    order = A.with_data(mx.arange(1, A.data.size + 1).reshape(A.data.shape)).tocoo()
    stored = np.asarray(order.data) - 1
    spread = np.zeros((A.shape[0] * A.shape[1], A.data.size), np.float32)
    spread[np.ravel_multi_index([np.asarray(c) for c in order.coords], A.shape), stored] = 1
    return lambda v: (mx.array(spread).astype(v.dtype) @ v.reshape(-1)).reshape(A.shape)


def close(mine, expected, bound):
    mine, expected = np.asarray(mine), np.asarray(expected)
    assert mine.shape == expected.shape and mine.dtype == expected.dtype
    np.testing.assert_allclose(mine, expected, rtol=0, atol=bound * max(1e-30, abs(expected).max()))


def with_parameters(A, values):
    """`A` as a function of its stored values, whose product with the adjoint nobody gives."""
    product = lambda x, values: A.with_data(values) @ x  # noqa: E731
    dtype = np.asarray(A.data).dtype
    return sp.linalg.LinearOperator(A.shape, product, matmat=product, dtype=dtype, params=(values,))


def losses(solver, problem, dtype, format, columns):
    """(ours, dense, values, b, bound): functions of values and b, and where to take their derivatives."""
    S, tol = problem.matrix(N, dtype), tolerance(solver, problem, N, dtype)
    A, b = ours(S, format), as_namespace(vectors(S.shape[0], dtype, columns), "mlx")
    full = places(A)
    transform = {"splu-T": lambda X: X.T, "splu-H": lambda X: mx.conj(X).T}.get(solver.name, lambda X: X)
    unit = solver.name.endswith("unit")

    def mine(values, b):
        B = A.with_data(values) if "values" in solver.gradients else A
        return curved(solver(B, b, tol / solver.asks))

    def theirs(values, b):
        X = transform(full(values if "values" in solver.gradients else A.data))
        if unit:
            I = mx.eye(X.shape[0]).astype(X.dtype)
            X = X * (1 - I) + I
        return curved(dense_solution(X, b))

    return mine, theirs, mx.array(A.data), b, 2 * tol


def formats(solver):
    return [f for f in solver.formats if f in STRUCTURES]


@pytest.mark.parametrize("columns", [None, 3])
@each()
def test_gradients(solver, problem, dtype, columns):
    for format in formats(solver):
        mine, theirs, values, b, bound = losses(solver, problem, dtype, format, columns)
        (value, found), (expected_value, expected) = (
            mx.value_and_grad(f, argnums=(0, 1))(values, b) for f in (mine, theirs)
        )
        close(value, expected_value, bound)
        close(found[1], expected[1], bound)
        close(found[0], expected[0], bound)
        alone = mx.grad(mine, argnums=1)(values, b)
        np.testing.assert_array_equal(np.asarray(alone), np.asarray(found[1]))


@pytest.mark.parametrize("columns", [None, 2])
@each()
def test_forward_derivatives(solver, problem, dtype, columns):
    mine, theirs, values, b, bound = losses(solver, problem, dtype, formats(solver)[0], columns)
    tangents = [as_namespace(vector(values.size, dtype, 7), "mlx").reshape(values.shape), mx.ones_like(b)]
    (_, found), (_, expected) = (mx.jvp(f, [values, b], tangents) for f in (mine, theirs))
    # Rounding is relative to the terms of a tangent, which may cancel.
    terms = [
        mx.sum(mx.abs(g * t)).item() for g, t in zip(mx.grad(theirs, argnums=(0, 1))(values, b), tangents, strict=True)
    ]
    assert abs(found[0].item() - expected[0].item()) < bound * max(1.0, sum(terms)) * N
    for k, point in enumerate((values, b)):  # one of them traced, the other constant

        def along(f, k=k):
            return lambda x: f(*(x if i == k else p for i, p in enumerate((values, b))))

        found, expected = (mx.jvp(along(f), [point], [tangents[k]])[1][0].item() for f in (mine, theirs))
        assert abs(found - expected) < bound * max(1.0, terms[k]) * N


@each()
def test_second_derivatives(solver, problem, dtype):
    for format in formats(solver)[:2]:
        mine, theirs, values, b, bound = losses(solver, problem, dtype, format, None)
        made = []
        for f in (mine, theirs):
            slope = mx.grad(f, argnums=(0, 1))
            both = mx.grad(lambda *at, slope=slope: sum(map(curved, slope(*at))), argnums=(0, 1))(values, b)
            product = mx.jvp(lambda b, slope=slope, v=values: slope(v, b)[1], [b], [mx.ones_like(b)])[1]
            made.append([*both, *product])
        for found, expected in zip(*made, strict=True):
            close(found, expected, 10 * bound)


@pytest.mark.parametrize("columns", [None, 2])
@each(informs)
def test_parameters_of_an_operator(solver, problem, dtype, columns):
    """As of a sparse array: of first order, both ways; and of second order."""
    _, theirs, values, b, bound = losses(solver, problem, dtype, "csr", columns)
    A, tol = ours(problem.matrix(N, dtype)), bound / 2

    def mine(values, b):
        return curved(solver(with_parameters(A, values), b, tol / solver.asks))

    made = []
    for f in (mine, theirs):
        slope = mx.grad(f, argnums=(0, 1))
        second = mx.grad(lambda *at, slope=slope: sum(map(curved, slope(*at))), argnums=(0, 1))(values, b)
        along = mx.jvp(f, [values, b], [mx.ones_like(values), mx.ones_like(b)])[1][0]
        made.append((*slope(values, b), *second, along / N))
    for mine, expected in zip(*made, strict=True):
        close(mine, expected, 10 * bound)


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_inverse(dtype, format):
    S = hermitian(N, dtype)
    A = ours(S, format)
    full = places(A)
    tangent = as_namespace(vector(A.nnz, dtype, 7), "mlx")

    def mine(values):
        return curved(inv(A.with_data(values)).data)

    def theirs(values):
        kept = mx.array(inv(A).toarray() != 0)
        return curved(mx.where(kept, dense_inverse(full(values)), 0 * full(values)))

    values, bound = mx.array(A.data), 1e3 * eps(dtype) * N
    close(mx.grad(mine)(values), mx.grad(theirs)(values), bound)
    found, expected = (mx.jvp(f, [values], [tangent])[1][0].item() for f in (mine, theirs))
    assert abs(found - expected) < bound * max(1.0, abs(expected))
    found, expected = (mx.grad(lambda v, f=f: curved(mx.grad(f)(v)))(values) for f in (mine, theirs))
    close(found, expected, 10 * bound)


def test_determinant(dtype):
    S = hermitian(N, dtype) + scipy.sparse.diags_array([0.1], offsets=[1], shape=(N, N)).astype(dtype)
    S = S if dtype in "fd" else S * np.exp(0.3j).astype(dtype)
    A = ours(S, "csc")
    rows, columns = A.indices, mx.array(np.repeat(np.arange(N), np.diff(np.asarray(A.indptr))))
    full = places(A)

    def mine(values):
        sign, logabsdet = sparse_lu(A.with_data(values)).slogdet()
        return logabsdet + mx.real(sign)

    def slope(values):  # of log |det|, and for complex values of the sign as well
        sine = np.linalg.slogdet(S.toarray())[0].imag
        G = mx.conj(dense_inverse(full(values))).T[rows, columns]
        return G if dtype in "fd" else G * mx.array(np.complex64(1 - 1j * sine))

    values, bound = mx.array(A.data), 1e3 * eps(dtype) * N
    close(mx.grad(mine)(values), slope(values), bound)
    if dtype in "fd":
        found, expected = (mx.grad(lambda v, f=f: curved(f(v)))(values) for f in (mx.grad(mine), slope))
        close(found, expected, 10 * bound)
        found = mx.jvp(mine, [values], [mx.ones_like(values)])[1][0].item()
        assert abs(found - mx.sum(slope(values)).item()) < bound * N


def test_determinant_of_a_definite_matrix(dtype):
    """The gradient of log det is the inverse at the places of A; its own gradient goes through columns of it."""
    A = ours(hermitian(N, dtype), "csc")
    rows, columns = A.indices, mx.array(np.repeat(np.arange(N), np.diff(np.asarray(A.indptr))))
    full = places(A)
    values, bound = mx.array(A.data), 1e3 * eps(dtype) * N

    def mine(values):
        return cholesky(A.with_data(values)).logdet()

    def slope(values):
        return mx.conj(dense_inverse(full(values))).T[rows, columns]

    close(mx.grad(mine)(values), slope(values), bound)
    close(mx.grad(mine)(values), sparse_lu_slope(A)(values), bound)
    found, expected = (mx.grad(lambda v, f=f: curved(f(v)))(values) for f in (mx.grad(mine), slope))
    close(found, expected, 10 * bound)
    found = mx.jvp(mine, [values], [mx.ones_like(values)])[1][0].item()
    assert abs(found - mx.sum(mx.real(slope(values))).item()) < bound * N


@pytest.mark.parametrize("n", [1, 5, 40, 200])
@pytest.mark.parametrize("permc_spec", ["COLAMD", "NATURAL"])
def test_determinant_of_general_structures(n, permc_spec):
    """Rows far from their places, entries that cancel, unsorted columns; more of them than are solved at a time."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        R = scipy.sparse.random_array((n, n), density=min(1.0, 3 / n), rng=rng) + scipy.sparse.eye_array(n) * 2
        S = scipy.sparse.csc_array(R.tocsr()[rng.permutation(n)])
        if seed % 2:
            S.data[:] = np.sign(S.data)  # sums of ones vanish often
            if abs(np.linalg.det(S.toarray())) < 0.5:
                continue
        shuffled = S.copy()
        for j in range(n):
            here = slice(S.indptr[j], S.indptr[j + 1])
            shuffled.indices[here], shuffled.data[here] = S.indices[here][::-1], S.data[here][::-1]
        A = sp.csc_array((shuffled.data, shuffled.indices, shuffled.indptr), shape=(n, n))
        slope = mx.grad(lambda v, A=A: sparse_lu(A.with_data(v), permc_spec=permc_spec).slogdet()[1])
        v, X = mx.array(A.data), np.linalg.inv(S.toarray())
        rows, cols = np.asarray(A.indices), np.repeat(np.arange(n), np.diff(np.asarray(A.indptr)))
        unit = bound_of(1e-13, 5e-5) * n * abs(X).max() * np.linalg.cond(S.toarray())
        np.testing.assert_allclose(np.asarray(slope(v)), X.T[rows, cols], rtol=0, atol=unit)
        E = np.zeros((n, n))
        E[rows, cols] = w = rng.standard_normal(v.size)
        change = -(X @ E @ X).T[rows, cols]
        w = mx.array(w, dtype=v.dtype)
        for found in (mx.jvp(slope, [v], [w])[1][0], mx.vjp(slope, [v], [w])[1][0]):  # second derivatives commute
            np.testing.assert_allclose(np.asarray(found), change, rtol=0, atol=10 * unit * abs(X).max())


def sparse_lu_slope(A):
    return mx.grad(lambda values: sparse_lu(A.with_data(values)).slogdet()[1])


def test_derivatives_reuse_the_factor():
    """Of new values of one structure, in a chain of transformations, and with a factor that was made outside."""
    A = ours(hermitian(N, "f"), "csc")
    factor, b = cholesky(A), mx.array(vector(N, "f"))
    slope = mx.grad(lambda v: curved(factor.refactor(v).solve(b)))(2 * A.data)
    close(slope, mx.grad(lambda v: curved(cholesky(A.with_data(v)).solve(b)))(2 * A.data), 1e-5)
    close(mx.grad(lambda b: mx.sum(factor.solve(b)))(b), mx.array(factor.solve(np.ones(N, np.float32))), 1e-5)


# ---- what iterative solvers share ---------------------------------------------------------------------------------


@each(iterative)
def test_dense_operator(solver, problem, dtype):
    S, b, tol = problem.matrix(N, dtype), as_namespace(vector(N, dtype), "mlx"), tolerance(solver, problem, N, dtype)
    X = as_namespace(S.toarray(), "mlx")
    found = mx.grad(lambda X, b: curved(solver(X, b, tol / solver.asks)), argnums=(0, 1))(X, b)
    expected = mx.grad(lambda X, b: curved(dense_inverse(X) @ b), argnums=(0, 1))(X, b)
    for mine, theirs in zip(found, expected, strict=True):
        close(mine, theirs, 2 * tol)


class MatrixFree:
    """Products of MLX's own."""

    def __init__(self, A):
        self.A, self.shape = A, A.shape

    def matvec(self, x):
        return self.A @ x

    def rmatvec(self, x):
        return self.A.conj().T @ x


@each(iterative)
def test_operators_are_differentiable_in_b(solver, problem, dtype):
    S, b, tol = problem.matrix(N, dtype), as_namespace(vector(N, dtype), "mlx"), tolerance(solver, problem, N, dtype)
    expected = mx.grad(lambda b: curved(solver(ours(S), b, tol / solver.asks)))(b)
    for A in (MatrixFree(ours(S)), scipy.sparse.linalg.aslinearoperator(S), S, S.toarray()):
        close(mx.grad(lambda b, A=A: curved(solver(A, b, tol / solver.asks)))(b), expected, 2 * tol)


@each(iterative)
def test_guess_and_preconditioner_have_no_influence(solver, problem, dtype):
    """A preconditioner made of traced values, and a traced first guess, leave the derivatives of the solution."""
    S, b, tol = problem.matrix(N, dtype), as_namespace(vector(N, dtype), "mlx"), tolerance(solver, problem, N, dtype)
    A = ours(S)

    def loss(values, b, scale):
        B = A.with_data(values)
        M = sp.csr_array(sp.diags_array(1 / B.diagonal())) * scale
        x, info = solver.iterate(B, b, scale * b, rtol=tol / solver.asks, M=M)
        assert info == 0
        return curved(x)

    found = mx.grad(loss, argnums=(0, 1, 2))(A.data, b, mx.array(1.0, dtype=b.dtype))
    expected = mx.grad(lambda v, b: curved(solver(A.with_data(v), b, tol / solver.asks)), argnums=(0, 1))(A.data, b)
    close(found[0], expected[0], 2 * tol)
    close(found[1], expected[1], 2 * tol)
    assert found[2].item() == 0


@each(iterative)
def test_adjoint_systems_are_solved_as_accurately(solver, problem, dtype):
    """However small the cotangent is, and whichever of the tolerances the solution met."""
    S, b = problem.matrix(N, dtype), as_namespace(vector(N, dtype), "mlx")
    small, bound = 1e-12, 1e3 * eps(dtype)

    def loss(b, **options):
        x, _ = solver.iterate(ours(S), b, **options)
        return small * mx.sum(mx.real(x))

    expected = scipy.sparse.linalg.spsolve(S.conj().T.tocsc(), np.full(N, small, dtype))
    size = float(np.linalg.norm(np.asarray(b)))
    absolute = {"rtol": 0.0, "atol": bound * size}, {"rtol": bound, "atol": bound * size}
    for options in ({"rtol": bound}, *(absolute if solver.atol else ())):
        found = mx.grad(lambda b, options=options: loss(b, **options))(b)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=100 * bound * abs(expected).max())
    with pytest.warns(UserWarning, match="derivative is inaccurate"):
        mx.grad(lambda b: loss(b, rtol=1e-12, maxiter=1))(b)


@pytest.mark.heavy
@each(iterative)
def test_derivatives_keep_no_iterates(solver, problem, device):
    if device == "gpu":
        pytest.skip("memory that the GPU's allocator reports includes its cache")
    n = 20_000
    A, b = ours(line(n, "f") + 3e-3 * scipy.sparse.eye_array(n, dtype="f")), mx.ones(n)
    steps = []
    solver.iterate(A, b, maxiter=1000, callback=lambda xk: steps.append(None))
    most = 60 if solver.adjoint else 40  # vectors
    assert len(steps) > most
    mx.eval(A.data)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.grad(lambda b: curved(solver.iterate(A, b, maxiter=1000)[0]))(b))
    assert mx.get_peak_memory() - before < most * b.nbytes


# ---- nothing that looks like a gradient of zero -------------------------------------------------------------------


@each(lambda solver: solver.traceable)
def test_compile_and_vmap(solver, problem, dtype):
    A = ours(problem.matrix(N, dtype), solver.formats[0])
    B = as_namespace(vectors(N, dtype, 3), "mlx")
    expected, bound = solver(A, B), tolerance(solver, problem, N, dtype)
    close(mx.compile(lambda v, b: solver(A.with_data(v), b))(A.data, B), expected, bound)
    close(mx.vmap(lambda b: solver(A, b), in_axes=1, out_axes=1)(B), expected, bound)
    close(mx.vmap(lambda b: solver(A, b))(mx.stack([B, 2 * B])), mx.stack([expected, 2 * expected]), bound)
    values = mx.stack([A.data, 2 * A.data])
    half = mx.stack([expected, solver(A.with_data(2 * A.data), B)])
    close(mx.vmap(lambda v: solver(A.with_data(v), B))(values), half, bound)


@each(lambda solver: not (solver.traceable or solver.recorded or solver.nodes))
def test_compile_and_vmap_are_refused(solver, problem):
    A = ours(problem.matrix(N, "f"), solver.formats[0])
    b = mx.array(vector(A.shape[0], "f"))
    with pytest.raises(ValueError, match="mx.compile and mx.vmap"):
        mx.compile(lambda b: solver(A, b))(b)
    with pytest.raises(ValueError, match="mx.compile and mx.vmap"):
        mx.vmap(lambda b: solver(A, b))(mx.stack([b, b]))


@each()
def test_traced_values_with_an_ndarray_are_refused(solver, problem):
    A = ours(problem.matrix(N, "f"), solver.formats[0])
    b = vector(A.shape[0], "f")
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda v: mx.sum(mx.array(solver(A.with_data(v), b))))(A.data)


@each(lambda solver: "values" not in solver.gradients and solver.iterate is None)
def test_values_without_derivative_are_refused(solver, problem):
    A, b = ours(problem.matrix(N, "f"), solver.formats[0]), mx.array(vector(N, "f"))

    def loss(v, b, constant=False):
        return mx.sum(solver(A.with_data(np.array(v) if constant else v), b))

    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(loss)(A.data, b)
    mx.grad(lambda v: loss(v, b, constant=True))(A.data)


@each(iterative)
def test_what_an_operator_closes_over_is_refused(solver, problem):
    A, b = ours(problem.matrix(N, "f")), mx.array(vector(N, "f"))
    for x0 in (None, mx.ones(N)):
        with pytest.raises(ValueError, match="closes over"):
            mx.grad(lambda v, x0=x0: mx.sum(solver.iterate(MatrixFree(A.with_data(v)), b, x0)[0]))(A.data)


@pytest.mark.parametrize(
    "function",
    [
        lambda A: splu(A).L.data,
        lambda A: cholesky(A).L.data,
        lambda A: cholesky(A).inverse_diagonal(),
        lambda A: cholesky(A).selected_inverse().data,
        lambda A: cholesky(A).sample(mx.ones(N)),
        lambda A: mx.array(cholesky(A).solve(np.ones(N, np.float32))),
        lambda A: mx.array(splu(A).solve(np.ones(N, np.float32))),
        lambda A: mx.array(sparse_lu(A).rcond()),
        lambda A: spilu(A).solve(mx.ones(N)),
        lambda A: expm(A).data,
        lambda A: mx.array(onenormest(A)),
        lambda A: mx.array(expm_multiply(A, np.ones(N, np.float32))),
    ],
)
def test_functions_without_derivative(function):
    A = ours(hermitian(N, "f"), "csc")
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda v: mx.sum(function(A.with_data(v))))(A.data)


def test_products_with_a_linear_operator_have_no_derivative():
    L = scipy.sparse.linalg.aslinearoperator(laplacian(N, "f"))
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda b: mx.sum(expm_multiply(L, b, traceA=1.0)))(mx.ones(N))


def test_cgs_leaves_derivatives_that_it_cannot_find_to_gmres(recwarn, double):
    """It solves with a diagonal, and breaks down in a skew-symmetric block, where cotangent and tangent lead."""
    blocks = np.diag([1.0, 2.0, 2.0]), [[0.0, 1.0], [-1.0, 0.0]]
    turn = scipy.sparse.block_diag([scipy.sparse.coo_array(x) for x in blocks], format="csr")
    b, along = (mx.array(x, mx.float64) for x in ([1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0]))

    def solution(b):
        return sp.linalg.cgs(ours(turn), b, rtol=1e-10)[0]

    host = np.asarray(along)
    close(mx.grad(lambda b: (along * solution(b)).sum())(b), scipy.sparse.linalg.spsolve(turn.T.tocsc(), host), 1e-8)
    close(mx.jvp(solution, [b], [along])[1][0], scipy.sparse.linalg.spsolve(turn.tocsc(), host), 1e-8)
    assert not recwarn.list
