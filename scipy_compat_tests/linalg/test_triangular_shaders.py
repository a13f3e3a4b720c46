"""Triangular solves as shaders: backward stable for every shape of levels, whoever runs them and in whichever order."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import _native, linalg
from mlx_sparse.linalg import _recorded, _solve
from mlx_sparse.linalg import preconditioners as P
from mlx_sparse.linalg._direct import substitution
from mlx_sparse.linalg._direct.substitution import Substitution

from .systems import general, hermitian, ours, residual, vectors
from .test_incomplete import grid

single = pytest.mark.parametrize("kind", ["f", "F"])
FORMS = {"N": lambda T: T, "T": lambda T: T.T, "H": lambda T: T.conj().T, "C": lambda T: T.conj()}


@pytest.fixture(autouse=True)
def on_shaders():
    """Of a GPU, even where the CPU would be sooner, or of the CPU's executor."""
    with sp.runtime.context(executor="shader"):
        yield


in_both_ways = pytest.mark.usefixtures("launches")


def with_long_rows(n):
    """Of which each needs a group of its own, or more than is staged at once."""
    S = scipy.sparse.lil_array((n, n))
    S[-1, :], S[n // 2, : n // 2] = 1, 1
    return S.tocsr()


def of_two_levels(n):
    """The second of which is cut."""
    rows = np.arange(n // 3, n)
    return scipy.sparse.csr_array((np.ones(len(rows)), (rows, rows % max(n // 3, 1))), shape=(n, n))


BELOW = {
    "diagonal": lambda n: scipy.sparse.csr_array((n, n)),
    "chain": lambda n: scipy.sparse.eye_array(n, k=-1),
    "random": lambda n: scipy.sparse.random_array((n, n), density=min(1, 3 / n), rng=n),
    "dense": lambda n: scipy.sparse.csr_array(np.ones((n, n)) / n),
    "long rows": with_long_rows,
    "two levels": of_two_levels,
    "grid": lambda n: grid(int(n**0.5)),
}


def triangle(shape, n, kind, lower=True):
    """A csr array of SciPy that has no entry on its diagonal but ones of about 2."""
    T = scipy.sparse.tril(BELOW[shape](n), -1)
    n = T.shape[0]
    rng = np.random.default_rng(n)
    T = T.tocsr()
    T.data = rng.uniform(-0.5, 0.5, T.nnz) + (1j * rng.uniform(-0.5, 0.5, T.nnz) if kind == "F" else 0)
    T = T + scipy.sparse.diags_array(rng.uniform(1.5, 2.5, n) * (np.exp(1j * rng.random(n)) if kind == "F" else 1))
    return (T if lower else T.T).tocsr().astype(kind)


def check(T, x, b, unit=False):
    """Within the bound of substitution in float32, entry by entry: of sums with as many terms as rows have entries."""
    T = T.astype("D")
    if unit:
        T = T - scipy.sparse.diags_array(T.diagonal() - 1)
    terms = 3 + int(np.diff(T.tocsr().indptr).max())
    bound = 4 * terms * np.finfo("f").eps * (abs(T) @ abs(x) + abs(b))
    assert (abs(T @ x.astype("D") - b) <= bound).all()


@in_both_ways
@single
@pytest.mark.parametrize("shape", BELOW)
@pytest.mark.parametrize("n", [1, 31, 33, 300])
def test_shapes_of_levels(shape, n, kind):
    for lower in (True, False):
        S = triangle(shape, n, kind, lower)
        for format in ("csr", "csc"):
            solves = Substitution(ours(S, format), lower)
            for columns in (None, 1, 5):
                b = vectors(S.shape[0], kind, columns)
                for form, op in FORMS.items():
                    check(op(S), np.array(solves.device(mx.array(b), form)), b)


@in_both_ways
@single
@pytest.mark.parametrize("shape", ["long rows", "two levels", "grid"])
@pytest.mark.parametrize("columns", [None, 3, 40, 300])
def test_large(shape, kind, columns):
    """Rows of more entries than are staged at once, levels of more than one chunk, columns of more than one block."""
    S = triangle(shape, 2500, kind)
    b = vectors(S.shape[0], kind, columns)
    for unit in (False, True):
        solves = Substitution(ours(S), True, unit)
        for form in "NT":
            check(FORMS[form](S), np.array(solves.device(mx.array(b), form)), b, unit)


@single
@pytest.mark.parametrize("columns", [None, 7])
def test_bits(kind, columns):
    """They depend neither on how launches are cut nor on how many groups run at a time."""
    solves = Substitution(ours(triangle("grid", 2500, kind)), True)
    b = mx.array(vectors(2500, kind, columns))
    found = []
    for separate in (False, True):
        for threads in (1, 2, 5):
            _native.set_separate_launches(separate)
            try:
                with sp.runtime.context(n_threads=threads):
                    found.append(np.array(solves.device(b)))
            finally:
                _native.set_separate_launches(False)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@in_both_ways
@single
def test_operands(kind):
    """Index arrays of int64, strided right-hand sides, and sizes of zero."""
    S = triangle("random", 90, kind)
    A = sp.csr_array((S.data, S.indices.astype(np.int64), S.indptr.astype(np.int64)), shape=S.shape)
    assert A.indices.dtype == mx.int64
    B = vectors(90, kind, 4)
    for right in (mx.array(B.T.copy()).T, mx.array(np.repeat(B, 2, axis=1))[:, ::2], mx.array(B)[:, 1]):
        check(S, np.array(linalg.spsolve_triangular(A, right)), np.array(right))
    assert linalg.spsolve_triangular(A, mx.zeros((90, 0), dtype=A.data.dtype)).shape == (90, 0)
    empty = sp.csr_array((0, 0), dtype=kind)
    assert linalg.spsolve_triangular(empty, mx.zeros(0, dtype=empty.data.dtype)).shape == (0,)


def test_what_stands_on_the_diagonal():
    S = triangle("random", 40, "f").tolil()
    S[7, 7] = 0
    for A in (ours(S.tocsr()), ours(S.tocsc(), "csc")):
        with pytest.raises(np.linalg.LinAlgError, match="row 7"):
            linalg.spsolve_triangular(A, mx.ones(40))
        x = linalg.spsolve_triangular(A, mx.ones(40), unit_diagonal=True)
        check(S.tocsr(), np.array(x), np.ones(40), unit=True)


def test_what_was_found_is_kept():
    A = ours(triangle("grid", 400, "f"))
    form = _native.TriangleForm(True, False)

    def places(A):
        return [np.asarray(a).ctypes.data for a in _native.triangular_arrays(form, A._structure, None)]

    first = places(A)
    assert places(A) == first == places(A.with_data(2 * A.data))
    assert _native.triangular_shape(form, A._structure, None) == (39, True, True)


def test_derivatives():
    """Of values and right-hand sides, in reverse, forward and mapped, of both orders."""
    S = triangle("grid", 49, "f")
    for format in ("csr", "csc"):
        A, b = ours(S, format), mx.array(vectors(49, "f", None))
        row, column = A.to_scipy().tocoo().coords

        def loss(v, b, A=A):
            return mx.sum(mx.square(linalg.spsolve_triangular(A.with_data(v), b)))

        x = np.linalg.solve(S.toarray().astype("d"), np.array(b))
        w = np.linalg.solve(S.toarray().astype("d").T, 2 * x)
        slope, of_b = mx.grad(loss, (0, 1))(A.data, b)
        np.testing.assert_allclose(np.array(of_b), w, rtol=0, atol=1e-4 * abs(w).max())
        expected = -w[row] * x[column]
        np.testing.assert_allclose(np.array(slope), expected, rtol=0, atol=1e-4 * abs(expected).max())
        rate = mx.jvp(loss, [A.data, b], [A.data, b])[1][0]
        assert abs(rate.item()) < 1e-4 * (x @ x)  # of (1 + t) A and (1 + t) b
        second = mx.grad(lambda b, loss=loss, A=A: mx.sum(mx.grad(loss, 1)(A.data, b)))(b)
        inverse = np.linalg.inv(S.toarray().astype("d"))
        np.testing.assert_allclose(np.array(second), 2 * inverse.T @ inverse @ np.ones(49), rtol=1e-3, atol=1e-3)
        rows = mx.vmap(lambda b, A=A: linalg.spsolve_triangular(A, b))(mx.stack([b, 2 * b]))
        np.testing.assert_allclose(np.array(rows[1]), 2 * x, rtol=0, atol=1e-4 * abs(x).max())
        values = mx.vmap(lambda v, A=A, b=b: linalg.spsolve_triangular(A.with_data(v), b))(
            mx.stack([A.data, 2 * A.data])
        )
        np.testing.assert_allclose(np.array(values[1]), x / 2, rtol=0, atol=1e-4 * abs(x).max())


# ---- inside of solvers ----------------------------------------------------------------------------------------------


@pytest.fixture
def staying(monkeypatch):
    """Whatever solves on the CPU raises. The programs that were replayed by shaders, and solves outside of them."""
    programs, solves = [], []

    def leaves(*args, **kwargs):
        raise AssertionError("a triangular solve has left the device")

    def replayed(program, *args):
        programs.append(program)
        return _recorded.replay_on_device(program, *args)

    def solved(*args, by=_native.solve_by_levels):
        solves.append(args)
        return by(*args)

    monkeypatch.setattr(_native, "solve_triangular", leaves)
    monkeypatch.setattr(_native, "solve_triangular_numpy", leaves)
    monkeypatch.setattr(_native, "solve_by_levels", solved)

    def stepped(program, *args, by=_native.KrylovDeviceSteps):
        programs.append(program)
        return by(program, *args)

    monkeypatch.setattr(_solve, "replay_on_device", replayed)
    monkeypatch.setattr(_native, "KrylovDeviceSteps", stepped)
    return programs, solves


@in_both_ways
@single
@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("name", ["ilu0", "ichol0", "ssor"])
@pytest.mark.parametrize("solver", ["cg", "cgs", "bicg", "bicgstab", "qmr", "tfqmr", "minres"])
def test_preconditioners_of_recorded_solvers(solver, name, columns, kind, staying):
    if solver == "minres" and name == "ilu0":
        pytest.skip("minres takes Hermitian preconditioners")
    programs, solves = staying
    S = hermitian(150, kind) if solver in ("cg", "minres") or name == "ichol0" else general(150, kind)
    A, b = ours(S), vectors(150, kind, columns)
    if solver == "qmr" and columns:
        pytest.skip("qmr takes one right-hand side")
    M = getattr(P, name)(A)
    x, info = getattr(linalg, solver)(A, mx.array(b), rtol=1e-4, **{"M1" if solver == "qmr" else "M": M})
    assert info == 0 and residual(S, np.array(x), b) < 1e-3
    assert len(programs) == 1 and not solves


@pytest.mark.parametrize("name", ["ilu0", "ichol0", "ssor"])
@pytest.mark.parametrize("solver", ["gmres", "lgmres", "gcrotmk"])
def test_preconditioners_of_other_solvers(solver, name, staying):
    programs, solves = staying
    S = hermitian(150, "f")
    b = vectors(150, "f", None)
    x, info = getattr(linalg, solver)(ours(S), mx.array(b), rtol=1e-4, M=getattr(P, name)(ours(S)))
    assert info == 0 and residual(S, np.array(x), b) < 1e-3
    assert solves and not programs


def test_deep_structures_are_left_to_the_cpu(monkeypatch, device):
    with sp.runtime.context(executor="native"):
        assert substitution.worth_shaders(64_000, 1000) and not substitution.worth_shaders(63_000, 1000)
        if device == "gpu":
            A = ours(triangle("chain", 300, "f"))
            monkeypatch.setattr(_native, "solve_by_levels", None)
            check(A.to_scipy(), np.array(linalg.spsolve_triangular(A, mx.ones(300))), np.ones(300))
    with sp.runtime.context(executor="shader"):
        assert substitution.worth_shaders(10, 10)
