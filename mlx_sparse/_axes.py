"""Functions that rearrange the axes of a sparse array of any rank."""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx
import numpy as np

from ._base import as_sparse

__all__ = ["expand_dims", "matrix_transpose", "permute_dims", "swapaxes"]


def expand_dims(A: Any, /, *, axis: int = 0) -> Any:
    """`A` in coo format with a new axis of length 1 at position `axis`.

    Raises
    ------
    ValueError
        `axis` is not an integer or outside [-ndim - 1, ndim].

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.expand_dims(sp.csr_array([[1, 0], [2, 0]]), axis=1).shape
    (2, 1, 2)
    """
    A = as_sparse(A)
    try:
        at = operator.index(axis)
    except TypeError:
        raise ValueError(f"Invalid axis {axis}. Must be an integer.") from None
    if not -A.ndim - 1 <= at <= A.ndim:
        raise ValueError(f"Invalid axis {axis} for N={A.ndim}. Must be in [-N-1, N].")
    at += (A.ndim + 1) * (at < 0)
    coo = A.tocoo(copy=True)
    coords = coo._coords[:at] + (mx.zeros_like(coo._coords[0]),) + coo._coords[at:]
    shape = coo.shape[:at] + (1,) + coo.shape[at:]
    if len(shape) > 2:
        coords = tuple(c.astype(mx.int64) for c in coords)
    return coo._from_parts(coo._data, coords, shape, coo.has_canonical_format)


def swapaxes(A: Any, axis1: int, axis2: int) -> Any:
    """`A` in coo format with two axes exchanged.

    Raises
    ------
    ValueError
        An axis out of range.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.swapaxes(sp.coo_array((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    A = as_sparse(A)
    axes = np.arange(A.ndim)
    try:
        axes[[axis1, axis2]] = axes[[axis2, axis1]]
    except IndexError:
        raise ValueError(f"Invalid axis: {axis1} or {axis2} is out of bounds for ndim={A.ndim}") from None
    return permute_dims(A, tuple(axes.tolist()), copy=True)


def matrix_transpose(A: Any) -> Any:
    """`A` with its last two axes exchanged: ``A.mT``. With SciPy, since 1.18.

    Raises
    ------
    ValueError
        `A` has fewer than two dimensions.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.matrix_transpose(sp.coo_array((2, 3, 4))).shape
    (2, 4, 3)
    """
    return as_sparse(A).mT


def permute_dims(A: Any, axes: Any = None, copy: bool = False) -> Any:
    """`A` with its axes in the order `axes` (default: reversed), in coo format unless nothing moves.

    Raises
    ------
    ValueError
        `axes` is not a permutation of the axes.
    TypeError
        An axis is not an integer.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.permute_dims(sp.coo_array((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    A = as_sparse(A)
    if axes is None:
        axes = tuple(range(A.ndim)[::-1])
    elif len(axes) != A.ndim:
        raise ValueError(f"Incorrect number of axes: {len(axes)} instead of {A.ndim}")
    if not isinstance(axes, (tuple, list)):
        raise TypeError(f"axis must be an integer/tuple of ints, not {type(axes)}")
    order = []
    for axis in axes:
        try:
            at = operator.index(axis)
        except TypeError:
            raise TypeError(f"axis must be an integer. (given {axis})") from None
        if not -A.ndim <= at < A.ndim:
            raise ValueError(f"axis out of range for ndim={A.ndim}; got {axis}")
        order.append(at % A.ndim)
    if len(set(order)) != len(order):
        raise ValueError(f"duplicate value in axis; got {axes}")
    if order == list(range(A.ndim)):
        return A.copy() if copy else A
    return A.tocoo(copy=copy).transpose(order)
