"""Flows and matchings: of several that are best any may be given, so they are judged by what must hold of them."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import linear_sum_assignment

import mlx_sparse as sp

from .graphs import check_class, error_of, held, host, ours, random_graph, theirs, with_duplicates

SHAPES = [(0, 0), (3, 0), (0, 3), (1, 1), (30, 30), (20, 50), (50, 20), (400, 400), (300, 500)]


def random_sides(shape, per_row, seed, integers=False):
    """A bipartite graph as SciPy's csr array, with weights that float32 holds, and so do their sums."""
    rng = np.random.default_rng(seed)
    count = per_row * shape[0] if shape[1] else 0
    row, col = (rng.integers(0, max(n, 1), count) for n in shape)
    data = rng.integers(1, 9 if integers else 2**12, count) / 8
    A = scipy.sparse.coo_array((data, (row, col)), shape=shape).tocsr()
    return scipy.sparse.csr_array((A.data, A.indices.astype(np.int32), A.indptr.astype(np.int32)), shape=shape)


def is_matching(A, row, col):
    """Whether these are edges of `A`, no two of which share a node."""
    assert len(set(row.tolist())) == len(row) == len(col) == len(set(col.tolist()))
    pairs = set(zip(*(x.tolist() for x in A.tocoo().coords), strict=True))
    return all(pair in pairs for pair in zip(row.tolist(), col.tolist(), strict=True))


# ---- as many edges as possible ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("per_row", [1, 2, 3, 6])
@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_largest_matchings(shape, per_row, format, namespace):
    A = random_sides(shape, per_row, 1)
    A.data[::5] = 0  # an edge all the same
    given = sp.csr_array(A).asformat(format)
    rows, columns = (sp.csgraph.maximum_bipartite_matching(given, side) for side in ("row", "column"))
    for found, n in ((rows, shape[1]), (columns, shape[0])):
        check_class(found, namespace)
        assert host(found).dtype == np.int32 and host(found).shape == (n,)
    rows, columns = host(rows), host(columns)
    (matched,) = np.nonzero(columns >= 0)
    assert is_matching(A, matched, columns[matched])
    np.testing.assert_array_equal(rows[columns[matched]], matched)
    assert (rows >= 0).sum() == len(matched) == (theirs.maximum_bipartite_matching(A) >= 0).sum()
    assert sp.csgraph.structural_rank(given) == len(matched)


@pytest.mark.parametrize("seed", range(3))
def test_largest_matchings_that_take_rounds(seed):
    """Sizes at which searches one by one find no more than some, and many nodes are left out for good."""
    A = random_sides((20_000, 20_000), 3, seed)
    columns = host(sp.csgraph.maximum_bipartite_matching(ours(A), "column"))
    (matched,) = np.nonzero(columns >= 0)
    assert is_matching(A, matched, columns[matched])
    assert len(matched) == (theirs.maximum_bipartite_matching(A) >= 0).sum()


def test_parallel_edges(namespace):
    """SciPy's routine writes past the end of its queue for them."""
    full = scipy.sparse.csr_array(random_graph(30, 200, 11) + scipy.sparse.eye_array(30))
    full.eliminate_zeros()
    data, indices = np.repeat(full.data / 8, 8), np.repeat(full.indices, 8)
    A = sp.csr_array((data, indices, full.indptr * 8), shape=full.shape)
    assert sp.csgraph.structural_rank(A) == theirs.structural_rank(full)
    found = host(sp.csgraph.maximum_bipartite_matching(A, "column"))
    assert is_matching(full, np.arange(30), found)
    row, col = map(host, sp.csgraph.min_weight_full_bipartite_matching(A))
    expected = full[theirs.min_weight_full_bipartite_matching(full)].sum()
    np.testing.assert_allclose(full[row, col].sum(), expected, rtol=np.finfo(held(np.float64)).eps * 100)


@pytest.mark.parametrize(
    "name", ["maximum_bipartite_matching", "structural_rank", "min_weight_full_bipartite_matching"]
)
def test_what_is_no_bipartite_graph(name):
    for bad in (np.eye(3), scipy.sparse.coo_array(np.ones(3))):
        given = sp.from_scipy(bad) if scipy.sparse.issparse(bad) else bad
        assert isinstance(error_of(getattr(sp.csgraph, name), given), (TypeError, ValueError))
    if name != "structural_rank":
        with pytest.raises(TypeError, match="lil"):
            getattr(sp.csgraph, name)(sp.eye_array(3, format="lil"))
    with pytest.raises(ValueError, match="diagonal"):
        sp.csgraph.maximum_bipartite_matching(sp.eye_array(3, format="csr"), "diagonal")


# ---- the least sum of weights -----------------------------------------------------------------------------------


def least_sum(A, largest):
    dense = np.full(A.shape, -np.inf if largest else np.inf)
    C = A.tocoo()
    dense[C.row, C.col] = C.data
    row, col = linear_sum_assignment(dense, largest)
    return dense[row, col].sum()


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("per_row", [1, 4, 20])
def test_least_matchings(shape, per_row, integers, largest, namespace):
    A = random_sides(shape, per_row, 2, integers)
    k = min(shape)  # one matching at least
    some = scipy.sparse.coo_array((np.full(k, 64.0), (np.arange(k), np.arange(k)[::-1])), shape=shape)
    A = scipy.sparse.csr_array(A + some)
    found = sp.csgraph.min_weight_full_bipartite_matching(sp.csr_array(A), largest)
    check_class(found, namespace)
    expected = theirs.min_weight_full_bipartite_matching(A, largest)
    row, col = map(host, found)
    assert (row.dtype, col.dtype) == tuple(x.dtype for x in expected) or not k
    assert len(row) == k and (np.diff(row) > 0).all() and is_matching(A, row, col)
    assert A[row, col].sum() == A[expected].sum() == least_sum(A, largest)


@pytest.mark.parametrize("seed", range(8))
def test_least_matchings_that_are_one_only(seed):
    """Weights no two sums of which are equal: the matching is SciPy's."""
    rng = np.random.default_rng(seed)
    A = scipy.sparse.csr_array(scipy.sparse.random_array((60, 60 + 5 * (seed % 3)), density=0.2, rng=rng))
    A = scipy.sparse.csr_array(A + scipy.sparse.eye_array(*A.shape))
    A.data = rng.permutation(len(A.data)).astype(np.float64) + 1  # so that float32 holds them
    A.data *= rng.choice([-1, 1], len(A.data))
    A.data += np.round(rng.random(len(A.data)) * 2**10) / 2**12
    for B in (A, A.T.tocsr()):
        row, col = map(host, sp.csgraph.min_weight_full_bipartite_matching(ours(B)))
        expected = theirs.min_weight_full_bipartite_matching(B)
        np.testing.assert_array_equal(row, expected[0])
        np.testing.assert_array_equal(col, expected[1])


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_weights_that_are_no_edges(format):
    A = scipy.sparse.csr_array([[3.0, 1, 0], [1, 2, 4], [0, 5, 1]])
    for k, value in ((0, 0.0), (0, np.inf), (1, -np.inf), (2, np.inf), (3, 0.0), (0, np.nan)):
        B = A.copy()
        B.data[k] = value
        for largest in (False, True):
            if value == (np.inf if largest else -np.inf):
                with pytest.raises(ValueError, match="no best sum"):
                    sp.csgraph.min_weight_full_bipartite_matching(ours(B), largest)
                continue
            results, told = [], []
            for module, given in ((theirs, B), (sp.csgraph, ours(B).asformat(format))):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    f = module.min_weight_full_bipartite_matching
                    error = error_of(f, given, largest)
                    results.append(type(error) if error else np.asarray(host(f(given, largest)[1])).tolist())
                told.append({str(w.message) for w in caught if w.category is UserWarning})
            if not np.isnan(value):
                assert results[0] == results[1] and told[0] == told[1], (k, value, largest)


def test_no_full_matching():
    for bad in ([[1.0, 1, 0], [1, 1, 0], [1, 1, 0]], [[0.0, 0], [1, 1]], [[1.0, 0, 0, 0], [2, 0, 0, 0], [1, 1, 1, 1]]):
        for A in (scipy.sparse.csr_array(bad), scipy.sparse.csr_array(bad).T.tocsr()):
            for module, given in ((theirs, A), (sp.csgraph, ours(A))):
                with pytest.raises(ValueError, match="no full matching exists"):
                    module.min_weight_full_bipartite_matching(given)


# ---- flows ------------------------------------------------------------------------------------------------------


def flows_are_scipys(A, source, sink, given=None):
    for method in ("dinic", "edmonds_karp"):
        known = theirs.maximum_flow(A, source, sink, method=method)
        found = sp.csgraph.maximum_flow(ours(A) if given is None else given, source, sink, method=method)
        assert found.flow_value == known.flow_value and repr(found) == repr(known) and type(found.flow_value) is int
        for part in ("indices", "indptr"):
            np.testing.assert_array_equal(host(getattr(found.flow, part)), getattr(known.flow, part))
        flow = host(found.flow).astype(np.int64)
        assert host(found.flow).dtype == known.flow.dtype and found.flow.has_canonical_format
        assert (flow <= np.maximum(A.toarray(), 0)).all() and (flow == -flow.T).all()
        net = flow.sum(1)
        assert net[source] == found.flow_value == -net[sink] and not np.delete(net, [source, sink]).any()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n, edges", [(2, 3), (30, 60), (30, 400), (150, 700)])
def test_maximum_flow(n, edges, seed, namespace):
    A = random_graph(n, edges, seed, integers=True, dtype=np.int32)
    A.sum_duplicates()
    source, sink = np.random.default_rng(seed).permutation(n)[:2]
    flows_are_scipys(A, source, sink)


def test_flows_of_large_capacities():
    A = random_graph(40, 200, 3)
    A.data = np.ceil(A.data * 2**28)
    A = A.astype(np.int32)
    middle = np.arange(3, 30)  # what flows is beyond int32, by edges that are not
    ends = np.concatenate([np.zeros(27, int), middle]), np.concatenate([middle, np.full(27, 39)])
    A = scipy.sparse.csr_array(A + scipy.sparse.coo_array((np.full(54, 2**28), ends), shape=A.shape, dtype=np.int32))
    assert theirs.maximum_flow(A, 0, 39).flow_value > 2**31
    flows_are_scipys(A, 0, 39)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_flows_of_other_integers(dtype, index):
    A = random_graph(30, 200, 4, integers=True, dtype=np.int32)
    flows_are_scipys(A, 0, 9, ours(A.astype(dtype), index))


def test_flows_of_duplicates_and_matrices():
    A = with_duplicates(random_graph(30, 200, 5, integers=True, dtype=np.int32))
    summed = A.copy()
    summed.sum_duplicates()
    before = A.indices.copy()
    flows_are_scipys(summed, 0, 9, ours(A))
    flows_are_scipys(summed, 0, 9, A)
    np.testing.assert_array_equal(A.indices, before)
    assert isinstance(sp.csgraph.maximum_flow(ours(A), 0, 9).flow, sp.csr_array)
    for matrix in (sp.csr_matrix(summed), scipy.sparse.csr_matrix(summed)):
        assert isinstance(sp.csgraph.maximum_flow(matrix, 0, 9).flow, sp.csr_matrix)


def test_what_has_no_flow():
    A = random_graph(30, 200, 6, integers=True, dtype=np.int32)
    graphs = [
        A,
        A.toarray(),
        A.tocsc(),
        A.astype(np.float64),
        A.astype(bool),
        A[:20],
        scipy.sparse.csr_array((0, 0), dtype=np.int32),
    ]
    for B in graphs:
        for nodes in ((0, 9), (0, 0), (0, 30), (-1, 3), (30, 0), (3, -1), ("a", 2), (None, 2)):
            given = sp.from_scipy(B) if scipy.sparse.issparse(B) else B
            error = error_of(theirs.maximum_flow, B, *nodes)
            found = error_of(sp.csgraph.maximum_flow, given, *nodes)
            assert type(found) is type(error), (B, nodes, found, error)
    assert isinstance(error_of(sp.csgraph.maximum_flow, ours(A), 0, 9, method="push"), ValueError)
    with pytest.raises(ValueError, match="square"):
        sp.csgraph.maximum_flow(sp.csr_array(np.array([0, 3, 2], np.int32)), 0, 2)
    with pytest.raises(ValueError, match="int32"):
        sp.csgraph.maximum_flow(ours(A.astype(np.int64) * 2**31), 0, 9)
    with pytest.raises(TypeError):
        sp.csgraph.maximum_flow(ours(A), 0, 9.5)
