"""The exponential of a matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _dense, _dtypes
from ..._base import as_sparse, issparse
from ..._construct import diags_array
from .._direct.methods import factor
from .._direct.operands import Parts, host_form
from .._direct.spsolve import solve_sparse
from .._direct.triangular import is_sptriangular
from .._problem import host_dtype, inexact, refuse_traced, require_square
from . import thresholds
from .norm import norm
from .onenormest import estimate, products

_FULL = 8  # a sparse matrix with more than one entry in so many is continued as a dense one


def expm(A: Any) -> Any:
    """The matrix exponential, by scaling and squaring with Pade approximants. Synchronises.

    It is rarely sparse: for its action on vectors use `expm_multiply`.

    Parameters
    ----------
    A : sparse array, ndarray or mx.array, shape (n, n)
        csr and csc keep their format.

    Returns
    -------
    Sparse (csr or csc) for a sparse `A`; dense and in its namespace for a dense one. Shape (n, n).
        float32 and complex64 in single precision; integers give the default float dtype.

    Raises
    ------
    MemoryError
        There is no memory for dense arrays once `A` fills up, or for the entries of a sparse result: as a sample of
        its columns tells, or as they are found.
    OverflowError
        The sixth power of `A` does not fit its dtype.
    ValueError
        `A` is not square, or holds values that are not finite.

    Notes
    -----
    A. H. Al-Mohy and N. J. Higham, A new scaling and squaring algorithm for the matrix exponential, SIAM J. Matrix
    Anal. Appl. 31 (2009). Products run on the CPU, the rational approximant is evaluated by SuperLU. Once an eighth of
    the entries is not zero, the rest is computed with dense arrays.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.linalg.expm(sp.csc_array([[0.0, 2.0], [0.0, 0.0]])).toarray()
    array([[1., 2.],
           [0., 1.]])

    Differences from SciPy
    ----------------------
    float16 and bfloat16 are computed in float32.
    """
    refuse_traced(A, "expm(A)")
    if issparse(A):
        A = as_sparse(A)
        require_square(A)
        A = A if A.format in ("csr", "csc") else A.asformat("csc" if A.format in ("bsr", "dia") else "csr")
        A = A._canonical().astype(_dtypes.mlx_dtype(inexact(host_dtype(A))), copy=False)
        E = _exponential(A, _Sparse(A), *is_sptriangular(A))
        return A._classes[A.format](E) if isinstance(E, np.ndarray) else E
    x = _dense.as_dense(A)
    require_square(x)
    host = np.asarray(_dense.view(x) if _dense.is_mlx(x) else x)
    host = host.astype(inexact(host.dtype), copy=False)
    E = _exponential(host, _Dense(host), not np.triu(host, 1).any(), not np.tril(host, -1).any())
    return _dense.to_mlx(E) if _dense.is_mlx(x) else E


class _Sparse:
    """What the algorithm does with csr or csc arrays besides ``@``, ``+``, ``-``, `T` and products with numbers."""

    def __init__(self, A: Any) -> None:
        self.cls, self.dtype = A._classes[A.format], host_dtype(A)

    def diagonal(self, values: np.ndarray) -> Any:
        return self.cls(diags_array(values.astype(self.dtype)))

    def diagonal_of(self, A: Any, k: int = 0) -> np.ndarray:
        return _dense.view(A._diagonal(k))

    def norm(self, A: Any) -> float:
        return float(np.asarray(norm(A, 1)))

    def solve(self, Q: Any, P: Any) -> Any:
        solve, _ = factor(Parts(Q, self.dtype))
        return solve_sparse(Q, host_form(P).tocsc(), solve, self.dtype)

    def set_diagonal(self, A: Any, values: np.ndarray, k: int = 0) -> None:
        A.setdiag(values.astype(self.dtype), k)


class _Dense:
    """The same for ndarrays."""

    def __init__(self, A: np.ndarray) -> None:
        self.dtype = A.dtype

    def diagonal(self, values: np.ndarray) -> np.ndarray:
        return np.diag(values).astype(self.dtype)

    def diagonal_of(self, A: np.ndarray, k: int = 0) -> np.ndarray:
        return np.diagonal(A, k)

    def norm(self, A: np.ndarray) -> float:
        return float(np.abs(A).sum(axis=0, dtype=np.float64).max())

    def solve(self, Q: np.ndarray, P: np.ndarray) -> np.ndarray:
        return np.linalg.solve(Q, P)

    def set_diagonal(self, A: np.ndarray, values: np.ndarray, k: int = 0) -> None:
        i = np.arange(len(values))
        A[i, i + k] = values


def _exponential(A: Any, ring: Any, lower: bool, upper: bool) -> Any:
    """exp(A). Triangular matrices are squared with exact diagonals (code fragment 2.1 of the paper)."""
    if A.shape[0] == 0:
        return A.copy()
    size = ring.norm(A)
    if not math.isfinite(size):
        raise ValueError("A must hold finite values, whose sums of magnitudes are finite too")
    if lower and upper:
        return ring.diagonal(np.exp(ring.diagonal_of(A)))
    if lower:
        return _exponential(A.T, _transposed(ring, A), False, True).T
    main, above = ring.diagonal_of(A), ring.diagonal_of(A, 1)
    X, s, ring = _approximant(A, ring)
    ring, (X,) = _dense_if_full(ring, [X])
    if upper:
        ring.set_diagonal(X, np.exp(main * 2.0**-s))
    for i in range(s - 1, -1, -1):
        X = X @ X
        if upper:
            ring.set_diagonal(X, np.exp(main * 2.0**-i))
            ring.set_diagonal(X, _above(main * 2.0**-i, above * 2.0**-i), 1)
    return X


def _transposed(ring: Any, A: Any) -> Any:
    return _Sparse(A.T) if isinstance(ring, _Sparse) else ring


def _above(main: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The diagonal above the main one of the exponential of an upper triangular matrix with these two diagonals."""
    a, b = main[:-1], main[1:]
    half = (b - a) / 2
    near = np.abs(half) < 1
    x = np.where(near & (half != 0), half, 1)  # sinh(x) / x, which would overflow where half is large
    sinch = np.where(half == 0, 1, np.sinh(x) / x)
    apart = np.where(near, 1, b - a)
    return above * np.where(near, np.exp((a + b) / 2) * sinch, (np.exp(b) - np.exp(a)) / apart)


def _dense_if_full(ring: Any, matrices: list[Any]) -> tuple[Any, list[Any]]:
    """The ring of ndarrays and these in it, once the last of them has filled up: products are faster there then."""
    n = matrices[-1].shape[0]
    if isinstance(ring, _Dense) or matrices[-1].nnz * _FULL <= n * n:
        return ring, matrices
    copies = 2 * len(matrices) + 2  # at the least, with those that are still to come
    _dense.expect_on_host(copies * n * n * ring.dtype.itemsize)
    made = [A.toarray() for A in matrices]
    return _Dense(made[0]), made


def _approximant(A: Any, ring: Any) -> tuple[Any, int, Any]:
    """(r(2^-s A), s, its ring) for the cheapest Pade approximant r and least s that are accurate to working precision.

    Algorithm 5.1 of the paper: norms of powers, d_k = |A^k|^(1/k), decide, not the norm of A, which can be far larger.
    """
    u = thresholds.unit_roundoff(ring.dtype)
    degrees = (3, 5, 7) if ring.dtype.char in "fF" else (3, 5, 7, 9, 13)
    excess = _excess(A, ring, u)

    def fits(m: int, eta: float) -> bool:
        return eta <= thresholds.pade(m, u) and excess(m, 0) == 0

    ring, (A, *powers) = _dense_if_full(ring, [A, ring.diagonal(np.ones(A.shape[0])), A @ A])  # the even ones
    d6 = _estimated(powers[1], 3) ** (1 / 6)
    if fits(3, max(_estimated(powers[1], 2) ** (1 / 4), d6)):
        return _pade(A, powers, 3, 0, ring), 0, ring
    ring, (A, *powers) = _dense_if_full(ring, [A, *powers, powers[1] @ powers[1]])
    if fits(5, max(ring.norm(powers[2]) ** (1 / 4), d6)):
        return _pade(A, powers, 5, 0, ring), 0, ring
    ring, (A, *powers) = _dense_if_full(ring, [A, *powers, powers[1] @ powers[2]])
    d8 = _estimated(powers[2], 2) ** (1 / 8)
    eta = max(ring.norm(powers[3]) ** (1 / 6), d8)
    for m in degrees[2:4]:
        if fits(m, eta):
            powers += [powers[2] @ powers[2]] if m == 9 else []
            return _pade(A, powers, m, 0, ring), 0, ring
    m = degrees[-1]
    if m == 13:
        eta = min(eta, max(d8, _estimated((powers[2], powers[3])) ** (1 / 10)))
    limit = thresholds.pade(m, u)
    if not math.isfinite(eta):
        raise OverflowError(f"powers of A overflow {ring.dtype}; scale A, or give it a wider dtype")
    s = 0 if eta <= limit else math.ceil(math.log2(eta / limit))
    s += excess(m, s)
    return _pade(A, powers, m, s, ring), s, ring


def _pade(A: Any, powers: list[Any], m: int, s: int, ring: Any) -> Any:
    """The [m/m] approximant at 2^-s A, from the even powers of A."""
    b = [float(c) for c in thresholds.pade_coefficients(m)]
    A = A * 2.0**-s
    even = [P * 4.0 ** (-s * k) for k, P in enumerate(powers)]
    if m == 13:
        high = even[1:4]
        U = A @ (even[3] @ _combined(b[9::2], high) + _combined(b[1:9:2], even))
        V = even[3] @ _combined(b[8::2], high) + _combined(b[0:8:2], even)
    else:
        U, V = A @ _combined(b[1::2], even), _combined(b[0::2], even)
    return ring.solve(V - U, V + U)


def _combined(coefficients: list[float], powers: list[Any]) -> Any:
    total = powers[0] * coefficients[0]
    for c, P in zip(coefficients[1:], powers[1:], strict=False):
        total = total + P * c
    return total


def _estimated(A: Any, power: int = 1) -> float:
    """An estimate of the 1-norm of A^power, or of the product of a tuple of matrices."""
    factors = A if isinstance(A, tuple) else (A,) * power
    pairs = [products(F) for F in factors]

    def apply(X: Any) -> Any:
        for forward, _ in reversed(pairs):
            X = forward(X)
        return X

    def adjoint(X: Any) -> Any:
        for _, backward in pairs:
            X = backward(X)
        return X

    return float(estimate(apply, adjoint, factors[0].shape[0])[0])


def _excess(A: Any, ring: Any, u: float) -> Any:
    """The function (m, s) -> how many more times 2^-s A has to be halved for rounding errors in r_m to stay small."""
    _, transposed_product = products(abs(A))
    size = ring.norm(A)

    def excess(m: int, s: int) -> int:
        v, log_norm = np.ones((A.shape[0], 1)), 0.0  # log2 of |(|A|^(2m + 1))|, which may not fit a number
        for _ in range(2 * m + 1):
            v = np.asarray(transposed_product(v), np.float64)
            largest = float(v.max())
            if largest == 0:
                return 0
            v, log_norm = v / largest, log_norm + math.log2(largest)
        log_c = -2 * math.log2(thresholds.pade_coefficients(m)[0]) - math.log2(2 * m + 1)
        return max(math.ceil((log_norm - math.log2(size) + log_c - math.log2(u)) / (2 * m)) - s, 0)

    return excess
