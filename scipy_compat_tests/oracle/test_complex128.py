"""complex128, which MLX lacks: precision, dense results and refusals in both modes. On a GPU it is complex64.

What its operations give is compared with SciPy wherever dtypes are swept.
"""

import copy
import pickle
import warnings
from collections.abc import ItemsView, Iterator, KeysView, ValuesView

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import linalg
from scipy_compat_tests.derivatives.functions import FUNCTIONS
from scipy_compat_tests.derivatives.methods import METHODS
from scipy_compat_tests.derivatives.walk import CLASSES, Operands, base, stored

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
N = 12
FINE = 1 + 1e-12j  # complex64 holds neither part's difference from 1


@pytest.fixture(autouse=True)
def on_cpu():
    if mx.default_device() != mx.cpu:
        pytest.skip("a GPU has no complex128")


@pytest.fixture(params=["mlx", "numpy"], autouse=True)
def mode(request, on_cpu):
    with sp.runtime.context(dense_namespace=request.param):
        yield request.param


def dense():
    rng = np.random.default_rng(0)
    D = rng.standard_normal((N, N)) * (rng.random((N, N)) < 0.3) * FINE
    D[np.arange(N), np.arange(N)] = 4 * FINE
    return D


@pytest.fixture(params=FORMATS)
def A(request):
    return getattr(sp, f"{request.param}_array")(dense())


def is_double(x):
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype == np.complex128


def test_nothing_is_rounded(A):
    D = dense()
    assert A.dtype == np.dtype(np.complex128) and f"dtype '{np.dtype(np.complex128)}'" in repr(A)
    for made in (
        A,
        A.copy(),
        copy.deepcopy(A),
        pickle.loads(pickle.dumps(A)),
        A.T.T,
        sp.from_scipy(A.to_scipy()),
    ):
        assert made.dtype == np.complex128 and type(made) is type(A)
        np.testing.assert_array_equal(made.toarray(), D)
    for fmt in FORMATS:
        np.testing.assert_array_equal(A.asformat(fmt).toarray(), D)
        np.testing.assert_array_equal(A.asformat(fmt).asformat(A.format).toarray(), D)
    if A.format not in ("bsr", "dia"):  # which have no elements to ask for
        np.testing.assert_array_equal(A[1:7, ::2].toarray(), D[1:7, ::2])
    np.testing.assert_array_equal(A.conj().toarray(), D.conj())
    np.testing.assert_array_equal(A.imag.toarray(), D.imag)


def test_dense_results_are_ndarrays(A):
    D, x = dense(), np.random.default_rng(1).standard_normal(N)
    if A.format not in ("lil", "dok"):  # whose data is of Python's numbers
        assert is_double(A.data)
    for got, want in (
        (A.todense(), D),
        (A.sum(0), D.sum(0)),
        (A.mean(1), D.mean(1)),
        (A.sum(), D.sum()),
        (A.trace(), np.trace(D)),
        (A.diagonal(), np.diag(D)),
        (A @ x, D @ x),
        (x @ A, x @ D),
        (A @ np.eye(N), D),
        (A @ np.ones((2, N, 3)), D @ np.ones((2, N, 3))),
    ):
        assert is_double(got)
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-14)
    C = A.tocsr()
    assert C[0, 0] == D[0, 0] and is_double(C[0, 0]) and is_double(C.max()) and is_double(C.tocoo().min())
    assert abs(A).dtype in (np.float64, mx.float64) and A.real.dtype == abs(A).dtype


def test_promotion():
    pair, double, single, small = (sp.csr_array(np.eye(3).astype(t)) for t in ("D", "d", "F", "b"))
    for other in (double, single, small):
        for made in (pair + other, other - pair, other.multiply(pair), pair @ other, sp.vstack([other, pair])):
            assert made.dtype == np.complex128
    for made in (
        single + double,
        single @ double,
        single.multiply(np.ones(3)),
        double * 1j,
        double @ sp.eye_array(3) * 1j,
    ):
        assert made.dtype == np.complex128
    assert (single * 1j).dtype == (single + single).dtype != np.complex128
    assert (single @ np.ones(3)).dtype == np.complex128 and (double @ (1j * np.ones(3))).dtype == np.complex128
    assert (single @ np.ones(3, np.float32)).dtype == np.complex64


def test_casts_say_what_they_lose(A):
    with pytest.warns(np.exceptions.ComplexWarning):
        real = A.astype(np.float64)
    np.testing.assert_array_equal(real.toarray(), dense().real)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert A.astype(np.complex64).toarray().dtype == np.complex64
        np.testing.assert_array_equal((1e-12j * A).astype(bool).toarray(), dense() != 0)


def test_views_write_through_and_copies_do_not():
    A = sp.csr_array(dense())
    B, C = A.copy(), 2 * A
    A.data[:] = 0
    assert A.sum() == 0 and B.sum() == dense().sum() and C.sum() == 2 * dense().sum()
    B.data *= 2
    np.testing.assert_array_equal(B.toarray(), 2 * dense())
    B.data = B.data / 2
    np.testing.assert_array_equal(B.toarray(), dense())
    with pytest.raises(ValueError, match="do not agree"):
        B.data = B.data[:-1]
        B @ np.ones(N)


def test_an_operand_of_mlx_is_refused(A):
    x = mx.ones(N, dtype=mx.complex64)
    for use in (lambda: A @ x, lambda: x @ A, lambda: A + mx.ones((N, N)), lambda: A.multiply(mx.ones((N, N)))):
        with pytest.raises(TypeError, match=r"complex64|float32.*complex128"):
            use()
    with pytest.raises(TypeError, match="complex128"):
        linalg.cg(A, x)
    with pytest.raises(TypeError, match="complex128"):
        linalg.spsolve(A.tocsc(), x)


@pytest.mark.parametrize("transformed", [mx.grad, mx.compile, mx.vmap], ids=["grad", "compile", "vmap"])
def test_a_trace_says_that_there_is_no_derivative(transformed):
    A = sp.csr_array(np.eye(3))
    values = mx.ones((3, 3) if transformed is mx.vmap else 3, dtype=mx.float64)
    for f in (lambda v: A.with_data(v) * 1j, lambda v: A.with_data(v) + 1j * A, lambda v: A.with_data(v).astype("D")):
        with pytest.raises(ValueError, match="complex128"):
            transformed(lambda v, f=f: mx.real(mx.array(f(v).sum())))(values)


def test_solvers_keep_it():
    D, b = dense(), np.random.default_rng(2).standard_normal(N)
    S = D @ D.conj().T
    x = np.linalg.solve(S, b)
    for found in (
        linalg.spsolve(sp.csc_array(S), b),
        linalg.splu(sp.csc_array(S)).solve(b + 0j),
        linalg.factorized(sp.csc_array(S))(b + 0j),
        linalg.cg(sp.csr_array(S), b, rtol=1e-14)[0],
        *(solve(sp.csr_array(S), b, rtol=1e-14)[0] for solve in (linalg.gmres, linalg.lgmres, linalg.gcrotmk)),
        linalg.spsolve_triangular(
            sp.csr_array(np.linalg.cholesky(S).T.conj()), np.linalg.solve(np.linalg.cholesky(S), b), False
        ),
        linalg.inv(sp.csc_array(S)) @ b,
    ):
        assert is_double(found)
        np.testing.assert_allclose(found, x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(linalg.expm(sp.csc_array(D)).toarray(), scipy.linalg.expm(D), rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(linalg.expm_multiply(sp.csr_array(D), b), scipy.linalg.expm(D) @ b, rtol=1e-12)
    for order in (None, 1, np.inf, 2):
        got = float(linalg.norm(sp.csr_array(D), order))
        assert abs(got - np.linalg.norm(D, order)) <= 1e-13 * got
    assert abs(float(linalg.onenormest(sp.csr_array(D))) - np.linalg.norm(D, 1)) <= 1e-13 * np.linalg.norm(D, 1)


def test_files(tmp_path):
    A = sp.csr_array(dense())
    for fmt in ("bsr", "coo", "csc", "csr", "dia"):
        sp.save_npz(tmp_path / "a.npz", A.asformat(fmt))
        np.testing.assert_array_equal(sp.load_npz(tmp_path / "a.npz").toarray(), dense())
        np.testing.assert_array_equal(scipy.sparse.load_npz(tmp_path / "a.npz").toarray(), dense())
        sp.io.save_safetensors(str(tmp_path / "a.safetensors"), {"A": A.asformat(fmt), "x": dense()})
        found = sp.io.load_safetensors(str(tmp_path / "a.safetensors"))
        np.testing.assert_array_equal(found["A"].toarray(), dense())
        assert is_double(found["x"]) and found["A"].format == fmt
    sp.io.mmwrite(str(tmp_path / "a.mtx"), A)
    np.testing.assert_allclose(sp.io.mmread(str(tmp_path / "a.mtx")).toarray(), dense(), rtol=1e-15)


def test_sums_are_as_accurate_as_those_of_doubles():
    n = 300_001
    v = np.full(n, 0.1 + 0.2j)
    A = sp.coo_array((v, (np.zeros(n, int), np.zeros(n, int))), shape=(1, 1))
    exact = 0.1 * n + 0.2j * n
    for got in (A.sum(), A.toarray()[0, 0], A.tocsr()[0, 0], sp.csr_array(v[None]).sum(1)[0], A.mean()):
        assert abs(got - exact) <= 1e-15 * abs(exact)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_the_same_for_every_number_of_threads(threads):
    rng = np.random.default_rng(3)
    A = sp.random_array((20_000, 300), density=0.02, rng=rng, dtype=np.complex128).tocsr()
    x = rng.standard_normal(20_000)

    def results():
        return A.T @ x, A.sum(0), A.sum(), (A.T @ A).toarray(), A.tocsc().data

    first = results()
    with sp.runtime.context(n_threads=threads):
        for a, b in zip(first, results(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_wider_numbers_are_refused():
    with pytest.raises(ValueError, match="longdouble|float128|complex256"):
        sp.csr_array(np.eye(2, dtype=np.clongdouble))


# ---- everything public, against the same in complex64 ----------------------------------------------------------------

SPECIAL = ["csr_array:duplicates", "coo_array:duplicates", "csr_array:1", "coo_array:1", "dok_array:1", "coo_array:3"]
# What the dtype itself decides: pickles, dtypes as text, and whether MLX or NumPy compares an element with a tuple.
OTHERWISE = {
    "__contains__",
    "__getstate__",
    "__reduce__",
    "__repr__",
    "dtype",
    "asfptype",
    "astype",
    "to_scipy",
    "get_index_dtype",
}
# What factors of complex64 cannot take: a right-hand side of NumPy's that is wider, as in SciPy.
FACTORED = {"linalg.splu", "linalg.spilu", "linalg.factorized", "linalg.sparse_lu"}
# Vectors up to a phase, which comes of random numbers that differ by dtype: magnitudes are compared.
UP_TO_PHASES = {"linalg.randomized_svd"}


def numbers(x):
    """All that a result holds as one vector; fails for what no user should see."""
    assert type(x) is not sp._native.WideArray
    if sp.issparse(x):
        x = x.reshape((-1, x.shape[-1])) if x.ndim > 2 else x
        return numbers(np.asarray(x.toarray()))
    if isinstance(x, (Iterator, KeysView, ValuesView, ItemsView)):
        x = list(x)
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)) or isinstance(x, np.ndarray) and x.dtype == object:
        return np.concatenate([np.zeros(0), *map(numbers, np.ravel(x) if isinstance(x, np.ndarray) else x)])
    if isinstance(x, (bool, int, float, complex, np.ndarray, np.generic, mx.array)):
        x = np.asarray(x)
        return np.ravel(x).astype(np.complex128) if x.dtype.kind in "biufc" else np.zeros(0)
    return np.zeros(0)


def results(call, name, dtype):
    """What `call` gives for an array and dense operands of that dtype, or the type of its exception."""
    given = {key: (np.asarray(x) * (1 + 0.25j)).astype(dtype) for key, x in Operands().given.items()}
    try:
        A = base(name).with_data((np.array(stored(name)) * (1 + 0.25j)).astype(dtype)).asformat(name[:3])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return numbers(call(A, Operands(**given)))
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 - compared
        return type(error)


@pytest.mark.parametrize("name", [*CLASSES, *SPECIAL])
def test_everything_is_as_in_complex64_but_precise(name, mode):
    wrong, worked = [], 0
    for called, calls in {**METHODS, **FUNCTIONS}.items():
        for k, call in enumerate(calls if called not in OTHERWISE else ()):
            try:
                single, double = (results(call, name, t) for t in ("complex64", "complex128"))
            except AssertionError:
                wrong.append(f"{called}[{k}] gives what holds the values")
                continue
            if isinstance(single, type) or isinstance(double, type):
                if single is not double and not (single is TypeError and called in FACTORED):
                    wrong.append(f"{called}[{k}]: {single} in complex64, {double} in complex128")
                continue
            worked += 1
            if called in UP_TO_PHASES:
                single, double = np.abs(single), np.abs(double)
            if single.shape != double.shape or not np.allclose(single, double, rtol=1e-4, atol=1e-5, equal_nan=True):
                wrong.append(f"{called}[{k}]: {single} in complex64, {double} in complex128")
    assert not wrong, f"{len(wrong)} faults\n" + "\n".join(wrong)
    assert worked > 100
