"""minres beyond the table: shifts, checks, singular systems, what it prints."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse.linalg

from mlx_sparse.linalg import minres

from .systems import NAMESPACES, as_namespace, dtypes, indefinite, laplacian, ours, residual, vector, vectors
from .table import eps
from .test_gradients import close, curved, dense_inverse

N = 40
SHIFT = 0.3


def shifted(dtype):
    S = indefinite(N, dtype)
    return S, (S - SHIFT * scipy.sparse.eye_array(N)).tocsr().astype(dtype)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 3])
def test_shift(dtype, namespace, columns):
    """With a first guess, too, whose residual is that of the shifted system."""
    S, T = shifted(dtype)
    b = vectors(N, dtype, columns)
    for x0 in (None, np.ones(b.shape, dtype), "Mb"):
        x, info = minres(ours(S), as_namespace(b, namespace), x0, rtol=1e-7, shift=SHIFT)
        assert info == 0 and residual(T, x, b) < 1e-4


@pytest.mark.parametrize("format", ["csr", "dia"])
def test_shift_and_derivatives(format, device):
    dtype = "f" if device == "gpu" else "d"
    S, T = shifted(dtype)
    A, b = ours(S, format), as_namespace(vector(N, dtype), "mlx")
    rtol, bound = (1e-8, 1e-3) if device == "gpu" else (1e-15, 1e-10)
    X = as_namespace(T.toarray(), "mlx")
    inverse = dense_inverse(X)

    def loss(values, b):
        return curved(minres(A.with_data(values), b, rtol=rtol, shift=SHIFT)[0])

    found = mx.grad(loss, argnums=(0, 1))(A.data, b)
    w = mx.grad(lambda b: curved(inverse @ b))(b)
    close(found[1], w, bound)
    dA = A.with_data(found[0]).toarray()
    expected = -np.outer(np.asarray(w), np.asarray(inverse @ b)) * (np.asarray(A.toarray()) != 0)
    close(np.where(np.asarray(A.toarray()) != 0, np.asarray(dA), 0), expected, bound)
    along = mx.jvp(loss, [A.data, b], [mx.ones_like(A.data), mx.zeros_like(b)])[1][0]
    assert abs(along.item() - mx.sum(found[0]).item()) < bound * N * abs(np.asarray(found[0])).max()


@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize(("shape", "given"), [((), None), ((1,), mx.float32)])
def test_derivatives_with_respect_to_the_shift(dtype, columns, shape, given):
    """Of first and second order, both ways, along with those in b and the values of A; against dense MLX."""
    if dtype == "D":
        return
    S = indefinite(N, dtype)
    A, b, X = ours(S), as_namespace(vectors(N, dtype, columns), "mlx"), as_namespace(S.toarray(), "mlx")
    shift = mx.full(shape, SHIFT, dtype=given or (mx.float64 if dtype == "d" else mx.float32))
    rtol, bound = (1e-15, 1e-10) if dtype == "d" else (1e-8, 1e-3)
    bound = max(bound, eps(np.asarray(shift).dtype))
    I = mx.eye(N).astype(b.dtype)

    def mine(shift, values, b):
        return curved(minres(A.with_data(values), b, mx.ones_like(b), rtol=rtol, shift=shift)[0])

    def theirs(shift, values, b):
        return curved(dense_inverse(X - shift.astype(b.dtype) * I) @ b)

    made = []
    for f in (mine, theirs):
        slope = mx.grad(f)
        first = slope(shift, A.data, b)
        along = mx.jvp(f, [shift, A.data, b], [mx.ones_like(shift), mx.zeros_like(A.data), mx.ones_like(b)])[1][0]
        second = mx.grad(lambda s, slope=slope: mx.sum(slope(s, A.data, b)))(shift)
        mixed = mx.grad(lambda b, slope=slope: mx.sum(slope(shift, A.data, b)))(b)
        made.append((first, along, second, mixed))
    for found, expected in zip(*made, strict=True):
        close(found, expected, N * bound)
    both = mx.grad(mine, argnums=(0, 1, 2))(shift, A.data, b)
    np.testing.assert_array_equal(np.asarray(both[0]), np.asarray(made[0][0]))
    for k in (1, 2):
        alone = mx.grad(mine, argnums=k)(shift, A.data, b)
        np.testing.assert_array_equal(np.asarray(both[k]), np.asarray(alone))
    guessed = mx.grad(lambda x0: mx.sum(mx.real(minres(A, b, x0, rtol=rtol, shift=shift)[0])))(mx.ones_like(b))
    assert not np.asarray(guessed).any()


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_shifts_that_are_arrays(namespace):
    S, T = shifted("f")
    b = as_namespace(vector(N, "f"), namespace)
    x, info = minres(ours(S), b, rtol=1e-7, shift=mx.array(SHIFT))
    assert info == 0 and residual(T, x, np.asarray(b)) < 1e-4
    for wrong in (mx.array([0.1, 0.2]), mx.array(0.1 + 0.1j), mx.array(True), mx.array(1)):
        with pytest.raises(ValueError, match="shift must be one"):
            minres(ours(S), b, shift=wrong)
    if namespace == "numpy":
        with pytest.raises(ValueError, match="no derivative"):
            mx.grad(lambda shift: mx.sum(mx.array(minres(ours(S), b, shift=shift)[0])))(mx.array(SHIFT))


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("exponent", [0, -20, 20])
def test_inconsistent_system(dtype, namespace, columns, exponent):
    """x of least squares, info 0; at any scale of A, as far as the dtype holds its squares."""
    scale = 1.0 if dtype in "fF" else 10.0**exponent
    S = (laplacian(N, "D" if dtype in "FD" else "d") * scale).tocsr().astype(dtype)
    b = vectors(N, dtype, columns)
    x, info = minres(ours(S), as_namespace(b, namespace))
    assert info == 0
    r = b - S @ np.asarray(x)
    np.testing.assert_allclose(r, np.broadcast_to(b.mean(axis=0), b.shape), rtol=0, atol=2e-2)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_eigenvectors(dtype, namespace):
    for value in (3.0, -1e-12 if dtype in "fF" else -1e-20):
        A = (value * np.eye(N)).astype(dtype)
        x, info = minres(A, as_namespace(np.ones(N, dtype), namespace))
        assert info == 0
        np.testing.assert_allclose(np.asarray(x) * value, 1, rtol=1e-5)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 2])
def test_check(dtype, namespace, columns):
    S, b = indefinite(N, dtype), as_namespace(vectors(N, dtype, columns), namespace)
    D = scipy.sparse.diags_array(1 / abs(S.diagonal())).astype(dtype).tocsr()
    oblique = S.tolil()
    oblique[0, 1] = 20
    x, info = minres(ours(S), b, rtol=1e-7, M=ours(D), check=True)
    assert info == 0 and residual(S, x, b) < 1e-4
    with pytest.raises(ValueError, match="non-symmetric matrix"):
        minres(ours(oblique), b, check=True)
    with pytest.raises(ValueError, match="non-symmetric preconditioner"):
        minres(ours(S), b, M=ours(oblique), check=True)
    for M in (-D, S):
        with pytest.raises(ValueError, match="indefinite|non-symmetric"):
            minres(ours(S), b, rtol=1e-7, M=ours(M))


def test_results_of_a_preconditioner_may_share_an_array(dtype):
    S, b = indefinite(N, dtype), vector(N, dtype)
    D, shared = 1 / abs(S.diagonal()), np.empty(N, dtype)

    class Shared:
        shape = S.shape

        def matvec(self, r):
            return np.multiply(D, r, out=shared)

    for M in (Shared(), scipy.sparse.diags_array(D)):
        x, info = minres(S, b, rtol=1e-7, M=M)
        assert info == 0 and residual(S, x, b) < 1e-4


@pytest.mark.parametrize("columns", [None, 2])
def test_show(columns, capsys):
    b = vectors(N, "f", columns)
    minres(ours(indefinite(N, "f")), b, maxiter=4, show=True)
    shown = capsys.readouterr().out
    assert shown.count("the iteration limit was reached") == (columns or 1)
    assert len(shown.splitlines()) == 2 + 5 * (columns or 1)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_empty_and_single(namespace):
    for n, columns in ((0, None), (0, 2), (1, None), (1, 2)):
        b = np.ones(n if columns is None else (n, columns), "f")
        x, info = minres(np.eye(n, dtype="f") * 2, as_namespace(b, namespace), np.zeros(b.shape))
        assert info == 0 and tuple(x.shape) == b.shape
        np.testing.assert_array_equal(np.asarray(x), b / 2)


def test_dtypes_of_this_device(device):
    for dtype in dtypes(device):
        assert minres(ours(indefinite(N, dtype)), vector(N, dtype))[0].dtype == np.dtype(dtype)
