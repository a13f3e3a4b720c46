"""Linear systems for the solver tests: every row names a property, a dtype and a namespace."""

import mlx.core as mx
import numpy as np
import scipy.sparse

import mlx_sparse as sp

TOLERANCE = {"f": 2e-4, "d": 1e-10, "F": 2e-4}  # what a residual may reach at rtol = tolerance / 10
NAMESPACES = ("numpy", "mlx")
FORMATS = ("csr", "csc", "coo")


def dtypes(device):
    """Dtypes that the device holds: float64 exists on the CPU only."""
    return "fF" if device == "gpu" else "fdF"


def hermitian(n, dtype, seed=0):
    """SciPy csr array, Hermitian positive definite, well conditioned, with empty off-diagonal rows."""
    rng = np.random.default_rng(seed)
    B = scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    if dtype in "FD":
        B = B + 1j * scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    A = B + B.conj().T
    shift = 1.0 + abs(A).sum(axis=1)
    return (A + scipy.sparse.diags_array(shift)).tocsr().astype(dtype)


def general(n, dtype, seed=0):
    """SciPy csr array, not symmetric, diagonally dominant."""
    rng = np.random.default_rng(seed)
    A = scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    if dtype in "FD":
        A = A + 1j * scipy.sparse.random_array((n, n), density=min(1.0, 4.0 / n), rng=rng, dtype=np.float64)
    return (A + scipy.sparse.diags_array(1.0 + abs(A).sum(axis=1))).tocsr().astype(dtype)


def vector(n, dtype, seed=1):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(n)
    return (v + 1j * rng.standard_normal(n) if dtype in "FD" else v).astype(dtype)


def ours(S, format="csr"):
    return sp.from_scipy(S).asformat(format)


def as_namespace(v, namespace):
    if namespace == "numpy":
        return v
    return mx.array(v, dtype=mx.float64) if v.dtype == np.float64 else mx.array(v)


def check_namespace(x, namespace):
    assert type(x) is (np.ndarray if namespace == "numpy" else mx.array)


def residual(S, x, b):
    """|b - S x| / |b| in double precision."""
    S, x, b = S.astype(np.complex128), np.asarray(x).astype(np.complex128), np.asarray(b).astype(np.complex128)
    return np.linalg.norm(b - S @ x) / np.linalg.norm(b)
