"""What SciPy makes of this package's arrays: `to_scipy`, operators for its solvers, and a clear refusal elsewhere."""

import io
import itertools

import mlx.core as mx
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg as scipy_linalg

import mlx_sparse as sp

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
DENSE = np.array([[4.0, 1, 0, 0], [1, 5, 0, 2], [0, 0, 6, 0], [0, 2, 0, 7]])
X = np.array([1.0, 2.0, -1.0, 0.5])


@pytest.fixture(params=["mlx", "numpy"], autouse=True)
def mode(request):
    before, sp.runtime.dense_namespace = sp.runtime.dense_namespace, request.param
    yield request.param
    sp.runtime.dense_namespace = before


def tolerance(A):
    return 1e-9 if A._data.dtype == mx.float64 else 1e-4


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_to_scipy_gives_the_same_class_and_values(fmt, kind):
    dtypes = (np.float64, np.float32, np.complex64, np.int64, np.bool_)
    for dtype, copy in itertools.product(dtypes, (False, True)):
        A = getattr(sp, f"{fmt}_{kind}")(DENSE.astype(dtype))
        S = A.to_scipy(copy=copy)
        assert type(S) is getattr(scipy.sparse, f"{fmt}_{kind}")
        assert S.shape == A.shape and S.nnz == A.nnz
        np.testing.assert_array_equal(S.toarray(), A.toarray())
        assert S.dtype == A.toarray().dtype
        back = sp.from_scipy(S)
        assert type(back) is type(A)
        np.testing.assert_array_equal(back.toarray(), A.toarray())


@pytest.mark.parametrize("fmt", FORMATS)
def test_to_scipy_without_entries(fmt):
    for shape in ((0, 0), (3, 0), (0, 3), (1, 1)):
        S = getattr(sp, f"{fmt}_array")(shape).to_scipy()
        assert S.shape == shape and S.nnz == 0


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (2, 1, 3, 2)])
def test_to_scipy_of_other_ranks(shape):
    dense = np.where(np.arange(np.prod(shape)).reshape(shape) % 3 == 0, 1.5, 0)
    np.testing.assert_array_equal(sp.coo_array(dense).to_scipy().toarray(), dense)
    if len(shape) == 1:
        for fmt in ("csr", "dok"):
            np.testing.assert_array_equal(sp.coo_array(dense).asformat(fmt).to_scipy().toarray(), dense)


@pytest.mark.parametrize("fmt", ["bsr", "coo", "csc", "csr", "dia"])
def test_to_scipy_shares_what_cannot_be_written_to(fmt):
    A = sp.csr_array(DENSE).asformat(fmt)
    S, T = A.to_scipy(), A.to_scipy(copy=True)
    with pytest.raises(ValueError, match="read-only"):
        S.data[:] = 9
    with pytest.raises(ValueError, match="read-only"):
        S *= 2
    assert np.shares_memory(S.data, A.to_scipy().data)
    assert not np.shares_memory(S.data, T.data)
    for name in ("indices", "indptr", "offsets", "row", "col"):
        if hasattr(T, name):
            assert not np.shares_memory(getattr(S, name), getattr(T, name))
    T *= 2
    T.data[:] = 3
    np.testing.assert_array_equal(A.toarray(), DENSE)


def test_views_in_numpy_mode_are_marked_as_writable_again():
    """Which SciPy does with positions, and NumPy refuses where nobody vouches for the memory."""
    with sp.runtime.context(dense_namespace="numpy"):
        A = sp.csr_array(np.diag([1.0, 2, 3]))
        positions = sp.csgraph.maximum_bipartite_matching(A)
        S = A.to_scipy()
        np.testing.assert_array_equal(S[positions, positions], [1, 2, 3])
        for x in (positions, A.data, A.diagonal(), np.empty(0)):
            x.flags.writeable = True
            assert np.asarray(memoryview(x)).shape == x.shape
        for x in (S.data, S.indices, sp.csr_array((3, 3)).to_scipy().data):
            with pytest.raises(ValueError, match="WRITEABLE"):
                x.flags.writeable = True
        raw = np.frombuffer(A.data.base, np.float64)
        assert np.shares_memory(raw, A.data) and raw.flags.writeable


@pytest.mark.parametrize("fmt", ["bsr", "csc", "csr"])
def test_to_scipy_of_unsorted_indices_can_be_sorted_by_scipy(fmt):
    if fmt == "bsr":
        A = sp.bsr_array((np.ones((2, 1, 1)), [1, 0], [0, 2, 2]), shape=(2, 2))
    else:
        A = getattr(sp, f"{fmt}_array")(([1.0, 2, 3], [1, 0, 1], [0, 2, 3]), shape=(2, 2))
    S = A.to_scipy()
    assert not S.has_sorted_indices
    S.sum_duplicates()
    np.testing.assert_array_equal(S.toarray(), A.toarray())
    assert np.asarray(A.indices).tolist()[:2] == [1, 0]


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize("fmt", ["csr", "coo", "dia"])
def test_to_scipy_widens_what_scipy_lacks(fmt, dtype):
    S = sp.csr_array(DENSE, dtype=dtype).asformat(fmt).to_scipy()
    assert S.dtype == np.float32
    np.testing.assert_array_equal(S.toarray(), DENSE)


def test_to_scipy_keeps_wide_indices_and_drops_what_is_beyond_the_entries():
    index = np.array([0, 1], np.int64)
    A = sp.csr_array((np.array([1.0, 2.0]), index, np.array([0, 1, 2], np.int64)), shape=(2, 2))
    assert A.to_scipy().indices.dtype == np.int64
    A.data, A.indices = np.array([1.0, 2, 3]), np.array([0, 1, 0])
    assert A.to_scipy().data.tolist() == [1, 2]


def test_to_scipy_refuses_traced_values():
    A = sp.csr_array(DENSE.astype(np.float32))
    with pytest.raises(ValueError):
        mx.eval(mx.grad(lambda v: mx.array(A.with_data(v).to_scipy().data).sum())(mx.array(A.data)))


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_scipys_iterative_solvers_take_the_array(fmt, kind):
    A = getattr(sp, f"{fmt}_{kind}")(DENSE)
    want = np.linalg.solve(DENSE, X)
    for solve in (scipy_linalg.cg, scipy_linalg.gmres, scipy_linalg.bicgstab, scipy_linalg.minres):
        x, info = solve(A, X)
        assert info == 0 and isinstance(x, np.ndarray)
        np.testing.assert_allclose(x, want, atol=1e-4)
    np.testing.assert_allclose(scipy_linalg.lsqr(A, X)[0], want, atol=1e-4)
    x, info = scipy_linalg.gmres(A, X, M=sp.dia_array((1 / DENSE.diagonal(), [0]), shape=A.shape))
    np.testing.assert_allclose(x, want, atol=1e-4)


def test_scipys_eigensolvers_and_operators_take_the_array():
    A = sp.csr_array(DENSE)
    values = np.linalg.eigvalsh(DENSE)
    np.testing.assert_allclose(scipy_linalg.eigsh(A, k=2)[0], values[-2:], rtol=tolerance(A))
    np.testing.assert_allclose(scipy_linalg.svds(A, k=2)[1], values[-2:], rtol=tolerance(A))
    operator = scipy_linalg.aslinearoperator(sp.csr_array(DENSE + 1j * DENSE.T))
    assert operator.dtype == (np.complex64 if mx.default_device() == mx.gpu else np.complex128)
    np.testing.assert_allclose(operator.H @ X, (DENSE - 1j * DENSE) @ X, rtol=1e-5)
    np.testing.assert_allclose(operator.H @ DENSE, (DENSE - 1j * DENSE) @ DENSE, rtol=1e-5)
    assert np.dtype(A.dtype) == A.toarray().dtype


@pytest.mark.parametrize("fmt", FORMATS)
def test_where_scipy_cannot_take_the_array_the_error_names_to_scipy(fmt):
    A = sp.csr_array(DENSE).asformat(fmt)
    calls = [
        lambda: scipy.io.savemat(io.BytesIO(), {"A": A}),
        lambda: scipy.io.savemat(io.BytesIO(), {"A": {"inner": [A]}}),
        lambda: scipy.io.mmwrite(io.BytesIO(), A),
        lambda: scipy.sparse.hstack([A, A]),
        lambda: scipy.sparse.kron(A, A),
        lambda: scipy.sparse.csgraph.connected_components(A),
        lambda: scipy.sparse.csgraph.dijkstra(A),
        lambda: scipy_linalg.spsolve(A, X),
        lambda: scipy_linalg.splu(A),
        lambda: scipy_linalg.expm(A),
        *(lambda f=f: getattr(scipy.sparse, f"{f}_array")(A) for f in FORMATS if f != "lil"),
        *(lambda f=f: getattr(scipy.sparse, f"{f}_matrix")(A) for f in FORMATS if f != "lil"),
    ]
    for call in calls:
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        chain, error = [], caught.value
        while error is not None:
            chain.append(str(error))
            error = error.__cause__ or error.__context__
        assert any("to_scipy()" in message for message in chain), chain
    for f in ("lil_array", "lil_matrix"):  # SciPy does not say why
        with pytest.raises((TypeError, ValueError)):
            getattr(scipy.sparse, f)(A)


def test_numbers_are_refused_and_objects_are_not():
    A = sp.csr_array(DENSE)
    with pytest.raises(TypeError, match="to_scipy"):
        np.asarray(A, dtype=float)
    assert np.asarray(A).dtype == object and np.asarray(A).shape == ()
    blocks = np.array([[A, None], [None, A]], dtype=object)
    assert blocks.shape == (2, 2) and sp.bmat(blocks).shape == (8, 8)
    np.testing.assert_allclose(np.sqrt(A).toarray(), np.sqrt(DENSE), rtol=tolerance(A))


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("fmt", ["csr", "coo", "dia", "lil"])
def test_operators_between_scipys_arrays_and_ours(fmt, kind):
    S, A = getattr(scipy.sparse, f"{fmt}_{kind}")(DENSE + 1), getattr(sp, f"{fmt}_{kind}")(DENSE)
    times = (lambda a, b: a * b) if kind == "array" else (lambda a, b: a @ b)
    for got, want in (
        (S @ A, (DENSE + 1) @ DENSE),
        (A @ S, DENSE @ (DENSE + 1)),
        (S * A, times(DENSE + 1, DENSE)),
        (A * S, times(DENSE, DENSE + 1)),
        (S + A, DENSE + 1 + DENSE),
        (S - A, DENSE + 1 - DENSE),
        (A - S, DENSE - (DENSE + 1)),
    ):
        assert isinstance(got, sp.sparray if kind == "array" else sp.spmatrix)
        np.testing.assert_allclose(got.toarray(), want, rtol=tolerance(A))


def test_files_written_from_to_scipy():
    A = sp.csr_array(DENSE)
    file = io.BytesIO()
    scipy.io.savemat(file, {"A": A.to_scipy()})
    file.seek(0)
    np.testing.assert_array_equal(scipy.io.loadmat(file)["A"].toarray(), DENSE)
    file = io.BytesIO()
    scipy.io.mmwrite(file, A.to_scipy())
    file.seek(0)
    np.testing.assert_array_equal(scipy.io.mmread(file).toarray(), DENSE)


# ---- what clients of SciPy rely on -----------------------------------------------------------------------------------


class Foreign:
    """Neither an array nor sparse, with operators of its own."""

    shape, dtype, ndim = (2, 2), np.dtype(float), 2

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no automatic densification")

    def __radd__(self, other):
        return "radd"

    def __rsub__(self, other):
        return "rsub"


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_foreign_operand_answers_sums_itself(fmt):
    A = sp.csr_array(np.eye(2)).asformat(fmt)
    assert A + Foreign() == "radd"
    assert A - Foreign() == "rsub"
    for operand in (np.ones((2, 2)), mx.ones((2, 2), dtype=A.tocsr()._data.dtype)):
        np.testing.assert_array_equal(np.asarray(A + operand), np.eye(2) + 1)
        np.testing.assert_array_equal(np.asarray(A - operand), np.eye(2) - 1)
    for operand in ([[1.0, 2.0], [3.0, 4.0]], object()):
        with pytest.raises(TypeError):
            A + operand


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2])
def test_stored_entries_are_counted_along_an_axis(fmt, axis):
    S = scipy.sparse.random_array((4, 6), density=0.4, rng=np.random.default_rng(0)).asformat(fmt)
    np.testing.assert_array_equal(np.asarray(sp.from_scipy(S)._getnnz(axis)), S._getnnz(axis))
    for wrong in (2, -3):
        with pytest.raises(ValueError, match="axis out of bounds"):
            sp.from_scipy(S)._getnnz(wrong)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_a_transposed_matrix_narrows_indices_that_fit(fmt):
    def wide(s, kind):
        A = getattr(s, f"{fmt}_{kind}")(np.eye(3))
        A.indices, A.indptr = (np.asarray(x).astype(np.int64) for x in (A.indices, A.indptr))
        return A.T

    for kind in ("matrix", "array"):
        mine, theirs = wide(sp, kind), wide(scipy.sparse, kind)
        assert np.asarray(mine.indices).dtype == theirs.indices.dtype
        np.testing.assert_array_equal(mine.toarray(), theirs.toarray())
        np.testing.assert_array_equal(np.asarray(mine @ np.arange(3.0)), np.arange(3.0))


def test_too_many_index_arrays_are_refused_in_scipys_words():
    for s in (sp, scipy.sparse):
        with pytest.raises(ValueError, match="mismatching number of index arrays for shape; got 3, expected 2"):
            s.coo_array((np.ones(2), ([0, 1], [0, 1], [0, 1])), shape=(2, 2))


@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "dia", "lil"])
def test_methods_of_scipys_arrays_refuse_ours(name, fmt):
    theirs = scipy.sparse.eye_array(3, format=fmt)
    with pytest.raises(TypeError, match="to_scipy"):
        getattr(theirs, name)(sp.eye_array(3, format="csr"))
    np.testing.assert_array_equal((theirs * sp.eye_array(3, format="csr")).toarray(), np.eye(3))
