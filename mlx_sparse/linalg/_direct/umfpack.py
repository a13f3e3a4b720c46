"""UMFPACK in SuperLU's place, where the package `scikits.umfpack` is installed."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np

_settings = threading.local()  # as in SciPy: each thread has its own choice


@cache
def _module() -> Any:
    """The package, or None."""
    try:
        from scikits import umfpack
    except ImportError:
        return None
    return umfpack


def use_solver(**kwargs: Any) -> None:
    """Choose between UMFPACK and SuperLU, for `spsolve` and `factorized` in this thread.

    Parameters
    ----------
    useUmfpack : bool, optional
        Default, until this is called: whether the package `scikits.umfpack` is installed.
    assumeSortedIndices : bool, optional
        Ignored: indices are sorted before UMFPACK sees them.

    Raises
    ------
    TypeError
        For any other name.

    Notes
    -----
    Without the package, ``useUmfpack=True`` lets the functions that would use it raise a `RuntimeError`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.linalg.use_solver(useUmfpack=False)
    """
    unknown = set(kwargs) - {"useUmfpack", "assumeSortedIndices"}
    if unknown:
        raise TypeError(f"use_solver takes useUmfpack and assumeSortedIndices; got {', '.join(sorted(unknown))}")
    if "useUmfpack" in kwargs:
        _settings.chosen = bool(kwargs["useUmfpack"])


def umfpack_is_used() -> bool:
    """Whether this thread's double systems go to UMFPACK.

    Raises
    ------
    RuntimeError
        They do by `use_solver`, and the package is not installed.
    """
    chosen = getattr(_settings, "chosen", None)
    if chosen:
        require_umfpack()
    return _module() is not None if chosen is None else chosen


def require_umfpack() -> None:
    if _module() is None:
        raise RuntimeError("scikits.umfpack is not installed: pip install scikit-umfpack, which needs SuiteSparse")


class Umfpack:
    """Factors of a csc array of SciPy's in double precision, as SuperLU's are used. UMFPACK warns of a singular one.

    Raises
    ------
    RuntimeError
        The package is not installed.
    ValueError
        The values are not float64 or complex128.
    """

    def __init__(self, A: Any) -> None:
        require_umfpack()
        if A.dtype.char not in "dD":
            raise ValueError(f"UMFPACK solves in float64 and complex128; the values are {A.dtype}: cast them by astype")
        family = ("d" if A.dtype.char == "d" else "z") + ("i" if A.indices.dtype == np.int32 else "l")
        if A.indptr.dtype != A.indices.dtype:
            A = A.copy()
            A.indptr = A.indptr.astype(A.indices.dtype)
        self._A, self._context = A, _module().UmfpackContext(family)
        self._context.numeric(A)

    def solve(self, b: np.ndarray, trans: str = "N") -> np.ndarray:
        umfpack = _module()
        system = {"N": umfpack.UMFPACK_A, "T": umfpack.UMFPACK_Aat, "H": umfpack.UMFPACK_At}[trans]
        b = np.asarray(b).astype(self._A.dtype, casting="safe", copy=False)
        with np.errstate(divide="ignore", invalid="ignore"):
            if b.ndim == 1:
                return self._context.solve(system, self._A, b)
            columns = [self._context.solve(system, self._A, np.ascontiguousarray(c)) for c in b.T]
        return np.stack(columns, axis=1) if columns else np.zeros_like(b)
