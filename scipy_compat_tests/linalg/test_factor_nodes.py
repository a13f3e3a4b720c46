"""Solves with factors as nodes of the graph: compiled, mapped, and differentiated inside of both."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse.linalg import cholesky, factorized, ichol0, ilu0, sparse_lu, spilu, splu, spsolve, spsolve_triangular

from .systems import as_namespace, hermitian, ours, residual, vectors
from .table import each, eps, tolerance
from .test_gradients import close, curved

N = 24


@each(lambda solver: solver.nodes)
def test_compiled_and_mapped(solver, problem, dtype):
    A = ours(problem.matrix(N, dtype), solver.formats[0])
    B = as_namespace(vectors(N, dtype, 3), "mlx")
    expected, bound = solver(A, B), tolerance(solver, problem, N, dtype)
    solve = lambda b: solver(A, b)  # noqa: E731
    close(mx.compile(solve)(B), expected, bound)
    close(mx.compile(solve)(B[:, 0]), expected[:, 0], bound)
    close(mx.vmap(solve, in_axes=1, out_axes=1)(B), expected, bound)
    close(mx.vmap(solve)(mx.stack([B, 2 * B])), mx.stack([expected, 2 * expected]), bound)
    close(
        mx.vmap(mx.vmap(solve, in_axes=1, out_axes=1))(mx.stack([B, 2 * B])), mx.stack([expected, 2 * expected]), bound
    )


@each(lambda solver: solver.nodes)
def test_derivatives_of_compiled_and_mapped_solutions(solver, problem, dtype):
    """They are those of the plain solution, of the first order and of the second, in b and in the values."""
    A = ours(problem.matrix(N, dtype), solver.formats[0])
    B, bound = as_namespace(vectors(N, dtype, 3), "mlx"), 100 * tolerance(solver, problem, N, dtype)
    plain = lambda v, b: curved(solver(A.with_data(v), b))  # noqa: E731

    def mapped(v, b):
        return curved(mx.vmap(lambda b: solver(A.with_data(v), b), in_axes=1, out_axes=1)(b))

    def length(f):
        return lambda v, b: mx.sum(mx.square(mx.abs(mx.grad(f)(v, b))))

    for argument in (0, 1):
        for f, g in ((plain, mapped), (length(plain), length(mapped))):
            close(mx.grad(g, argument)(A.data, B), mx.grad(f, argument)(A.data, B), bound)
    close(mx.compile(mx.grad(lambda b: plain(A.data, b)))(B), mx.grad(plain, 1)(A.data, B), bound)
    rates = mx.jvp(lambda v, b: solver(A.with_data(v), b), [A.data, B], [A.data, 3 * B])[1][0]
    close(rates, 2 * solver(A, B), bound)  # of A -> (1 + t) A and b -> (1 + 3 t) b


@pytest.mark.parametrize("factor", [ilu0, ichol0])
def test_incomplete_factors(factor, dtype):
    S = hermitian(N, dtype)
    factors, B = factor(ours(S)), as_namespace(vectors(N, dtype, 3), "mlx")
    for trans in ("N", "T", "H"):
        expected = factors.solve(B, trans)
        solve = lambda b, trans=trans: factors.solve(b, trans)  # noqa: E731
        close(mx.compile(solve)(B), expected, 10 * eps(dtype))
        close(mx.vmap(solve, in_axes=1, out_axes=1)(B), expected, 10 * eps(dtype))
        slope = mx.grad(lambda b, solve=solve: curved(mx.vmap(solve, in_axes=1, out_axes=1)(b)))(B)
        close(slope, mx.grad(lambda b, solve=solve: curved(solve(b)))(B), 100 * eps(dtype))


def test_spsolve_by_a_triangle(dtype):
    T = scipy.sparse.tril(hermitian(N, dtype)).tocsc()
    A, B = ours(T, "csc"), as_namespace(vectors(N, dtype, 3), "mlx")
    expected = spsolve_triangular(A, B)
    close(mx.compile(lambda b: spsolve(A, b))(B), expected, 10 * eps(dtype))
    close(mx.vmap(lambda b: spsolve(A, b), in_axes=1, out_axes=1)(B), expected, 10 * eps(dtype))
    found, known = (mx.grad(lambda v, f=f: curved(f(A.with_data(v), B)))(A.data) for f in (spsolve, spsolve_triangular))
    close(found, known, 100 * eps(dtype))


def test_solutions_wait_for_their_evaluation():
    """A large solve is not done when it is asked for, and the factors outlive their owner."""
    n = 150
    line = scipy.sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    S = (
        scipy.sparse.kron(line, scipy.sparse.eye_array(n)) + scipy.sparse.kron(scipy.sparse.eye_array(n), line)
    ).tocsc()
    A, b = ours(S.astype("f"), "csc"), vectors(n * n, "f", 40)
    x = cholesky(A).solve(as_namespace(b, "mlx"))
    assert residual(S, np.asarray(x), b) < 1e-4
    empty = cholesky(A).solve(mx.zeros((n * n, 0)))
    assert empty.shape == (n * n, 0)


@pytest.mark.parametrize(
    "solve",
    [
        lambda A, b: splu(A).solve(b),
        lambda A, b: spilu(A).solve(b),
        lambda A, b: sparse_lu(A).solve(b),
        lambda A, b: factorized(A)(b),
        lambda A, b: spsolve(A, b, method="lu"),
        lambda A, b: spsolve(A, b, method="banded"),
    ],
)
def test_solvers_outside_the_graph_say_so(solve):
    A, b = ours(hermitian(N, "f"), "csc"), mx.ones(N)
    for traced in (mx.compile(lambda b: solve(A, b)), lambda b: mx.vmap(lambda b: solve(A, b))(mx.stack([b, b]))):
        with pytest.raises(ValueError, match="solves outside the graph.*mx.compile and mx.vmap.*cholesky"):
            traced(b)


@pytest.mark.parametrize("factor", [cholesky, ilu0, splu, sparse_lu])
def test_factorisations_inside_a_trace_are_refused(factor):
    A = ours(hermitian(N, "f"), "csc")
    with pytest.raises(ValueError, match="mx.compile"):
        mx.compile(lambda v: factor(A.with_data(v)).solve(mx.ones(N)))(A.data)


def test_native_solves_check_what_they_are_given():
    A = ours(hermitian(N, "f"), "csc")
    held = cholesky(A)._cholesky._hold()
    op, parts = sp._native.InverseForm(True, False), (A.data, A.indices, A.indptr)
    for b in (mx.ones(N - 1), mx.ones((N, 1, 1)), mx.ones(N, mx.complex64), mx.array(1.0)):
        with pytest.raises(ValueError, match="do not fit"):
            sp._native.solve_by_factor(held, op, parts, b, None)
    with pytest.raises(ValueError, match="do not fit"):
        sp._native.solve_by_factor(held, op, (A.data[1:], A.indices, A.indptr), mx.ones(N), None)
