"""Yen's method: lengths are SciPy's, and of all paths without loops the shortest; paths are what their lengths say."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp

from .graphs import CASES, check_class, error_of, host, ours, random_graph, same, theirs, to_mlx, with_duplicates

OPTIONS = [{}, {"directed": False}, {"unweighted": True}, {"directed": False, "unweighted": True}]


def weights_of(A, directed=True, unweighted=False):
    """The shortest of parallel edges as a dense array, infinite where there is none."""
    weights = np.full(A.shape, np.inf)
    C = A.tocoo()
    np.minimum.at(weights, (C.row, C.col), 1.0 if unweighted else C.data)
    return weights if directed else np.minimum(weights, weights.T)


def all_lengths(weights, source, sink):
    """Of every path without loops, in order; by looking at all of them."""
    found = []

    def extend(path, length):
        if path[-1] == sink:
            found.append(length)
            return
        for w in np.flatnonzero(np.isfinite(weights[path[-1]])):
            if w not in path:
                extend([*path, w], length + weights[path[-1], w])

    extend([source], 0.0)
    return sorted(found)


def check_routes(weights, source, sink, lengths, before):
    """Rows of predecessors tell of different paths without loops, of these lengths, which ascend."""
    assert (np.diff(lengths) >= 0).all() and before.shape == (len(lengths), len(weights))
    assert len({row.tobytes() for row in before}) == len(before)
    for length, row in zip(lengths, before, strict=True):
        path = [sink]
        while path[-1] != source:
            path.append(row[path[-1]])
            assert path[-1] >= 0 and len(path) <= len(weights)
        assert (row >= 0).sum() == len(path) - 1  # and of no other node
        path.reverse()
        eps = np.finfo(lengths.dtype).eps
        np.testing.assert_allclose(
            sum(weights[u, v] for u, v in zip(path, path[1:], strict=False)), length, rtol=16 * eps
        )


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("K", [0, 1, 2, 7, 40])
def test_as_scipys(case, K, options, namespace):
    A = CASES[case]
    n = A.shape[0]
    if case == "duplicates":  # of which SciPy takes any
        weights = weights_of(A)
        row, col = np.nonzero(np.isfinite(weights))
        ends = row.astype(np.int32), col.astype(np.int32)
        A = scipy.sparse.csr_array((weights[row, col], ends), shape=A.shape)
    for source, sink in ((0, 5 % max(n, 1)), (n - 1, 0), (n // 2, n // 2)):
        if not n:
            with pytest.raises(ValueError, match="must have 0 <="):
                sp.csgraph.yen(ours(A), source, sink, K, **options)
            continue
        found = sp.csgraph.yen(ours(CASES[case]), source, sink, K, return_predecessors=True, **options)
        check_class(found, namespace)
        # SciPy writes down one path in any case, and cannot do with no edges.
        expected = theirs.yen(A, source, sink, K or 1, **options) if A.nnz else np.zeros(int(source == sink))
        expected = expected[:K]
        same(found[0], expected, exact=False)
        same(sp.csgraph.yen(ours(CASES[case]), source, sink, K, **options), host(found[0]))
        check_routes(weights_of(A, **options), source, sink, *map(host, found))
        assert host(found[1]).dtype == np.int32


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", range(6))
def test_all_paths_of_small_graphs(seed, options):
    """By enumeration: what SciPy's does with parallel edges is its own."""
    A = random_graph(9, 30, seed, integers=seed % 2 == 1)
    for B in (A, with_duplicates(A)):
        expected = all_lengths(weights_of(B, **options), 0, 6)
        for K in (1, 3, len(expected), len(expected) + 5):
            lengths, before = map(host, sp.csgraph.yen(ours(B), 0, 6, K, return_predecessors=True, **options))
            same(lengths, np.array(expected[:K]), exact=False)
            check_routes(weights_of(B, **options), 0, 6, lengths, before)


@pytest.mark.parametrize("seed", range(4))
def test_edges_of_negative_length(seed):
    A = random_graph(40, 200, seed)
    heights = np.random.default_rng(seed).integers(-3, 4, 40)
    C = A.tocoo()
    A.data = A.data + heights[C.row] - heights[C.col]
    same(sp.csgraph.yen(ours(A), 0, 5, 8), theirs.yen(A, 0, 5, 8), exact=False)
    same(sp.csgraph.yen(ours(A), 0, 5, 8, unweighted=True), theirs.yen(A, 0, 5, 8, unweighted=True))
    lengths, before = map(host, sp.csgraph.yen(ours(A), 0, 5, 8, return_predecessors=True))
    weights = weights_of(A)
    for length, row in zip(lengths, before, strict=True):
        to = np.flatnonzero(row >= 0)
        np.testing.assert_allclose(weights[row[to], to].sum(), length, atol=1e-5)
    for options in ({}, {"directed": False}):
        B = A if options else scipy.sparse.csr_array([[0, 1.0, 0], [0, 0, -2.0], [0.5, 0, 0]])
        for module, given in ((sp.csgraph, ours(B)), (theirs, B)):
            with pytest.raises(theirs.NegativeCycleError, match="Negative cycle"):
                module.yen(given, 0, 2, 3, **options)


@pytest.mark.parametrize("options", OPTIONS)
def test_kinds_of_graphs(options, namespace):
    A = random_graph(20, 80, 8)
    A.eliminate_zeros()
    expected = theirs.yen(A, 0, 5, 6, **options)
    for given in (A, sp.csc_array(A), sp.coo_array(A), ours(A, np.int64), sp.csr_matrix(A)):
        found = sp.csgraph.yen(given, 0, 5, 6, **options)
        check_class(found, namespace)
        same(found, expected, exact=False)
    same(sp.csgraph.yen(A.toarray(), 0, 5, 6, **options), expected, exact=False, dense=True)
    same(sp.csgraph.yen(to_mlx(A.toarray()), 0, 5, 6, **options), expected, exact=False)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_edges_that_lead_nowhere(value):
    A = random_graph(30, 150, 9)
    A.data[::3] = value
    B = A.copy()
    B.data[::3] = np.inf
    same(sp.csgraph.yen(ours(A), 0, 7, 9), theirs.yen(B, 0, 7, 9), exact=False)


def test_a_larger_graph():
    """By searches that end early, and lengths that are no sums of few bits."""
    A = scipy.sparse.random_array((3000, 3000), density=1e-3, format="csr", rng=1)
    for directed in (True, False):
        found = sp.csgraph.yen(sp.csr_array(A), 0, 17, 12, directed=directed, return_predecessors=True)
        held = A.copy()
        held.data = host(sp.csr_array(A).data).astype(np.float64)
        same(found[0], theirs.yen(held, 0, 17, 12, directed=directed), exact=False)
        check_routes(weights_of(held, directed), 0, 17, *map(host, found))


def test_nodes_and_numbers_that_are_none(namespace):
    A = CASES["sparse"]
    for bad in ((0, 60, 2), (60, 0, 2), (-1, 0, 2), (0, -1, 2), (0, 5, -1), (0, 5, 1.5), ("0", 5, 1), (0, None, 1)):
        assert type(error_of(sp.csgraph.yen, ours(A), *bad)) is type(error_of(theirs.yen, A, *bad)), bad
    with pytest.raises(ValueError, match="N, N"):
        sp.csgraph.yen(ours(A[:5]), 0, 1, 1)
