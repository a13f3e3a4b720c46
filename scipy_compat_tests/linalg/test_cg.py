"""cg: judged by its residual, and against SciPy's on the same system."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse.linalg import cg

from .systems import FORMATS, NAMESPACES, TOLERANCE, as_namespace, check_namespace, hermitian, ours, residual, vector

N = 120


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("format", FORMATS)
def test_well_posed(dtype, format, namespace):
    S, b = hermitian(N, dtype), vector(N, dtype)
    x, info = cg(ours(S, format), as_namespace(b, namespace), rtol=TOLERANCE[dtype] / 10)
    assert info == 0
    check_namespace(x, namespace)
    assert x.shape == (N,) and np.asarray(x).dtype == np.dtype(dtype)
    assert residual(S, x, b) < TOLERANCE[dtype]


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("preconditioned", [False, True])
def test_iterates_are_scipys(dtype, namespace, preconditioned):
    S, b = hermitian(N, dtype), vector(N, dtype)
    D = scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype)
    iterates, reference = [], []
    x, info = cg(
        ours(S),
        as_namespace(b, namespace),
        M=ours(D) if preconditioned else None,
        callback=lambda xk: iterates.append(np.array(xk)),
    )
    expected = scipy.sparse.linalg.cg(
        S, b, M=D if preconditioned else None, callback=lambda xk: reference.append(xk.copy())
    )
    assert info == expected[1] == 0
    assert len(iterates) == len(reference)
    for mine, theirs in zip(iterates, reference, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=10 * TOLERANCE[dtype] * abs(reference[-1]).max())
    np.testing.assert_array_equal(np.asarray(x), iterates[-1])


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_preconditioner_helps(namespace, device):
    dtype = "f" if device == "gpu" else "d"
    scale = scipy.sparse.diags_array(np.logspace(0, 3, N))
    S = (scale @ hermitian(N, "d") @ scale).tocsr().astype(dtype)
    b = as_namespace(vector(N, dtype), namespace)
    M = ours(scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype))
    counts = []
    for preconditioner in (None, M):
        steps = []
        cg(ours(S), b, M=preconditioner, maxiter=400, callback=steps.append)
        counts.append(len(steps))
    assert counts[1] < counts[0] / 2


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("guess", ["zero", "good", "column", "Mb"])
def test_first_guess(dtype, namespace, guess):
    S, b = hermitian(N, dtype), vector(N, dtype)
    exact = scipy.sparse.linalg.spsolve(S.tocsc(), b)
    x0 = {"zero": np.zeros(N, dtype), "good": exact, "column": exact[:, None], "Mb": "Mb"}[guess]
    steps = []
    given = x0 if guess == "Mb" else as_namespace(x0.astype(dtype), namespace)
    x, info = cg(ours(S), as_namespace(b, namespace), given, callback=steps.append)
    assert info == 0 and residual(S, x, b) < 1e-4
    if guess in ("good", "column"):
        assert len(steps) == 0
        np.testing.assert_array_equal(np.asarray(given).ravel(), x0.astype(dtype).ravel())


def test_the_guess_and_b_are_not_written(dtype):
    S, b = hermitian(N, dtype), vector(N, dtype)
    x0 = np.ones(N, dtype)
    cg(ours(S), b, x0)
    np.testing.assert_array_equal(x0, 1)
    np.testing.assert_array_equal(b, vector(N, dtype))


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_zero_b(dtype, namespace):
    b = np.zeros(N, dtype)
    x, info = cg(ours(hermitian(N, dtype)), as_namespace(b, namespace), np.ones(N, dtype))
    assert info == 0 and not np.asarray(x).any()
    check_namespace(x, namespace)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("maxiter", [0, 1, 3])
def test_maxiter_exhausted(dtype, namespace, maxiter):
    S, b = hermitian(N, dtype), vector(N, dtype)
    steps = []
    x, info = cg(ours(S), as_namespace(b, namespace), maxiter=maxiter, rtol=1e-12, callback=steps.append)
    y, expected = scipy.sparse.linalg.cg(S, b, maxiter=maxiter, rtol=1e-12)
    assert info == expected == maxiter == len(steps)
    np.testing.assert_allclose(np.asarray(x), y, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_singular_consistent(dtype, namespace):
    """A graph Laplacian and a b in its range: cg converges to one of the solutions."""
    path = scipy.sparse.diags_array([-1.0, -1.0], offsets=[-1, 1], shape=(40, 40))
    S = (path - scipy.sparse.diags_array(path.sum(axis=1))).tocsr().astype(dtype)
    b = vector(40, dtype)
    b -= b.mean()
    x, info = cg(ours(S), as_namespace(b, namespace), rtol=1e-3)
    assert info == 0 and residual(S, x, b) < 5e-3


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_zero_matrix_does_not_converge(dtype, namespace):
    A = sp.csr_array((8, 8), dtype=np.dtype(dtype))
    _, info = cg(A, as_namespace(np.ones(8, dtype), namespace), maxiter=5)
    assert info == 5


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_atol_alone_decides(dtype, namespace):
    S, b = hermitian(N, dtype), vector(N, dtype)
    x, info = cg(ours(S), as_namespace(b, namespace), rtol=0.0, atol=0.5)
    assert info == 0 and 1e-4 < residual(S, x, b) * np.linalg.norm(b) < 0.6


class Operator:
    """Neither array nor LinearOperator: shape and one product."""

    def __init__(self, A, name):
        self.shape = A.shape
        setattr(type(self) if name == "__matmul__" else self, name, lambda *args: A @ args[-1])


def _operators(S, namespace):
    A = ours(S)
    yield "scipy sparse", S
    yield "dense", as_namespace(S.toarray(), namespace)
    yield "mlx dense", as_namespace(S.toarray(), "mlx")
    yield "LinearOperator", scipy.sparse.linalg.aslinearoperator(S)
    yield "matvec", type("Matvec", (Operator,), {})(A, "matvec")
    yield "@", type("Matmul", (Operator,), {})(A, "__matmul__")


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("which", range(6))
def test_kinds_of_operator(dtype, namespace, which):
    S, b = hermitian(N, dtype), vector(N, dtype)
    _, A = list(_operators(S, namespace))[which]
    D = scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype)
    _, M = list(_operators(D, namespace))[which]
    x, info = cg(A, as_namespace(b, namespace), M=M)
    assert info == 0 and residual(S, x, b) < 1e-4
    check_namespace(x, namespace)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_column_b_gives_a_vector(dtype, namespace):
    S, b = hermitian(N, dtype), vector(N, dtype)
    x, info = cg(ours(S), as_namespace(b[:, None], namespace))
    assert info == 0 and x.shape == (N,)


def test_list_and_integers():
    A = sp.csr_array(np.array([[4, 1], [1, 3]]))
    x, info = cg(A, [1, 2])
    assert info == 0 and type(x) is np.ndarray
    np.testing.assert_allclose(x, [1 / 11, 7 / 11], rtol=1e-5)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_half_precision_is_solved_in_float32(half):
    S, b = hermitian(N, "f"), vector(N, "f")
    A = ours(S).astype(half)
    x, info = cg(A, mx.array(b).astype(half))
    assert info == 0 and x.dtype == mx.float32
    assert residual(S, x, b) < 0.05


def test_mixed_numpy_dtypes_promote(device):
    S, b = hermitian(N, "f"), vector(N, "d")
    x, info = cg(ours(S), b, rtol=1e-6)
    assert info == 0
    assert x.dtype == (np.float32 if device == "gpu" else np.float64)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (lambda A, b: (A, b[:-1]), ValueError),
        (lambda A, b: (A, np.ones((N, 2))), ValueError),
        (lambda A, b: (sp.csr_array((3, 4)), np.ones(3)), ValueError),
        (lambda A, b: (A, b, np.ones(N - 1)), ValueError),
        (lambda A, b: (object(), b), TypeError),
        (lambda A, b: (np.ones((2, 2, 2)), b), ValueError),
        (lambda A, b: (A, mx.array(b).astype(mx.complex64)), TypeError),
    ],
)
def test_bad_operands(arguments, error):
    A, b = ours(hermitian(N, "f")), vector(N, "f")
    with pytest.raises(error):
        cg(*arguments(A, b))


@pytest.mark.parametrize("options", [{"atol": None}, {"atol": "legacy"}, {"atol": -1.0}, {"M": np.eye(3)}])
def test_bad_options(options):
    with pytest.raises(ValueError):
        cg(ours(hermitian(N, "f")), vector(N, "f"), **options)
