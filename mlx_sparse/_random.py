"""Random sparse arrays."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes
from ._coo import coo_array
from ._kinds import as_matrix
from ._shape import check_shape

__all__ = ["rand", "random", "random_array"]

# Up to here a RandomState permutes all positions, as SciPy's draws do; beyond, only what is drawn is held.
_MOST_PERMUTED = 2**25
_UNSET: Any = object()


def random_array(
    shape: Any,
    *,
    density: float = 0.01,
    format: str | None = "coo",
    dtype: Any = None,
    rng: Any = _UNSET,
    data_sampler: Any = None,
    random_state: Any = _UNSET,
) -> Any:
    """Array with ``round(density * size)`` entries at positions drawn uniformly without replacement.

    Parameters
    ----------
    shape : tuple of int
    density : float in [0, 1]
    format : str, optional
    dtype : dtype, optional
        Default: the default float dtype. Values are uniform on [0, 1), on the unit square for a complex dtype, and over
        the range of an integer one.
    rng : int or numpy.random.Generator, optional
        Passed to `numpy.random.default_rng`. `random_state` is its older name and takes a seed or a
        `numpy.random.RandomState`, or None for NumPy's global one.
    data_sampler : callable, optional
        ``data_sampler(size=k)`` gives k values.

    Raises
    ------
    ValueError
        `density` outside [0, 1].

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.random_array((20, 30, 40), density=0.001, rng=0).nnz
    24
    """
    return _random(shape, density, dtype, _generator(rng, random_state), data_sampler).asformat(format)


def random(
    m: int,
    n: int | None,
    density: float = 0.01,
    format: str | None = "coo",
    dtype: Any = None,
    rng: Any = _UNSET,
    data_rvs: Any = None,
    *,
    random_state: Any = _UNSET,
) -> Any:
    """Sparse matrix of shape (m, n); `random_array` makes arrays.

    Parameters
    ----------
    m, n : int
    density, format, dtype, rng, random_state
        As in `random_array`; a positional `rng` may also be a `numpy.random.RandomState`.
    data_rvs : callable, optional
        ``data_rvs(k)`` gives k values.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.random(4, 5, density=0.25, format="csr", rng=0)
    >>> A.format, A.shape, A.nnz
    ('csr', (4, 5), 5)
    """
    sampler = None if data_rvs is None else lambda size: data_rvs(size)
    shape = (int(m), int(m if n is None else n))
    return as_matrix(_random(shape, density, dtype, _generator(rng, random_state), sampler).asformat(format))


def rand(
    m: int,
    n: int | None,
    density: float = 0.01,
    format: str | None = "coo",
    dtype: Any = None,
    rng: Any = _UNSET,
    *,
    random_state: Any = _UNSET,
) -> Any:
    """Sparse matrix of shape (m, n) with values uniform on [0, 1). See `random`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.rand(4, 5, density=0.25, rng=0).nnz
    5
    """
    return random(m, n, density, format, dtype, rng, random_state=random_state)


def _generator(rng: Any, random_state: Any) -> Any:
    """What the draws come from: `rng` through `default_rng`, `random_state` as NumPy's older functions read it."""
    if rng is not _UNSET and random_state is not _UNSET:
        raise TypeError("got multiple values for `rng`; specify one of `rng` or `random_state`")
    if rng is not _UNSET and not isinstance(rng, np.random.RandomState):
        return np.random.default_rng(rng)
    state = rng if rng is not _UNSET else random_state
    if state is _UNSET or state is None or state is np.random:
        return np.random.mtrand._rand
    if isinstance(state, (int, np.integer)):
        return np.random.RandomState(state)
    if isinstance(state, (np.random.RandomState, np.random.Generator)):
        return state
    raise ValueError(f"'{state}' cannot be used to seed a numpy.random.RandomState instance")


def _random(shape: Any, density: float, dtype: Any, rng: Any, sampler: Any) -> coo_array:
    if not 0 <= density <= 1:
        raise ValueError(f"density expected to be 0 <= density <= 1; got {density}")
    shape = check_shape(shape, coo_array._allow_nd)
    count = int(round(math.prod(shape) * density))
    target = _dtypes.default_float() if dtype is None else _dtypes.mlx_dtype(dtype)
    coords = _positions(rng, shape, count)
    if sampler is not None:
        values = sampler(size=count)
    elif _dtypes.is_integral(target) and target != mx.bool_:
        info = np.iinfo(_dtypes.numpy_dtype(target))
        draw = rng.integers if hasattr(rng, "integers") else rng.randint
        values = draw(info.min, info.max, count, dtype=info.dtype)
    else:
        values = rng.uniform(size=count)
        if _dtypes.is_complex(target):
            values = values + rng.uniform(size=count) * 1j
    data = _dense.to_mlx(values, target)
    if data.shape != (count,):
        raise ValueError(f"the sampler gave an array of shape {tuple(data.shape)} for size {count}")
    index = mx.int64 if len(shape) > 2 else _dtypes.index_dtype(maxval=max(shape))
    return coo_array._from_parts(data, tuple(_dense.to_index(c, index, "coords") for c in coords), shape)


def _positions(rng: Any, shape: tuple[int, ...], count: int) -> tuple[np.ndarray, ...]:
    """Coordinates of `count` distinct positions, in the order of the draws."""
    total = math.prod(shape)
    if total <= np.iinfo(np.int64).max:
        if isinstance(rng, np.random.RandomState) and total > _MOST_PERMUTED:
            rng = np.random.Generator(rng._bit_generator)
        flat = rng.choice(total, size=count, replace=False) if total else np.zeros(0, np.int64)
        return np.unravel_index(flat, shape, order="F")
    draw = rng.integers if hasattr(rng, "integers") else rng.randint
    found = np.zeros((len(shape), 0), np.int64)
    while found.shape[1] < count:  # so sparse that equal draws are rare
        drawn = draw(0, shape, size=(count - found.shape[1], len(shape))).T
        found = np.unique(np.concatenate([found, drawn], axis=1), axis=1)
    return tuple(found)
