"""Selections are MLX arrays in mlx mode, share buffers where they can, and are differentiable in the stored values."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from scipy_compat_tests.oracle.harness import build

FORMATS = ("csr", "csc", "coo")
S = np.s_
KEYS = [
    S[1:3], S[::-1], S[[2, 0, 2]], S[:, 1:3], S[:, ::-2], S[:, [3, 3, 0]], S[1:, [0, 2]], S[1], S[:, 2],
    S[[[0, 2], [1, 1]], [[3, 3], [1, 0]]],
]  # fmt: skip


def total(selected):
    dense = selected.todense() if isinstance(selected, sp.sparray) else selected
    weights = mx.arange(1, dense.size + 1, dtype=dense.dtype).reshape(dense.shape)
    return (dense * weights).sum()


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("key", [*KEYS, S[1, 1], S[[0, 2], [0, 3]]], ids=str)
@pytest.mark.parametrize("case", ["plain", "unsorted", "duplicates"])
def test_gradient_of_a_selection(fmt, key, case):
    A = build(sp, fmt, case)
    found = mx.grad(lambda v: total(A.with_data(v)[key]))(A.data)
    rate = []
    for k in range(A.data.size):  # linear in the values, so differences are exact
        unit = mx.array(np.eye(A.data.size, dtype=np.float32)[k])
        rate.append(float(total(A.with_data(unit)[key])))
    np.testing.assert_allclose(np.array(found), rate, rtol=1e-6)


def test_under_compile():
    A = build(sp, "csr", "plain")
    f = mx.compile(lambda v: A.with_data(v)[[2, 0]].todense())
    np.testing.assert_array_equal(np.array(f(A.data)), A.toarray()[[2, 0]])


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_comes_back_in_mlx_mode(fmt):
    A = build(sp, fmt, "plain")
    assert isinstance(A[0, 0], mx.array)
    assert A[0, 0].shape == () and float(A[0, 0]) == 0.25
    assert isinstance(A[1:3].data, mx.array)
    if fmt != "coo":
        assert isinstance(A[[0, 2], [0, 3]], mx.array)
    np.testing.assert_array_equal(A[mx.array([2, 0])].toarray(), A.toarray()[[2, 0]])
    np.testing.assert_array_equal(A[mx.array([True, False, True])].toarray(), A.toarray()[[0, 2]])


def test_neighbouring_rows_share_the_buffers():
    A = sp.csr_array(np.arange(12, dtype=np.float32).reshape(3, 4))
    B = A[1:]
    whole, part = np.asarray(A._data), np.asarray(B._data)
    assert np.shares_memory(whole, part)
    np.testing.assert_array_equal(B.toarray(), A.toarray()[1:])
    np.testing.assert_array_equal(np.array(B @ mx.ones(4)), A.toarray()[1:].sum(1))
    np.testing.assert_array_equal(np.array(B.T @ mx.ones(2)), A.toarray()[1:].sum(0))


def test_unevaluated_values():
    A = sp.csr_array(np.eye(3, dtype=np.float32))
    B = A.with_data(A.data * 2 + 1)
    assert float(B[1, 1]) == 3
    np.testing.assert_array_equal(B[1:].toarray(), A.toarray()[1:] * 3)
