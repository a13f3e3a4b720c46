"""Ragged batches of point clouds against a Python loop over the clouds in NumPy."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse.indexed import OffsetPointCloudBatch, PointCloudBatch

LENGTHS = [[5, 3, 9], [0, 4, 0, 0, 7, 1, 0], [6], [0, 0], []]
EPS = {mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7, mx.float32: 2.0**-23}


def make(kind, lengths, dim=3, channels=2, dtype=mx.float32, seed=0):
    """A batch and its clouds' positions and features as float64 arrays."""
    rng = np.random.default_rng(seed)
    T = sum(lengths)
    x = mx.array(rng.standard_normal((T, dim)).astype(np.float32)).astype(dtype)
    f = mx.array(rng.standard_normal((T, channels)).astype(np.float32)).astype(dtype)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    batch = PointCloudBatch(x, f, lengths) if kind == "lengths" else OffsetPointCloudBatch(x, f, ends)
    return batch, np.split(host(x), ends[1:-1])[: len(lengths)], np.split(host(f), ends[1:-1])[: len(lengths)]


def host(x):
    return np.array(x.astype(mx.float32), np.float64)


def same(batch, positions, features=None):
    assert len(batch) == len(positions)
    np.testing.assert_array_equal(batch.lengths, [len(p) for p in positions])
    if positions:
        np.testing.assert_array_equal(host(batch.positions), np.concatenate(positions))
    if features is not None and positions:
        np.testing.assert_array_equal(host(batch.features), np.concatenate(features))


both = pytest.mark.parametrize("kind", ["lengths", "offsets"])
ragged = pytest.mark.parametrize("lengths", LENGTHS, ids=str)


@both
@ragged
def test_members(kind, lengths):
    batch, x, f = make(kind, lengths)
    same(batch, x, f)
    assert (batch.batch_size, batch.total_points) == (len(lengths), sum(lengths))
    np.testing.assert_array_equal(batch.offsets, np.concatenate([[0], np.cumsum(lengths)]))
    np.testing.assert_array_equal(batch.indices, np.repeat(np.arange(len(lengths)), lengths))
    np.testing.assert_array_equal(batch.as_lengths(), np.array(lengths))
    assert type(batch).__name__ in repr(batch) and str(sum(lengths)) in repr(batch)
    for i, cloud in enumerate(batch):
        same(cloud, [x[i]], [f[i]])
        np.testing.assert_array_equal(batch.get_points(i), x[i])
    if lengths:
        np.testing.assert_array_equal(batch.get_points(-1), x[-1])
    idx = np.arange(sum(lengths))[::-2]
    np.testing.assert_array_equal(host(batch.gather_by_index(idx)), np.concatenate([*x, np.zeros((0, 3))])[idx])


@both
@ragged
def test_padding_and_back(kind, lengths):
    batch, x, f = make(kind, lengths)
    longest = max(lengths, default=0)
    for most in (None, 0, 2, longest + 2):
        L = longest if most is None else most
        expected = np.full((len(lengths), L, 3), -5.0)
        mask = np.zeros((len(lengths), L), bool)
        for i, p in enumerate(x):
            expected[i, : len(p)], mask[i, : len(p)] = p[:L], True
        np.testing.assert_array_equal(batch.to_dense(most, fill_value=-5.0), expected)
        np.testing.assert_array_equal(batch.dense_mask(most), mask)
    dense, features = batch.to_dense(), batch.to_dense(values=batch.features)
    assert features.shape == (len(lengths), longest, 2)
    same(type(batch).from_dense(dense, batch.lengths, features=features), x, f)
    same(type(batch).from_dense(dense, mask=batch.dense_mask(), features=features), x, f)
    same(PointCloudBatch.from_dense(mx.ones((2, 3, 1))), [np.ones((3, 1))] * 2)
    holes = np.array([[True, False, True], [False, False, True]])
    values = np.arange(6.0).reshape(2, 3, 1)
    same(PointCloudBatch.from_dense(values, mask=mx.array(holes)), [values[0, [0, 2]], values[1, [2]]])


@pytest.mark.parametrize("dtype", EPS, ids=str)
@both
@ragged
def test_per_cloud_reductions(kind, lengths, dtype):
    batch, x, f = make(kind, lengths, dtype=dtype)
    longest = max(lengths, default=0)
    tolerance = {"rtol": EPS[dtype] + longest * 2.0**-23, "atol": 2 * longest * 2.0**-23}
    means = np.array([p.mean(0) if len(p) else np.zeros(3) for p in x]).reshape(-1, 3)
    np.testing.assert_allclose(host(batch.centroid()), means, **tolerance)
    sums = np.array([p.sum(0) for p in f]).reshape(-1, 2)
    np.testing.assert_allclose(host(batch.segment_reduce(batch.features)), sums, **tolerance)
    low, high = (host(v) for v in batch.bounding_box())
    pooled = host(batch.pool())
    for i, p in enumerate(x):
        if len(p):
            np.testing.assert_array_equal(low[i], p.min(0))
            np.testing.assert_array_equal(high[i], p.max(0))
            np.testing.assert_array_equal(pooled[i], f[i].max(0))
        else:
            assert np.all(low[i] == np.inf) and np.all(high[i] == -np.inf)
    moved, scaled = batch.normalize(scale=False), batch.normalize()
    assert moved.positions.dtype == scaled.positions.dtype == dtype
    unit = []
    for p in x:
        centred = p - p.mean(0) if len(p) else p
        radius = np.linalg.norm(centred, axis=1).max(initial=0)
        unit.append(centred / (radius or 1.0))
    if unit:
        np.testing.assert_allclose(
            host(scaled.positions), np.concatenate(unit), rtol=EPS[dtype], atol=2e-6 + EPS[dtype]
        )
    np.testing.assert_array_equal(host(batch.expand(batch.centroid())), np.repeat(host(batch.centroid()), lengths, 0))


@both
def test_choosing_clouds(kind):
    lengths = [0, 4, 2, 0, 7, 1]
    batch, x, f = make(kind, lengths)
    for key in (
        2, -1, slice(None), slice(1, 4), slice(4, 1, -1), slice(5, None), slice(3, 3), [4, 1, 1], [], np.array([5, 0]),
        mx.array([1, 2]), np.array(lengths) > 1, mx.array([True] + [False] * 5), np.int64(4),
    ):  # fmt: skip
        index = np.array(key, int if isinstance(key, list) else None) if isinstance(key, (list, mx.array)) else key
        chosen = np.atleast_1d(np.arange(6)[index])
        same(batch[key], [x[i] for i in chosen], [f[i] for i in chosen])
        assert type(batch[key]) is type(batch)
    same(type(batch).concatenate([batch[4:], batch[:0], batch[:2]]), x[4:] + x[:2], f[4:] + f[:2])
    for key in (6, -7, [0, 6], np.zeros(5, bool), [0.5], "a", (0, 1, 2, 3, 4, 5, 6)):
        with pytest.raises(IndexError):
            batch[key]


@pytest.mark.parametrize("name", ["positions", "features", "lengths", "offsets", "indices", "order"])
def test_attributes_are_handles_of_their_own(name):
    clouds = PointCloudBatch(mx.ones((4, 2)), mx.ones((4, 3)), indices=mx.array([1, 0, 1, 0]))
    before = getattr(clouds, name).tolist()
    held = getattr(clouds, name)
    held += 1000
    assert getattr(clouds, name).tolist() == before


def test_from_list_and_replacement():
    x = [np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32), np.full((1, 3), 2, np.float32)]
    f = [np.arange(n, dtype=np.float32) for n in (2, 0, 1)]
    for cls in (PointCloudBatch, OffsetPointCloudBatch):
        batch = cls.from_list(x, f)
        same(batch, x, f)
        assert cls.from_list(x).features is None
        other = batch.with_positions(batch.positions * 2).with_features(None)
        same(other, [2 * p for p in x])
        assert other.features is None and batch.features is not None
    assert PointCloudBatch(np.arange(6).reshape(3, 2)).positions.dtype in (mx.float32, mx.float64)
    assert len(PointCloudBatch(mx.ones((3, 2)))) == len(OffsetPointCloudBatch(mx.ones((3, 2)))) == 1


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_indices_in_any_order(dtype):
    rng = np.random.default_rng(3)
    ids = rng.permutation(np.repeat([0, 2, 3], [4, 5, 2])).astype(dtype)
    x, f = rng.standard_normal((11, 2)).astype(np.float32), rng.standard_normal((11, 1)).astype(np.float32)
    batch = PointCloudBatch(mx.array(x), f, indices=mx.array(ids))
    same(batch, [x[ids == i] for i in range(4)], [f[ids == i] for i in range(4)])
    np.testing.assert_array_equal(batch.order, np.argsort(ids, kind="stable"))
    same(PointCloudBatch(x, lengths=[4, 0, 5, 2, 0], indices=ids), [x[ids == i] for i in range(5)])
    ordered = PointCloudBatch(x, indices=np.sort(ids))
    assert ordered.order is None and ordered.batch_size == 4
    assert PointCloudBatch(mx.zeros((0, 2)), indices=[]).batch_size == 0


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 20])
@both
def test_voxel_downsample(kind, dim):
    lengths = [30, 0, 50, 1]
    batch, x, f = make(kind, lengths, dim=dim, seed=dim)
    for size, origin in ((0.5, 0.0), (np.linspace(0.3, 2, dim), np.full(dim, 0.2)), (1e-12, 0.0), (100.0, -50.0)):
        small, mapping = batch.voxel_downsample(size, origin)
        assert type(small) is type(batch) and mapping.shape == (81,)
        start, m = 0, np.array(mapping)
        for i, (p, q) in enumerate(zip(x, f, strict=True)):
            cells, inverse = np.unique(np.floor((p - origin) / size), axis=0, return_inverse=True)
            assert small.lengths[i].item() == len(cells)
            first = int(small.offsets[i].item())
            np.testing.assert_array_equal(m[start : start + len(p)], inverse.reshape(-1) + first)
            for c in range(len(cells)):
                np.testing.assert_allclose(small.positions[first + c], p[inverse == c].mean(0), rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(small.features[first + c], q[inverse == c].mean(0), rtol=1e-4, atol=1e-5)
            start += len(p)
    assert batch[1].voxel_downsample(1.0)[0].total_points == 0


@both
def test_neighbours_stay_in_their_cloud(kind):
    batch, x, _ = make(kind, [4, 0, 9, 1])
    other, y, _ = make(kind, [2, 3, 5, 0], seed=1)
    for A, b, k in (
        (batch.neighbors(3), x, 3),
        (batch.neighbors(k=2, other=other), y, 2),
        (batch.neighbors(radius=100.0), x, 99),
        (batch.neighbors(radius=100.0, other=other, max_neighbors=2), y, 2),
    ):
        assert isinstance(A, sp.csr_array) and A.shape == (14, sum(map(len, b)))
        dense, row, column = A.toarray(), 0, 0
        stored = np.zeros(A.shape, bool)
        stored[np.repeat(np.arange(14), np.diff(np.array(A.indptr))), np.array(A.indices)] = True
        for p, q in zip(x, b, strict=True):
            d = np.linalg.norm(p[:, None] - q[None], axis=-1)
            for i in range(len(p)):
                nearest = np.argsort(d[i])[:k]
                assert sorted(np.flatnonzero(stored[row + i]) - column) == sorted(nearest)
                np.testing.assert_allclose(dense[row + i, column + nearest], d[i, nearest], rtol=1e-5, atol=1e-6)
            row, column = row + len(p), column + len(q)
    assert batch.neighbors(1, include_self=False).nnz == 13


@both
def test_gradients(kind):
    """Against central differences in float64."""
    rng = np.random.default_rng(5)
    lengths = [4, 0, 6, 1]
    with mx.stream(mx.cpu):
        x, dx = (mx.array(rng.standard_normal((11, 3)), dtype=mx.float64) for _ in range(2))
        w = mx.array(rng.standard_normal((12, 7, 3)), dtype=mx.float64)
        plain, _, _ = make(kind, lengths)

        def losses(x):
            batch = plain.with_positions(x).with_features(x * x)
            small, _ = batch.voxel_downsample(0.7)
            yield mx.sum(batch.to_dense() * w[:4, :6])
            yield mx.sum(batch.to_dense(2, values=batch.features) * w[:4, :2])
            yield mx.sum(batch.centroid() ** 2 * w[:4, 0])
            yield mx.sum(batch.normalize().positions * w[:11, 0])
            yield mx.sum(small.positions**2 * w[0, 0])
            yield mx.sum(batch[[2, 0, 2]].positions ** 2 * w[0, 0])
            yield mx.sum(batch.gather_by_index([3, 3, 0]) ** 2 * w[:3, 0])
            yield mx.sum(batch.neighbors(3).data ** 2)
            yield mx.sum(batch.pool("mean") * w[:4, 1])
            box = batch[[0, 2, 3]].bounding_box()
            yield mx.sum((box[1] - box[0]) ** 2)
            yield mx.sum(type(batch).concatenate([batch, batch]).features * mx.concatenate([w[:11, 0], w[:11, 1]]))

        for i in range(11):

            def loss(x, i=i):
                return list(losses(x))[i]

            h = 1e-6
            slope = (loss(x + h * dx) - loss(x - h * dx)).item() / (2 * h)
            assert mx.sum(mx.grad(loss)(x) * dx).item() == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_coincident_clouds_normalize_with_finite_gradients():
    batch = PointCloudBatch(mx.ones((5, 2)), lengths=[3, 2])
    assert mx.max(mx.abs(batch.normalize().positions)).item() == 0
    g = mx.grad(lambda x: mx.sum(batch.with_positions(x).normalize().positions * mx.array([[1.0, 2.0]])))(
        mx.ones((5, 2))
    )
    assert mx.all(mx.isfinite(g)).item()


def test_under_compile():
    batch, _, _ = make("lengths", [4, 0, 6, 1])

    def loss(x):
        moved = batch.with_positions(x).normalize()
        return mx.sum(moved.to_dense(6) ** 2) + mx.sum(moved.centroid())

    np.testing.assert_allclose(mx.compile(loss)(batch.positions), loss(batch.positions), rtol=1e-5)

    def from_lengths(x, lengths):
        made = PointCloudBatch(x, lengths=lengths)
        return made.centroid(), made.to_dense(6)

    for traced, plain in zip(
        mx.compile(from_lengths)(batch.positions, batch.lengths),
        from_lengths(batch.positions, batch.lengths),
        strict=True,
    ):
        np.testing.assert_allclose(traced, plain, rtol=1e-6)
    with pytest.raises(ValueError, match="max_len|lengths"):
        mx.compile(lambda x, n: PointCloudBatch(x, lengths=n).to_dense())(batch.positions, batch.lengths)


def test_bad_arguments():
    x = mx.ones((4, 2))
    batch = PointCloudBatch(x, lengths=[1, 3])
    for message, call in {
        "positions": lambda: PointCloudBatch(mx.ones(4)),
        "features": lambda: PointCloudBatch(x, mx.ones((3, 1))),
        "lengths must sum": lambda: PointCloudBatch(x, lengths=[1, 2]),
        "lengths must not be negative": lambda: PointCloudBatch(x, lengths=[5, -1]),
        "lengths must hold integers": lambda: PointCloudBatch(x, lengths=[1.5, 2.5]),
        "indices must have length": lambda: PointCloudBatch(x, indices=[0, 1]),
        "indices": lambda: PointCloudBatch(x, indices=[0, 1, -1, 0]),
        r"indices\[": lambda: PointCloudBatch(x, lengths=[4], indices=[0, 0, 0, 1]),
        "disagree": lambda: PointCloudBatch(x, lengths=[3, 1], indices=[0, 0, 1, 1]),
        "offsets must go": lambda: OffsetPointCloudBatch(x, offsets=[0, 3]),
        "offsets must not": lambda: OffsetPointCloudBatch(x, offsets=[0, 3, 2, 4]),
        "offsets must have": lambda: OffsetPointCloudBatch(x, offsets=[]),
        "clouds is empty": lambda: PointCloudBatch.from_list([]),
        r"clouds\[1\]": lambda: PointCloudBatch.from_list([x, mx.ones((2, 3))]),
        "features must be as many": lambda: PointCloudBatch.from_list([x, x], [x]),
        r"features\[1\]": lambda: PointCloudBatch.from_list([x, x], [x, x[:2]]),
        "dense": lambda: PointCloudBatch.from_dense(x),
        "mask must": lambda: PointCloudBatch.from_dense(x[None], mask=[[1, 0, 0, 1]]),
        "lengths must be": lambda: PointCloudBatch.from_dense(x[None], lengths=[5]),
        "lengths and mask": lambda: PointCloudBatch.from_dense(x[None], [4], [[True] * 4]),
        "batches is empty": lambda: PointCloudBatch.concatenate([]),
        "batches differ": lambda: PointCloudBatch.concatenate([batch, PointCloudBatch(mx.ones((1, 3)))]),
        "batches must": lambda: PointCloudBatch.concatenate([batch, batch.with_features(x)]),
        "positions must have a row": lambda: batch.with_positions(x[:3]),
        "idx": lambda: batch.gather_by_index([4]),
        "values": lambda: batch.segment_reduce(mx.ones((2, 2))),
        "values must": lambda: batch.expand(mx.ones((3, 2))),
        "max_len": lambda: batch.to_dense(-1),
        "no features": lambda: batch.pool(),
        "size": lambda: batch.voxel_downsample(0.0),
        "too small": lambda: batch.voxel_downsample(1e-30),
        "k or radius": lambda: batch.neighbors(),
        "max_neighbors": lambda: batch.neighbors(2, max_neighbors=2),
        "other": lambda: batch.neighbors(2, other=batch[:1]),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="real"):
        PointCloudBatch(x.astype(mx.complex64))
    with pytest.raises(TypeError, match="dtype"):
        PointCloudBatch.from_list([x, x.astype(mx.float16)])
