"""Preconditioners that scale: by numbers, and by small blocks."""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.linalg import LinAlgError

from ... import _dense, _dtypes
from ..._base import issparse
from ..._bsr import bsr_array
from .._operator import Stage, as_operator
from .._problem import float_dtype, refuse_traced, require_square
from ._base import Preconditioner, Product, bound, check_diagonal, constants, diagonal_of, matrix, real_number


class _Scaling(Preconditioner):
    """x -> s x, element by element."""

    def __init__(self, kind: str, scale: np.ndarray) -> None:
        super().__init__(kind, len(scale), scale.dtype, not np.iscomplexobj(scale) or not scale.imag.any())
        self._scale = scale

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        s = constants(self._scale.conj() if adjoint else self._scale, lazy, dtype)
        column = s[:, None]
        return lambda x: s * x if x.ndim == 1 else column * x

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        return [("diagonal", [constants(self._scale.conj() if adjoint else self._scale, True, dtype)])]


class _Identity(Preconditioner):
    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        return lambda x: x

    def _followed(self, x: Any, adjoint: bool) -> Any:
        y = super()._followed(x, adjoint)
        return y.copy() if isinstance(y, np.ndarray) else y

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        return []


def identity(A: Any, *, dtype: Any = None) -> Preconditioner:
    """No preconditioner at all, where one is asked for.

    Parameters
    ----------
    A : sparse array, operator, shape (n, n), or int
        Anything with a shape, the shape itself, or n.
    dtype : dtype, optional
        NumPy's dtype. Default: that of `A`, or float64.

    Returns
    -------
    Preconditioner

    Raises
    ------
    ValueError
        The shape is not square.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> sp.linalg.preconditioners.identity(2) @ np.array([1.0, 2.0])
    array([1., 2.])
    """
    shape = tuple(getattr(A, "shape", None) or ((A, A) if np.ndim(A) == 0 else A))
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"expected a square matrix, but got shape {shape}")
    dtype = getattr(A, "dtype", None) if dtype is None else dtype
    dtype = np.dtype(np.float64) if dtype is None else float_dtype(_dtypes.numpy_dtype(dtype))
    return _Identity("identity", operator.index(shape[0]), dtype, True)


def diagonal(d: Any, *, inverse: bool = False) -> Preconditioner:
    """Division by numbers, one for each unknown.

    Parameters
    ----------
    d : ndarray, mx.array or list, shape (n,)
    inverse : bool
        Whether `d` are the inverses already, with which vectors are multiplied.

    Returns
    -------
    Preconditioner
        Hermitian if `d` is real.

    Raises
    ------
    LinAlgError
        `d` holds a zero and `inverse` is False, or it holds nan or inf; names the row.
    ValueError
        `d` is not one-dimensional, or traced.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> sp.linalg.preconditioners.diagonal([2.0, 4.0]) @ np.array([1.0, 1.0])
    array([0.5 , 0.25])
    """
    if issparse(d):
        raise TypeError("d must be a dense vector; give A.diagonal()")
    d = _dense.as_dense(d)
    refuse_traced(d, "a preconditioner made of it")
    d = np.array(_dense.view(d) if _dense.is_mlx(d) else d)
    if d.ndim != 1:
        raise ValueError(f"d must have shape (n,); got {d.shape}")
    d = d.astype(float_dtype(d.dtype), copy=False)
    check_diagonal(d, -1.0 if inverse else 0.0)
    return _Scaling("diagonal", d if inverse else 1 / d)


def jacobi(A: Any, *, omega: float = 1.0, shift: float = 0.0, zero_policy: str = "raise") -> Preconditioner:
    """Division by the diagonal of a matrix: ``omega * D**-1``.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
    omega : float
        Damping.
    shift : float
        Added to the diagonal.
    zero_policy : {"raise", "unit"}
        What a zero on the diagonal is: an error, or a one.

    Returns
    -------
    Preconditioner
        Hermitian if the diagonal is real.

    Raises
    ------
    LinAlgError
        The diagonal holds a zero, nan or inf; names the row.
    ValueError
        `A` is not square, or its values are traced; or a bad option.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0], [1.0, 2.0]])
    >>> x, info = sp.linalg.cg(A, np.array([5.0, 3.0]), M=sp.linalg.preconditioners.jacobi(A))
    >>> x.round(6)
    array([1., 1.])
    """
    if zero_policy not in ("raise", "unit"):
        raise ValueError(f"zero_policy must be 'raise' or 'unit'; got {zero_policy!r}")
    omega, shift = real_number(omega, "omega"), real_number(shift, "shift")
    if omega == 0:
        raise ValueError("omega must not be zero")
    d = diagonal_of(matrix(A, "a preconditioner made of it"), shift)
    if zero_policy == "unit":
        d[d == 0] = 1
    check_diagonal(d)
    return _Scaling("jacobi", (omega / d).astype(d.dtype))


class _Blocks(Preconditioner):
    """Products with a sparse array of blocks."""

    def __init__(self, B: Any, n: int, is_hermitian: bool) -> None:
        super().__init__("block_jacobi", n, B.dtype, is_hermitian)
        self._blocks = B

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        front = as_operator(self._blocks)
        return bound(front.H if adjoint else front, lazy, dtype)

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        front = as_operator(self._blocks)
        return (front.H if adjoint else front).stages(dtype)


def block_jacobi(A: Any, block_size: int | None = None) -> Preconditioner:
    """Products with the inverses of the blocks along the diagonal of a matrix.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
    block_size : int, optional
        Rows of a block; the last one may be smaller. Default: that of a bsr array with square blocks, else 4.

    Returns
    -------
    Preconditioner
        Hermitian if the blocks are.

    Raises
    ------
    LinAlgError
        A block is singular to working precision; names its first row.
    ValueError
        `A` is not square, or its values are traced; or `block_size` is not positive.

    Notes
    -----
    O(n block_size^2) for the inverses and O(n block_size) for each product, one of a bsr array where `block_size`
    divides n. A bsr array of systems of equations on a grid, block by block, gains most.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.5, 4.0]])
    >>> sp.linalg.preconditioners.block_jacobi(A, 2) @ np.array([3.0, 3.0, 4.0])
    array([1., 1., 1.])
    """
    require_square(A)
    if block_size is None:
        shape = getattr(A, "blocksize", (4, 4)) if issparse(A) and A.format == "bsr" else (4, 4)
        block_size = shape[0] if shape[0] == shape[1] else 4
    s = operator.index(block_size)
    if s < 1:
        raise ValueError(f"block_size must be positive; got {block_size!r}")
    A = matrix(A, "a preconditioner made of it")
    n = A.shape[0]
    s = max(1, min(s, n))
    count = -(-n // s)
    blocks = _diagonal_blocks(A, s, count)
    inverses = _inverted(blocks, s)
    is_hermitian = bool((blocks == blocks.conj().swapaxes(1, 2)).all())
    if is_hermitian:  # to the last digit
        inverses = (inverses + inverses.conj().swapaxes(1, 2)) / 2
    places = np.arange(count + 1, dtype=np.int32)
    B: Any = bsr_array((inverses, places[:-1], places), shape=(count * s, count * s))
    return _Blocks(B if count * s == n else B.tocsr()[:n, :n], n, is_hermitian)


def _diagonal_blocks(A: Any, s: int, count: int) -> np.ndarray:
    """Dense blocks (count, s, s) of a csr array, with ones on the diagonal beyond its end."""
    coo = A.tocoo()
    row, column = (_dense.view(c) for c in coo._coords)
    values = _dense.view(coo._data)
    inside = row // s == column // s
    row, column = row[inside], column[inside]
    blocks = np.zeros((count, s, s), values.dtype)
    blocks[row // s, row % s, column % s] = values[inside]
    beyond = np.arange(A.shape[0] - (count - 1) * s, s) if count else ()
    blocks[-1:, beyond, beyond] = 1
    return blocks


def _inverted(blocks: np.ndarray, s: int) -> np.ndarray:
    """Inverses of blocks that are not singular."""
    if not np.isfinite(blocks).all():
        bad = int((~np.isfinite(blocks)).any(axis=(1, 2)).argmax())
        raise LinAlgError(f"the block from row {bad * s} on is not finite")
    try:
        inverses = np.linalg.inv(blocks)
    except LinAlgError:
        inverses = np.stack([_inverse_or_nan(block) for block in blocks])
    with np.errstate(over="ignore", invalid="ignore"):
        condition = np.abs(blocks).sum(axis=1).max(axis=1) * np.abs(inverses).sum(axis=1).max(axis=1)
    bad = ~(condition * 8 * np.finfo(blocks.dtype).eps < 1)
    if bad.any():
        raise LinAlgError(f"the block from row {int(bad.argmax()) * s} on is singular")
    return inverses


def _inverse_or_nan(block: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(block)
    except LinAlgError:
        return np.full_like(block, np.nan)
