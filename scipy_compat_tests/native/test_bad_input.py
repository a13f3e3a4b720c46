"""Bad input gives the exception SciPy gives, says what is wrong, and never reaches a kernel."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse as scipy_sparse

import mlx_sparse as sp

ok = ([1.0, 2.0], [0, 1], [0, 1, 2])
CASES = {
    "indices too large": (lambda s: s.csr_array((ok[0], [0, 5], ok[2]), shape=(2, 2)), ValueError, "indices"),
    "indices negative": (lambda s: s.csr_array((ok[0], [0, -1], ok[2]), shape=(2, 2)), ValueError, "indices"),
    "indptr not from 0": (lambda s: s.csr_array((ok[0], ok[1], [1, 1, 2]), shape=(2, 2)), ValueError, "start with 0"),
    "indptr decreases": (lambda s: s.csr_array((ok[0], ok[1], [0, 2, 1]), shape=(2, 2)), ValueError, "indptr"),
    "indptr too far": (lambda s: s.csr_array((ok[0], ok[1], [0, 1, 9]), shape=(2, 2)), ValueError, None),
    "indptr length": (lambda s: s.csr_array(ok, shape=(3, 2)), ValueError, "index pointer size 3 should be 4"),
    "csc indptr length": (lambda s: s.csc_array(ok, shape=(2, 3)), ValueError, "index pointer size 3 should be 4"),
    "data length": (lambda s: s.csr_array(([1.0], ok[1], ok[2]), shape=(2, 2)), ValueError, "same size"),
    "data rank": (lambda s: s.csr_array(([[1.0, 2.0]], ok[1], ok[2]), shape=(2, 2)), ValueError, "1-D"),
    "scalar": (lambda s: s.csr_array(3.0), ValueError, "scalar"),
    "rank 3": (lambda s: s.csr_array(np.zeros((2, 2, 2))), ValueError, None),
    "csc rank 1": (lambda s: s.csc_array(np.zeros(3)), ValueError, None),
    "object dtype": (lambda s: s.csr_array((2, 2), dtype=object), ValueError, None),
    "negative shape": (lambda s: s.csr_array(ok, shape=(-2, 2)), ValueError, "negative"),
    "shape rank": (lambda s: s.csr_array(ok, shape=(1, 2, 2)), ValueError, None),
    "coo row too large": (lambda s: s.coo_array(([1.0], ([4], [0])), shape=(2, 2)), ValueError, "axis 0 index 4"),
    "coo negative": (lambda s: s.coo_array(([1.0], ([0], [-1])), shape=(2, 2)), ValueError, "negative axis 1 index"),
    "coo lengths": (lambda s: s.coo_array(([1.0], ([0, 1], [0, 1])), shape=(2, 2)), ValueError, "same length"),
    "coo cannot infer": (lambda s: s.coo_array(([], ([], []))), ValueError, "infer"),
    "matvec size": (lambda s: s.csr_array(np.eye(3)) @ np.ones(2), ValueError, "mismatch"),
    "matmat size": (lambda s: s.csr_array(np.eye(3)) @ np.ones((2, 3)), ValueError, "mismatch"),
    "rmatvec size": (lambda s: np.ones(2) @ s.csr_array(np.eye(3)), ValueError, "mismatch"),
    "sparse matmul size": (lambda s: s.csr_array(np.eye(3)) @ s.csr_array(np.eye(2)), ValueError, "mismatch"),
    "scalar matmul": (lambda s: s.csr_array(np.eye(3)) @ 2, ValueError, "Scalar"),
    "add size": (lambda s: s.csr_array(np.eye(3)) + s.csr_array(np.eye(2)), ValueError, "inconsistent"),
    "add scalar": (lambda s: s.csr_array(np.eye(3)) + 1, NotImplementedError, "nonzero scalar"),
    "multiply size": (lambda s: s.csr_array(np.eye(3)).multiply(np.ones((2, 2))), ValueError, "inconsistent"),
    "setdiag far": (lambda s: s.csr_array(np.eye(3)).setdiag(1, 5), ValueError, "k exceeds"),
    "axis": (lambda s: s.csr_array(np.eye(3)).sum(axis=2), ValueError, "axis"),
    "axis type": (lambda s: s.csr_array(np.eye(3)).sum(axis=1.5), TypeError, "axis"),
    "format": (lambda s: s.csr_array(np.eye(3)).asformat("xyz"), ValueError, "xyz"),
    "out shape": (lambda s: s.csr_array(np.eye(3)).toarray(out=np.zeros((2, 2))), ValueError, "out"),
    "diags count": (lambda s: s.diags_array([[1.0], [2.0]], offsets=[0]), ValueError, "diagonals"),
    "diags repeated": (lambda s: s.diags_array([[1.0], [2.0]], offsets=[0, 0]), ValueError, "duplicate"),
    "density": (lambda s: s.random_array((3, 3), density=2), ValueError, "density"),
    "blocks": (lambda s: s.block_array([[np.eye(2), np.eye(3)]]), ValueError, "ismatch"),
    "bool": (lambda s: bool(s.csr_array(np.eye(3))), ValueError, "ambiguous"),
    "len": (lambda s: len(s.csr_array(np.eye(3))), TypeError, "ambiguous"),
    "power": (lambda s: s.csr_array(np.eye(3)).power(0), NotImplementedError, "power"),
}


@pytest.mark.parametrize("name", CASES)
def test_exception_and_message(name):
    call, kind, words = CASES[name]
    with pytest.raises(kind, match=words):
        call(sp)
    checked_late = {"indices too large", "indices negative", "indptr decreases"}  # SciPy finds these in check_format
    if name not in checked_late:
        with pytest.raises(kind):
            call(scipy_sparse)


@pytest.mark.parametrize("bad", [[0, 5], [0, -1], [2**31 - 1, 0]])
@pytest.mark.parametrize("index", [mx.int32, mx.int64], ids=str)
def test_out_of_range_mlx_indices(bad, index):
    with pytest.raises(ValueError):
        sp.csr_array((mx.array([1.0, 2.0]), mx.array(bad, dtype=index), mx.array([0, 1, 2], dtype=index)), shape=(2, 2))
    with pytest.raises(ValueError):
        sp.coo_array((mx.array([1.0, 2.0]), (mx.array(bad, dtype=index), mx.array([0, 1], dtype=index))), shape=(2, 2))


def test_validate_false_checks_lengths_only():
    A = sp.csr_array(([1.0, 2.0], [0, 1], [0, 1, 2]), shape=(2, 2), validate=False)
    assert A.toarray().tolist() == [[1, 0], [0, 2]]
    with pytest.raises(ValueError, match="size"):
        sp.csr_array(([1.0], [0, 1], [0, 1, 2]), shape=(2, 2), validate="metadata")
    with pytest.raises(ValueError, match="validate"):
        sp.csr_array(([1.0], [0], [0, 1]), shape=(1, 1), validate="some")


def test_narrowing_that_overflows_is_an_error():
    with pytest.raises((ValueError, OverflowError)):
        sp.coo_array(([1.0], ([2**40], [0])), shape=(2, 2))
    A = sp.coo_array(([1.0], ([2**40], [0])))
    assert A.shape == (2**40 + 1, 1) and A._coords[0].dtype == mx.int64


def test_arrays_of_scipys_with_bad_indices():
    """Whose own products would read elsewhere: solvers and graphs look first."""
    A = scipy_sparse.csr_array(np.eye(3))
    A.indices[:] = -(10**8)
    b = np.ones(3)
    calls = [
        *(lambda A, f=f: f(A, b) for f in (sp.linalg.cg, sp.linalg.gmres, sp.linalg.lsqr, sp.linalg.lsmr)),
        *(lambda A, f=f: f(A, 1) for f in (sp.linalg.eigsh, sp.linalg.eigs, sp.linalg.svds, sp.linalg.lanczos)),
        lambda A: sp.linalg.aslinearoperator(A) @ b,
        *(getattr(sp.csgraph, name) for name in ("bellman_ford", "structural_rank", "csgraph_to_dense")),
        lambda A: sp.csgraph.yen(A, 0, 1, 1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="indices"):
            call(A)


@pytest.mark.parametrize("value", ["abc", b"x", object()])
def test_operands_that_are_no_arrays(value):
    A = sp.csr_array(np.eye(2))
    with pytest.raises((TypeError, ValueError)):
        A @ value
    with pytest.raises((TypeError, ValueError, NotImplementedError)):  # SciPy counts strings as scalars
        A + value
