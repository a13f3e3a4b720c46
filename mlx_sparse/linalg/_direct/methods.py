"""The ways to solve with a square matrix on the host, and which of them suits a given one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.linalg as _dense_linalg
from numpy.linalg import LinAlgError
from scipy.sparse.linalg import splu

from ... import _dense
from ..._classes import from_scipy
from .hermitian import Analysis, Cholesky
from .indefinite import Indefinite
from .operands import ADJOINT, Parts, lu_solve
from .substitution import Substitution
from .umfpack import Umfpack

# (b, adjoint=False) -> A^-1 b or A^-H b. What nodes of the graph can do has a member `device` too, (A, b) -> x, for the
# factored array A of this package, its values traced perhaps, and an mx.array b of its dtype.
Solve = Callable[..., np.ndarray]
_LEAST = 500  # order from which on Hermitian methods are tried: what they gain on smaller ones goes into trying
# LAPACK is sooner done with all n^2 numbers below this order, if they are at most so many times the entries.
_DENSE_BELOW, _DENSE_SHARE = 200, 50
METHODS = ("auto", "diagonal", "triangular", "banded", "dense", "cholesky", "ldl", "lu", "umfpack")


def factor(host: Parts, method: str = "auto", permc_spec: str | None = None, lu: str = "lu") -> tuple[Solve, str]:
    """Solves with a canonical csr or csc array, and the name of the method that makes them.

    lu: what is taken for "lu" where nothing asks for SuperLU: "lu" or "umfpack".

    Raises
    ------
    LinAlgError
        The matrix has not the form that `method` asks for.
    RuntimeError
        It is singular.
    ValueError
        `method` is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    extent = (0, 0) if method in ("dense", "cholesky", "ldl", "lu", "umfpack") else _extent(host)
    if method == "auto":
        method = "lu" if permc_spec is not None else _choose(host, extent)
        if method == "lu" and permc_spec is None and (found := if_hermitian(host)) is not None:
            return found
        if method == "lu" and permc_spec is None:
            method = lu
    if method in ("diagonal", "triangular"):
        return _Triangle(host, extent, method), method
    if method == "banded":
        return _banded(host, extent), method
    if method == "dense":
        return _full(host), method
    if method == "cholesky":
        return Cholesky(host), method
    if method == "ldl":
        indefinite = Indefinite(host)
        if indefinite.singular:
            raise RuntimeError("A is singular: some of its pivots are zero")
        return indefinite, method
    if method == "umfpack":
        return _columns_solve(host, Umfpack(host.scipy("csc"))), method
    return _columns_solve(host, splu(host.scipy("csc"), permc_spec=permc_spec)), method


def if_hermitian(host: Parts) -> tuple[Solve, str] | None:
    """As `factor`, by Cholesky's method or as L D L^H, of a matrix that is Hermitian, regular and not small."""
    if host.shape[0] < _LEAST:
        return None
    try:
        analysis = Analysis(host)
        analysis.require_hermitian(np.ascontiguousarray(host.data))
    except ValueError:  # of which LinAlgError is one
        return None
    if _may_be_definite(host):
        try:
            return Cholesky(host, analysis), "cholesky"
        except LinAlgError:
            pass
    found = Indefinite(host, analysis)
    return None if found.singular else (found, "ldl")


def _places(host: Parts) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) of each stored entry."""
    major = host.major()
    return (major, host.indices) if host.format == "csr" else (host.indices, major)


def _extent(host: Parts) -> tuple[int, int]:
    """How far the entries reach below and above the diagonal."""
    start, end = host.indptr[:-1], host.indptr[1:]
    major = np.flatnonzero(end > start)
    if major.size == 0:
        return 0, 0
    if major.size < start.size:
        start, end = start[major], end[major]
    after = max(int((host.indices[end - 1] - major).max()), 0)  # indices are sorted
    before = max(int((major - host.indices[start]).max()), 0)
    return (after, before) if host.format == "csc" else (before, after)


def _choose(host: Parts, extent: tuple[int, int]) -> str:
    """What `spsolve` documents. A zero on the diagonal of a triangle is left to LU, which finds it singular."""
    n, (below, above) = host.shape[0], extent
    if below == 0 or above == 0:
        if not host.diagonal().all():
            return "lu"
        return "diagonal" if below == above else "triangular"
    if (2 * below + above + 1) * n <= 3 * host.nnz:
        return "banded"
    return "dense" if n < _DENSE_BELOW and n * n <= _DENSE_SHARE * host.nnz else "lu"


def _may_be_definite(host: Parts) -> bool:
    """Whether the diagonal is positive and no entry larger than those of the diagonal in its row and column allow."""
    d = host.diagonal()
    if not (d.real > 0).all() or d.imag.any():
        return False
    row, col = _places(host)
    size = np.sqrt(d.real)
    return bool((np.abs(host.data) <= size[row] * size[col] * (1 + 1e-5)).all())


class _Triangle:
    """Substitution, which divides by a diagonal too."""

    def __init__(self, host: Parts, extent: tuple[int, int], method: str) -> None:
        below, above = extent
        if min(extent) > 0 or (method == "diagonal" and extent != (0, 0)):
            raise LinAlgError(f"A is not {method}: it has {below} diagonals below the main one and {above} above")
        if not host.diagonal().all():
            raise RuntimeError("A is exactly singular: its diagonal has a zero")
        self._lower, self._held = above == 0, Substitution(from_scipy(host.scipy()), above == 0)

    def __call__(self, b: np.ndarray, adjoint: bool = False) -> np.ndarray:
        return self._held.host(b, "H" if adjoint else "N")

    def device(self, A: Any, b: mx.array) -> mx.array:
        return Substitution(A, self._lower).device(b)


def _banded(host: Parts, extent: tuple[int, int]) -> Solve:
    """LU with partial pivoting within the band (LAPACK's gbtrf), which fills as many diagonals above as lie below."""
    below, above = extent
    row, col = _places(host)
    _dense.expect_on_host((2 * below + above + 1) * host.shape[0] * host.dtype.itemsize)
    band = np.zeros((2 * below + above + 1, host.shape[0]), host.dtype, order="F")
    band[below + above + row - col, col] = host.data
    gbtrf, gbtrs = _lapack(("gbtrf", "gbtrs"), host.dtype)
    lu, pivots, info = gbtrf(band, below, above, overwrite_ab=True)
    if info > 0:
        raise RuntimeError("A is exactly singular")

    def solve(b: np.ndarray, adjoint: bool = False) -> np.ndarray:
        return gbtrs(lu, below, above, b, pivots, trans=2 if adjoint else 0)[0]

    return solve


def _full(host: Parts) -> Solve:
    """LU with partial pivoting of all numbers (LAPACK's getrf)."""
    _dense.expect_on_host(math.prod(host.shape) * host.dtype.itemsize)
    full = np.zeros(host.shape, host.dtype, order="F")
    full[_places(host)] = host.data
    getrf, getrs = _lapack(("getrf", "getrs"), host.dtype)
    lu, pivots, info = getrf(full, overwrite_a=True)
    if info > 0:
        raise RuntimeError("A is exactly singular")
    return lambda b, adjoint=False: getrs(lu, pivots, b, trans=2 if adjoint else 0)[0]


@cache
def _lapack(names: tuple[str, ...], dtype: np.dtype) -> Any:
    return _dense_linalg.get_lapack_funcs(names, dtype=dtype)


def _columns_solve(host: Parts, lu: Any) -> Solve:
    """SuperLU and UMFPACK know columns; a csr array is factored as its transpose."""
    form = "N" if host.format == "csc" else "T"
    return lambda b, adjoint=False: lu_solve(lu, b, ADJOINT[form] if adjoint else form)
