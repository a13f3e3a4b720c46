"""Orders of elimination."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import _dense

MINIMUM_DEGREE = np.zeros(0, np.int32)  # an empty permutation, which the native layer fills
# A permutation, or what finds one: (indptr, indices) -> permutation.
Order = np.ndarray | Callable[[np.ndarray, np.ndarray], np.ndarray]


def order_of(ordering: Any, n: int) -> Order:
    """Of the name of an ordering, or of a permutation of n rows."""
    if isinstance(ordering, str):
        if ordering not in ORDERINGS:
            raise ValueError(f"ordering must be one of {', '.join(ORDERINGS)} or a permutation; got {ordering!r}")
        found = ORDERINGS[ordering]
        return np.arange(n, dtype=np.int32) if found is None else found
    given = _dense.as_dense(ordering)
    given = _dense.view(given) if _dense.is_mlx(given) else np.asarray(given)
    if given.shape != (n,) or given.dtype.kind not in "iu" or not np.array_equal(np.sort(given), np.arange(n)):
        raise ValueError(f"ordering is no permutation of {n} rows: it must hold 0 to {n - 1} once each")
    return given.astype(np.int32)


def nested_dissection(indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """METIS's order for a symmetric structure.

    Raises
    ------
    ImportError
        The package `pymetis` is not installed.
    """
    try:
        import pymetis
    except ImportError as error:
        raise ImportError('ordering="metis" needs METIS: pip install pymetis. ordering="amd" needs nothing') from error
    n = indptr.size - 1
    major = np.repeat(np.arange(n, dtype=np.int32), np.diff(indptr))
    edges = indices != major
    if not edges.any():
        return np.arange(n, dtype=np.int32)
    start = np.concatenate([[0], np.cumsum(np.bincount(major[edges], minlength=n))])
    order, _ = pymetis.nested_dissection(pymetis.CSRAdjacency(start, indices[edges].astype(start.dtype)))
    return np.asarray(order, np.int32)


ORDERINGS: dict[str, Any] = {"amd": MINIMUM_DEGREE, "natural": None, "metis": nested_dissection}
