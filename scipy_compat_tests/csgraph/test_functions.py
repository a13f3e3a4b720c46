"""Every function of csgraph against SciPy's: formats, dense, masked and SciPy's arrays, both namespaces."""

import inspect

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph as theirs

import mlx_sparse as sp

from .graphs import CASES, FORMATS, check_class, error_of, held, host, ours, random_graph, same, to_mlx, with_duplicates

# name -> further arguments
WALKS = {
    "bellman_ford": [
        {},
        {"directed": False},
        {"indices": [0, 1, 0], "return_predecessors": True},
        {"unweighted": True},
    ],
    "breadth_first_order": [
        {"i_start": 0},
        {"i_start": 1, "directed": False},
        {"i_start": 0, "return_predecessors": False},
    ],
    "breadth_first_tree": [{"i_start": 0}, {"i_start": 1, "directed": False}],
    "connected_components": [
        *({}, {"directed": False}, {"connection": "strong"}, {"connection": "STRONG", "return_labels": False}),
        {"return_labels": False},
    ],
    "depth_first_order": [{"i_start": 0}, {"i_start": 1, "directed": False}],
    "depth_first_tree": [{"i_start": 0}, {"i_start": 1, "directed": False}],
    "dijkstra": [
        *({}, {"directed": False}, {"indices": 0}, {"indices": [[0, 1], [1, 0]], "return_predecessors": True}),
        *({"unweighted": True, "limit": 2}, {"limit": 0.5, "return_predecessors": True}, {"indices": -1}),
        {"indices": [0, 1], "min_only": True, "return_predecessors": True},
        {"indices": [1, 0], "min_only": True, "directed": False, "limit": 1.0},
        {"indices": [], "return_predecessors": True},
    ],
    "floyd_warshall": [{}, {"directed": False, "return_predecessors": True}, {"unweighted": True}],
    "johnson": [{}, {"directed": False}, {"indices": [0], "return_predecessors": True}],
    "laplacian": [{}, {"normed": True, "return_diag": True}, {"symmetrized": True}, {"use_out_degree": True}],
    "minimum_spanning_tree": [{}],
    "shortest_path": [
        {},
        {"method": "D", "indices": 0},
        {"method": "FW"},
        {"directed": False, "return_predecessors": True},
    ],
}
# Of more than one correct answer any may be given; what they must be is tested in other files.
CALLS = [pytest.param(name, options, id=f"{name}-{k}") for name, all in WALKS.items() for k, options in enumerate(all)]


def both(name, A, B, options):
    """What this package gives for `A` and SciPy for `B`, or the same kind of error."""
    f, g = getattr(sp.csgraph, name), getattr(theirs, name)
    if options.get("i_start", 0) >= np.shape(B)[0] and "i_start" in options:  # SciPy looks at nothing there
        with pytest.raises(ValueError, match="i_start"):
            f(A, **options)
        return None
    error = error_of(g, B, **options)
    if error is not None:
        assert type(error_of(f, A, **options)).__name__ == type(error).__name__
        return None
    return f(A, **options), g(B, **options)


def compare(name, A, B, options, namespace):
    results = both(name, A, B, options)
    if results is None:
        return
    found, expected = results
    check_class(found, namespace)
    if name in ("dijkstra", "johnson", "shortest_path") and options.get("return_predecessors"):
        check_paths(B, options, found, expected)
        found, expected = found[0], expected[0]
    same(found, expected, exact=name != "laplacian", dense=isinstance(A, np.ndarray))


def check_paths(B, options, found, expected):
    """Of several shortest paths any may be told of: the last edge of each has the length that is missing."""
    weights = B if isinstance(B, np.ndarray) else theirs.csgraph_to_dense(B.tocsr(), null_value=np.inf)
    if np.ma.isMaskedArray(B):
        weights = B.filled(np.inf)
    elif isinstance(B, np.ndarray):
        weights = np.where(B == 0, np.inf, B)
    weights = weights if options.get("directed", True) else np.minimum(weights, weights.T)
    n = len(weights)
    if not n:
        return
    for d, before, known in zip(*(host(x).reshape(-1, n) for x in (*found[:2], expected[1])), strict=True):
        np.testing.assert_array_equal(before == -9999, known == -9999)
        to = np.flatnonzero(before != -9999)
        np.testing.assert_array_equal(d[before[to]] + weights[before[to], to], d[to])
    if options.get("min_only"):
        source, reached = host(found[2]), np.isfinite(host(found[0]))
        np.testing.assert_array_equal(source == -9999, ~reached)
        rows = theirs.dijkstra(B, options.get("directed", True), limit=options.get("limit", np.inf))
        np.testing.assert_array_equal(rows[source[reached], np.flatnonzero(reached)], host(found[0])[reached])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name, options", CALLS)
def test_against_scipy(name, options, case, namespace):
    A = CASES[case]
    if case == "duplicates" and ("strong" in str(options).lower() or name in ("laplacian", "minimum_spanning_tree")):
        # SciPy finds too many components then, keeps both edges in the Laplacian's array, and sorts as it sorts.
        A = A.copy()
        A.sum_duplicates()
    compare(name, ours(A), A, options, namespace)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name, options", CALLS)
def test_formats(name, options, format):
    A = random_graph(20, 60, 7)
    A.eliminate_zeros()  # which some formats do not keep
    with sp.runtime.context(dense_namespace="numpy"):
        compare(name, sp.csr_array(A).asformat(format), A.asformat(format), options, "numpy")


@pytest.mark.parametrize("name, options", CALLS)
def test_dense_graphs_decide_the_namespace(name, options, namespace):
    D = random_graph(20, 60, 8).toarray()
    compare(name, D.copy(), D.copy(), options, "numpy")
    compare(name, to_mlx(D), D.copy(), options, "mlx")


@pytest.mark.parametrize("name", [n for n in WALKS if n != "laplacian"])
def test_masked_and_scipys(name, namespace):
    A = random_graph(20, 60, 9)
    for options in WALKS[name]:
        compare(name, A, A, options, namespace)
        compare(name, np.ma.masked_equal(A.toarray(), 0), np.ma.masked_equal(A.toarray(), 0), options, "numpy")


@pytest.mark.parametrize("name", WALKS)
def test_wide_indices(name, namespace):
    A = random_graph(20, 60, 10)
    for options in WALKS[name]:
        compare(name, ours(A, np.int64), A, options, namespace)


@pytest.mark.parametrize("name", WALKS)
def test_a_graph_that_is_none(name, namespace):
    options = WALKS[name][0]
    for bad in (scipy.sparse.csr_array(np.ones((2, 3))), scipy.sparse.coo_array(np.ones(3))):
        expected = error_of(getattr(theirs, name), bad, **options)
        found = error_of(getattr(sp.csgraph, name), sp.from_scipy(bad), **options)
        assert isinstance(found, (ValueError, type(expected))), found
    with pytest.raises(ValueError):
        getattr(sp.csgraph, name)(np.ones((2, 3)), **options)


def test_signatures_are_scipys():
    for name in theirs.__all__:
        if inspect.isfunction(getattr(sp.csgraph, name)):
            mine = inspect.signature(getattr(sp.csgraph, name)).parameters
            known = inspect.signature(getattr(theirs, name)).parameters
            assert list(mine)[: len(known)] == list(known), name
            for parameter in known:
                assert mine[parameter].kind == known[parameter].kind
                assert mine[parameter].default == known[parameter].default or known[parameter].default == np.inf
    assert set(theirs.__all__) == set(sp.csgraph.__all__)
    assert not [n for n in theirs.__all__ if getattr(sp.csgraph, n) is getattr(theirs, n)]


@pytest.mark.parametrize("name", [n for n in WALKS if "first" in n])
def test_starts_that_are_no_nodes(name, namespace):
    for bad, error in ((60, ValueError), (-1, OverflowError), (1.5, TypeError), ("0", TypeError), (2**40, ValueError)):
        with pytest.raises(error):
            getattr(sp.csgraph, name)(ours(CASES["sparse"]), bad)


# ---- one by one -------------------------------------------------------------------------------------------------


def test_conversions(namespace):
    D = np.array([[0, 2.0, np.inf], [np.nan, 0, -1], [3, 0, 0]])
    for options in ({}, {"nan_null": False}, {"infinity_null": False}, {"null_value": 3}, {"null_value": None}):
        same(sp.csgraph.csgraph_from_dense(D, **options), theirs.csgraph_from_dense(D, **options))
        same(sp.csgraph.csgraph_masked_from_dense(D, **options), theirs.csgraph_masked_from_dense(D, **options))
    masked = theirs.csgraph_masked_from_dense(D)
    nothing = [np.ma.masked_all((n, n)) for n in (0, 4)]
    for G in (masked, masked.T, np.ma.masked_equal(np.eye(3, dtype=int), 1), *nothing):
        found, expected = sp.csgraph.csgraph_from_masked(G), theirs.csgraph_from_masked(G)
        same(found, expected)
        for part in ("indptr", "indices", "data"):  # zeros that are not masked are edges
            same(getattr(found, part), getattr(expected, part))
        assert found.has_canonical_format and isinstance(found, sp.csr_array)
    for G in (np.ma.masked_all((2, 3)), np.ma.masked_all(3)):
        assert type(error_of(sp.csgraph.csgraph_from_masked, G)) is type(error_of(theirs.csgraph_from_masked, G))
    A = CASES["duplicates"]
    for options in ({}, {"null_value": np.inf}):
        found = sp.csgraph.csgraph_to_dense(ours(A), **options)
        check_class(found, namespace)
        same(found, theirs.csgraph_to_dense(A, **options))
    same(sp.csgraph.csgraph_to_masked(ours(A)), theirs.csgraph_to_masked(A))
    with pytest.raises(ValueError):
        sp.csgraph.csgraph_to_dense(D)


@pytest.mark.parametrize("directed", [True, False])
def test_paths_from_predecessors(directed, namespace):
    A = random_graph(25, 90, 14)
    A.data += 0.1
    D, P = theirs.dijkstra(A, directed=directed, return_predecessors=True)
    for before in (P, mx.array(P), np.where(P < 0, np.int32(-1), P)):
        found = sp.csgraph.construct_dist_matrix(ours(A), before, directed)
        check_class(found, namespace)
        np.testing.assert_allclose(host(found), D, rtol=16 * np.finfo(held(D.dtype)).eps)
        same(sp.csgraph.reconstruct_path(ours(A), before[0], directed), theirs.reconstruct_path(A, P[0], directed))
    circle = P.copy()
    circle[0, [1, 2]] = 2, 1
    for bad in (np.full_like(P, 25), circle, P[:3]):
        with pytest.raises(ValueError):
            sp.csgraph.construct_dist_matrix(ours(A), bad, directed)
    with pytest.raises(TypeError, match="int32"):
        sp.csgraph.construct_dist_matrix(ours(A), P.astype(np.int64), directed)
    for bad in (np.full(25, 25), P[0, :9]):
        with pytest.raises(ValueError):
            sp.csgraph.reconstruct_path(ours(A), bad, directed)


@pytest.mark.parametrize("directed", [True, False])
def test_paths_over_stored_zeros_and_no_nodes(directed):
    A = scipy.sparse.csr_array(([6.0, 0.0], [1, 0], [0, 1, 2, 2]), shape=(3, 3))  # of no length the one way
    before = np.array([[-9999, 0, -9999], [1, -9999, -9999], [-9999, -9999, -9999]], np.int32)
    for G, P in ((A, before), (scipy.sparse.csr_array((0, 0)), before[:0, :0])):
        same(sp.csgraph.construct_dist_matrix(ours(G), P, directed), theirs.construct_dist_matrix(G, P, directed))


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense", "masked"])
def test_lengths_along_predecessors_of_any_graph(kind, directed, namespace):
    A = random_graph(30, 200, 18)
    A.data[1::9], A.data[2::9] = np.nan, np.inf
    G = {"csr": A, "csc": A.tocsc(), "dense": theirs.csgraph_to_dense(A), "masked": theirs.csgraph_to_masked(A)}[kind]
    P = theirs.breadth_first_order(A, 0, directed)[1]
    P = np.where(np.arange(30)[:, None] < 20, P, np.int32(-9999))
    with np.errstate(invalid="ignore"):
        lengths = theirs.construct_dist_matrix(G, P, directed, null_value=-1)
        tree = theirs.reconstruct_path(G, P[0], directed)
    sparse = kind in ("csr", "csc")
    given = ours(A).asformat(kind) if sparse else G
    same(sp.csgraph.construct_dist_matrix(given, P, directed, null_value=-1), lengths, dense=not sparse)
    same(sp.csgraph.reconstruct_path(given, P[0], directed), tree)


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_the_dense_form_of_edges_without_a_length(format, namespace):
    A = with_duplicates(random_graph(30, 200, 19))
    A.data[1::5], A.data[2::5], A.data[3::5] = np.nan, np.inf, -np.inf
    for no_edge in (0, 7.5, np.nan, np.inf):
        found = sp.csgraph.csgraph_to_dense(ours(A).asformat(format), no_edge)
        check_class(found, namespace)
        same(found, theirs.csgraph_to_dense(A.asformat(format), no_edge))


def test_reverse_cuthill_mckee(namespace):
    A = random_graph(40, 100, 15)
    for B, symmetric in ((A, False), (scipy.sparse.csr_array(A + A.T), True)):
        for format in ("csr", "csc"):
            found = sp.csgraph.reverse_cuthill_mckee(ours(B).asformat(format), symmetric)
            check_class(found, namespace)
            same(found, theirs.reverse_cuthill_mckee(B.asformat(format), symmetric))
    with pytest.raises(TypeError):
        sp.csgraph.reverse_cuthill_mckee(ours(A).tocoo())
    with pytest.raises(TypeError):
        sp.csgraph.reverse_cuthill_mckee(A.toarray())
    for symmetric in (False, True):
        with pytest.raises(ValueError, match="N, N"):
            sp.csgraph.reverse_cuthill_mckee(ours(A[:10]), symmetric)
    B = with_duplicates(A)
    same(sp.csgraph.reverse_cuthill_mckee(ours(B)), theirs.reverse_cuthill_mckee(B))


@pytest.mark.parametrize("error", [sp.csgraph.NegativeCycleError, theirs.NegativeCycleError])
@pytest.mark.parametrize("name", ["bellman_ford", "johnson", "floyd_warshall", "shortest_path"])
def test_negative_cycles(name, error, namespace):
    A = scipy.sparse.csr_array([[0, 1.0, 0], [0, 0, -2.0], [0.5, 0, 0]])
    for graph in (ours(A), A, A.toarray()):
        with pytest.raises(error):
            getattr(sp.csgraph, name)(graph)


def test_negative_weights_warn(namespace):
    A = scipy.sparse.csr_array([[0, 1.0, 0], [0, 0, -0.5], [0, 0, 0]])
    with pytest.warns(UserWarning, match="negative weights"):
        sp.csgraph.dijkstra(ours(A))
    same(sp.csgraph.johnson(ours(A)), theirs.johnson(A))
    same(sp.csgraph.bellman_ford(ours(A), indices=[0, 2]), theirs.bellman_ford(A, indices=[0, 2]))


@pytest.mark.parametrize("name", ["dijkstra", "bellman_ford", "johnson", "shortest_path"])
@pytest.mark.parametrize("bad", [99, -99, [0, 99], "node", [0.5], np.nan])
def test_nodes_that_are_none(name, bad, namespace):
    A = CASES["sparse"]
    expected = error_of(getattr(theirs, name), A, indices=bad)
    found = error_of(getattr(sp.csgraph, name), ours(A), indices=bad)
    if expected is not None:
        assert isinstance(found, (ValueError, TypeError, IndexError)), found


def test_lazy_values(namespace):
    """Weights that are still to be computed, and traced ones, which no result but the Laplacian can follow."""
    A = sp.csr_array(random_graph(20, 60, 16))
    lazy = A.with_data(to_mlx(A.data) * 2)
    same(sp.csgraph.dijkstra(lazy), 2 * theirs.dijkstra(A.to_scipy()))
    with pytest.raises(ValueError, match="traced|gradient|derivative"):
        mx.grad(lambda v: mx.array(sp.csgraph.floyd_warshall(A.with_data(v))).sum())(to_mlx(A.data))


def test_paths_of_a_dense_graph_end_on_a_cycle_of_negative_length(namespace):
    A = np.array([[0, 1.0, 0], [0, 0, -3.0], [1.0, 0, 0]])
    for options in ({}, {"directed": False}, {"indices": 1}):
        with pytest.warns(UserWarning, match="negative weights"):
            found = sp.csgraph.shortest_path(A, method="D", **options)
        assert host(found).shape[-1] == 3 and np.isfinite(host(found)).all()


def test_dijkstra_ends_on_a_cycle_of_negative_length():
    """Where SciPy's does not."""
    D = -np.ones((4, 4))
    for graph in (sp.csr_array(D), sp.coo_array(D), D):
        with pytest.warns(UserWarning, match="negative weights"):
            lengths = np.asarray(sp.csgraph.dijkstra(graph))
        assert lengths.shape == (4, 4) and np.isfinite(lengths).all()


def test_dijkstra_with_parallel_edges_of_both_signs():
    """Whose lengths do not add up: what is searched for a cycle has every edge."""
    parallel = sp.csr_array((np.array([5.0, -2.0, 1.0]), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    with pytest.warns(UserWarning, match="negative weights"):
        assert np.isfinite(np.asarray(sp.csgraph.dijkstra(parallel))).all()
    line = sp.csr_array((np.array([5.0, -2.0]), np.array([1, 1]), np.array([0, 2, 2])), shape=(2, 2))
    with pytest.warns(UserWarning, match="negative weights"):
        assert np.asarray(sp.csgraph.dijkstra(line, indices=0)).tolist() == [0.0, -2.0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_of_parallel_edges_the_shortest_counts(format, dtype, namespace):
    """Also of dtypes that SciPy's routines cast, which adds them up there."""
    parts = np.array([5, -2, 1], dtype), np.array([1, 1, 2]), np.array([0, 2, 3, 3])
    A = getattr(sp, format + "_array")(parts, shape=(3, 3))
    order = [0, 1, 2] if format == "csr" else [2, 1, 0]
    for name in ("bellman_ford", "johnson"):
        lengths = host(getattr(sp.csgraph, name)(A, indices=order[0]))
        assert lengths[order].tolist() == ([0, -2, -1] if format == "csr" else [0, 1, -1])
