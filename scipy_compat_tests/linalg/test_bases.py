"""The native Gram-Schmidt process over the rows of an ndarray, and as nodes over those of an mx.array."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_sparse import _native
from mlx_sparse.linalg._lazy import Lazy

KINDS = ("float32", "float64", "complex64", "complex128")


def numbers(shape, kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if kind[0] == "c" else x).astype(kind)


@pytest.mark.parametrize("slack", [0.0, 1e-8])
@pytest.mark.parametrize("n", [1, 7, 1024, 20_000])
@pytest.mark.parametrize("kind", KINDS)
def test_orthonormal(kind, n, slack):
    eps, m = float(np.finfo(kind).eps), min(n, 11)
    rows, given = np.empty((m, n), kind), numbers((m, n), kind)
    coefficients = np.zeros((m, m), np.promote_types(kind, float))
    for k in range(m):
        h = _native.basis_extend(rows, k, given[k], slack)
        assert len(h) == k + 1 and type(h[-1]) is float
        coefficients[k, : k + 1] = h
    assert np.abs(rows.conj() @ rows.T - np.eye(m)).max() <= max(100 * eps, 10 * slack)
    assert np.abs(coefficients @ rows - given).max() <= 100 * eps * np.abs(coefficients).max()
    out, y = np.empty(n, kind), numbers(m, kind)
    _native.basis_combine(rows, 0, y, out)
    assert np.abs(out - y @ rows).max() <= 100 * eps
    _native.basis_combine(rows, m - 1, y[:1], out)
    assert np.abs(out - y[0] * rows[-1]).max() <= 100 * eps


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_nothing_left(bad):
    rows = np.empty((2, 3000))
    _native.basis_extend(rows, 0, np.ones(3000), 0.0)
    *_, length = _native.basis_extend(rows, 1, np.full(3000, bad), 0.0)
    assert length == 0 if bad == 0 else np.isnan(length)


def test_bad_input():
    rows, v = np.empty((3, 5)), np.ones(5)
    for args in (
        (rows, 3, v),
        (rows, 0, v[:4]),
        (rows, 0, v.astype("f4")),
        (rows.T, 0, v[:3]),
        (rows, 0, np.ones(10)[::2]),
    ):
        with pytest.raises(ValueError, match="contiguous"):
            _native.basis_extend(*args, 0.0)
    for args in ((rows, 1, np.ones(3), v), (rows, 0, np.ones(3, "f4"), v), (rows, 0, np.ones(3), v[:4])):
        with pytest.raises(ValueError, match="contiguous"):
            _native.basis_combine(*args)
    with pytest.raises(ValueError, match="float32"):
        _native.basis_extend(rows.astype(int), 0, v.astype(int), 0.0)


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 5), (300, 7), (5000, 45), (40_000, 3)])
def test_node(kind, n, m, always):
    """Sizes around the chunks and tiles of the shaders."""
    stream = mx.cpu if kind == "float64" else None
    eps = float(np.finfo(kind).eps)
    known = np.linalg.qr(numbers((n, m), kind))[0].T
    w = numbers(n, kind)
    for count in sorted({0, 1, m // 2, m - 1, m}):
        rows = mx.array(np.ascontiguousarray(np.vstack([known, 0 * known[:1]])), getattr(mx, kind))
        v, h = _native.extend_rows(rows, count, mx.array(w, rows.dtype), True, always, stream)
        mx.eval(v, h)
        v, h, rows = (np.asarray(a) for a in (v, h, rows))
        along = known[:count].conj() @ w
        rest = w - along @ known[:count]
        most = 20 * eps * np.linalg.norm(w)  # rounding of products that are added up in chunks, and these in pairs
        assert np.abs(h[:count] - along).max(initial=0) <= most
        assert abs(h[count] - np.linalg.norm(rest)) <= most
        if count < n:
            assert np.abs(v * h[count] - rest).max() <= most
            slack = 0 if always else eps ** (2 / 3)
            assert np.abs(known[:count].conj() @ v).max(initial=0) <= 20 * eps + slack
        np.testing.assert_array_equal(rows[count], v)
    y = numbers(m, kind)
    for first in {0, m // 2}:
        v = _native.combine_rows(
            mx.array(rows, getattr(mx, kind)), first, mx.array(y[first:], getattr(mx, kind)), stream
        )
        assert np.abs(np.asarray(v) - y[first:] @ rows[first:m]).max() <= 20 * eps * np.linalg.norm(y)


def test_rows_that_cannot_be_written_to():
    rows = mx.zeros((5, 3)).T
    mx.eval(rows)
    with pytest.raises(ValueError, match="contiguous"):
        _native.extend_rows(rows, 1, mx.zeros(5), True)
    with pytest.raises(ValueError, match="room"):
        _native.extend_rows(mx.zeros((3, 5)), 3, mx.zeros(5), True)
    with pytest.raises(ValueError, match="k rows"):
        _native.combine_rows(mx.zeros((3, 5)), 2, mx.zeros(2))


@pytest.mark.parametrize("kind", ["float32", "complex64"])
@pytest.mark.parametrize("far", [1.0, 1e-2, 1e-4])
def test_a_basis_is_orthogonal_whatever_its_products_lose(kind, far, device):
    """Products that are nearly multiples of what they are of: one pass takes nearly all, and errors grow with it."""
    n, steps, dtype = 500, 9, getattr(mx, kind)
    scale = mx.array(1 + far * np.random.default_rng(0).random(n), dtype)
    V = Lazy(mx.array(numbers(n, kind), dtype), {"A": lambda v: scale * v})
    basis = V.basis(steps + 1)
    v, _ = V.extend(basis, V.array(V._b))
    found, h = [np.asarray(v)], []
    for made, column in V.extensions(basis, V.A, v, steps):
        found.append(np.asarray(made))
        h.append(column)
    Q, eps = np.stack(found).astype(complex), float(np.finfo(kind).eps)
    assert len(found) == steps + 1 and basis.count == steps + 1
    assert np.abs(Q.conj() @ Q.T - np.eye(steps + 1)).max() < 2 * eps ** (2 / 3)
    for j, column in enumerate(h):  # the recurrence holds, and rows are what was given
        w = np.asarray(scale).astype(complex) * Q[j]
        np.testing.assert_allclose(np.array(column) @ Q[: j + 2], w, rtol=0, atol=20 * eps)
    np.testing.assert_allclose(np.asarray(V.combine(basis, np.eye(steps + 1)[4], 0)), found[4], atol=eps)
