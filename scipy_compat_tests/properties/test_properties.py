"""Algebraic identities over random small arrays with duplicates, unsorted indices and explicit zeros."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlx_sparse as sp
from scipy_compat_tests.oracle.harness import FORMATS, frozen, numpy_mode, valid

DTYPES = ("float32", "int32", "complex64", "bool")
few = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(autouse=True, scope="module")
def _numpy():
    with numpy_mode():
        yield


@st.composite
def arrays(draw, shape=None, dtypes=DTYPES, formats=FORMATS):
    """A coo, csr or csc array of small whole numbers (so that identities hold exactly)."""
    m, n = shape if shape is not None else (draw(st.integers(0, 5)), draw(st.integers(0, 5)))
    count = draw(st.integers(0, 8)) if m and n else 0
    rows = draw(st.lists(st.integers(0, max(m - 1, 0)), min_size=count, max_size=count))
    columns = draw(st.lists(st.integers(0, max(n - 1, 0)), min_size=count, max_size=count))
    data = np.array(draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count)), dtype="int64")
    dtype = draw(st.sampled_from(dtypes))
    values = data.astype(dtype) if dtype != "complex64" else (data + 1j * data[::-1]).astype(dtype)
    index = draw(st.sampled_from(["int32", "int64"]))
    fmt = draw(st.sampled_from(formats))
    rows, columns = np.array(rows, index), np.array(columns, index)
    if fmt == "coo":
        return sp.coo_array((values, (rows, columns)), shape=(m, n))
    major, minor = (rows, columns) if fmt == "csr" else (columns, rows)
    order = np.argsort(major, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=m if fmt == "csr" else n))]).astype(index)
    make = sp.csr_array if fmt == "csr" else sp.csc_array
    return make((values[order], minor[order], indptr), shape=(m, n))


@st.composite
def pairs(draw, dtypes=DTYPES):
    """Two arrays of one shape."""
    shape = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    return draw(arrays(shape, dtypes)), draw(arrays(shape, dtypes))


@st.composite
def chains(draw):
    """Two arrays that can be multiplied; not booleans, whose duplicates count twice as numbers."""
    m, k, n = (draw(st.integers(0, 4)) for _ in range(3))
    return draw(arrays((m, k), dtypes=DTYPES[:3])), draw(arrays((k, n), dtypes=DTYPES[:3]))


def same(A, B):
    assert A.shape == B.shape
    np.testing.assert_array_equal(A.toarray(), B.toarray())


@few
@given(pairs(dtypes=("float32", "int32", "complex64")), st.integers(0, 3))
def test_sum_distributes_over_product(pair, columns):
    A, B = pair
    x = (np.arange(A.shape[1] * (columns + 1)) % 3 - 1).astype("float32").reshape(A.shape[1], columns + 1)
    np.testing.assert_array_equal(valid(A + B) @ x, A @ x + B @ x)


@few
@given(chains())
def test_transpose_of_product(chain):
    A, B = chain
    same(valid(A @ B).T, valid(B.T @ A.T))


@few
@given(arrays())
def test_formats_round_trip(A):
    cs = valid(A.tocsr())
    back = valid(valid(valid(cs.tocsc()).tocoo()).tocsr())
    cs.sum_duplicates()  # a conversion through coo sums them
    assert back.nnz == cs.nnz and back.dtype == A.dtype
    same(back, A)


@few
@given(arrays())
def test_sum_duplicates_is_idempotent(A):
    before = A.toarray()
    A.sum_duplicates()
    once = A.copy()
    A.sum_duplicates()
    assert A.nnz == once.nnz and A.has_canonical_format
    same(valid(A), once)
    np.testing.assert_array_equal(A.toarray(), before)


@few
@given(arrays())
def test_dense_round_trip(A):
    same(valid(type(A)(A.toarray())), A)


@few
@given(arrays())
def test_transpose_is_an_involution(A):
    same(valid(valid(A.T).T), A)
    np.testing.assert_array_equal(A.T.toarray(), A.toarray().T)


@few
@given(arrays(dtypes=("float32", "int32", "complex64")))
def test_sums_agree(A):
    total = A.toarray().sum()
    np.testing.assert_array_equal(A.sum(), total)
    np.testing.assert_array_equal(A.sum(axis=0), A.toarray().sum(axis=0))
    np.testing.assert_array_equal(A.sum(axis=1), A.toarray().sum(axis=1))


@few
@given(pairs(dtypes=("float32", "int32")))
def test_element_wise_operations_are_valid_and_pure(pair):
    A, B = pair
    x, y = A.toarray(), B.toarray()
    with frozen(A, B):
        for result, expected in [
            (A + B, x + y),
            (A - B, x - y),
            (A * B, x * y),
            (A.maximum(B), np.maximum(x, y)),
            (A.minimum(B), np.minimum(x, y)),
            (A != B, x != y),
            (A < B, x < y),
            (abs(A), abs(x)),
            (-A, -x),
            (A * 2, x * 2),
        ]:
            np.testing.assert_array_equal(valid(result).toarray(), expected)


@few
@given(chains())
def test_products_are_valid_and_pure(chain):
    A, B = chain
    x = np.ones((A.shape[1], 2), "float32")
    with frozen(A, B, x):
        np.testing.assert_array_equal(valid(A @ B).toarray(), A.toarray() @ B.toarray())
        np.testing.assert_array_equal(A @ x, A.toarray() @ x)
        np.testing.assert_array_equal(x.T @ B, x.T @ B.toarray())


@few
@given(pairs(dtypes=("float32", "int32", "complex64")))
def test_stacks(pair):
    A, B = pair
    np.testing.assert_array_equal(valid(sp.vstack([A, B])).toarray(), np.vstack([A.toarray(), B.toarray()]))
    np.testing.assert_array_equal(valid(sp.hstack([A, B])).toarray(), np.hstack([A.toarray(), B.toarray()]))


@few
@given(arrays(), st.integers(-4, 4))
def test_triangles_split_an_array(A, k):
    np.testing.assert_array_equal(valid(sp.tril(A, k)).toarray(), np.tril(A.toarray(), k))
    np.testing.assert_array_equal(valid(sp.triu(A, k + 1)).toarray(), np.triu(A.toarray(), k + 1))
