"""Distances and neighbours against NumPy in float64, by the definition."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse.indexed import indexed_distance, k_nearest_neighbors, radius_neighbors

METRICS = ["euclidean", "sqeuclidean", "cosine", "manhattan"]
EPS = {mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7, mx.float32: 2.0**-23}


def reference(a, b, metric):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    d = a[:, None] - b[None]
    if metric == "cosine":
        lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)[None]
        with np.errstate(invalid="ignore"):
            return np.where(lengths > 0, 1 - (a @ b.T) / lengths, 1.0)
    if metric == "manhattan":
        return np.abs(d).sum(-1)
    return (d**2).sum(-1) ** (0.5 if metric == "euclidean" else 1.0)


def host(x):
    return np.array(x.astype(mx.float32), np.float64)


def points(rng, n, dim, dtype=mx.float32):
    return mx.array(rng.standard_normal((n, dim)).astype(np.float32)).astype(dtype)


@pytest.mark.parametrize("dtype", EPS, ids=str)
@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 20])
@pytest.mark.parametrize("metric", METRICS)
def test_all_pairs(metric, dim, dtype):
    rng = np.random.default_rng(dim)
    a, b = points(rng, 17, dim, dtype), points(rng, 9, dim, dtype)
    expected = reference(host(a), host(b), metric)
    # Sums of `dim` squares and a root in float32, one rounding to the dtype; unit vectors bring an absolute part.
    absolute = 4 * EPS[mx.float32] if metric == "cosine" else 0
    for block in (None, 1, 4, 100):
        d = indexed_distance(a, b, metric=metric, block_size=block)
        assert d.dtype == dtype and d.shape == (17, 9)
        np.testing.assert_allclose(host(d), expected, rtol=EPS[dtype] + (dim + 4) * EPS[mx.float32], atol=absolute)


@pytest.mark.parametrize("metric", METRICS)
def test_listed_rows_and_pairs(metric):
    rng = np.random.default_rng(1)
    a, b = points(rng, 8, 3), points(rng, 6, 3)
    i, j = rng.integers(0, 8, 15), rng.integers(0, 6, 15)
    full = np.array(indexed_distance(a, b, metric=metric))
    # The same sums; a GPU takes them in another order for another shape.
    on_cpu = mx.default_device().type == mx.DeviceType.cpu
    rounding = {"rtol": 0, "atol": 0} if on_cpu else {"rtol": 8 * 2.0**-23, "atol": 2.0**-23}
    for kind in (np.int32, np.int64, np.uint8):
        picked = indexed_distance(a, b, i.astype(kind), j[:4], metric)
        np.testing.assert_allclose(picked, full[i][:, j[:4]], **rounding)
        got = indexed_distance(a, b, mx.array(i.astype(kind)), j.tolist(), metric, pairs=True)
        np.testing.assert_allclose(got, full[i, j], rtol=8 * 2.0**-23, atol=2.0**-23)
    one = indexed_distance(a, b, a_indices=[3], metric=metric)
    np.testing.assert_allclose(one, full[[3]], **rounding)
    np.testing.assert_allclose(
        indexed_distance(a[:6], b, metric=metric, pairs=True), np.diag(full), rtol=8 * 2.0**-23, atol=2.0**-23
    )


def test_names_of_metrics_and_numpy_points():
    a = np.random.default_rng(2).standard_normal((5, 3))
    ours = indexed_distance(a, a, metric="squared_euclidean")
    np.testing.assert_array_equal(ours, indexed_distance(a, a, metric="sqeuclidean"))
    np.testing.assert_array_equal(
        indexed_distance(a, a, metric="cityblock"), indexed_distance(a, a, metric="manhattan")
    )
    on_cpu = mx.default_device().type == mx.DeviceType.cpu
    assert ours.dtype == (mx.float64 if on_cpu else mx.float32)
    assert indexed_distance([[0], [2]], [[1]]).tolist() == [[1], [1]]
    assert indexed_distance(mx.array([[0.0]]), np.array([[3.0]], np.float32)).dtype == mx.float32


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_close_points_far_from_the_origin(metric, pairs):
    """No digits are lost to |a|^2 + |b|^2 - 2 a.b, which would leave nothing of these distances in float32."""
    rng = np.random.default_rng(3)
    a = (1000 + rng.standard_normal((6, 3))).astype(np.float32)
    b = (a + np.float32(1e-3) * rng.standard_normal((6, 3)).astype(np.float32)).astype(np.float32)
    expected = reference(a, b, metric)
    got = np.array(indexed_distance(mx.array(a), mx.array(b), metric=metric, pairs=pairs), np.float64)
    expected = np.diag(expected) if pairs else expected
    if metric == "cosine":  # half the square of a chord between directions that are each good to a few roundings
        assert np.all(np.abs(got - expected) <= 8 * 2.0**-23 * (np.sqrt(2 * expected) + 2.0**-23))
    else:
        np.testing.assert_allclose(got, expected, rtol=8 * 2.0**-23)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
def test_zero_vectors_have_cosine_distance_one(dtype):
    a = mx.array([[0.0, 0.0], [1.0, 2.0]]).astype(dtype)
    b = mx.array([[3.0, 6.0], [0.0, 0.0]]).astype(dtype)
    np.testing.assert_allclose(host(indexed_distance(a, b, metric="cosine")), [[1, 1], [0, 1]], atol=1e-6)
    assert host(indexed_distance(a, b, metric="cosine", pairs=True)).tolist() == [1, 1]
    huge = mx.array([[1e30, 0.0], [1e-30, 1e-30]])
    np.testing.assert_allclose(
        indexed_distance(huge, huge, metric="cosine"), reference(huge, huge, "cosine"), atol=1e-6
    )


def losses(metric, pairs, weights):
    def loss(a, b):
        i = mx.array([0, 3, 3, 1, 2, 0])
        j = mx.array([1, 1, 0, 2, 3, 1])
        if pairs:
            return mx.sum(indexed_distance(a, b, i, j, metric, pairs=True) * weights[0, :6])
        return mx.sum(indexed_distance(a, b, i, None, metric, block_size=2) * weights[:6, : b.shape[0]])

    return loss


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_gradients_by_finite_differences(metric, pairs):
    """First and second order, in float64 on the CPU: central differences are good to h^2."""
    rng = np.random.default_rng(4)
    with mx.stream(mx.cpu):
        a, b, da, db, w = (
            mx.array(rng.standard_normal(s), dtype=mx.float64) for s in ((4, 3), (5, 3), (4, 3), (5, 3), (8, 8))
        )
        loss, h = losses(metric, pairs, w), 1e-5

        def slope(f):
            return (f(a + h * da, b + h * db) - f(a - h * da, b - h * db)).item() / (2 * h)

        def along(f):
            ga, gb = mx.grad(f, argnums=(0, 1))(a, b)
            return (mx.sum(ga * da) + mx.sum(gb * db)).item()

        def square_of_gradient(a, b):
            ga, gb = mx.grad(loss, argnums=(0, 1))(a, b)
            return mx.sum(ga * ga * a) + mx.sum(gb * gb)

        assert along(loss) == pytest.approx(slope(loss), rel=1e-7, abs=1e-8)
        assert along(square_of_gradient) == pytest.approx(slope(square_of_gradient), rel=1e-6, abs=1e-7)
        _, tangent = mx.jvp(loss, [a, b], [da, db])
        assert tangent[0].item() == pytest.approx(slope(loss), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_derivatives_at_distance_zero_are_finite(metric, pairs):
    x = mx.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]])

    def loss(x):
        return mx.sum(indexed_distance(x, x, [0, 1, 2], [0, 2, 1], metric, pairs=pairs))

    def second(x):
        return mx.sum(mx.grad(loss)(x))

    for g in (mx.grad(loss)(x), mx.grad(second)(x), mx.jvp(loss, [x], [mx.ones_like(x)])[1][0]):
        assert mx.all(mx.isfinite(g)).item()
    if pairs:  # every distance is 0, or a zero vector's cosine
        assert mx.max(mx.abs(mx.grad(loss)(x))).item() <= 4 * 2.0**-23


def test_transformations():
    rng = np.random.default_rng(5)
    x = mx.array(rng.standard_normal((3, 7, 2)).astype(np.float32))

    def loss(x):
        return mx.sum(indexed_distance(x, x, block_size=3) ** 2)

    one = mx.stack([indexed_distance(v, v) for v in x])
    np.testing.assert_array_equal(mx.vmap(lambda v: indexed_distance(v, v, block_size=3))(x), one)
    gradients = mx.stack([mx.grad(loss)(v) for v in x])
    np.testing.assert_allclose(mx.vmap(mx.grad(loss))(x), gradients, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mx.compile(mx.grad(loss))(x[0]), gradients[0], rtol=1e-5, atol=1e-5)

    def listed(x):
        return mx.sum(indexed_distance(x, x, [0, 3, 3, 6], [1, 1, 2, 0], pairs=True) ** 2)

    gradients = mx.stack([mx.grad(listed)(v) for v in x])
    np.testing.assert_allclose(mx.vmap(mx.grad(listed))(x), gradients, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mx.compile(mx.grad(listed))(x[0]), gradients[0], rtol=1e-5, atol=1e-5)
    picked = mx.compile(lambda x, i: indexed_distance(x, x, i, i[::-1], pairs=True))(x[0], mx.array([0, 4, 2]))
    np.testing.assert_array_equal(picked, indexed_distance(x[0], x[0], [0, 4, 2], [2, 4, 0], pairs=True))


def test_memory_is_bounded_by_blocks(device):
    """The gradient of a blocked distance holds the result, its cotangent and scratch of a few blocks."""
    if device == "gpu":
        pytest.skip("a GPU gives memory back when a command buffer is done, not when an array is")
    n, dim = 2500, 24
    x = mx.array(np.random.default_rng(6).standard_normal((n, dim)).astype(np.float32))
    g = mx.grad(lambda x: mx.sum(indexed_distance(x, x, block_size=50)))
    mx.eval(g(x))
    mx.reset_peak_memory()
    held = mx.get_active_memory()
    mx.eval(g(x))
    square = 4 * n * n
    assert mx.get_peak_memory() - held < 5 * square  # the differences alone would be 24 of these


@pytest.mark.parametrize("pairs", [False, True])
def test_nothing_to_measure(pairs):
    none, some = mx.zeros((0, 3)), mx.ones((0 if pairs else 2, 3))
    for metric in METRICS:
        d = indexed_distance(none, some, metric=metric, pairs=pairs)
        assert d.shape == ((0,) if pairs else (0, 2)) and d.dtype == mx.float32
        assert mx.grad(lambda x, m=metric: mx.sum(indexed_distance(x, some, metric=m, pairs=pairs)))(none).shape == (
            0,
            3,
        )
    assert indexed_distance(mx.ones((2, 0)), mx.ones((2, 0))).tolist() == [[0, 0], [0, 0]]
    assert indexed_distance(mx.ones((2, 3)), mx.ones((2, 3)), [], [0]).shape == (0, 1)


def test_bad_distance_arguments():
    a = mx.ones((3, 2))
    for message, call in {
        "metric": lambda: indexed_distance(a, a, metric="hamming"),
        "a must have shape": lambda: indexed_distance(mx.ones(3), a),
        "as many coordinates": lambda: indexed_distance(a, mx.ones((3, 1))),
        "a_indices": lambda: indexed_distance(a, a, [0, 3]),
        "b_indices": lambda: indexed_distance(a, a, None, [-1]),
        "pairs": lambda: indexed_distance(a, a, [0], [0, 1], pairs=True),
        "block_size": lambda: indexed_distance(a, a, block_size=0),
        "b_indices must hold integers": lambda: indexed_distance(a, a, None, [0.5]),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="float16"):
        indexed_distance(a, a.astype(mx.float16))
    with pytest.raises(TypeError, match="real"):
        indexed_distance(a.astype(mx.complex64), a.astype(mx.complex64))
    mx.eval(indexed_distance(a, a, [7, -9], [5, 1], pairs=True, validate=False))  # unspecified, but no bad read


# ---- neighbours ---------------------------------------------------------------------------------------------------


def neighbours(a, b, a_lengths, b_lengths, metric, exclude, k=None, radius=None):
    """Sets of neighbours by the definition, nearest first and the lower index first among equals."""
    d = reference(a, b, metric)
    of_a, of_b = (np.repeat(np.arange(len(n)), n) for n in (a_lengths, b_lengths))
    rows = []
    for i in range(len(a)):
        js = [j for j in np.argsort(d[i], kind="stable") if of_a[i] == of_b[j] and not (exclude and i == j)]
        js = [j for j in js if radius is None or d[i, j] <= radius]
        rows.append(sorted(js[:k]))
    return rows, d


def check(A, rows, d):
    assert isinstance(A, sp.csr_array) and A.shape == d.shape and A.has_canonical_format
    indptr, indices, data = np.array(A.indptr), np.array(A.indices), np.array(A.data)
    for i, expected in enumerate(rows):
        part = slice(indptr[i], indptr[i + 1])
        assert indices[part].tolist() == expected
        np.testing.assert_allclose(data[part], d[i, expected], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [[40], [0, 13, 1, 0, 20, 6, 0]], ids=["one", "ragged"])
@pytest.mark.parametrize("dim", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_within_segments(metric, dim, lengths):
    rng = np.random.default_rng(dim)
    a = (100 + rng.standard_normal((40, dim))).astype(np.float32)
    b_lengths = lengths[::-1] if len(lengths) > 1 else [40]
    b = (100 + rng.standard_normal((40, dim))).astype(np.float32)
    if metric == "cosine":
        a, b = a - 100, b - 100
    for k in (1, 4, 50):
        for exclude in (False, True):
            A = k_nearest_neighbors(mx.array(a), k=k, a_lengths=lengths, metric=metric, include_self=not exclude)
            check(A, *neighbours(a, a, lengths, lengths, metric, exclude, k))
        A = k_nearest_neighbors(mx.array(a), mx.array(b), k, a_lengths=lengths, b_lengths=b_lengths, metric=metric)
        check(A, *neighbours(a, b, lengths, b_lengths, metric, False, k))
    radius = float(np.median(reference(a, b, metric))) + 1e-4
    for most in (None, 3):
        A = radius_neighbors(a, b, radius, a_lengths=lengths, b_lengths=b_lengths, metric=metric, max_neighbors=most)
        check(A, *neighbours(a, b, lengths, b_lengths, metric, False, most, radius))
        A = radius_neighbors(a, radius=radius, a_lengths=lengths, metric=metric, max_neighbors=most, include_self=False)
        check(A, *neighbours(a, a, lengths, lengths, metric, True, most, radius))


@pytest.mark.parametrize("dim", [2, 3, 17])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "manhattan"])
def test_ties_go_to_the_lower_index(metric, dim):
    """Points of a lattice, every one twice, in any order: nearly all distances are equal to others."""
    rng = np.random.default_rng(7)
    lattice = np.stack(np.meshgrid(*[np.arange(4)] * min(dim, 3), indexing="ij"), -1).reshape(-1, min(dim, 3))
    lattice = np.pad(lattice, ((0, 0), (0, dim - lattice.shape[1])))
    a = rng.permutation(np.repeat(lattice, 2, axis=0)).astype(np.float32)
    half = len(a) // 2
    lengths = [half, len(a) - half]
    for k in (1, 2, 3, 5, 8):
        for exclude in (False, True):
            A = k_nearest_neighbors(mx.array(a), k=k, a_lengths=lengths, metric=metric, include_self=not exclude)
            check(A, *neighbours(a, a, lengths, lengths, metric, exclude, k))
    A = radius_neighbors(mx.array(a), radius=1.0, a_lengths=lengths, metric=metric, max_neighbors=3)  # itself included
    check(A, *neighbours(a, a, lengths, lengths, metric, False, 3, 1.0))
    A = radius_neighbors(mx.array(a), radius=2.0, metric=metric)
    check(A, *neighbours(a, a, [len(a)], [len(a)], metric, False, None, 2.0))


def test_coincident_points_and_zero_vectors():
    x = np.zeros((30, 3), np.float32)
    check(k_nearest_neighbors(x, k=3), *neighbours(x, x, [30], [30], "euclidean", False, 3))
    check(k_nearest_neighbors(x, k=3, include_self=False), *neighbours(x, x, [30], [30], "euclidean", True, 3))
    check(radius_neighbors(x, radius=0.0), *neighbours(x, x, [30], [30], "euclidean", False, None, 0.0))
    x[::3] = np.random.default_rng(8).standard_normal((10, 3))
    check(k_nearest_neighbors(x, k=4, metric="cosine"), *neighbours(x, x, [30], [30], "cosine", False, 4))
    A = radius_neighbors(x, radius=0.99, metric="cosine")
    check(A, *neighbours(x, x, [30], [30], "cosine", False, None, 0.99))


def test_many_segments_do_not_blur_distances():
    """Segments stand far apart in the tree; the last of 2000 is searched as exactly as the first."""
    rng = np.random.default_rng(9)
    lengths = np.full(2000, 4)
    x = (1e4 * rng.standard_normal((2000, 1, 3)) + 1e-3 * rng.standard_normal((2000, 4, 3))).reshape(-1, 3)
    with mx.stream(mx.cpu):
        A = k_nearest_neighbors(mx.array(x, dtype=mx.float64), k=2, a_lengths=lengths, include_self=False)
        B = radius_neighbors(mx.array(x, dtype=mx.float64), radius=2e-3, a_lengths=lengths)
    d = np.linalg.norm(x.reshape(-1, 4, 1, 3) - x.reshape(-1, 1, 4, 3), axis=-1) + np.diag([np.inf] * 4)
    nearest = np.sort(np.argsort(d, axis=-1)[..., :2], axis=-1) + 4 * np.arange(2000)[:, None, None]
    np.testing.assert_array_equal(np.array(A.indices), nearest.ravel())
    assert B.nnz == 8000 + np.sum(d <= 2e-3)


def test_neighbours_are_differentiable():
    rng = np.random.default_rng(10)
    x = points(rng, 12, 3)
    A = k_nearest_neighbors(x, k=3, include_self=False)
    rows = np.repeat(np.arange(12), 3)

    def inside(x):
        return mx.sum(k_nearest_neighbors(x, k=3, include_self=False).data ** 2)

    def outside(x):
        return mx.sum(indexed_distance(x, x, rows, A.indices, "sqeuclidean", pairs=True))

    expected = np.zeros((12, 3))
    host_x, columns = np.array(x, np.float64), np.array(A.indices)
    np.add.at(expected, rows, 2 * (host_x[rows] - host_x[columns]))
    np.add.at(expected, columns, -2 * (host_x[rows] - host_x[columns]))
    for g in (mx.grad(inside)(x), mx.grad(outside)(x), mx.compile(mx.grad(outside))(x)):
        np.testing.assert_allclose(g, expected, rtol=1e-5, atol=1e-5)
    product = mx.grad(lambda x: mx.sum(radius_neighbors(x, radius=1.5) @ x))(x)
    assert mx.all(mx.isfinite(product)).item()
    for transform in (mx.compile, lambda f: mx.vmap(f, in_axes=1)):
        with pytest.raises(ValueError, match="outside"):
            transform(inside)(x if transform is mx.compile else mx.stack([x, x], axis=1))


def test_no_neighbours():
    none = mx.zeros((0, 3))
    for A in (
        k_nearest_neighbors(none, k=2),
        radius_neighbors(none, radius=1.0),
        k_nearest_neighbors(none, k=2, a_lengths=[]),
        k_nearest_neighbors(none, k=2, a_lengths=[0, 0]),
    ):
        assert A.shape == (0, 0) and A.nnz == 0
    A = k_nearest_neighbors(mx.ones((2, 3)), none, 2)
    assert A.shape == (2, 0) and A.nnz == 0
    assert radius_neighbors(mx.ones((2, 3)), none, 2.0).nnz == 0
    assert radius_neighbors(mx.ones((1, 3)), radius=1.0, include_self=False).nnz == 0
    assert k_nearest_neighbors(mx.ones((3, 0)), k=2).indices.tolist() == [0, 1] * 3


def test_bad_neighbour_arguments():
    x = mx.ones((4, 2))
    for message, call in {
        "k must": lambda: k_nearest_neighbors(x, k=0),
        "radius": lambda: radius_neighbors(x, radius=-1.0),
        "max_neighbors": lambda: radius_neighbors(x, radius=1.0, max_neighbors=0),
        "a_lengths must sum": lambda: k_nearest_neighbors(x, k=1, a_lengths=[1, 2]),
        "a_lengths must not be negative": lambda: k_nearest_neighbors(x, k=1, a_lengths=[-1, 5]),
        "b_lengths is given without b": lambda: k_nearest_neighbors(x, k=1, b_lengths=[4]),
        "b_lengths is missing": lambda: k_nearest_neighbors(x, x, 1, a_lengths=[4]),
        "as many segments": lambda: k_nearest_neighbors(x, x, 1, a_lengths=[4], b_lengths=[2, 2]),
        "include_self": lambda: k_nearest_neighbors(x, x, 1, include_self=False),
        "finite": lambda: k_nearest_neighbors(mx.array([[mx.nan]]), k=1),
        "metric": lambda: k_nearest_neighbors(x, k=1, metric="l7"),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="k is missing"):
        k_nearest_neighbors(x)
    with pytest.raises(TypeError, match="radius is missing"):
        radius_neighbors(x)
