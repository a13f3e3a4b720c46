"""What factorisations, preconditioners and operators keep of their operands is their own, and functions of `linalg` and
`csgraph` neither write to their operands nor hand them out."""

import types

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse import csgraph, linalg
from mlx_sparse.linalg import preconditioners

from ..derivatives.functions import FUNCTIONS, names
from ..derivatives.walk import Operands, sparse
from .test_copies import mode, parts, spoil, state  # noqa: F401 - a fixture

N = 12
MATRIX = (np.diag(np.full(N, 4.0)) - np.diag(np.ones(N - 1), 1)) - np.diag(np.ones(N - 1), -1)
MAKERS = {
    **{name: getattr(linalg, name) for name in ("cholesky", "sparse_lu", "splu", "spilu", "ilu0", "ichol0")},
    "ldl": lambda A: linalg.cholesky(A, method="ldl"),
    "laplacian": lambda A: csgraph.laplacian(A, form="lo", normed=True),
    "laplacian as a function": lambda A: csgraph.laplacian(A, form="function"),
    **{
        name: getattr(preconditioners, name)
        for name in preconditioners.__all__
        if name not in ("Preconditioner", "from_pyamg", "from_factorized", "diagonal")
    },
}
ANSWERS = ("logdet", "slogdet", "inverse_diagonal", "selected_inverse", "rcond", "inertia")


@pytest.fixture(autouse=True)
def host(device):
    if device == "gpu":
        pytest.skip("factors live on the host, and float64 there alone")


def answers(made):
    """What an object says of its operand."""
    b = np.arange(1.0, N + 1)
    product = made.solve if hasattr(made, "solve") else made.matvec if hasattr(made, "matvec") else made
    found = [product(b), product(mx.array(b, dtype=mx.float64))]
    for name in ANSWERS:
        if hasattr(made, name):
            x = getattr(made, name)
            found.append(x() if callable(x) else x)
    if hasattr(made, "refactor"):
        found.append(made.refactor(sp.csc_array(MATRIX).data).solve(b))
    return state(found)


@pytest.mark.parametrize("form", ["csr", "csc", "bsr", "dia", "ndarray", "mx.array"])
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.filterwarnings("ignore")
def test_what_is_made_of_an_array_keeps_it_as_it_was(name, form, mode):  # noqa: F811
    def operand():
        if form == "ndarray":
            return MATRIX.copy()
        A = mx.array(MATRIX, dtype=mx.float64) if form == "mx.array" else sp.csr_array(MATRIX)
        if form != "mx.array":
            A = A.tobsr((1, 1)) if form == "bsr" else A.asformat(form)
        return A

    if form == "bsr" and name in ("cholesky", "ldl", "sparse_lu"):
        form = "csc"  # which it becomes, with fewer stored values
    want = answers(MAKERS[name](operand()))
    for views_held, asked_before in ((False, False), (True, False), (True, True)):
        A = operand()
        views = list(parts(A)) if views_held else None
        made = MAKERS[name](A)
        if asked_before:
            answers(made)
        spoil(A)
        if sp.issparse(A):
            A.data = A.data[:0]
        assert answers(made) == want
        for attribute in dir(made):
            try:
                x = None if attribute.startswith("_") else getattr(made, attribute)
            except (AttributeError, ValueError, NotImplementedError):
                continue
            if not isinstance(x, types.MethodType):
                spoil(x)
        assert answers(made) == want
        del views


@pytest.mark.parametrize("name", sorted(n for n in FUNCTIONS if n.startswith(("linalg.", "csgraph."))))
@pytest.mark.parametrize("arrays", ["ndarray", "mx.array"])
@pytest.mark.filterwarnings("ignore")
def test_functions_of_linalg_and_csgraph(name, arrays, mode):  # noqa: F811
    if name not in names():
        pytest.skip("of another release of SciPy")

    def operands():
        o = Operands()
        o.given = {key: np.array(x) if arrays == "ndarray" else x * 1 for key, x in o.given.items()}
        return sparse("csr_array"), o

    for call in FUNCTIONS[name]:
        for views_held in (False, True):
            A, o = operands()
            views = list(parts(A)) if views_held else None
            given = [A, *o.given.values()]
            before = state(given)
            try:
                result = call(A, o)
            except Exception:  # noqa: BLE001 - no such operands
                continue
            assert state(given) == before
            want = state(result)
            for x in given:
                spoil(x)
            if " at 0x" not in want:
                assert state(result) == want
            given[0], given[1:] = A, o.given.values()
            before = state(given)
            spoil(result)
            assert state(given) == before
            del views


def test_starts_and_constraints_of_lobpcg_stay():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 3)), rng.standard_normal((60, 2))
    before = X.copy(), Y.copy()
    w, v = linalg.lobpcg(sp.diags_array(np.arange(1.0, 61)), X, Y=Y, maxiter=2, tol=1e9)
    assert np.array_equal(X, before[0]) and np.array_equal(Y, before[1])
    assert not np.shares_memory(v, X)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("overwrite", [True, False])
def test_dense_graphs_in_either_order(order, directed, overwrite):
    graph = np.array([[0, 1.0, 0], [0, 0, 2.0], [4.0, 0, 0]], order=order)
    want = [[0, 1, 3], [6, 0, 2], [4, 5, 0]] if directed else [[0, 1, 3], [1, 0, 2], [3, 2, 0]]
    for method in ("auto", "FW", "D"):
        assert csgraph.shortest_path(graph.copy(order), method, directed).tolist() == want
    assert csgraph.floyd_warshall(graph, directed, overwrite=overwrite).tolist() == want


def test_a_laplacian_of_a_dense_graph_has_products_in_either_namespace():
    graph, v = np.array([[0, 2.0], [2.0, 0]]), np.array([1.0, 3.0])
    for A in (graph, mx.array(graph, dtype=mx.float64)):
        for symmetrized in (False, True):
            L = csgraph.laplacian(A, form="lo", symmetrized=symmetrized)
            want = np.array([-4.0, 4.0]) * (1 + symmetrized)
            assert np.array_equal(L @ v, want)
            assert np.array_equal(np.array(L @ mx.array(v, dtype=mx.float64)), want)
