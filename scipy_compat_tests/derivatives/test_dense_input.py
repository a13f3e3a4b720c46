"""Arrays made of dense arrays that are traced: all elements are stored, so derivatives are those of the dense form."""

import pickle

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

from .walk import CLASSES

K = np.array([[4.0, 1, 0], [0, 5, 2], [0, 0, 6]], dtype=np.float32)  # with zeros
X = np.array([[1.0, 2, 3], [-1, 0.5, 2]], dtype=np.float32).T


@pytest.fixture(autouse=True, params=["mlx", "numpy"])
def mode(request):
    before, sp.runtime.dense_namespace = sp.runtime.dense_namespace, request.param
    yield
    sp.runtime.dense_namespace = before


def same(f, g, *at):
    """Values, both derivatives, and second ones."""
    rates = [mx.array(np.cos(np.arange(a.size, dtype=np.float32)).reshape(a.shape)) for a in at]

    def squared(f):
        return lambda *at: mx.sum(f(*at) ** 2)

    def slopes(f):
        return lambda *at: [mx.grad(f, argnums=k)(*at) for k in range(len(at))]

    def along(f):
        return lambda *at: sum(mx.sum(s * r) for s, r in zip(slopes(squared(f))(*at), rates, strict=True))

    for make in (
        lambda f: [f(*at)],
        lambda f: slopes(squared(f))(*at),
        lambda f: mx.jvp(squared(f), list(at), rates)[1],
        lambda f: slopes(along(f))(*at),
    ):
        for mine, theirs in zip(make(f), make(g), strict=True):
            assert mine.shape == theirs.shape
            if mine.size:  # MLX's arrays without entries may have no memory for NumPy to look at
                np.testing.assert_allclose(np.array(mine), np.array(theirs), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", CLASSES)
def test_products(name):
    cls = getattr(sp, name)
    same(lambda D, x: cls(D) @ x, lambda D, x: D @ x, mx.array(K), mx.array(X))
    same(lambda D, x: x.T @ cls(D).T, lambda D, x: x.T @ D.T, mx.array(K), mx.array(X))


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("transform", [mx.compile, mx.vmap], ids=["compile", "vmap"])
def test_compile_and_vmap(name, transform):
    """Nothing is read, so there need be no values."""
    cls, D, x = getattr(sp, name), mx.array(K), mx.array(X)

    def f(D):
        return cls(D) @ x

    batch = mx.stack([D, 2 * D - 1]) if transform is mx.vmap else D
    found = transform(mx.grad(lambda D: mx.sum(f(D) ** 2)))(batch)
    expected = mx.stack([mx.grad(lambda D: mx.sum((D @ x) ** 2))(d) for d in batch]) if batch.ndim == 3 else None
    expected = mx.grad(lambda D: mx.sum((D @ x) ** 2))(D) if expected is None else expected
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(6,), (1, 1), (0, 3), (2, 3, 4), (2, 1, 3, 2)])
def test_ranks(shape):
    rng = np.random.default_rng(1)
    T = mx.array(np.where(rng.random(shape) < 0.5, rng.random(shape), 0).astype(np.float32))
    ones = mx.ones(shape[-1])

    def total(T):
        A = sp.coo_array(T)
        A = A.reshape((-1, shape[-1])) if len(shape) != 2 and T.size else A
        return A.multiply(A).tocsr() @ ones

    same(total, lambda T: mx.reshape(T * T, (-1, shape[-1]) if T.size else shape) @ ones, T)


def test_functions():
    D, x = mx.array(K), mx.array(X)
    same(lambda D: sp.kron(D, X) @ mx.ones(6), lambda D: mx.kron(D, x) @ mx.ones(6), D)
    same(lambda D: sp.tril(D, -1) @ x, lambda D: mx.tril(D, -1) @ x, D)
    same(lambda D: sp.block_array([[D, X]], format="csc") @ mx.ones(5), lambda D: D @ mx.ones(3) + x @ mx.ones(2), D)
    same(lambda D: sp.fromdense(D, threshold=1.5) @ x, lambda D: mx.where(D > 1.5, D, 0) @ x, D)
    same(lambda D: sp.csr_array(D).maximum(sp.csr_array(X @ X.T)) @ x, lambda D: mx.maximum(D, x @ x.T) @ x, D)


def test_what_is_constant_is_read():
    def f(D):
        A = sp.csr_array(mx.stop_gradient(D))
        assert A.nnz == np.count_nonzero(K)
        return mx.sum(A @ (D @ mx.array(X)))

    np.testing.assert_allclose(np.array(mx.grad(f)(mx.array(K))), K.T @ np.ones((3, 2), np.float32) @ X.T)


def test_lists_of_traced_arrays():
    """NumPy would read them: refused wherever a list may stand."""
    A = sp.csr_array(K)

    def in_place(method, *arguments):
        def call(v):
            B = sp.dok_array((3, 3), dtype=np.float32) if method in ("update", "setdefault") else A.copy()
            getattr(B, method)(*(a(v) if callable(a) else a for a in arguments))
            return B.tocsr() @ mx.ones(3)

        return call

    def in_lists(read):
        def call(v):
            L = sp.lil_array((3, 3), dtype=np.float32)
            L.rows[0], L.data[0] = [0, 1], [v[0], 1.0]
            return read(L)

        return call

    def three(v):
        return [v[0], 1.0, v[1]]

    calls = {
        "csr": lambda v: sp.csr_array([[v[0], 0.0], [0.0, 1.0]]).sum(),
        "coo": lambda v: sp.coo_array((three(v), ([0, 1, 2], [0, 1, 2]))).sum(),
        "dia": lambda v: sp.dia_array(([three(v)], [0]), shape=(3, 3)).sum(),
        "lil": lambda v: sp.lil_array([three(v)]).sum(),
        "dok": lambda v: sp.dok_array([three(v)]).sum(),
        "diags": lambda v: sp.diags_array([three(v)], offsets=[0]).sum(),
        "with_data": lambda v: sp.eye_array(3, format="csr", dtype=np.float32).with_data(three(v)).sum(),
        "product": lambda v: mx.array(A @ three(v)),
        "product from the left": lambda v: mx.array(three(v) @ A),
        "multiply": lambda v: A.multiply(three(v)).sum(),
        "maximum": lambda v: mx.array(A.maximum(three(v))),
        "kron": lambda v: sp.kron([[v[0]]], A).sum(),
        "block_diag": lambda v: sp.block_diag([three(v)]).sum(),
        "spsolve": lambda v: mx.array(sp.linalg.spsolve(A.tocsc(), three(v))),
        "cg": lambda v: mx.array(sp.linalg.cg(A.T @ A, three(v))[0]),
        "minres": lambda v: mx.array(sp.linalg.minres(A.T @ A, three(v))[0]),
        "lsqr": lambda v: mx.array(sp.linalg.lsqr(A, three(v))[0]),
        "lsqr, guess": lambda v: mx.array(sp.linalg.lsqr(A, np.ones(3), 0.1, x0=three(v))[0]),
        "lsmr": lambda v: mx.array(sp.linalg.lsmr(A, three(v))[0]),
        "expm_multiply": lambda v: mx.array(sp.linalg.expm_multiply(A, three(v))),
        "setdiag": in_place("setdiag", three),
        "assignment": in_place("__setitem__", (0, slice(None)), three),
        "update": in_place("update", lambda v: {(0, 0): v[0]}),
        "setdefault": in_place("setdefault", (0, 0), lambda v: v[0]),
        "lists of lil": in_lists(lambda L: L.tocsr() @ mx.ones(3)),
        "an element of lil": in_lists(lambda L: mx.array(L[0, 0])),
        "an element of a row of lil": in_lists(lambda L: mx.array(L[0:2, 0:2][0, 0])),
        "an element of a view of lil": in_lists(lambda L: mx.array(L.getrowview(0)[0, 0])),
        "pickled lil": in_lists(lambda L: pickle.loads(pickle.dumps(L)).data[0][0]),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match="no derivative"):
            mx.grad(lambda v, call=call: mx.sum(call(v)))(mx.array([0.3, 0.4]))
            pytest.fail(name)


def test_zero_that_is_traced():
    """A number added must be zero, which is read."""
    A = sp.csr_array(K)
    for f in (lambda s: A + s, lambda s: A - s):
        with pytest.raises(ValueError, match="no derivative"):
            mx.grad(lambda s, f=f: f(s).sum())(mx.array(0.0))
