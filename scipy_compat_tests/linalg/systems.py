"""Matrices, vectors and namespaces of the linalg tests."""

import warnings

import mlx.core as mx
import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse import _dtypes

NAMESPACES = ("numpy", "mlx")
ALL_FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


def dtypes(device):
    """Dtypes that the device holds: float64 and complex128 exist on the CPU only."""
    return "fF" if device == "gpu" else "fdFD"


def held(dtype):
    """NumPy's dtype that the default device holds values of this one in: where it has no float64, float32."""
    return _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))


def bound_of(double, single):
    """`double`, a bound for results in float64; `single` where the device has none and they are of float32."""
    return double if held(np.float64) == np.float64 else single


def hermitian(n, dtype, seed=0):
    """SciPy csr array, Hermitian positive definite, well conditioned, with empty off-diagonal rows."""
    rng = np.random.default_rng(seed)
    B = scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    if dtype in "FD":
        B = B + 1j * scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    A = B + B.conj().T
    shift = 1.0 + abs(A).sum(axis=1)
    return (A + scipy.sparse.diags_array(shift)).tocsr().astype(dtype)


def line(n, dtype):
    """SciPy csr array: differences along a line, with both ends held; in complex dtypes each unknown has a phase."""
    A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    if dtype in "FD":
        phase = scipy.sparse.diags_array(np.exp(1j * np.arange(n)))
        A = phase @ A @ phase.conj()
    return A.tocsr().astype(dtype)


def general(n, dtype, seed=0):
    """SciPy csr array, not symmetric, diagonally dominant."""
    rng = np.random.default_rng(seed)
    A = scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    if dtype in "FD":
        A = A + 1j * scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    return (A + scipy.sparse.diags_array(1.0 + abs(A).sum(axis=1))).tocsr().astype(dtype)


def indefinite(n, dtype, seed=0):
    """SciPy csr array, Hermitian, with about as many negative eigenvalues as positive ones, well conditioned."""
    A = hermitian(n, "D" if dtype in "FD" else "d", seed)
    sign = np.random.default_rng(seed).choice([-1.0, 1.0], n)
    return (A - scipy.sparse.diags_array(A.diagonal() * (1 - sign))).tocsr().astype(dtype)


def tall(n, dtype):
    """SciPy csr array of n columns and 3 n / 2 rows, of full rank, well conditioned."""
    return general(n + n // 2, dtype)[:, :n].tocsr()


def triangle(n, dtype, lower):
    """SciPy csr array: a triangle of `general`, with entries below one outside its diagonal."""
    S = general(n, dtype)
    S.data /= abs(S).max()
    return (scipy.sparse.tril if lower else scipy.sparse.triu)(S, format="csr")


def laplacian(n, dtype):
    """SciPy csr array, singular: the Laplacian of a path, whose range is the vectors of mean zero."""
    path = scipy.sparse.diags_array([-1.0, -1.0], offsets=[-1, 1], shape=(n, n))
    return (path - scipy.sparse.diags_array(path.sum(axis=1))).tocsr().astype(dtype)


def square(n):
    """SciPy csr array: the Laplacian of n x n points, most of whose eigenvalues come in pairs."""
    L, identity = (
        scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)),
        scipy.sparse.eye_array(n),
    )
    return (scipy.sparse.kron(L, identity) + scipy.sparse.kron(identity, L)).tocsr()


def vector(n, dtype, seed=1):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(n)
    return (v + 1j * rng.standard_normal(n) if dtype in "FD" else v).astype(dtype)


def vectors(n, dtype, columns):
    """One vector, or `columns` of them as an array of shape (n, columns)."""
    if columns is None:
        return vector(n, dtype)
    return np.stack([vector(n, dtype, seed) for seed in range(columns)], axis=1)


def ours(S, format="csr"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SparseEfficiencyWarning)  # of dia, that there are many diagonals
        return sp.from_scipy(S).asformat(format)


def as_namespace(v, namespace):
    if namespace == "numpy" or v.dtype == np.complex128:  # which MLX lacks
        return v
    return mx.array(v, dtype=_dtypes.mlx_dtype(v.dtype))


def check_namespace(x, namespace):
    assert type(x) is (np.ndarray if namespace == "numpy" or x.dtype == np.complex128 else mx.array)


def residual(S, x, b):
    """|b - S x| / |b| in double precision; where S has more rows than columns, of the normal equations."""
    S, x, b = S.astype(np.complex128), np.asarray(x).astype(np.complex128), np.asarray(b).astype(np.complex128)
    r = b - S @ x
    if S.shape[0] > S.shape[1]:
        r, b = S.conj().T @ r, S.conj().T @ b
    return np.linalg.norm(r) / np.linalg.norm(b)


def solution(S, b):
    """x of S x = b, or of least squares."""
    if S.shape[0] == S.shape[1]:
        return scipy.sparse.linalg.spsolve(S.tocsc(), b)
    return np.linalg.lstsq(S.toarray(), b, rcond=None)[0]
