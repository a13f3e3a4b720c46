"""The Laplacian of a grid."""

from __future__ import annotations

import math
import operator
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes
from .._dia import dia_array
from .._shape import is_shape
from ._interface import LinearOperator

_CONDITIONS = ("dirichlet", "neumann", "periodic")


class LaplacianNd(LinearOperator):
    """The Laplacian of a uniform grid in any number of dimensions, by second differences with steps of 1.

    Parameters
    ----------
    grid_shape : tuple of int
        Points along each dimension; N is their product.
    boundary_conditions : {"neumann", "dirichlet", "periodic"}
        What stands beyond the ends of each dimension: the point at the end, zero, or the point at the other end.
    dtype : dtype
        Of `toarray` and `tosparse`. Products have that of their operand.

    Raises
    ------
    ValueError
        Unknown `boundary_conditions`, or `grid_shape` is no tuple of integers.

    Notes
    -----
    The matrix, of shape (N, N), is real, symmetric and negative semidefinite, with integers as entries. Products need
    no matrix; those with an `mx.array` are lazy and differentiable. Eigenvalues and eigenvectors are those of
    G. Strang, The Discrete Cosine Transform, SIAM Review 41 (1999).

    Examples
    --------
    >>> from mlx_sparse.linalg import LaplacianNd
    >>> L = LaplacianNd((4,), boundary_conditions="dirichlet")
    >>> L.toarray()
    array([[-2,  1,  0,  0],
           [ 1, -2,  1,  0],
           [ 0,  1, -2,  1],
           [ 0,  0,  1, -2]], dtype=int8)
    >>> L @ [0.0, 1.0, 4.0, 9.0]
    array([  1.,   2.,   2., -14.])
    >>> L.eigenvalues(2)
    array([-1.38197, -0.381966], dtype=float64)

    Differences from SciPy
    ----------------------
    Along an axis of one point, `toarray` and `tosparse` agree with the products and the eigenvalues. The largest
    eigenvalues of a grid with axes shorter than `m` are eigenvalues. Of equal eigenvalues the eigenvectors may come in
    another order.
    """

    def __init__(self, grid_shape: Any, *, boundary_conditions: str = "neumann", dtype: Any = np.int8) -> None:
        if boundary_conditions not in _CONDITIONS:
            raise ValueError(
                f"Unknown value {boundary_conditions!r} is given for 'boundary_conditions' parameter. "
                "The valid options are 'dirichlet', 'periodic', and 'neumann' (default)."
            )
        if not is_shape(tuple(grid_shape), range(1, 32)):  # type: ignore[arg-type]
            raise ValueError(f"grid_shape must be a tuple of integers; got {grid_shape!r}")
        self.grid_shape, self.boundary_conditions, self.args = tuple(map(int, grid_shape)), boundary_conditions, ()
        n = math.prod(self.grid_shape)
        super().__init__(dtype, (n, n))

    # ---- products ----------------------------------------------------------------------------------------------

    def _matmat(self, X: Any) -> Any:
        join: Any = mx.concatenate if _dense.is_mlx(X) else np.concatenate
        grid = X.reshape((*X.shape[:-2], *self.grid_shape, X.shape[-1]))
        if _dtypes.numpy_dtype(X.dtype).kind == "b":
            grid = grid * 1
        total: Any = 0
        for axis in range(X.ndim - 2, grid.ndim - 1):
            before = (slice(None),) * axis
            first, last = grid[(*before, slice(1))], grid[(*before, slice(-1, None))]
            if self.boundary_conditions == "dirichlet":
                below = above = first * 0
            else:
                below, above = (last, first) if self.boundary_conditions == "periodic" else (first, last)
            total = join([below, grid[(*before, slice(-1))]], axis) + total
            total += join([grid[(*before, slice(1, None))], above], axis)
        total -= grid * (2 * len(self.grid_shape))
        return total.reshape(X.shape)

    _rmatmat = _matmat

    def _matvec(self, x: Any) -> Any:
        return self._matmat(x[..., None])[..., 0]

    _rmatvec = _matvec

    def _adjoint(self) -> LaplacianNd:
        return self

    _transpose = _adjoint

    # ---- the matrix --------------------------------------------------------------------------------------------

    def tosparse(self) -> Any:
        """The matrix: a dia array for one dimension, else a csr array."""
        n, stride = self.shape[0], self.shape[0]
        diagonals = {0: np.full(self.grid_shape, -2 * len(self.grid_shape), np.int8)}  # by column, as dia keeps them
        for axis, d in enumerate(self.grid_shape):
            stride //= max(d, 1)
            at = np.arange(d).reshape((d,) + (1,) * (len(self.grid_shape) - axis - 1))
            ends = {"dirichlet": None, "neumann": 0, "periodic": stride * (d - 1)}[self.boundary_conditions]
            places = [(stride, at > 0), (-stride, at < d - 1)]
            if ends is not None:
                places += [(ends, at == d - 1), (-ends, at == 0)]
            for offset, here in places:
                if here.any():
                    diagonals.setdefault(offset, np.zeros(self.grid_shape, np.int8))
                    diagonals[offset] += here
        offsets = sorted(diagonals)
        L = dia_array((np.stack([diagonals[k].ravel() for k in offsets]), offsets), shape=(n, n))
        return (L if len(self.grid_shape) == 1 else L.tocsr()).astype(self.dtype)

    def toarray(self) -> np.ndarray:
        """The matrix as an ndarray, of shape (N, N)."""
        return self.tosparse().toarray()

    # ---- eigenvalues and eigenvectors ---------------------------------------------------------------------------

    def eigenvalues(self, m: int | None = None) -> Any:
        """The `m` largest eigenvalues, those of least magnitude, in ascending order; by default all of them.

        Parameters
        ----------
        m : int, optional
            Not negative.

        Returns
        -------
        mx.array (ndarray in numpy mode), shape (m,)
            In double precision where the default device has it.
        """
        return _dense.in_namespace(_dense.to_mlx(self._largest(m)[0]))

    def eigenvectors(self, m: int | None = None) -> Any:
        """Orthonormal eigenvectors of `eigenvalues(m)`, as columns.

        Parameters
        ----------
        m : int, optional
            Not negative.

        Returns
        -------
        mx.array (ndarray in numpy mode), shape (N, m)
        """
        found, indices = self._largest(m)
        V = np.ones((1, len(found)))
        for d, j in zip(self.grid_shape, indices, strict=True):
            V = (V[:, None] * self._along(d, j)).reshape(len(V) * d, len(found))
        return _dense.in_namespace(_dense.to_mlx(V))

    def _largest(self, m: int | None) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The m largest eigenvalues in ascending order, and for each axis which ones of its own they are made of."""
        m = self.shape[0] if m is None else operator.index(m)
        if m < 0:
            raise ValueError(f"m must not be negative; got {m}")
        least = [min(d, m) for d in self.grid_shape]  # along an axis they descend
        total = np.zeros(least)
        for j, d in zip(np.indices(least, sparse=True), self.grid_shape, strict=True):
            total = total - 4 * np.sin(self._angles(d, j)) ** 2
        order = np.argsort(-total.ravel(), kind="stable")[:m][::-1]
        return total.ravel()[order], np.unravel_index(order, least)

    def _angles(self, d: int, j: np.ndarray) -> np.ndarray:
        """a, of the eigenvalues -4 sin^2 a number j of an axis of d points."""
        if self.boundary_conditions == "dirichlet":
            return np.pi * (j + 1) / (2 * (d + 1))
        if self.boundary_conditions == "neumann":
            return np.pi * j / (2 * d)
        return np.pi * ((j + 1) // 2) / d

    def _along(self, d: int, j: np.ndarray) -> np.ndarray:
        """Eigenvectors number j of an axis of d points, as columns."""
        if self.boundary_conditions == "dirichlet":
            wave = np.sin(2 * self._angles(d, j) * np.arange(1, d + 1)[:, None])
        else:
            phase = 2 * self._angles(d, j) * (np.arange(d)[:, None] + 0.5)
            odd = (j % 2 == 1) & (self.boundary_conditions == "periodic")
            wave = np.where(odd, np.sin(phase), np.cos(phase))
        wave[np.abs(wave) < np.finfo(np.float64).eps * d] = 0  # by symmetry
        return wave / np.linalg.norm(wave, axis=0)
