"""Dijkstra's algorithm beyond SciPy's: float32 lengths, derivatives, graphs long enough for several workers."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph as theirs

import mlx_sparse as sp

from .graphs import CASES, held, host, ours, random_graph, same, to_mlx, with_duplicates


@pytest.fixture(params=[1, 4])
def workers(request):
    with sp.runtime.context(n_threads=request.param):
        yield request.param


LARGE = random_graph(3000, 20_000, 21)
POSITIVE = LARGE.copy()
POSITIVE.data = np.random.default_rng(0).integers(1, 2**21, LARGE.nnz) / 2**21  # no ties, lengths exact in float32


@pytest.mark.parametrize("options", [{}, {"directed": False}, {"unweighted": True}, {"limit": 0.4}])
def test_many_sources(options, workers, namespace):
    sources = np.arange(0, 3000, 29)
    same(
        sp.csgraph.dijkstra(ours(LARGE), indices=sources, **options), theirs.dijkstra(LARGE, indices=sources, **options)
    )
    if not options:  # without ties the paths are determined
        found = sp.csgraph.dijkstra(ours(POSITIVE), indices=sources, return_predecessors=True)
        same(found, theirs.dijkstra(POSITIVE, indices=sources, return_predecessors=True))


def test_infinite_edges_lead_nowhere(namespace):
    A = scipy.sparse.csr_array(([np.inf, 1.0, 2.0], ([0, 1, 0], [1, 2, 3])), shape=(5, 5))
    same(sp.csgraph.dijkstra(ours(A), return_predecessors=True), theirs.dijkstra(A, return_predecessors=True))


def test_nodes_that_are_done_stay_where_an_edge_is_negative(namespace):
    ends = [0, 0, 2, 3], [1, 2, 3, 1]  # by node 3 there would be a shorter way to node 1, which is done before
    A = scipy.sparse.csr_array(([1.0, 5.0, -4.5, 0.25], ends), shape=(4, 4))
    with pytest.warns(UserWarning, match="negative"):
        found = sp.csgraph.dijkstra(ours(A), indices=[0], return_predecessors=True)
    with pytest.warns(UserWarning, match="negative"):
        expected = theirs.dijkstra(A, indices=[0], return_predecessors=True)
    same(found, expected)


def test_nan_weights(namespace):
    A = scipy.sparse.csr_array(([np.nan, 1.0, 2.0], ([0, 1, 0], [1, 2, 3])), shape=(5, 5))
    same(sp.csgraph.dijkstra(ours(A)), theirs.dijkstra(A))


@pytest.mark.parametrize("limit", [-1, -1e-9])
def test_limits(limit, namespace):
    with pytest.raises(ValueError, match="limit"):
        sp.csgraph.dijkstra(ours(LARGE), limit=limit)


@pytest.mark.parametrize("function", ["dijkstra", "shortest_path"])
def test_float32_lengths(function, namespace):
    f = getattr(sp.csgraph, function)
    found = f(ours(POSITIVE), indices=[0, 5], dtype=np.float32)
    assert host(found).dtype == np.float32
    np.testing.assert_allclose(host(found), theirs.dijkstra(POSITIVE, indices=[0, 5]), rtol=1e-5)
    assert host(f(ours(POSITIVE), indices=0, dtype=np.float64)).dtype == held(np.float64)
    with pytest.raises(ValueError, match="dtype"):
        f(ours(POSITIVE), indices=0, dtype=np.int32)
    with pytest.raises(ValueError, match="dtype"):
        f(POSITIVE.toarray(), indices=0, dtype=np.float32)


@pytest.mark.parametrize("options", [{}, {"limit": 0.2}, {"limit": 0, "directed": False}, {"dtype": np.float32}])
def test_sparse_lengths(options, namespace, monkeypatch):
    monkeypatch.setattr("mlx_sparse.csgraph._paths._BLOCK", 7000)
    for indices in (None, 5, [3, -1, 3, 8], []):
        A = random_graph(300, 900, 24)
        found = sp.csgraph.dijkstra(ours(A), indices=indices, sparse=True, **options)
        expected = np.atleast_2d(
            theirs.dijkstra(A, indices=indices, **{k: v for k, v in options.items() if k != "dtype"})
        )
        assert isinstance(found, sp.csr_array) and found.shape == expected.shape and found.has_canonical_format
        near = np.isfinite(expected)
        assert found.nnz == near.sum()
        np.testing.assert_allclose(np.array(found.data), expected[near], rtol=1e-6 if "dtype" in options else 0)
        np.testing.assert_array_equal(np.array(found.indices), np.nonzero(near)[1])


def test_sparse_lengths_of_what_has_none(namespace):
    A = random_graph(30, 90, 25)
    for options in ({"return_predecessors": True}, {"min_only": True}, {"indices": [[0], [1]]}):
        with pytest.raises(ValueError, match="sparse"):
            sp.csgraph.dijkstra(ours(A), sparse=True, **options)
    with pytest.raises(ValueError, match="sparse"):
        sp.csgraph.dijkstra(A.toarray(), sparse=True)


def totals(A, directed, **options):
    """The sum of all squared lengths as a function of the weights, by this package and by SciPy in float64."""

    def total(v):
        found = sp.csgraph.dijkstra(ours(A).with_data(v), directed, **options)
        d = found[0] if isinstance(found, tuple) else found
        d = mx.where(mx.isfinite(d), d, mx.zeros_like(d))
        return (d * d).sum()

    def known(v):
        found = theirs.dijkstra(scipy.sparse.csr_array((v, A.indices, A.indptr), shape=A.shape), directed, **options)
        d = found[0] if isinstance(found, tuple) else found
        return (d[np.isfinite(d)] ** 2).sum()

    return total, known


@pytest.mark.parametrize("options", [{}, {"indices": 3}, {"indices": [[0, 7]], "return_predecessors": True}])
@pytest.mark.parametrize("directed", [True, False])
def test_gradients(directed, options):
    A = random_graph(40, 160, 22)
    A.data = np.random.default_rng(1).random(A.nnz) + 0.1
    for B in (A, with_duplicates(A)):
        total, known = totals(B, directed, **options)
        at, along = B.data, np.cos(np.arange(B.nnz))
        slope = (known(at + 1e-7 * along) - known(at - 1e-7 * along)) / 2e-7
        assert host(mx.grad(total)(to_mlx(at))) @ along == pytest.approx(slope, rel=1e-5)
        value, tangent = (x[0].item() for x in mx.jvp(total, [to_mlx(at)], [to_mlx(along)]))
        assert value == total(to_mlx(at)).item() == pytest.approx(known(at), rel=1e-6) and tangent == pytest.approx(
            slope, rel=1e-5
        )


def test_gradient_of_one_path():
    """One on the edges of the path, zero elsewhere."""
    A = sp.csr_array(np.array([[0, 1.0, 5.0], [0, 0, 2.0], [0, 0, 0]]))
    f = lambda v: sp.csgraph.shortest_path(A.with_data(v), indices=0)[2]  # noqa: E731
    assert mx.grad(f)(mx.array(A.data)).tolist() == [1.0, 0.0, 1.0]
    with sp.runtime.context(dense_namespace="mlx"):
        nearest = lambda v: sp.csgraph.dijkstra(A.with_data(v), indices=[0, 1], min_only=True).sum()  # noqa: E731
        assert mx.grad(nearest)(mx.array(A.data)).tolist() == [0.0, 0.0, 1.0]


def test_gradients_refuse_what_is_no_sum_of_weights():
    A = CASES["path"].copy()
    for name in ("bellman_ford", "johnson", "floyd_warshall"):
        with pytest.raises(ValueError):
            mx.grad(lambda v, name=name: getattr(sp.csgraph, name)(ours(A).with_data(v)).sum())(mx.array(A.data))
    A.data[3] = -1
    with pytest.raises(ValueError):
        mx.grad(lambda v: sp.csgraph.dijkstra(ours(A).with_data(v)).sum())(mx.array(A.data))


def test_lazy_weights(namespace):
    A = ours(POSITIVE)
    lazy = A.with_data(mx.array(A._data) * 2)
    same(sp.csgraph.dijkstra(lazy, indices=0), 2 * theirs.dijkstra(POSITIVE, indices=0))


def test_nothing_is_changed(namespace):
    A = ours(with_duplicates(random_graph(30, 90, 23)))
    before = [np.array(x) for x in (A.data, A.indices, A.indptr)]
    for f in (
        sp.csgraph.dijkstra,
        sp.csgraph.minimum_spanning_tree,
        sp.csgraph.connected_components,
        sp.csgraph.laplacian,
    ):
        f(A)
    for x, y in zip(before, (A.data, A.indices, A.indptr), strict=True):
        np.testing.assert_array_equal(x, np.array(y))


@pytest.mark.parametrize("name", ["dijkstra", "bellman_ford", "johnson", "shortest_path"])
@pytest.mark.parametrize("dense", [False, True])
def test_sources_are_whole_numbers_in_range(name, dense):
    graph = np.array([[0, 1.0, 0], [0, 0, 2.0], [4.0, 0, 0]])
    search, graph = getattr(sp.csgraph, name), graph if dense else sp.csr_array(graph)
    for bad in ([1.5], [np.nan], 0.5, [2**40], [-(2**40)], [3], [-4], ["1"]):
        with pytest.raises(ValueError, match="indices|range"):
            search(graph, indices=bad)
    for good in ([1.0, 2.0], np.array([1, 2], np.uint8), [-2, -1]):
        assert np.asarray(search(graph, indices=good)).tolist() == [[6, 0, 2], [4, 5, 0]]
