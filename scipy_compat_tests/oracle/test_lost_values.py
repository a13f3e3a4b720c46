"""Where a value or an entry could be lost without a word: casts, diagonals, indices, empty shapes."""

import itertools
import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
DENSE = np.array([[1.0, 2, 0, 0], [0, 3, 0, 4], [0, 0, 5, 0]])
COMPLEX = np.array([[1j, 2, 0], [0, 1 + 1j, 0]], np.complex64)


@pytest.fixture(params=["mlx", "numpy"], autouse=True)
def mode(request):
    before, sp.runtime.dense_namespace = sp.runtime.dense_namespace, request.param
    yield request.param
    sp.runtime.dense_namespace = before


# ---- diagonals ------------------------------------------------------------------------------------------------------

SHAPED = {
    "column": np.arange(3.0)[:, None] + 7,
    "long column": np.arange(5.0)[:, None] + 7,
    "1 x 1": np.full((1, 1), 7.0),
    "nested list": [[7.0]],
    "1 x 1 x 1": np.full((1, 1, 1), 7.0),
    "short": [7.0, 8.0],
    "empty": [],
    "long": np.arange(9.0) + 7,
    "scalar": 7.0,
    "0-d": np.array(7.0),
}
MISSHAPED = {
    "row": np.full((1, 3), 7.0),
    "square": np.full((3, 3), 7.0),
    "two columns": np.full((3, 2), 7.0),
    "no columns": np.zeros((3, 0)),
    "text": ["a", "b", "c"],
    "sparse row": scipy.sparse.csr_array(np.ones((1, 3))),
}


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("fmt", FORMATS)
def test_setdiag_takes_columns_as_scipys_lil_does(fmt):
    for (name, values), k in itertools.product(SHAPED.items(), (0, 1, -1, 3, -2)):
        want = scipy.sparse.lil_array(DENSE)
        want.setdiag(values, k)
        for given in (values, mx.array(values)) if np.size(values) else (values,):
            A = getattr(sp, f"{fmt}_array")(DENSE)
            A.setdiag(given, k)
            np.testing.assert_array_equal(A.toarray(), want.toarray(), err_msg=f"{name}, {k}")


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_setdiag_of_another_shape_leaves_the_array_as_it_was(fmt, kind):
    A = getattr(sp, f"{fmt}_{kind}")(DENSE)
    stored = A.nnz
    for values in MISSHAPED.values():
        with pytest.raises((TypeError, ValueError)):
            A.setdiag(values)
        np.testing.assert_array_equal(A.toarray(), DENSE)
        assert A.nnz == stored


@pytest.mark.parametrize("fmt", FORMATS)
def test_setdiag_needs_a_diagonal_inside(fmt):
    A = getattr(sp, f"{fmt}_array")(DENSE)
    for k in (float("nan"), float("inf"), 9, -9):
        with pytest.raises(ValueError):
            A.setdiag(np.ones(3), k)
    for other in (0.5, "0"):
        with pytest.raises(TypeError):
            A.setdiag(np.ones(3), other)
    np.testing.assert_array_equal(A.toarray(), DENSE)


@pytest.mark.parametrize("fmt", FORMATS)
def test_setdiag_of_complex_values_in_a_real_array_warns(fmt):
    for values in (np.array([1j, 2, 3]), [1j, 2, 3], np.array(1j), 1j, mx.array([1j, 2, 3])):
        A = getattr(sp, f"{fmt}_array")(DENSE)
        with pytest.warns(np.exceptions.ComplexWarning):
            A.setdiag(values)
        B = getattr(sp, f"{fmt}_array")(DENSE.astype(bool))
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            B.setdiag(values)
        assert B.diagonal().tolist() == [True] * 3


# ---- complex numbers ------------------------------------------------------------------------------------------------


def _assigned(cls, value):
    A = cls(COMPLEX.shape, dtype=bool)
    A[:, :] = value
    return A


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_complex_number_is_true_unless_it_is_zero(fmt):
    cls = getattr(sp, f"{fmt}_array")
    A = cls(COMPLEX)
    made = [
        lambda: A.astype(bool),
        lambda: A.astype(mx.bool_, copy=False),
        lambda: cls(A, dtype=bool),
        lambda: cls(COMPLEX, dtype=bool),
        lambda: cls(mx.array(COMPLEX), dtype=bool),
        lambda: cls(COMPLEX.tolist(), dtype=bool),
        lambda: cls(scipy.sparse.csr_array(COMPLEX), dtype=bool),
        lambda: sp.from_scipy(scipy.sparse.csr_array(COMPLEX), format=fmt, dtype=bool),
        lambda: sp.hstack([A.tocsr()], dtype=bool),
        lambda: sp.block_diag([A], dtype=bool),
    ]
    if fmt not in ("bsr", "dia"):
        made += [lambda x=x: _assigned(cls, x) for x in (COMPLEX, mx.array(COMPLEX), sp.csr_array(COMPLEX))]
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        for n, make in enumerate(made):
            got = make()
            assert got.toarray().dtype == bool, n
            np.testing.assert_array_equal(got.toarray(), COMPLEX != 0, err_msg=str(n))
        for axis in (0, 1):
            got = np.asarray(A.sum(axis, dtype=bool))
            np.testing.assert_array_equal(got, COMPLEX.sum(axis).astype(bool))


@pytest.mark.parametrize("n", [2, 70_000])  # NumPy casts small arrays, MLX others
@pytest.mark.parametrize("fmt", FORMATS[:4])
def test_many_complex_numbers_become_booleans(fmt, n):
    values = mx.array(np.tile(np.array([1j, 2], np.complex64), n // 2))
    A = sp.csr_array((values, mx.arange(n), mx.array([0, n])), shape=(1, n)).asformat(fmt)
    assert A.astype(bool).nnz == n and A.astype(bool).sum() == n
    assert (A.astype(bool) @ np.ones(n)).tolist() == [n]


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_lost_imaginary_part_warns(fmt):
    cls = getattr(sp, f"{fmt}_array")
    A = cls(COMPLEX)
    for make in (
        lambda: A.astype(np.float32),
        lambda: cls(A, dtype=np.float32),
        lambda: cls(COMPLEX, dtype=np.float32),
        lambda: cls(mx.array(COMPLEX), dtype=np.float32),
    ):
        with pytest.warns(np.exceptions.ComplexWarning):
            np.testing.assert_array_equal(make().toarray(), COMPLEX.real)


# ---- indices --------------------------------------------------------------------------------------------------------

NO_INTEGERS = {
    "nan": np.array([0, np.nan]),
    "nans": np.full(4, np.nan),
    "half a nan": np.array([0, np.nan], np.float16),
    "inf": np.array([0, np.inf]),
    "huge": np.array([0, 1e300]),
    "past 64 bits": np.array([0, 1e19]),
    "fraction": np.array([0.5, 1.0]),
    "complex": np.array([0, 1j]),
    "text": np.array(["0", "1"]),
    "object": np.array([None, 1], object),
}


@pytest.mark.parametrize("fmt", ["coo", "csc", "csr", "dok", "lil"])
def test_what_is_no_integer_is_no_index(fmt):
    A = getattr(sp, f"{fmt}_array")(DENSE)
    keys = [
        key
        for index in NO_INTEGERS.values()
        for key in (index, index.tolist(), index[None], (index, 0), (slice(None), index), (index, index), (0, index))
    ]
    for key in keys:
        with pytest.raises((IndexError, ValueError)):
            A[key]
        with pytest.raises((IndexError, ValueError)):
            A[key] = 1.0
        with pytest.raises((IndexError, ValueError)):
            A[key] = sp.csr_array((1, 1))
    np.testing.assert_array_equal(A.toarray(), DENSE)
    for key in (np.nan, np.inf, 0.5, (np.nan, 0), np.array(np.nan)):
        with pytest.raises((IndexError, ValueError)):
            A[key]
        with pytest.raises((IndexError, ValueError)):
            A[key] = 1.0


@pytest.mark.parametrize("rank", [1, 3])
def test_what_is_no_integer_is_no_index_of_other_ranks(rank):
    A = sp.coo_array(np.arange(3.0**rank).reshape((3,) * rank))
    for index in NO_INTEGERS.values():
        with pytest.raises((IndexError, ValueError)):
            A[index]
        with pytest.raises((IndexError, ValueError)):
            A[index] = 1.0
    np.testing.assert_array_equal(A[np.array([0.0, 1.0])].toarray(), A.toarray()[:2])


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("index", NO_INTEGERS.values(), ids=NO_INTEGERS.keys())
def test_what_is_no_integer_makes_no_structure(index, kind):
    n, ones, counts = len(index), np.ones(len(index)), np.arange(len(index) + 1)
    of = {f: getattr(sp, f"{f}_{kind}") for f in FORMATS}
    for given in (index, index.tolist()):
        for make in (
            lambda given=given: of["csr"]((ones, given, [0, n]), shape=(1, 9)),
            lambda given=given: of["csc"]((ones, np.zeros(n, int), [0, *given]), shape=(9, n)),
            lambda given=given: of["csr"]((ones, (given, given)), shape=(9, 9)),
            lambda given=given: of["coo"]((ones, (given, np.zeros(n, int))), shape=(9, 9)),
            lambda given=given: of["bsr"]((ones[:, None, None], given, counts), shape=(n, 9)),
            lambda given=given: of["dia"]((np.ones((n, 3)), given), shape=(3, 3)),
        ):
            with pytest.raises((IndexError, ValueError)):
                make()
        with pytest.raises((IndexError, ValueError, OverflowError)):
            of["coo"]((ones, (given, np.zeros(n, int))))
    A, B = of["coo"](DENSE), of["dia"](DENSE)
    for make in (lambda: setattr(A, "row", index), lambda: setattr(B, "offsets", index)):
        with pytest.raises((IndexError, ValueError)):
            make()


def test_whole_numbers_in_floating_point_are_indices():
    A = sp.coo_array((np.ones(2), (np.array([0.0, 1.0]), [1, 0])), shape=(2, 2))
    np.testing.assert_array_equal(A.toarray(), np.eye(2)[::-1])
    np.testing.assert_array_equal(sp.csr_array(DENSE)[np.array([2.0, 0.0])].toarray(), DENSE[[2, 0]])


@pytest.mark.parametrize("shape", [(2**70, 2), (2, 2**70), (2**63, 2), (2**70,)])
@pytest.mark.parametrize("fmt", FORMATS)
def test_dimensions_past_64_bits(fmt, shape):
    with pytest.raises((OverflowError, ValueError, TypeError)):
        getattr(sp, f"{fmt}_array")(shape)
    if len(shape) == 2:
        with pytest.raises(OverflowError, match="2\\*\\*63"):
            sp.coo_array(([1.0], ([0], [0])), shape=shape)


# ---- lists of lil ---------------------------------------------------------------------------------------------------


def test_lists_of_different_lengths_are_an_error():
    def broken(change):
        A = sp.lil_array(np.eye(2))
        change(A)
        return A

    changes = [
        lambda A: A.data.__setitem__(0, [5.0, 6.0]),
        lambda A: A.rows.__setitem__(0, [0, 1]),
        lambda A: (A.data.__setitem__(0, []), A.data.__setitem__(1, [5.0, 6.0])),  # as many in all
        lambda A: setattr(A, "data", A.data[:1]),
        lambda A: setattr(A, "rows", A.rows[:1]),
    ]
    uses = [
        lambda A: A.toarray(),
        lambda A: A.tocsr(),
        lambda A: A.tocoo(),
        lambda A: A @ np.ones(2),
        lambda A: A * 2,
        lambda A: A.astype(np.float16),
        lambda A: A.T,
        lambda A: A.count_nonzero(),
        lambda A: A + A,
    ]
    for change in changes:
        for use in uses:
            with pytest.raises(ValueError):
                use(broken(change))


# ---- empty shapes ---------------------------------------------------------------------------------------------------

SHAPES = [(4, 0), (0, 4), (0, 0), (1, 0), (0, 1), (4, 1), (1, 4), (1, 1), (4, 4), (0,), (1,), (4,)]


@pytest.mark.parametrize("fmt", FORMATS)
def test_products_without_rows_or_columns(fmt):
    for a in SHAPES:
        if len(a) == 1 and fmt not in ("coo", "csr", "dok"):
            continue
        A = getattr(sp, f"{fmt}_array")(np.ones(a) if fmt != "bsr" or 0 not in a else a)
        for b in SHAPES:
            if 0 not in a + b:
                continue
            for B in (np.ones(b), mx.ones(b, dtype=A._data.dtype), sp.coo_array(np.ones(b)), scipy.sparse.csr_array(b)):
                try:
                    want = np.broadcast_shapes(a, b)
                except ValueError:
                    with pytest.raises(ValueError):
                        A.multiply(B)
                    continue
                got = A.multiply(B)
                assert tuple(got.shape) == want, (a, b, type(B).__name__)
                assert not sp.issparse(got) or got.nnz == 0


# ---- order, positions, messages -------------------------------------------------------------------------------------


def test_entries_of_dok_stand_in_order():
    for module in (scipy.sparse, sp):
        A = module.coo_array(([1.0, 2.0, 3.0], ([1, 0, 1], [0, 1, 0])), shape=(2, 2)).todok()
        assert [tuple(map(int, key)) for key in A.keys()] == [(0, 1), (1, 0)]
        assert [np.asarray(x).tolist() for x in A.nonzero()] == [[0, 1], [1, 0]]
        B = module.dok_array((2, 2))
        B[1, 0], B[0, 1] = 1.0, 2.0
        assert [np.asarray(x).tolist() for x in module.find(B)] == [[0, 1], [1, 0], [2.0, 1.0]]
        assert [tuple(map(int, key)) for key in B.keys()] == [(1, 0), (0, 1)]


def test_positions_past_64_bits():
    shape = (2**31, 2**31, 2**31)
    A = sp.coo_array((np.array([1.0, 5.0, -2.0]), np.array([[3, 2**31 - 1, 0], [1, 7, 2], [5, 2, 9]])), shape=shape)
    at = ((2**31 - 1) * 2**31 + 7) * 2**31 + 2
    assert A.argmax() == at and A.argmin() == 2 * 2**31 + 9
    B = sp.coo_array((np.array([-1.0, -3.0]), np.array([[0, 1], [0, 0], [0, 0]])), shape=shape)
    assert B.argmax() == 1 and B.argmin() == 2**62
    assert type(A.argmax()) is int


@pytest.mark.parametrize("fmt", ["bsr", "coo", "csc", "csr"])
def test_argmax_of_a_matrix_does_not_warn(fmt):
    A = getattr(sp, f"{fmt}_matrix")(DENSE[:, :3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for axis in (None, 0, 1):
            want = DENSE[:, :3].argmax(axis, keepdims=axis is not None)
            np.testing.assert_array_equal(np.asarray(A.argmax(axis)), want)
            A.argmin(axis)


@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_the_second_argument_of_a_stack_is_the_format(kind):
    A = getattr(sp, f"csr_{kind}")(DENSE)
    with pytest.raises(ValueError, match="sequence"):
        sp.hstack(A, A)
    with pytest.raises(TypeError, match="sequence"):
        sp.vstack(A, A)
    for make in (sp.bmat, sp.block_array):
        with pytest.raises((TypeError, ValueError)):
            make(A, format=A)
    for make in (
        lambda: sp.hstack([A], A),
        lambda: sp.vstack([A], A),
        lambda: sp.block_diag([A], A),
        lambda: A.asformat(A),
        lambda: sp.tril(A, 0, A),
        lambda: sp.hstack([A], 3),
    ):
        with pytest.raises(TypeError, match="format"):
            make()


# ---- index dtypes of matrices ---------------------------------------------------------------------------------------


def _index_dtypes(A):
    names = ("indices", "indptr", "row", "col", "offsets")
    return [str(getattr(A, n).dtype).replace("mlx.core.", "") for n in names if hasattr(A, n)]


@pytest.mark.parametrize("given", ["list", "int64", "int32", "uint32", "mlx"])
@pytest.mark.parametrize("fmt", ["bsr", "coo", "csc", "csr", "dia"])
def test_index_dtypes_of_matrices_follow_the_values(fmt, given):
    if given == "mlx":
        made, ours = np.array, lambda x: mx.array(x, dtype=mx.int64)
    else:
        made = ours = list if given == "list" else lambda x: np.array(x, given)

    def build(module, of):
        cls = getattr(module, f"{fmt}_matrix")
        if fmt == "dia":
            return [cls((np.ones((2, 2)), of([0, 1])), shape=(2, 2))]
        if fmt == "bsr":
            return [cls((np.ones((2, 1, 1)), of([1, 0]), of([0, 1, 2])), shape=(2, 2))]
        found = [cls((np.ones(2), (of([0, 1]), of([1, 0]))), shape=(2, 2)), cls((np.ones(2), (of([0, 1]), of([1, 0]))))]
        if fmt != "coo":
            found.append(cls((np.ones(2), of([1, 0]), of([0, 1, 2])), shape=(2, 2)))
        return found

    for S, A in zip(build(scipy.sparse, made), build(sp, ours), strict=True):
        for f in (
            lambda X: X,
            lambda X: X.T,
            lambda X: X.tocsr(),
            lambda X: X @ X,
            lambda X: X + X,
            lambda X: X.copy(),
        ):
            assert _index_dtypes(f(A)) == _index_dtypes(f(S))
    wide = sp.csr_array((np.ones(2), np.array([1, 0]), np.array([0, 1, 2])), shape=(2, 2))
    assert _index_dtypes(wide) == ["int64", "int64"]  # an array keeps what it is given


def test_index_dtypes_of_matrices_that_need_64_bits():
    A = sp.coo_matrix(([1.0], ([2**40], [0])), shape=(2**41, 2))
    assert _index_dtypes(A) == ["int64", "int64"]
