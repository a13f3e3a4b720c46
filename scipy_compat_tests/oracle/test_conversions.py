"""Conversions between formats, dtypes and dense; canonical form; transposes."""

import copy
import pickle

import numpy as np
import pytest

import mlx_sparse

from .harness import ALL_DTYPES, CASES, CASES_1D, DTYPES, FORMATS, build, frozen, sweep, twin

formats = pytest.mark.parametrize("fmt", FORMATS)
ONE_D = ("coo1", "csr1")


@formats
@pytest.mark.parametrize("name", ["tocoo", "tocsr", "tocsc", "copy"])
def test_to_format(fmt, name):
    sweep(lambda sp, case, dtype: getattr(build(sp, fmt, case, dtype), name)(), CASES, DTYPES)
    if name != "copy":
        sweep(lambda sp, case: getattr(build(sp, fmt, case), name)(copy=True), CASES)


@formats
def test_asformat(fmt):
    sweep(
        lambda sp, case, to, copy: build(sp, fmt, case).asformat(to, copy=copy),
        CASES,
        (*FORMATS, None, "xyz", 3),
        (False, True),
    )


@pytest.mark.parametrize("fmt", ONE_D)
def test_to_format_1d(fmt):
    sweep(lambda sp, case, name: getattr(build(sp, fmt, case), name)(), CASES_1D, ("tocoo", "tocsr", "copy", "tocsc"))


@formats
def test_dense(fmt):
    sweep(lambda sp, case, dtype: build(sp, fmt, case, dtype).toarray(), CASES, ALL_DTYPES)
    sweep(lambda sp, case, order: build(sp, fmt, case).toarray(order=order), ("plain", "duplicates"), ("C", "F"))
    twin(lambda sp: build(sp, fmt, "plain").toarray(order="F").flags.f_contiguous)
    sweep(lambda sp, case: build(sp, fmt, case).todense(), CASES)

    def into(sp, shape, dtype, order):
        out = np.full(shape, 7, dtype, order=order)
        return build(sp, fmt, "duplicates").toarray(out=out), out

    sweep(into, ((3, 4), (4, 3)), ("float32", "float64"), "CF")


@pytest.mark.parametrize("fmt", ONE_D)
def test_dense_1d(fmt):
    sweep(lambda sp, case, dtype: build(sp, fmt, case, dtype).toarray(), CASES_1D, DTYPES)


@formats
def test_numpy_sees_an_object(fmt):
    twin(lambda sp: np.asarray(build(sp, fmt, "plain")).dtype)


@formats
def test_astype(fmt):
    def cast(sp, a, b):  # of a negative float to an unsigned type: undefined in C, and GPUs saturate
        positive = b.startswith("uint") and np.dtype(a).kind in "fc"
        return build(sp, fmt, "empty_rows" if positive else "duplicates", a).astype(b)

    sweep(cast, ALL_DTYPES, ALL_DTYPES, nnz=False)
    sweep(lambda sp, case: build(sp, fmt, case).astype("complex128"), CASES, nnz=False)
    twin(lambda sp: build(sp, fmt, "plain").astype("complex64", casting="safe"))
    twin(lambda sp: build(sp, fmt, "plain").astype("int8", casting="safe"))
    twin(lambda sp: build(sp, fmt, "plain").astype("nonsense"))

    def same(sp, copy):
        A = build(sp, fmt, "plain")
        return A.astype(A.dtype, copy=copy) is A

    sweep(same, (False, True))


@formats
@pytest.mark.parametrize("name", ["conj", "conjugate", "real", "imag", "T", "transpose"])
def test_values_and_transpose(fmt, name):
    def apply(sp, case, dtype):
        found = getattr(build(sp, fmt, case, dtype), name)
        return found() if callable(found) else found

    sweep(apply, CASES, DTYPES)


@formats
def test_conjugate_transpose(fmt):
    """SciPy's arrays have neither; `mT` is the array-API name."""
    for case in CASES:
        A = build(mlx_sparse, fmt, case, "complex64")
        assert A.H.format == A.T.format
        np.testing.assert_array_equal(A.H.toarray(), A.toarray().conj().T)
        np.testing.assert_array_equal(A.mT.toarray(), A.toarray().T)


@formats
def test_transpose_axes(fmt):
    sweep(
        lambda sp, axes: build(sp, fmt, "unsorted").transpose(axes), (None, (1, 0), (0, 1), (-1, -2), (0, 2), (0,), 1)
    )
    sweep(lambda sp, copy: build(sp, fmt, "unsorted").transpose(copy=copy), (False, True))


@formats
@pytest.mark.parametrize("name", ["sum_duplicates", "sort_indices", "eliminate_zeros", "prune"])
def test_in_place(fmt, name):
    def apply(sp, case, dtype):
        A = build(sp, fmt, case, dtype)
        result = getattr(A, name)()
        parts = (A.coords if A.format == "coo" else (A.indices, A.indptr)) if name != "prune" else ()
        return result, A, *parts, A.data

    sweep(apply, CASES, DTYPES)


@formats
def test_sorted_indices(fmt):
    def apply(sp, case):
        A = build(sp, fmt, case)
        B = A.sorted_indices()
        return B, B.indices, B.has_sorted_indices

    sweep(apply, CASES)


@formats
@pytest.mark.parametrize("name", ["has_sorted_indices", "has_canonical_format"])
def test_flags(fmt, name):
    sweep(lambda sp, case: bool(getattr(build(sp, fmt, case), name)), CASES)

    def assign(sp, case):
        A = build(sp, fmt, case)
        setattr(A, name, False)
        before = bool(getattr(A, name))
        A.sum_duplicates()
        return before, bool(getattr(A, name))

    sweep(assign, ("plain", "duplicates"))


@formats
def test_facts(fmt):
    def facts(sp, case, dtype):
        A = build(sp, fmt, case, dtype)
        return (
            A.nnz,
            A.size,
            A.shape,
            A.ndim,
            A.dtype,
            A.format,
            A.count_nonzero(),
            A.getnnz() if hasattr(A, "getnnz") else None,
        )

    sweep(facts, CASES, DTYPES)

    def counts(sp, case, axis):  # SciPy's dtype depends on the values
        return build(sp, fmt, case).count_nonzero(axis=axis).tolist()

    sweep(counts, CASES, (0, 1, -1, -2, 2))


@pytest.mark.parametrize("fmt", FORMATS + ONE_D)
def test_nonzero(fmt):
    def sorted_nonzero(sp, case, dtype):
        found = build(sp, fmt, case, dtype).nonzero()
        order = np.lexsort(found[::-1])
        return tuple(x[order] for x in found)

    sweep(sorted_nonzero, CASES_1D if fmt in ONE_D else CASES, DTYPES)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_check_format(fmt):
    sweep(lambda sp, case, full: build(sp, fmt, case).check_format(full), CASES, (False, True))


@formats
def test_copies(fmt):
    sweep(lambda sp, case: copy.copy(build(sp, fmt, case)), CASES)
    sweep(lambda sp, case: copy.deepcopy(build(sp, fmt, case)), CASES)
    sweep(lambda sp, case, dtype: pickle.loads(pickle.dumps(build(sp, fmt, case, dtype))), CASES, DTYPES)


@formats
def test_text(fmt):
    sweep(lambda sp, case, dtype: repr(build(sp, fmt, case, dtype)), ("plain", "no_entries"), ("float32", "int32"))
    sweep(lambda sp, case: str(build(sp, fmt, case, "int32")), ("plain", "no_entries"))


@formats
@pytest.mark.parametrize("case", CASES)
def test_operands_stay(fmt, case):
    A = build(mlx_sparse, fmt, case)
    with frozen(A):
        (
            A.tocoo(),
            A.tocsr(),
            A.tocsc(),
            A.toarray(),
            A.T,
            A.astype("float64"),
            A.conj(),
            A.nonzero(),
            A.count_nonzero(),
            repr(A),
        )
