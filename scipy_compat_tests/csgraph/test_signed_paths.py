"""Bellman and Ford's and Floyd and Warshall's methods: lengths, predecessors and errors are SciPy's to the last bit.

Johnson's: lengths are.
"""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp

from .graphs import CASES, error_of, held, host, ours, random_graph, same, theirs

OPTIONS = [
    {},
    {"directed": False},
    {"unweighted": True},
    {"directed": False, "unweighted": True},
]


@pytest.fixture(params=[1, 4], autouse=True)
def workers(request):
    with sp.runtime.context(n_threads=request.param):
        yield


def signed(n, edges, seed, integers=False):
    """A graph with edges of negative length and no such cycle: lengths of another one, and differences of heights."""
    A = random_graph(n, edges, seed, integers)
    heights = np.random.default_rng(seed).integers(-3, 4, n)
    C = A.tocoo()
    return scipy.sparse.csr_array((A.data + heights[C.row] - heights[C.col], A.indices, A.indptr), shape=A.shape)


GRAPHS = {
    **CASES,
    "signed": signed(60, 240, 7),
    "signed with ties": signed(60, 400, 8, integers=True),
    "large": signed(300, 2000, 9),
    "fractions": scipy.sparse.random_array((200, 200), density=0.03, format="csr", rng=0),
}


def both(name, A, **options):
    """What both packages give: results, or errors. Of the weights that ours holds, which a GPU rounds."""
    args = (ours(A), A.copy())
    with np.errstate(over="ignore"):
        args[1].data[:] = A.data.astype(held(A.dtype))
    errors = [
        error_of(getattr(module, name), graph, **options)
        for module, graph in zip((sp.csgraph, theirs), args, strict=True)
    ]
    if errors[1] is not None:
        assert isinstance(errors[0], type(errors[1])) and str(errors[0]) == str(errors[1])
        return
    assert errors[0] is None
    exact = held(np.float64) == np.float64
    same(getattr(sp.csgraph, name)(args[0], **options), getattr(theirs, name)(args[1], **options), exact)


@pytest.mark.parametrize("name", ["bellman_ford", "floyd_warshall"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("predecessors", [False, True])
def test_as_scipys(name, options, graph, predecessors, namespace):
    both(name, GRAPHS[graph], return_predecessors=predecessors, **options)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [*OPTIONS, {"indices": [[7, 3], [-1, 0]]}, {"indices": 5}, {"indices": []}])
@pytest.mark.parametrize("graph", ["signed", "signed with ties", "large", "fractions"])
def test_johnson(graph, options, dtype, namespace):
    """Lengths are SciPy's; of several shortest paths any may be told of."""
    A = GRAPHS[graph].astype(held(np.dtype(dtype)))
    if error_of(theirs.johnson, A, **options) is not None:  # edges of negative length that go both ways
        with pytest.raises(sp.csgraph.NegativeCycleError, match="Negative cycle"):
            sp.csgraph.johnson(ours(A), **options)
        return
    found, before = sp.csgraph.johnson(ours(A), return_predecessors=True, **options)
    same(found, theirs.johnson(A, **options))
    same(sp.csgraph.johnson(ours(A), **options), host(found))
    lengths, before = (host(x).reshape(-1, A.shape[0]) for x in (found, before))
    weights = theirs.csgraph_to_dense(A.astype(np.float64), null_value=np.inf)
    if not options.get("directed", True):
        weights = np.minimum(weights, weights.T)
    if options.get("unweighted"):
        weights = np.where(np.isinf(weights), weights, 1)
    row, to = np.nonzero(before != -9999)
    assert row.size == np.isfinite(lengths).sum() - len(lengths)  # each node that is reached, but for the start
    last = lengths[row, before[row, to]] + weights[before[row, to], to]
    np.testing.assert_allclose(last, lengths[row, to], rtol=1e-5 if lengths.dtype == np.float32 else 1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["bellman_ford", "floyd_warshall"])
@pytest.mark.parametrize("seed", range(12))
def test_cycles_of_negative_length(name, seed):
    rng = np.random.default_rng(seed)
    A = scipy.sparse.random_array((40, 40), density=0.02 + 0.01 * seed, format="csr", rng=rng)
    A.data -= 0.2 * rng.random(A.nnz)
    for options in OPTIONS:
        both(name, A, return_predecessors=True, **options)
        if name == "bellman_ford":
            both(name, A, indices=[[7, 3], [-1, 0]], **options)
            both(name, A, indices=5, return_predecessors=True, **options)
    loop = scipy.sparse.csr_array(([-1.0], ([2], [2])), shape=(3, 3))
    both(name, loop)
    both(name, scipy.sparse.csr_array([[-1.0]]))


@pytest.mark.parametrize("name", ["bellman_ford", "floyd_warshall"])
@pytest.mark.parametrize(
    "weights", [[np.inf, 1.0, 2.0], [np.nan, 1.0, 2.0], [-np.inf, 1.0, 2.0], [1e308, 1e308, 1e308]]
)
def test_weights_that_are_no_lengths(name, weights):
    A = scipy.sparse.csr_array((weights, ([0, 1, 0], [1, 2, 3])), shape=(5, 5))
    for options in OPTIONS:
        both(name, A, **options)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("method", ["auto", "FW", "BF"])
@pytest.mark.parametrize("kind", ["array", "columns", "masked", "integers", "mlx", "csc"])
def test_kinds_of_graphs(options, method, kind, namespace):
    A = (signed if options.get("directed", True) else random_graph)(30, 600, 10).toarray()
    A[3, 5], A[4, 6] = np.inf, np.nan
    made = {
        "array": lambda: A,
        "columns": lambda: np.asfortranarray(A),
        "masked": lambda: np.ma.masked_less(A, 0.5),
        "integers": lambda: np.arange(36).reshape(6, 6) % 7,
        "mlx": lambda: np.nan_to_num(A, nan=0, posinf=0).astype(np.float32),
        "csc": lambda: scipy.sparse.csc_array(np.nan_to_num(A, posinf=3)),
    }[kind]()
    given = sp.from_scipy(made) if scipy.sparse.issparse(made) else mx.array(made) if kind == "mlx" else made
    want = theirs.shortest_path(made.copy("C") if kind == "columns" else made, method, **options)
    found = sp.csgraph.shortest_path(given, method, **options)
    np.testing.assert_allclose(np.asarray(host(found)), want, rtol=1e-5 if held(np.float64) != np.float64 else 1e-15)


def test_memory_that_may_be_overwritten():
    A = signed(20, 100, 11).toarray()
    kept = A.copy()
    want = theirs.floyd_warshall(A)
    np.testing.assert_array_equal(sp.csgraph.floyd_warshall(A), want)
    np.testing.assert_array_equal(A, kept)
    found = sp.csgraph.floyd_warshall(A, overwrite=True)
    assert np.shares_memory(found, A)
    np.testing.assert_array_equal(A, want)


@pytest.mark.parametrize("name", ["bellman_ford", "floyd_warshall"])
def test_bad_graphs(name):
    f = getattr(sp.csgraph, name)
    for graph in (np.ones((2, 3)), sp.csr_array(np.ones((2, 3))), np.ones(3), np.ma.masked_equal(np.ones((2, 3)), 0)):
        with pytest.raises(ValueError):
            f(graph)
    if name == "bellman_ford":
        for indices in (5, -6, [0, 5], 0.5, [np.nan]):
            with pytest.raises(ValueError):
                f(sp.csr_array(np.ones((5, 5))), indices=indices)
