"""Components, breadth-first order and spanning trees of graphs long enough for several workers."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph as theirs

import mlx_sparse as sp

from .graphs import held, host, ours, random_graph, same, with_duplicates


@pytest.fixture(params=[1, 4])
def workers(request):
    with sp.runtime.context(n_threads=request.param):
        yield request.param


def different(n):
    """n different weights, which float32 holds exactly."""
    return (np.random.default_rng(0).permutation(n) + 1) / 2**17


def grid(side):
    at = np.arange(side * side).reshape(side, side)
    row, col = (np.concatenate([x.ravel(), y.ravel()]) for x, y in ((at[:, :-1], at[:-1]), (at[:, 1:], at[1:])))
    data = different(len(row))
    A = scipy.sparse.coo_array((data, (row.astype(np.int32), col.astype(np.int32))), shape=(side**2,) * 2)
    return A.tocsr()


def star(n):
    """One node with an edge to each of the others, which lie in a ring."""
    others = np.arange(1, n)
    row, col = np.concatenate([np.zeros(n - 1, int), others]), np.concatenate([others, np.roll(others, -1)])
    data = different(len(row))
    return scipy.sparse.coo_array((data, (row.astype(np.int32), col.astype(np.int32))), shape=(n, n)).tocsr()


def wide(n):
    """Nodes that lead to a large component, and nodes that it leads to, in any order; some in small components."""
    rng = np.random.default_rng(37)
    row, col = rng.integers(0, n, (2, 6 * n))
    place = rng.integers(0, 8, n)  # 0 and 1 before, 2 to 5 within, 6 and 7 after
    side = np.where(place < 2, 0, np.where(place < 6, 1, 2))
    goes = (side[row] < side[col]) | (side[row] == side[col]) & ((side[row] == 1) | (rng.random(6 * n) < 0.1))
    row, col = row[goes], col[goes]
    return scipy.sparse.coo_array((different(len(row)), (row, col)), shape=(n, n)).astype(np.float64).tocsr()


def both_ways(A, less=0):
    """A graph with every edge back, but for the last `less` entries."""
    C = (A + A.T).tocoo()
    kept = C.nnz - less
    parts = different(kept), tuple(x[:kept].astype(np.int32) for x in C.coords)
    return scipy.sparse.coo_array(parts, shape=C.shape).tocsr()


GRAPHS = {
    "random": random_graph(20_000, 150_000, 31),
    "few edges": random_graph(50_000, 40_000, 32),
    "ties": random_graph(20_000, 150_000, 33, integers=True),
    "grid": grid(200),
    "star": star(30_000),
    "wide": wide(20_000),
    "both ways": both_ways(random_graph(40_000, 40_000, 38)),
    "nearly both ways": both_ways(random_graph(40_000, 40_000, 39), 30),
    "chain": scipy.sparse.diags_array(np.ones(100_000), offsets=1, format="csr"),
    "backwards": scipy.sparse.diags_array(np.ones(100_000), offsets=-1, format="csr"),
}


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("name", GRAPHS)
def test_components(name, index, workers):
    A = GRAPHS[name]
    for options in ({}, {"connection": "strong"}, {"directed": False}):
        found = sp.csgraph.connected_components(ours(A, index), **options)
        same(found, theirs.connected_components(A, **options))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("name", GRAPHS)
def test_breadth_first(name, directed, index, workers):
    A = GRAPHS[name]
    for start in (0, 17, A.shape[0] - 1):
        found = sp.csgraph.breadth_first_order(ours(A, index), start, directed)
        same(found, theirs.breadth_first_order(A, start, directed))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("name", ["random", "few edges", "grid", "chain", "backwards"])  # SciPy's takes long for a star
def test_depth_first(name, directed, index):
    A = GRAPHS[name]
    for start in (0, 17, A.shape[0] - 1):
        found = sp.csgraph.depth_first_order(ours(A, index), start, directed)
        same(found, theirs.depth_first_order(A, start, directed))


@pytest.mark.parametrize("kind", ["symmetric", "weights differ", "an edge less", "unsorted"])
def test_edges_that_stand_both_ways(kind):
    A = random_graph(3000, 12_000, 36)
    B = scipy.sparse.csr_array(A + A.T)
    if kind == "weights differ":
        B.data[100::50] += 0.5
    if kind == "an edge less":
        B = scipy.sparse.csr_array((B.data[:-1], B.indices[:-1], np.minimum(B.indptr, B.nnz - 1)), shape=B.shape)
    if kind == "unsorted":
        B = with_duplicates(B)
    for search in ("breadth_first_order", "depth_first_order"):
        found = getattr(sp.csgraph, search)(ours(B), 3, directed=False)
        same(found, getattr(theirs, search)(B, 3, directed=False))
    for unweighted in (False, True):
        options = {"directed": False, "indices": [0, 3, 5], "unweighted": unweighted}
        same(sp.csgraph.dijkstra(ours(B), **options), theirs.dijkstra(B, **options))


@pytest.mark.parametrize("search", ["breadth_first", "depth_first"])
@pytest.mark.parametrize("directed", [True, False])
def test_searches_with_duplicates(search, directed, workers):
    A = with_duplicates(GRAPHS["random"])
    order, tree = (f"{search}_{part}" for part in ("order", "tree"))
    same(getattr(sp.csgraph, order)(ours(A), 3, directed), getattr(theirs, order)(A, 3, directed))
    found, expected = getattr(sp.csgraph, tree)(ours(A), 3, directed), getattr(theirs, tree)(A, 3, directed)
    expected.sort_indices()  # whose order is that of a sort that is not stable
    for part in ("indptr", "indices", "data"):  # an edge of no length is infinite, both ways: see reconstruct_path
        np.testing.assert_array_equal(getattr(found.to_scipy(), part), getattr(expected, part).astype(held(np.float64)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
@pytest.mark.parametrize("name", GRAPHS)
def test_spanning_trees(name, dtype, workers):
    A = GRAPHS[name].astype(dtype)
    found, expected = sp.csgraph.minimum_spanning_tree(ours(A)), theirs.minimum_spanning_tree(A)
    assert isinstance(found, sp.csr_array) and found.has_canonical_format
    T = found.to_scipy()
    unique = len(np.unique(A.data)) == A.nnz
    if unique:  # the tree is determined
        assert (T != expected).nnz == 0 and T.dtype == held(expected.dtype)
    assert T.data.sum(dtype=np.float64) == pytest.approx(expected.data.sum(), rel=1e-12)
    zeros = A.copy()
    zeros.data = (zeros.data == 0).astype(float)  # edges that are in the tree unseen
    zeros.eliminate_zeros()
    n, _ = theirs.connected_components(A)
    assert T.nnz == A.shape[0] - n - (A.shape[0] - theirs.connected_components(zeros)[0])
    assert theirs.connected_components(T + zeros)[0] == n
    assert (T - T.multiply(A != 0)).nnz == 0 and not (abs(T - A.multiply(T != 0)) > 0).nnz


def test_spanning_trees_of_odd_weights(namespace):
    for data in ([np.inf, np.inf, 1.0], [-1.0, -2.0, -np.inf], [np.nan, 1.0, 2.0], [0.0, 0.0, 0.0], [-0.0, 0.0, 1.0]):
        A = scipy.sparse.csr_array((data, ([0, 1, 0], [1, 2, 2])), shape=(4, 4))
        same(sp.csgraph.minimum_spanning_tree(ours(A)), theirs.minimum_spanning_tree(A))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("name", GRAPHS)
def test_reverse_cuthill_mckee(name, index):
    A = GRAPHS[name]
    B = A.astype(bool).astype(np.int8)
    for graph, symmetric in ((A, False), (B - B.T, False), (B + B.T, True)):
        graph = scipy.sparse.csr_array(
            (graph.data, graph.indices.astype(index), graph.indptr.astype(index)), shape=graph.shape
        )
        found = sp.csgraph.reverse_cuthill_mckee(ours(graph, index), symmetric)
        expected = theirs.reverse_cuthill_mckee(graph, symmetric)
        assert expected.dtype == index
        same(found, expected)


def test_matrices_give_matrices(namespace):
    A = scipy.sparse.csr_matrix(random_graph(20, 60, 34))
    for name, args in (("minimum_spanning_tree", ()), ("breadth_first_tree", (0,)), ("laplacian", ())):
        found, expected = getattr(sp.csgraph, name)(sp.from_scipy(A), *args), getattr(theirs, name)(A, *args)
        assert type(found).__name__ == type(expected).__name__
        np.testing.assert_allclose(host(found), expected.toarray())


def test_structure_alone_needs_no_values():
    """Traced weights do not matter to what is connected."""
    A = sp.csr_array(random_graph(30, 60, 35))

    def count(v):
        n, _ = sp.csgraph.connected_components(A.with_data(v))
        return v.sum() * n

    n, _ = theirs.connected_components(A.to_scipy())
    assert mx.grad(count)(mx.array(A.data)).tolist() == [n] * A.nnz
