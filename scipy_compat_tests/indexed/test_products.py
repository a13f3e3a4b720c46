"""Indexed matrix-vector and outer products against plain loops in NumPy."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_sparse import indexed
from mlx_sparse.indexed import sparse_matrix_vector_multiplication_reduction as mvmr
from mlx_sparse.indexed import sparse_vector_vector_outer_product_reduction as vvor

EPS = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "complex64": 2**-23, "float64": 2**-52}


@pytest.fixture
def exact(device):
    """The widest dtype that the device under test holds."""
    return mx.float32 if device == "gpu" else mx.float64


def draw(rng, *shape, dtype=mx.float32):
    x = rng.standard_normal(shape)
    if dtype == mx.complex64:
        x = x + 1j * rng.standard_normal(shape)
        return mx.array(x.astype(np.complex64))
    if dtype == mx.float64:
        return mx.array(x, dtype=mx.float64)
    return mx.array(x.astype(np.float32)).astype(dtype)


def host(x):
    x = x.astype(mx.float32) if x.dtype == mx.bfloat16 else x
    return np.array(x).astype(np.complex128 if x.dtype == mx.complex64 else np.float64)


def loop_mvmr(a, ai, b, bi, oi, n):
    T = next(len(i) for i in (ai, bi, oi, a) if i is not None)
    out = np.zeros((n, *a.shape[1:3]), np.result_type(a, b))
    for t in range(T):
        p, q, o = (t if i is None else i[t] for i in (ai, bi, oi))
        if 0 <= p < len(a) and 0 <= q < len(b) and 0 <= o < n:
            out[o] += (a[p] @ b[q][:, :, None])[:, :, 0]
    return out


def loop_vvor(a, ai, b, bi, oi, n):
    T = next(len(i) for i in (ai, bi, oi, a) if i is not None)
    out = np.zeros((n, *a.shape[1:], b.shape[2]), np.result_type(a, b))
    for t in range(T):
        p, q, o = (t if i is None else i[t] for i in (ai, bi, oi))
        if 0 <= p < len(a) and 0 <= q < len(b) and 0 <= o < n:
            out[o] += a[p][:, :, None] * b[q][:, None, :]
    return out


def close(got, want, dtype, length):
    """Within the rounding of sums of `length` products: the operands are of order 1."""
    name = str(dtype).removeprefix("mlx.core.")
    narrow = name in ("float16", "bfloat16")
    eps = EPS["float32"] if narrow else EPS[name]
    atol = 8 * eps * (1 + length) + (EPS[name] if narrow else 0)
    assert got.shape == want.shape
    np.testing.assert_allclose(host(got), want, rtol=EPS[name] if narrow else 8 * eps, atol=atol)


SHAPES = [(1, 1, 1), (1, 4, 3), (2, 3, 5), (1, 32, 32), (8, 16, 16), (3, 5, 40), (1, 130, 2), (2, 1, 70)]


@pytest.mark.parametrize("G, M, C", SHAPES)
@pytest.mark.parametrize("reduction", ["auto", "sorted", "sort", "atomic"])
def test_both_products(G, M, C, reduction):
    rng = np.random.default_rng(G * M + C)
    T, n, A, B = 300, 40, 27, 50
    oi = rng.integers(0, n - 3, T)
    if reduction == "sorted":
        oi.sort()
    ai, bi = rng.integers(0, A, T), rng.integers(0, B, T)
    a, b, x = draw(rng, A, G, M, C), draw(rng, B, G, C), draw(rng, A, G, M)
    got = mvmr(a, ai, b, bi, oi, n, reduction=reduction)
    assert isinstance(got, mx.array) and got.dtype == mx.float32
    close(got, loop_mvmr(host(a), ai, host(b), bi, oi, n), mx.float32, 30 * C)
    close(vvor(x, ai, b, bi, oi, n, reduction=reduction), loop_vvor(host(x), ai, host(b), bi, oi, n), mx.float32, 30)


@pytest.mark.parametrize("which", range(8))
def test_identity_indices(which):
    rng = np.random.default_rng(which)
    T, G, M, C = 60, 2, 5, 9
    pick = lambda bit: None if which & bit else rng.integers(0, T, T)  # noqa: E731
    ai, bi, oi = pick(1), pick(2), pick(4)
    a, b, x = draw(rng, T, G, M, C), draw(rng, T, G, C), draw(rng, T, G, M)
    close(mvmr(a, ai, b, bi, oi, T), loop_mvmr(host(a), ai, host(b), bi, oi, T), mx.float32, 8 * C)
    close(vvor(x, ai, b, bi, oi, T), loop_vvor(host(x), ai, host(b), bi, oi, T), mx.float32, 8)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64], ids=str)
@pytest.mark.parametrize("index", [np.int32, np.int64, np.uint8])
def test_dtypes(dtype, index, device):
    if device == "gpu" and dtype == mx.float64:
        pytest.skip("float64 exists only on the CPU")
    rng = np.random.default_rng(5)
    T, n, G, M, C = 200, 12, 2, 9, 17
    ai, bi, oi = (rng.integers(0, 12, T).astype(index) for _ in range(3))
    a, b, x = draw(rng, 12, G, M, C, dtype=dtype), draw(rng, 12, G, C, dtype=dtype), draw(rng, 12, G, M, dtype=dtype)
    got = mvmr(a, ai, b, bi, oi, n)
    assert got.dtype == dtype
    close(got, loop_mvmr(host(a), ai, host(b), bi, oi, n), dtype, 40 * C)
    close(vvor(x, ai, b, bi, oi, n), loop_vvor(host(x), ai, host(b), bi, oi, n), dtype, 40)


@pytest.mark.parametrize("dtype", [mx.int32, mx.uint8, mx.int64], ids=str)
def test_integers_are_exact(dtype):
    rng = np.random.default_rng(6)
    ai, bi, oi = (rng.integers(0, 5, 30) for _ in range(3))
    a, b = rng.integers(0, 3, (5, 1, 3, 4)), rng.integers(0, 3, (5, 1, 4))
    got = mvmr(mx.array(a).astype(dtype), ai, mx.array(b).astype(dtype), bi, oi, 5)
    assert np.array_equal(np.array(got), loop_mvmr(a, ai, b, bi, oi, 5).astype(np.array(got).dtype))


@pytest.mark.parametrize("M, C", [(3, 2), (16, 16), (32, 32)])
@pytest.mark.parametrize("T", [1000, 9001])
def test_one_huge_group(M, C, T):
    rng = np.random.default_rng(T)
    bi = rng.integers(0, 9, T)
    for oi in (np.full(T, 2), np.where(np.arange(T) < T // 3, 1, 4), np.where(np.arange(T) % 7 == 0, 0, 5)):
        a, b, x = draw(rng, 7, 1, M, C), draw(rng, 9, 1, C), draw(rng, 7, 1, M)
        ai = rng.integers(0, 7, T)
        for call, loop, left, terms in ((mvmr, loop_mvmr, a, T * C), (vvor, loop_vvor, x, T)):
            got, want = host(call(left, ai, b, bi, oi, 6)), loop(host(left), ai, host(b), bi, oi, 6)
            # Roundings of partial sums, each at most the sum of magnitudes, that add up like a random walk.
            most = loop(np.abs(host(left)), ai, np.abs(host(b)), bi, oi, 6)
            assert (np.abs(got - want) <= 2 * EPS["float32"] * np.sqrt(terms) * most).all()


def test_many_empty_rows():
    rng = np.random.default_rng(0)
    n = 200_000
    oi = np.array([5, 5, n // 2, n - 1])
    a, b = draw(rng, 4, 1, 2, 3), draw(rng, 4, 1, 3)
    close(mvmr(a, None, b, None, oi, n), loop_mvmr(host(a), None, host(b), None, oi, n), mx.float32, 6)


@pytest.mark.parametrize("T, n, A, B", [(0, 0, 3, 3), (0, 5, 3, 3), (0, 5, 0, 0)])
def test_empty(T, n, A, B):
    none = np.zeros(T, np.int32)
    a, b = mx.ones((A, 2, 3, 4)), mx.ones((B, 2, 4))
    assert np.array_equal(np.array(mvmr(a, none, b, none, none, n)), np.zeros((n, 2, 3)))
    assert np.array_equal(np.array(vvor(mx.ones((A, 2, 3)), none, b, none, [], n)), np.zeros((n, 2, 3, 4)))
    grad = mx.grad(lambda a: mvmr(a, none, b, none, none, n).sum())(a)
    assert grad.shape == a.shape and not np.array(grad).any()


def test_empty_blocks():
    idx = [0, 1, 1]
    assert mvmr(mx.ones((2, 2, 3, 0)), idx, mx.ones((2, 2, 0)), idx, idx, 2).tolist() == np.zeros((2, 2, 3)).tolist()
    assert mvmr(mx.ones((2, 0, 3, 4)), idx, mx.ones((2, 0, 4)), idx, idx, 2).shape == (2, 0, 3)
    assert vvor(mx.ones((2, 1, 0)), idx, mx.ones((2, 1, 4)), idx, idx, 2).shape == (2, 1, 0, 4)


@pytest.mark.parametrize("reduction", ["sort", "sorted", "atomic"])
def test_unchecked_indices_out_of_range_are_left_out(reduction):
    rng = np.random.default_rng(3)
    T, n = 400, 20
    ai, bi, oi = (rng.integers(-9, 29, T) for _ in range(3))
    oi[0] = 2**31 - 1
    ai[:2], bi[2:4] = -(2**31), 2**31 - 1
    if reduction == "sorted":
        oi.sort()
    a, b, x = draw(rng, n, 1, 6, 7), draw(rng, n, 1, 7), draw(rng, n, 1, 6)
    call = {"reduction": reduction, "validate": False}
    close(mvmr(a, ai, b, bi, oi, n, **call), loop_mvmr(host(a), ai, host(b), bi, oi, n), mx.float32, 200)
    close(vvor(x, ai, b, bi, oi, n, **call), loop_vvor(host(x), ai, host(b), bi, oi, n), mx.float32, 30)
    grad = mx.grad(lambda b: mvmr(a, ai, b, bi, oi, n, **call).sum())(b)
    good = (ai >= 0) & (ai < n) & (oi >= 0) & (oi < n)
    want = np.zeros(b.shape)
    for t in np.flatnonzero(good & (bi >= 0) & (bi < n)):
        want[bi[t]] += host(a)[ai[t]].sum(1)
    close(grad, want, mx.float32, 200)


def test_a_broken_promise_stays_in_bounds():
    rng = np.random.default_rng(4)
    oi = rng.integers(-5, 60, 5000)
    a, b = draw(rng, 9, 1, 4, 4), draw(rng, 9, 1, 4)
    i = rng.integers(0, 9, 5000)
    out = mvmr(a, i, b, i, oi, 40, reduction="sorted", validate=False)
    assert np.array(out).shape == (40, 1, 4)  # the values are unspecified


def test_deterministic(device):
    rng = np.random.default_rng(8)
    ai, bi, oi = rng.integers(0, 27, 5000), rng.integers(0, 300, 5000), rng.integers(0, 30, 5000)
    a, b = draw(rng, 27, 1, 8, 8), draw(rng, 300, 1, 8)
    runs = [np.array(mvmr(a, ai, b, bi, oi, 30)) for _ in range(3)]
    assert np.array_equal(runs[0], runs[1]) and np.array_equal(runs[0], runs[2])


def test_operands_may_be_strided_or_foreign():
    rng = np.random.default_rng(9)
    a = rng.standard_normal((5, 2, 4, 3)).astype(np.float32)
    b = rng.standard_normal((6, 2, 3)).astype(np.float32)
    ai, bi, oi = (rng.integers(0, 5, 12) for _ in range(3))
    want = loop_mvmr(a.astype(float), ai, b.astype(float), bi, oi, 5)
    close(mvmr(a, ai, b, bi, oi, 5), want, mx.float32, 30)
    strided = mx.array(a.transpose(3, 2, 1, 0).copy()).transpose(3, 2, 1, 0)
    wide = mx.array(np.repeat(bi, 2).astype(np.int32))[::2]
    close(mvmr(strided, ai, mx.array(b), wide, oi.tolist(), 5), want, mx.float32, 30)


GRAD = {"T": 25, "A": 6, "B": 7, "n": 5, "G": 2, "M": 3, "C": 4}


def problem(rng, dtype, kind, identity):
    p = GRAD
    ai = None if identity else rng.integers(0, p["A"], p["T"])
    bi, oi = rng.integers(0, p["B"], p["T"]), rng.integers(0, p["n"] - 1, p["T"])
    rows = p["T"] if identity else p["A"]
    block = (p["M"], p["C"]) if kind == "mvmr" else (p["M"],)
    a, b = draw(rng, rows, p["G"], *block, dtype=dtype), draw(rng, p["B"], p["G"], p["C"], dtype=dtype)
    call = mvmr if kind == "mvmr" else vvor
    return a, b, lambda a, b: call(a, ai, b, bi, oi, p["n"])


KINDS = [(kind, identity) for kind in ("mvmr", "vvor") for identity in (False, True)]


@pytest.mark.parametrize("kind, identity", KINDS)
def test_gradients_against_differences(kind, identity, exact):
    rng = np.random.default_rng(11)
    a, b, f = problem(rng, exact, kind, identity)
    w = draw(rng, *f(a, b).shape, dtype=exact)
    loss = lambda a, b: (w * f(a, b) ** 2).sum()  # noqa: E731
    grads = mx.grad(loss, argnums=(0, 1))(a, b)
    # f is linear in each operand, so the loss is quadratic and central differences have no truncation error.
    h, eps = 0.5, EPS[str(exact).removeprefix("mlx.core.")]
    for which in (0, 1):
        d = draw(rng, *(a, b)[which].shape, dtype=exact)
        up, down = ([x + s * h * d if i == which else x for i, x in enumerate((a, b))] for s in (1, -1))
        high, low = loss(*up).item(), loss(*down).item()
        slope = (grads[which] * d).sum().item()
        assert abs((high - low) / (2 * h) - slope) <= 2000 * eps * (abs(high) + abs(low) + abs(slope))


@pytest.mark.parametrize("kind, identity", KINDS)
def test_forward_derivatives_and_second_order(kind, identity, exact):
    rng = np.random.default_rng(12)
    a, b, f = problem(rng, exact, kind, identity)
    da, db = draw(rng, *a.shape, dtype=exact), draw(rng, *b.shape, dtype=exact)
    out, (tangent,) = mx.jvp(f, [a, b], [da, db])
    close(tangent, host(f(da, b)) + host(f(a, db)), exact, 200)
    # <w, jvp> = <vjp, direction>
    w = draw(rng, *tangent.shape, dtype=exact)
    _, (ga, gb) = mx.vjp(f, [a, b], [w])
    left, right = (w * tangent).sum().item(), (ga * da).sum().item() + (gb * db).sum().item()
    scale = 500 * EPS[str(exact).removeprefix("mlx.core.")]
    assert abs(left - right) <= scale * (1 + abs(left))
    # The loss is cubic along (da, db), whose second derivative along it is known from f's own values.
    inner = lambda a, b: (w * f(a, b)).sum()  # noqa: E731

    def slope(a, b):
        ga, gb = mx.grad(inner, argnums=(0, 1))(a, b)
        return (ga * da).sum() + (gb * db).sum()

    sa, sb = mx.grad(slope, argnums=(0, 1))(a, b)
    second = (sa * da).sum().item() + (sb * db).sum().item()
    want = 2 * (w * f(da, db)).sum().item()
    assert abs(second - want) <= scale * (1 + abs(want)) * 10


def test_complex_gradients_follow_the_convention_of_mlx():
    rng = np.random.default_rng(13)
    a, b, f = problem(rng, mx.complex64, "mvmr", False)
    w = draw(rng, *f(a, b).shape, dtype=mx.complex64)
    _, (ga, gb) = mx.vjp(f, [a, b], [w])
    da, db = draw(rng, *a.shape, dtype=mx.complex64), draw(rng, *b.shape, dtype=mx.complex64)
    pair = lambda x, y: np.vdot(host(x), host(y))  # noqa: E731
    left = pair(w, f(da, b)) + pair(w, f(a, db))
    right = pair(ga, da) + pair(gb, db)
    assert abs(left - right) < 1e-4 * (1 + abs(left))


@pytest.mark.parametrize("kind, identity", KINDS)
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (1, 2), (0, 0), (None, 1)])
def test_vmap(kind, identity, axes):
    rng = np.random.default_rng(14)
    a, b, f = problem(rng, mx.float32, kind, identity)
    n = 3
    stack = lambda x, axis: x if axis is None else mx.stack([x * (k + 1) for k in range(n)], axis)  # noqa: E731
    sa, sb = stack(a, axes[0]), stack(b, axes[1])
    got = mx.vmap(f, in_axes=axes)(sa, sb)
    one = lambda x, axis, k: x if axis is None else mx.take(x, k, axis)  # noqa: E731
    want = np.stack([host(f(one(sa, axes[0], k), one(sb, axes[1], k))) for k in range(n)])
    np.testing.assert_allclose(host(got), want, rtol=1e-5, atol=1e-4)
    # gradients through the mapped call, and a map of gradients
    loss = lambda a, b: (f(a, b) ** 2).sum()  # noqa: E731
    through = mx.grad(lambda a, b: (mx.vmap(f, in_axes=axes)(a, b) ** 2).sum(), argnums=(0, 1))(sa, sb)
    of = mx.vmap(mx.grad(loss, argnums=(0, 1)), in_axes=axes)(sa, sb)
    for which, axis in enumerate(axes):
        each = [mx.grad(loss, argnums=which)(one(sa, axes[0], k), one(sb, axes[1], k)) for k in range(n)]
        scale = max(np.abs(host(e)).max() for e in each)
        np.testing.assert_allclose(host(of[which]), np.stack([host(e) for e in each]), atol=1e-5 * scale)
        total = sum(host(e) for e in each) if axis is None else np.stack([host(e) for e in each], axis)
        np.testing.assert_allclose(host(through[which]), total, atol=3e-5 * scale)


def test_nested_vmap():
    rng = np.random.default_rng(15)
    a, b, f = problem(rng, mx.float32, "mvmr", False)
    many_a, many_b = mx.stack([a, 2 * a]), mx.stack([b, -b, 3 * b])
    got = mx.vmap(lambda b: mx.vmap(lambda a: f(a, b))(many_a))(many_b)
    want = np.array([[host(f(x, y)) for x in many_a] for y in many_b])
    np.testing.assert_allclose(host(got), want, rtol=1e-5, atol=1e-4)


def test_vmap_over_indices():
    rng = np.random.default_rng(16)
    a, b = draw(rng, 4, 1, 3, 2), draw(rng, 5, 1, 2)
    ai, bi, oi = (mx.array(rng.integers(0, 4, (3, 10)).astype(np.int32)) for _ in range(3))
    f = lambda ai, bi, oi: mvmr(a, ai, b, bi, oi, 4)  # noqa: E731
    got = mx.vmap(f)(ai, bi, oi)
    want = np.stack(
        [loop_mvmr(host(a), *map(np.array, (ai[k],)), host(b), np.array(bi[k]), np.array(oi[k]), 4) for k in range(3)]
    )
    close(got, want, mx.float32, 20)
    close(mx.vmap(lambda bi: f(ai[0], bi, oi[0]))(bi)[1], host(f(ai[0], bi[1], oi[0])), mx.float32, 20)


@pytest.mark.parametrize("shapeless", [False, True])
@pytest.mark.parametrize("traced_indices", [False, True])
def test_compile(shapeless, traced_indices):
    rng = np.random.default_rng(17)
    a, b, _ = problem(rng, mx.float32, "mvmr", False)
    T = 40
    ai, bi, oi = (mx.array(rng.integers(0, 5, T).astype(np.int32)) for _ in range(3))

    def step(a, b, ai, bi, oi):
        loss = lambda a, b: (mvmr(a, ai, b, bi, oi, 5) ** 2).sum()  # noqa: E731
        return mx.value_and_grad(loss, argnums=(0, 1))(a, b)

    if traced_indices:
        fast = mx.compile(step, shapeless=shapeless)
    else:
        fixed = mx.compile(lambda a, b: step(a, b, ai, bi, oi), shapeless=shapeless)
        fast = lambda a, b, *_: fixed(a, b)  # noqa: E731
    for scale in (1, 2):
        value, grads = step(scale * a, b, ai, bi, oi)
        got, found = fast(scale * a, b, ai, bi, oi)
        assert abs(got.item() - value.item()) <= 1e-5 * abs(value.item())
        for g, w in zip(found, grads, strict=True):
            np.testing.assert_allclose(host(g), host(w), rtol=1e-5, atol=1e-4)


def test_results_are_lazy():
    a, b = mx.ones((3, 1, 2, 2)), mx.ones((3, 1, 2))
    from mlx_sparse import _native

    out = mvmr(a * 2, [0, 1], b, [1, 2], [0, 0], 1)
    assert not _native.is_available(out)
    assert out.tolist() == [[[8.0, 8.0]]]


ok = (mx.ones((4, 2, 3, 5)), [0, 1, 3], mx.ones((6, 2, 5)), [0, 1, 5], [0, 0, 1], 2)
BAD = {
    "a rank": (0, mx.ones((4, 3, 5)), ValueError, "a must have 4 dimensions"),
    "b rank": (2, mx.ones((6, 5)), ValueError, "b must have 3 dimensions"),
    "b groups": (2, mx.ones((6, 1, 5)), ValueError, "b must have the 2 groups"),
    "b length": (2, mx.ones((6, 2, 4)), ValueError, "b must hold vectors of the length 5"),
    "dtypes": (2, mx.ones((6, 2, 5), dtype=mx.float16), TypeError, "float16"),
    "a_idx high": (1, [0, 4, 1], ValueError, r"a_idx\[1\] is 4; it must be in \[0, 4\)"),
    "a_idx low": (1, [0, 1, -1], ValueError, r"a_idx\[2\] is -1"),
    "b_idx high": (3, [0, 40, 1], ValueError, r"b_idx\[1\] is 40; it must be in \[0, 6\)"),
    "b_idx huge": (3, [0, 2**40, 1], ValueError, r"b_idx\[1\]"),
    "b_idx unsigned": (3, np.array([0, 2**64 - 1, 1], np.uint64), ValueError, "b_idx"),
    "o_idx high": (4, [0, 0, 2], ValueError, r"o_idx\[2\] is 2; it must be in \[0, 2\)"),
    "a_idx rank": (1, [[0, 1, 3]], ValueError, "a_idx must have 1 dimension"),
    "b_idx float": (3, [0.0, 1.0, 2.0], ValueError, "b_idx must hold integers"),
    "b_idx bool": (3, [True, False, True], ValueError, "b_idx must hold integers"),
    "o_idx mlx float": (4, mx.zeros(3), ValueError, "o_idx must hold integers"),
    "o_idx length": (4, [0, 0], ValueError, "o_idx has length 2"),
    "a_idx missing": (1, None, ValueError, "a_idx is None, which stands for 4 rows"),
    "o_idx missing": (4, None, ValueError, "o_idx is None, which stands for 2 rows"),
    "n_o negative": (5, -1, ValueError, "n_o must be in"),
    "n_o float": (5, 2.0, TypeError, "n_o must be an integer"),
    "n_o bool": (5, True, TypeError, "n_o must be an integer"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    at, value, kind, words = BAD[name]
    args = [*ok]
    args[at] = value
    with pytest.raises(kind, match=words):
        mvmr(*args)
    if at != 0 and name != "b length":
        args[0] = mx.ones((4, 2, 3))
        with pytest.raises(kind, match=words):
            vvor(*args)


def test_bad_reduction():
    with pytest.raises(ValueError, match="reduction must be one of 'auto', 'sorted', 'sort', 'atomic'; got 'fast'"):
        mvmr(*ok, reduction="fast")
    with pytest.raises(ValueError, match="o_idx decreases"):
        mvmr(*ok[:4], [1, 0, 1], 2, reduction="sorted")


def test_indices_have_no_gradient():
    a, ai, b, bi, oi, n = ok
    idx = mx.array(bi)
    with pytest.raises(ValueError, match="index arrays are not differentiable"):
        mx.vjp(lambda i: mvmr(a, ai, b, i, oi, n), [idx], [mx.ones((2, 2, 3))])


def test_public_names():
    assert indexed.sparse_matrix_vector_multiplication_reduction is mvmr
    assert "sparse_vector_vector_outer_product_reduction" in indexed.__all__
