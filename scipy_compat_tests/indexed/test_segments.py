"""Segment reductions against plain NumPy loops: all namings of segments, dtypes, corners, derivatives, bad input."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_sparse import _dense
from mlx_sparse.indexed import (
    lengths_to_offsets,
    lengths_to_segment_ids,
    offsets_to_lengths,
    offsets_to_segment_ids,
    segment_argmax,
    segment_argmin,
    segment_ids_to_lengths,
    segment_ids_to_offsets,
    segment_reduce,
    segment_softmax,
)

OPERATIONS = ("sum", "mean", "prod", "max", "min", "logsumexp")
EPS = {mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7, mx.float32: 2.0**-23, mx.float64: 2.0**-52}


def empty_of(operation, dtype):
    if operation in ("sum", "mean", "prod"):
        return 1 if operation == "prod" else 0
    if np.dtype(dtype).kind in "iu" and operation != "logsumexp":
        return np.iinfo(dtype).min if operation == "max" else np.iinfo(dtype).max
    return np.inf if operation == "min" else -np.inf


def logsumexp(rows):
    top = rows.max(0)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(rows - shift).sum(0)) + shift


REDUCE = {
    "sum": lambda r: r.sum(0),
    "mean": lambda r: r.mean(0),
    "prod": lambda r: r.prod(0),
    "max": lambda r: r.max(0),
    "min": lambda r: r.min(0),
    "logsumexp": logsumexp,
}


def reference(x, ids, n, operation):
    """In float64 (integers stay): the rows of each id, reduced by NumPy."""
    wide = x if x.dtype.kind in "iuc" else x.astype(np.float64)
    if operation in ("mean", "logsumexp") and x.dtype.kind in "iu":
        wide = x.astype(np.float64)
    out = [
        REDUCE[operation](wide[ids == s]) if (ids == s).any() else np.full(x.shape[1:], empty_of(operation, x.dtype))
        for s in range(n)
    ]
    return np.array(out).reshape(n, *x.shape[1:])


def close(found, wanted, dtype, terms=1, scale=1.0):
    """Within rounding of `terms` operations on numbers of size `scale`, and the one rounding to `dtype`."""
    found = _dense.view(found)
    inner = max(EPS[mx.float32] if dtype in (mx.float16, mx.bfloat16) else EPS[dtype], 2.0**-52)
    np.testing.assert_allclose(
        found.astype(np.float64), wanted, rtol=2 * EPS[dtype] + 4 * terms * inner, atol=4 * terms * inner * scale
    )


def ways(lengths, rng):
    """(keyword arguments, ids) for the same lengths: sorted by every name, and one shuffled."""
    ids = np.repeat(np.arange(len(lengths)), lengths)
    n = len(lengths)
    mixed = rng.permutation(ids)
    return {
        "lengths": ({"lengths": np.array(lengths)}, ids),
        "offsets": ({"offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(int)}, ids),
        "sorted": ({"segment_ids": ids, "num_segments": n}, ids),
        "promised": ({"segment_ids": ids, "num_segments": n, "indices_are_sorted": True}, ids),
        "mixed": ({"segment_ids": mixed, "num_segments": n}, mixed),
        "unread": ({"segment_ids": mx.array(mixed.astype(np.int32)), "num_segments": n, "validate": False}, mixed),
    }


LENGTHS = {
    "ragged": [3, 0, 1, 7, 0, 0, 2],
    "empty ends": [0, 0, 5, 0],
    "one": [40],
    "singles": [1] * 33,
    "all empty": [0, 0, 0],
    "none": [],
    "chunks": [300, 2, 0, 900, 31, 32, 33, 1, 700],
}


@pytest.mark.parametrize("way", ["lengths", "offsets", "sorted", "promised", "mixed", "unread"])
@pytest.mark.parametrize("case", LENGTHS)
@pytest.mark.parametrize("columns", [(), (1,), (3,), (2, 5), (0,)], ids=str)
def test_values(case, way, columns):
    rng = np.random.default_rng(3)
    lengths = LENGTHS[case]
    kwargs, ids = ways(lengths, rng)[way]
    x = rng.uniform(0.8, 1.2, (sum(lengths), *columns)).astype(np.float32)
    for operation in OPERATIONS:
        y = segment_reduce(mx.array(x) if x.size else mx.zeros(x.shape), operation=operation, **kwargs)
        wanted = reference(x, ids, len(lengths), operation)
        assert y.shape == wanted.shape and y.dtype == mx.float32
        longest = max(lengths, default=1)
        close(y, wanted, mx.float32, terms=longest, scale=longest if operation == "sum" else 1)


@pytest.mark.parametrize("columns", [1, 4, 33, 64, 300])
@pytest.mark.parametrize("mixed", [False, True])
def test_one_huge_segment(columns, mixed):
    rng = np.random.default_rng(4)
    rows = 100_000 if columns < 64 else 12_000
    lengths = [5, rows, 0, 3]
    ids = np.repeat(np.arange(4), lengths)
    if mixed:
        ids = rng.permutation(ids)
    x = rng.standard_normal((ids.size, columns)).astype(np.float32)
    a = mx.array(x)
    for operation in ("sum", "mean", "max", "min", "logsumexp"):
        y = segment_reduce(a, operation=operation, segment_ids=ids, num_segments=4)
        # Partial sums of up to `rows` terms of size one, in pieces: the error of a sum grows as its root at least.
        scale = {"sum": np.sqrt(rows), "mean": 1 / np.sqrt(rows)}.get(operation, 1.0)
        close(y, reference(x, ids, 4, operation), mx.float32, terms=64, scale=scale)
    for function, numpy_form in ((segment_argmax, np.argmax), (segment_argmin, np.argmin)):
        at = np.array(function(a, segment_ids=ids, num_segments=4))
        big = np.flatnonzero(ids == 1)
        np.testing.assert_array_equal(at[1], big[numpy_form(x[big], axis=0)])
        assert (at[2] == -1).all()


def test_many_empty_segments():
    n = 200_000
    ids = np.array([0, 77_000, 77_000, n - 1])
    x = mx.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    y = np.array(segment_reduce(x, operation="max", segment_ids=ids, num_segments=n))
    np.testing.assert_array_equal(y[[0, 77_000, n - 1]], [[1, 2], [5, 6], [7, 8]])
    assert np.isneginf(np.delete(y, [0, 77_000, n - 1], axis=0)).all()


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64], ids=str)
@pytest.mark.parametrize("mixed", [False, True])
def test_floating_dtypes(dtype, mixed, device):
    if dtype == mx.float64 and device == "gpu":
        pytest.skip("GPUs have no float64")
    rng = np.random.default_rng(5)
    lengths = [3, 0, 600, 17, 1]
    ids = np.repeat(np.arange(5), lengths)
    ids = rng.permutation(ids) if mixed else ids
    x = mx.array(rng.uniform(0.9, 1.1, (ids.size, 3)), dtype=mx.float32).astype(dtype)
    exact = _dense.view(x).astype(np.float64)
    for operation in OPERATIONS:
        y = segment_reduce(x, operation=operation, segment_ids=ids, num_segments=5)
        assert y.dtype == dtype
        # 16-bit floats are summed in float32: their own precision counts once, not 600 times.
        close(y, reference(exact, ids, 5, operation), dtype, terms=600, scale=1)
    p = segment_softmax(x, segment_ids=ids, num_segments=5)
    wanted = np.exp(exact - reference(exact, ids, 5, "logsumexp")[ids])
    assert p.dtype == dtype
    close(p, wanted, dtype, terms=600, scale=1e-2)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("columns", [1, 5])
def test_integers(dtype, columns):
    rng = np.random.default_rng(6)
    ids = rng.permutation(np.repeat(np.arange(4), [2, 0, 4, 60]))
    x = rng.integers(0, 2 if dtype == "bool" else 4, (ids.size, columns)).astype(dtype)
    if np.dtype(dtype).kind == "i":
        x -= 2
    a = mx.array(x)
    for operation, plain in (("sum", mx.sum), ("prod", mx.prod), ("max", mx.max), ("min", mx.min)):
        y = segment_reduce(a, operation=operation, segment_ids=ids, num_segments=4)
        assert y.dtype == plain(a).dtype
        for s in (0, 2, 3):
            wanted = plain(mx.array(x[ids == s]), axis=0)
            np.testing.assert_array_equal(np.array(y[s]), np.array(wanted))
        if dtype != "bool":
            assert (np.array(y[1]) == empty_of(operation, np.array(y).dtype)).all()
    for operation in ("mean", "logsumexp"):
        y = segment_reduce(a, operation=operation, segment_ids=ids, num_segments=4)
        assert y.dtype == mx.float32
        close(y, reference(x.astype(np.float64), ids, 4, operation), mx.float32, terms=60)
    at = np.array(segment_argmax(a, segment_ids=ids, num_segments=4))
    for s in (0, 2, 3):
        rows = np.flatnonzero(ids == s)
        np.testing.assert_array_equal(at[s], rows[np.argmax(x[rows], axis=0)])


@pytest.mark.parametrize("columns", [1, 3])
def test_complex(columns):
    rng = np.random.default_rng(7)
    ids = rng.permutation(np.repeat(np.arange(3), [4, 0, 9]))
    x = (rng.uniform(0.5, 1, (13, columns)) + 1j * rng.uniform(0.5, 1, (13, columns))).astype(np.complex64)
    for operation in ("sum", "mean", "prod"):
        y = np.array(segment_reduce(mx.array(x), operation=operation, segment_ids=ids, num_segments=3))
        np.testing.assert_allclose(y, reference(x.astype(np.complex128), ids, 3, operation), rtol=32 * 2.0**-23)
    for operation in ("max", "min", "logsumexp"):
        with pytest.raises(TypeError, match=operation):
            segment_reduce(mx.array(x), operation=operation, segment_ids=ids, num_segments=3)
    with pytest.raises(TypeError, match="complex64"):
        segment_softmax(mx.array(x), segment_ids=ids, num_segments=3)
    with pytest.raises(TypeError, match="argmax"):
        segment_argmax(mx.array(x), segment_ids=ids, num_segments=3)


def test_nan_and_infinities():
    nan, inf = np.nan, np.inf
    x = mx.array([1.0, nan, 2.0, -inf, -inf, inf, 1.0, inf, -inf, 3.0])
    lengths = [3, 2, 3, 2]
    np.testing.assert_array_equal(np.array(segment_reduce(x, lengths, "max")), [nan, -inf, inf, 3])
    np.testing.assert_array_equal(np.array(segment_reduce(x, lengths, "min")), [nan, -inf, 1, -inf])
    np.testing.assert_array_equal(np.array(segment_reduce(x, lengths, "logsumexp")), [nan, -inf, inf, 3])
    np.testing.assert_array_equal(np.array(segment_argmax(x, lengths)), [1, 3, 5, 9])
    np.testing.assert_array_equal(np.array(segment_argmin(x, lengths)), [1, 3, 6, 8])
    p = np.array(segment_softmax(x, lengths))
    assert np.isnan(p[:3]).all() and np.isnan(p[[5, 7]]).all()
    np.testing.assert_array_equal(p[[3, 4, 6, 8, 9]], [0, 0, 0, 0, 1])


def test_softmax_keeps_digits_far_from_zero():
    x = np.array([30_000.0, 30_000.5, 29_999.0], np.float32)
    p = np.array(segment_softmax(mx.array(x), lengths=[3]))
    wanted = np.exp(x.astype(np.float64) - 30_000.5)
    np.testing.assert_allclose(p, wanted / wanted.sum(), rtol=8 * 2.0**-23)


@pytest.mark.parametrize("shape", [(0, 3), (0,), (4, 0)], ids=str)
def test_nothing_to_reduce(shape):
    x = mx.zeros(shape)
    lengths = [0, shape[0], 0]
    for operation in OPERATIONS:
        y = np.array(segment_reduce(x, lengths, operation))
        assert y.shape == (3, *shape[1:])
        assert (y == empty_of(operation, np.float32)).all()
    assert (np.array(segment_argmax(x, lengths)) == -1).all()
    assert segment_softmax(x, lengths).shape == shape
    assert mx.grad(lambda v: segment_reduce(v, lengths, "sum").sum())(x).shape == shape


def test_no_segments():
    for x, shape in ((mx.zeros((0,)), (0,)), (mx.zeros((0, 2)), (0, 2))):
        assert segment_reduce(x, []).shape == shape
        assert segment_reduce(x, offsets=[0], operation="max").shape == shape
        assert segment_reduce(x, segment_ids=[], num_segments=0).shape == shape
        assert segment_softmax(x, []).shape == shape


@pytest.mark.parametrize("sorted_ids", [True, False])
def test_rows_outside_are_left_out_when_unread(sorted_ids):
    x = mx.arange(1, 7, dtype=mx.float32).reshape(6, 1) * mx.ones((1, 2))
    ids = mx.array([-5, 0, 0, 2, 7, 900] if sorted_ids else [7, 0, -5, 2, 900, 0])
    kwargs = {"segment_ids": ids, "num_segments": 3, "validate": False}
    if sorted_ids:
        kwargs["indices_are_sorted"] = None
    rows = {0: [2, 3] if sorted_ids else [2, 6], 2: [4]}
    y = np.array(segment_reduce(x, operation="sum", **kwargs))
    np.testing.assert_array_equal(y[:, 0], [sum(rows[0]), 0, 4])
    g = np.array(mx.grad(lambda v: segment_reduce(v, operation="logsumexp", **kwargs)[2].sum())(x))
    np.testing.assert_array_equal(g[:, 1], [0, 0, 0, 1, 0, 0])
    p = np.array(segment_softmax(x, **kwargs))
    np.testing.assert_allclose(p.sum(), 4, rtol=1e-6)
    y = segment_reduce(x, offsets=mx.array([3, 1, -4, 100]), operation="max", validate=False)
    np.testing.assert_array_equal(np.array(y)[:, 0], [1, -np.inf, 6])
    y = segment_reduce(x, lengths=mx.array([2, -3, 100]), operation="sum", validate=False)
    np.testing.assert_array_equal(np.array(y)[:, 0], [3, 0, 18])


@pytest.mark.parametrize("columns", [1, 3])
def test_a_broken_promise_reads_nothing_out_of_bounds(columns):
    rng = np.random.default_rng(8)
    x = mx.ones((5000, columns))
    ids = mx.array(rng.integers(-3, 60, 5000).astype(np.int32))
    kwargs = {"segment_ids": ids, "num_segments": 50, "indices_are_sorted": True, "validate": False}
    for operation in OPERATIONS:
        assert segment_reduce(x, operation=operation, **kwargs).shape == (50, columns)
        mx.eval(mx.grad(lambda v, op=operation: segment_reduce(v, operation=op, **kwargs).sum())(x))
    assert float(mx.max(segment_softmax(x, **kwargs))) <= 1 or columns  # evaluated, nothing raised


# ---- derivatives -------------------------------------------------------------------------------------------------


def precision(device):
    """dtype, step and tolerance of central differences: error eps / h + h ** 2, least at h = eps ** (1 / 3)."""
    dtype = mx.float32 if device == "gpu" else mx.float64
    h = EPS[dtype] ** (1 / 3)
    return dtype, h, 20 * (EPS[dtype] / h + h**2)


def weighted(function):
    """A scalar with a different weight on every output."""

    def total(v):
        y = function(v)
        return (y * mx.cos(mx.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()

    return total


def differences(f, x, h, dtype):
    rate = np.zeros(x.shape)
    for i in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        up, down = (float(f(mx.array(x + s, dtype=dtype))) for s in (step, -step))
        rate[i] = (up - down) / (2 * h)
    return rate


IDS = np.array([2, 0, 2, 4, 0, 2, 4, 2])
ALL = {op: (lambda v, op=op, **kw: segment_reduce(v, operation=op, **kw)) for op in OPERATIONS}
ALL["softmax"] = segment_softmax


def points():
    """Rows so far apart that no step of the differences changes which one is greatest."""
    return np.random.default_rng(9).permutation(24).reshape(8, 3) / 8 - 1.3


def arguments(mixed):
    ids = IDS if mixed else np.sort(IDS)
    return {"segment_ids": ids, "num_segments": 5}


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("name", ALL)
def test_gradient(name, columns, mixed, device):
    dtype, h, tol = precision(device)
    x = points()[:, :columns]
    f = weighted(lambda v: finite(ALL[name](v, **arguments(mixed))))
    g = mx.grad(f)(mx.array(x, dtype=dtype))
    np.testing.assert_allclose(np.array(g), differences(f, x, h, dtype), rtol=tol, atol=tol)


def finite(y):
    """Without the infinities of empty segments, whose differences are not numbers."""
    return mx.where(mx.isinf(y), mx.zeros_like(y), y)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_second_order(name, mixed, device):
    dtype, h, tol = precision(device)
    x = points()[:, :2]
    f = weighted(lambda v: finite(ALL[name](v, **arguments(mixed))))
    g = weighted(mx.grad(lambda v: f(v) ** 2))
    found = mx.grad(g)(mx.array(x, dtype=dtype))
    wanted = differences(g, x, h, dtype)
    np.testing.assert_allclose(np.array(found), wanted, rtol=tol, atol=tol * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_jvp(name, mixed, device):
    dtype, h, tol = precision(device)
    x = points()
    t = np.sin(np.arange(x.size)).reshape(x.shape)
    f = lambda v: finite(ALL[name](v, **arguments(mixed)))  # noqa: E731
    _, (rate,) = mx.jvp(f, [mx.array(x, dtype=dtype)], [mx.array(t, dtype=dtype)])
    up, down = (np.array(f(mx.array(x + s * t, dtype=dtype))) for s in (h, -h))
    np.testing.assert_allclose(np.array(rate), (up - down) / (2 * h), rtol=tol, atol=tol)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", [*ALL, "argmax"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_vmap(name, mixed, axis):
    function = segment_argmax if name == "argmax" else ALL[name]
    x = np.random.default_rng(10).standard_normal((8, 3, 4)).astype(np.float32)
    batch = mx.array(np.moveaxis(np.stack([x, x + 1, x * 2, x - 3, x * x]), 0, axis))
    for shape in ((8, 3, 4), (8, 1, 1)):
        part = batch[tuple(slice(0, n) for n in (*shape[:axis], 5, *shape[axis:]))]
        out = mx.vmap(lambda v: function(v, **arguments(mixed)), in_axes=axis)(part)
        one = [function(mx.take(part, b, axis), **arguments(mixed)) for b in range(5)]
        np.testing.assert_allclose(np.array(out), np.array(mx.stack(one)), rtol=1e-6)


def test_vmap_of_gradients_and_of_segments():
    x = mx.random.normal((4, 8, 2), key=mx.random.key(0))
    for name in ALL:
        f = weighted(lambda v, name=name: finite(ALL[name](v, **arguments(True))))
        out = mx.vmap(mx.grad(f))(x)
        one = mx.stack([mx.grad(f)(x[b]) for b in range(4)])
        np.testing.assert_allclose(np.array(out), np.array(one), rtol=1e-5, atol=1e-6)
    ids = mx.array(np.random.default_rng(1).integers(0, 3, (4, 8)).astype(np.int32))
    lengths = mx.array([[8, 0], [3, 5], [0, 8], [7, 1]])
    for name in ALL:
        for part in (x, x[..., :1]):
            for kwargs, segments in (({"num_segments": 3}, {"segment_ids": ids}), ({}, {"lengths": lengths})):
                ((word, mapped),) = segments.items()

                def f(v, a, name=name, word=word, kwargs=kwargs):
                    return finite(ALL[name](v, **{word: a}, **kwargs))

                out = mx.vmap(f)(part, mapped)
                one = mx.stack([f(part[b], mapped[b]) for b in range(4)])
                np.testing.assert_allclose(np.array(out), np.array(one), rtol=1e-5)
                g = mx.grad(lambda v, a, f=f: weighted(lambda u: f(u, a))(v))
                one = mx.stack([g(part[b], mapped[b]) for b in range(4)])
                np.testing.assert_allclose(np.array(mx.vmap(g)(part, mapped)), np.array(one), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_compile(name):
    x = mx.array(points(), dtype=mx.float32)
    fixed = mx.compile(lambda v: ALL[name](v, **arguments(True)))
    np.testing.assert_allclose(np.array(fixed(x)), np.array(ALL[name](x, **arguments(True))), rtol=1e-6)
    traced = mx.compile(lambda v, i: ALL[name](v, segment_ids=i, num_segments=5))
    np.testing.assert_allclose(np.array(traced(x, mx.array(IDS))), np.array(ALL[name](x, **arguments(True))), rtol=1e-6)
    by_length = mx.compile(lambda v, n: ALL[name](v, lengths=n))
    lengths = [2, 0, 4, 0, 2]
    np.testing.assert_allclose(
        np.array(by_length(x, mx.array(lengths))), np.array(ALL[name](x, lengths=lengths)), rtol=1e-6
    )
    f = weighted(lambda v: finite(ALL[name](v, **arguments(True))))
    np.testing.assert_allclose(np.array(mx.compile(mx.grad(f))(x)), np.array(mx.grad(f)(x)), rtol=1e-5, atol=1e-6)


def test_traced_ids_inside_grad_are_constants():
    x = mx.array([3.0, 1.0, 2.0])
    f = lambda v: segment_reduce(v * v, segment_ids=mx.argsort(v), num_segments=3)[0]  # noqa: E731
    np.testing.assert_array_equal(np.array(mx.grad(f)(x)), [0, 0, 4])


def test_ties_share_the_cotangent():
    x = mx.array([[2.0, 1.0], [2.0, 3.0], [0.0, 3.0], [2.0, 3.0]])
    g = mx.grad(lambda v: segment_reduce(v, [4, 0], "max")[0].sum())(x)
    third = np.float32(1) / np.float32(3)
    np.testing.assert_allclose(np.array(g), [[third, 0], [third, third], [0, third], [third, third]], rtol=1e-6)
    g = mx.grad(lambda v: segment_reduce(v, [4, 0], "min")[0].sum())(x)
    np.testing.assert_array_equal(np.array(g), [[0, 1], [0, 0], [1, 0], [0, 0]])
    x = mx.array([1.0, float("nan"), 5.0, float("nan")])
    g = mx.grad(lambda v: segment_reduce(v, [4], "max")[0])(x)
    np.testing.assert_array_equal(np.array(g), [0, 0.5, 0, 0.5])


def test_positions_of_extremes_have_a_gradient_of_zero():  # as those of mx.argmax, and as documented
    x = mx.array(points(), dtype=mx.float32)
    f = lambda v: (segment_argmax(v, [3, 5]).astype(mx.float32) * v[:2]).sum()  # noqa: E731
    at = np.array(segment_argmax(x, [3, 5]))
    np.testing.assert_array_equal(np.array(mx.grad(f)(x)), np.concatenate([at, np.zeros((6, 3))]))
    _, (rate,) = mx.jvp(f, [x], [mx.ones_like(x)])
    assert rate.item() == at.sum()


@pytest.mark.parametrize("mixed", [False, True])
def test_product_with_zeros(mixed, device):
    dtype, h, tol = precision(device)
    ids = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3])
    x = np.array([2.0, 3.0, 4.0, 0.0, 3.0, 5.0, 0.0, 7.0, 0.0, 0.0])[:, None] * np.ones(2)
    wanted = np.array([12.0, 8.0, 6.0, 15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    if mixed:
        p = np.random.default_rng(11).permutation(10)
        ids, x, wanted = ids[p], x[p], wanted[p]
    f = lambda v: segment_reduce(v, operation="prod", segment_ids=ids, num_segments=4).sum()  # noqa: E731
    g = mx.grad(f)
    np.testing.assert_array_equal(np.array(g(mx.array(x, dtype=dtype)))[:, 0], wanted)
    second = mx.grad(weighted(g))(mx.array(x, dtype=dtype))
    np.testing.assert_allclose(np.array(second), differences(weighted(g), x, h, dtype), rtol=tol, atol=8 * tol)


def test_logsumexp_gradients_without_nan():
    inf = float("inf")
    x = mx.array([1.0, -inf, -inf, -inf, 2.0, 2.0])
    lengths = [2, 2, 0, 2]
    y, g = mx.value_and_grad(lambda v: finite(segment_reduce(v, lengths, "logsumexp")).sum())(x)
    np.testing.assert_allclose(np.array(g), [1, 0, 0, 0, 0.5, 0.5], rtol=1e-6)
    g = mx.grad(lambda v: (segment_softmax(v, lengths) * mx.arange(6)).sum())(x)
    np.testing.assert_allclose(np.array(g), [0, 0, 0, 0, -0.25, 0.25], atol=1e-6)


def test_complex_gradient_is_the_adjoint():
    x = mx.array(np.array([1 + 2j, 3 - 1j, 2 + 1j], np.complex64))
    w = np.array([1 - 1j, 2 + 3j], np.complex64)
    _, (g,) = mx.vjp(lambda v: segment_reduce(v, [2, 1], "prod"), [x], [mx.array(w)])
    a = np.array(x)
    np.testing.assert_allclose(np.array(g), np.conj([a[1], a[0], 1]) * w[[0, 0, 1]], rtol=1e-6)


def test_results_repeat_exactly():
    x = mx.random.normal((30_000, 5), key=mx.random.key(1))
    ids = np.random.default_rng(12).integers(0, 40, 30_000)
    for name in ("sum", "logsumexp"):
        first = np.array(ALL[name](x, segment_ids=ids, num_segments=40))
        for _ in range(3):
            np.testing.assert_array_equal(np.array(ALL[name](x, segment_ids=ids, num_segments=40)), first)


# ---- converters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", LENGTHS)
def test_converters(case):
    lengths = np.array(LENGTHS[case], np.int64)
    n, total = len(lengths), int(lengths.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    ids = np.repeat(np.arange(n), lengths)
    for found, wanted in (
        (lengths_to_offsets(lengths), offsets),
        (offsets_to_lengths(offsets), lengths),
        (lengths_to_segment_ids(lengths), ids),
        (lengths_to_segment_ids(lengths, total=total), ids),
        (offsets_to_segment_ids(offsets), ids),
        (offsets_to_segment_ids(offsets, total), ids),
        (segment_ids_to_lengths(ids[::-1].copy(), n), lengths),
        (segment_ids_to_offsets(ids, n), offsets),
    ):
        assert found.dtype == mx.int32
        np.testing.assert_array_equal(_dense.view(found), wanted)


# ---- bad input ---------------------------------------------------------------------------------------------------

X = np.ones((4, 2), np.float32)


@pytest.mark.parametrize("function", [segment_reduce, segment_softmax, segment_argmax, segment_argmin])
@pytest.mark.parametrize(
    "kwargs, name",
    [
        ({}, "exactly one"),
        ({"lengths": [4], "offsets": [0, 4]}, "exactly one"),
        ({"lengths": [3]}, "lengths"),
        ({"lengths": [5, -1]}, "lengths"),
        ({"lengths": [4.0]}, "lengths"),
        ({"lengths": [[4]]}, "lengths"),
        ({"lengths": [2**31, 2**31, 4 - 2**32]}, "lengths"),
        ({"lengths": []}, "lengths"),
        ({"lengths": [4], "num_segments": 2}, "num_segments"),
        ({"offsets": [1, 4]}, "offsets"),
        ({"offsets": [0, 3]}, "offsets"),
        ({"offsets": [0, 3, 1, 4]}, "offsets"),
        ({"offsets": []}, "offsets"),
        ({"offsets": [0.0, 4.0]}, "offsets"),
        ({"segment_ids": [0, 0, 0, 0]}, "num_segments"),
        ({"segment_ids": [0, 0, 0, 1], "num_segments": 1}, "segment_ids"),
        ({"segment_ids": [0, 0, -1, 0], "num_segments": 1}, "segment_ids"),
        ({"segment_ids": [0, 0, 0], "num_segments": 1}, "segment_ids"),
        ({"segment_ids": [[0, 0, 0, 0]], "num_segments": 1}, "segment_ids"),
        ({"segment_ids": [0.0, 0, 0, 0], "num_segments": 1}, "segment_ids"),
        ({"segment_ids": [0, 1, 0, 0], "num_segments": 2, "indices_are_sorted": True}, "segment_ids"),
        ({"segment_ids": [0, 0, 0, 0], "num_segments": -1}, "num_segments"),
    ],
    ids=str,
)
def test_bad_segments(function, kwargs, name):
    for x in (X, mx.array(X)):
        with pytest.raises(ValueError, match=name):
            function(x, **kwargs)


def test_bad_operations_and_operands():
    with pytest.raises(ValueError, match="sum, mean, prod, max, min, logsumexp"):
        segment_reduce(X, [4], "median")
    with pytest.raises(ValueError, match="x must have"):
        segment_reduce(mx.array(1.0), [1])
    with pytest.raises(TypeError, match="num_segments"):
        segment_reduce(X, segment_ids=[0, 0, 0, 0], num_segments=1.5)


def test_operands_from_elsewhere():
    class Capsule:
        def __init__(self, a):
            self.a = a

        def __dlpack__(self, **kwargs):
            return self.a.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return self.a.__dlpack_device__()

    y = segment_reduce(Capsule(X), Capsule(np.array([1, 3])))
    assert isinstance(y, mx.array)
    np.testing.assert_array_equal(np.array(y), [[1, 1], [3, 3]])
    np.testing.assert_array_equal(np.array(segment_reduce([1.0, 2.0, 3.0], np.array([1, 2], np.uint64))), [1, 5])
    strided = mx.array(np.arange(12, dtype=np.float32).reshape(3, 4)).T
    np.testing.assert_array_equal(np.array(segment_reduce(strided, [1, 3])), [[0, 4, 8], [6, 18, 30]])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
@pytest.mark.parametrize("T, n, k", [(200_000, 50, 1), (100_000, 40_000, 3), (40_000, 30_000, 64)])
@pytest.mark.parametrize("operation, ufunc", [("max", np.maximum), ("min", np.minimum)])
def test_extremes_of_many_rows_in_any_order(operation, ufunc, T, n, k, dtype):
    rng = np.random.default_rng(T)  # workers meet in private blocks, or divide the columns
    x, ids = rng.integers(-100, 100, (T, k)).astype(dtype), rng.integers(0, n, T)
    x[rng.integers(0, T, 20)] = 0 if dtype == np.int8 else np.nan
    want = np.full((n, k), empty_of(operation, dtype), dtype)
    ufunc.at(want, ids, x)
    got = segment_reduce(x, operation=operation, segment_ids=ids, num_segments=n)
    np.testing.assert_array_equal(np.array(got), want)
