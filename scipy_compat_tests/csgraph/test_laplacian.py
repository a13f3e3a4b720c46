"""The Laplacian: every form and option, against SciPy and by its properties; derivatives against differences."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph as theirs

import mlx_sparse as sp

from .graphs import FORMATS, held, host, random_graph, to_mlx

OPTIONS = [
    {"normed": normed, "symmetrized": symmetrized, "use_out_degree": out}
    for normed, symmetrized, out in itertools.product((False, True), repeat=3)
]


def graph(dtype=np.float64, n=30):
    A = random_graph(n, 4 * n, 1, integers=np.dtype(dtype).kind == "i", dtype=np.float64).astype(dtype)
    return A + 1j * A.T if A.dtype.kind == "c" else A


def close(found, expected):
    single = held(np.asarray(expected).dtype) in (np.float32, np.complex64)
    tolerance = 1e-5 if single else 1e-12
    np.testing.assert_allclose(host(found), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64, np.complex64, np.complex128])
def test_dtypes_and_forms(dtype, options, namespace):
    A = graph(dtype)
    L, d = theirs.laplacian(A, return_diag=True, **options)
    found, diagonal = sp.csgraph.laplacian(sp.csr_array(A), return_diag=True, **options)
    assert found.format == L.format and (host(found).dtype, host(diagonal).dtype) == (held(L.dtype), held(d.dtype))
    close(found, L.toarray())
    close(diagonal, d)
    X = np.random.default_rng(0).random((A.shape[0], 3)).astype(held(L.dtype))
    exact = theirs.laplacian(A.astype(float), **options) if options["normed"] and A.dtype.kind == "i" else L
    product, adjoint = exact @ X, exact.T.conj() @ X
    for form in ("function", "lo"):
        f = sp.csgraph.laplacian(sp.csr_array(A), form=form, **options)
        close(f(X), product)
        close(f(X[:, 0]), product[:, 0])
        if form == "lo":
            assert f.dtype == held(theirs.laplacian(A, form="lo", **options).dtype)
            close(f.rmatvec(X[:, 0]), adjoint[:, 0])
            close(f.H @ X, adjoint)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("format", FORMATS)
def test_formats(format, options, namespace):
    A = graph().asformat(format)
    L, d = theirs.laplacian(A, return_diag=True, **options)
    for copy in (True, False):
        mine = sp.from_scipy(A)
        found, diagonal = sp.csgraph.laplacian(mine, return_diag=True, copy=copy, **options)
        assert found.format == L.format
        close(found, L.toarray())
        close(diagonal, d)
        kept = copy or format != "coo" or options["symmetrized"]
        close(mine, (A if kept else L).toarray())
    for form in ("function", "lo"):
        close(sp.csgraph.laplacian(sp.from_scipy(A), form=form, **options)(np.eye(A.shape[0])), L.toarray())


@pytest.mark.parametrize("options", OPTIONS)
def test_dense(options, namespace):
    D = graph().toarray()
    L, d = theirs.laplacian(D, return_diag=True, **options)
    for given, kind in ((D, np.ndarray), (to_mlx(D), mx.array)):
        found, diagonal = sp.csgraph.laplacian(given, return_diag=True, **options)
        assert isinstance(found, kind) and isinstance(diagonal, kind)
        close(found, L)
        close(diagonal, d)
        x = given[:, 0]
        for form in ("function", "lo"):
            made = sp.csgraph.laplacian(given, form=form, **options)(x)
            assert isinstance(made, kind)
            close(made, L @ D[:, 0])
    in_place = D.copy()
    found = sp.csgraph.laplacian(in_place, copy=False, **options)
    assert np.shares_memory(found, in_place) != options["symmetrized"]
    assert np.array_equal(D, graph().toarray())


def test_rows_and_columns_sum_to_zero(namespace):
    A = sp.csr_array(graph())
    ones = np.ones(30)
    close(ones @ sp.csgraph.laplacian(A), np.zeros(30))
    close(sp.csgraph.laplacian(A, use_out_degree=True) @ ones, np.zeros(30))
    assert np.allclose(
        host(sp.csgraph.laplacian(A, symmetrized=True).diagonal()), host(A.sum(0) + A.sum(1) - 2 * A.diagonal())
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS)
def test_pending_weights_give_the_same(options, dtype, namespace):
    """Entries that are there are written in one pass, others go through MLX's graph; a loop's weight never counts."""
    A = graph(dtype).tocoo()
    loops = np.array([3, 17, 17])
    weights = np.concatenate([A.data, np.array([np.inf, 2, 5], dtype)])
    coords = tuple(np.concatenate([x, loops]).astype(np.int32) for x in A.coords)
    made = sp.coo_array((to_mlx(weights), tuple(map(mx.array, coords))), shape=A.shape)
    pending = made.with_data(to_mlx(weights) * 1)
    assert held(made.dtype) == held(pending.dtype) == held(dtype)
    for one, other in zip(
        *(sp.csgraph.laplacian(x, return_diag=True, **options) for x in (made, pending)), strict=True
    ):
        np.testing.assert_allclose(host(one), host(other), rtol=4 * np.finfo(held(dtype)).eps)
        assert np.isfinite(host(one)).all()


def test_duplicates_and_zeros(namespace):
    row, col, data = [0, 0, 1, 1, 2], [1, 1, 1, 0, 2], [1.0, 2.0, 5.0, 0.0, 0.0]
    A = scipy.sparse.coo_array((data, (row, col)), shape=(4, 4))
    for normed in (False, True):
        found = sp.csgraph.laplacian(sp.coo_array((data, (row, col)), shape=(4, 4)), normed=normed)
        close(found, theirs.laplacian(A, normed=normed).toarray())


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint64])
def test_without_negatives(dtype, namespace):
    A = sp.csr_array(graph(np.int32).astype(dtype))
    for given in (A, A.toarray(), mx.array(A.toarray())):
        with pytest.raises(TypeError, match="negative"):
            sp.csgraph.laplacian(given)
        if dtype != np.uint64:
            close(sp.csgraph.laplacian(given, dtype=np.int64), theirs.laplacian(A.toarray().astype(np.int64)))
        close(sp.csgraph.laplacian(given, normed=True), theirs.laplacian(A.toarray().astype(float), normed=True))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_short_floats(dtype, namespace):
    A = sp.csr_array(np.ones((3, 3)) * 2, dtype=dtype)
    assert sp.csgraph.laplacian(A)._data.dtype == dtype
    assert sp.csgraph.laplacian(A).toarray().tolist() == (6 * np.eye(3) - 2).tolist()


def test_bad_input(namespace):
    A = sp.csr_array(graph())
    for bad in (np.ones((2, 3)), np.ones(3), sp.csr_array(np.ones((2, 3))), mx.ones((2, 3))):
        with pytest.raises(ValueError, match="square"):
            sp.csgraph.laplacian(bad)
    for given in (A, A.toarray()):
        with pytest.raises(ValueError, match="Invalid form: 'toto'"):
            sp.csgraph.laplacian(given, form="toto")
    for empty in (sp.csr_array((0, 0)), sp.csr_array((3, 3)), np.zeros((0, 0))):
        assert not host(sp.csgraph.laplacian(empty)).any()


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients(options):
    A = sp.csr_array(graph(n=8))
    at, x = np.asarray(A.data, dtype=np.float64) + 1.0, np.linspace(-1, 2, 8)
    along = np.cos(np.arange(at.size))

    def energy(v):
        x = to_mlx(np.linspace(-1, 2, 8))
        L, d = sp.csgraph.laplacian(A.with_data(v), return_diag=True, **options)
        lo = sp.csgraph.laplacian(A.with_data(v), form="lo", **options)
        return x @ (L @ x) + (d * d).sum() + x @ (lo @ mx.sin(x))

    def known(v):
        L, d = theirs.laplacian(
            scipy.sparse.csr_array((v, A.indices, A.indptr), shape=A.shape), return_diag=True, **options
        )
        return x @ (L @ x) + d @ d + x @ (L @ np.sin(x))

    slope = (known(at + 1e-6 * along) - known(at - 1e-6 * along)) / 2e-6
    rel = 1e-6 if held(at.dtype) == np.float64 else 1e-5
    assert energy(to_mlx(at)).item() == pytest.approx(known(at), rel=rel)
    assert host(mx.grad(energy)(to_mlx(at))) @ along == pytest.approx(slope, rel=rel)


def test_isolated_nodes_have_finite_gradients():
    A = sp.csr_array(np.array([[0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]]))
    gradient = mx.grad(lambda v: sp.csgraph.laplacian(A.with_data(v), normed=True)._data.sum())(mx.array(A.data))
    assert mx.all(mx.isfinite(gradient)).item()
