"""The points of many clouds in one array, cloud after cloud: making such a batch, and choosing from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native
from ._checks import check_range, index_array, is_traced, to_mlx
from ._distances import gather
from ._segment_forms import offsets_to_lengths, offsets_to_segment_ids


class _Ragged:
    """Storage. Points of cloud i stand at ``offsets[i]:offsets[i + 1]``."""

    _positions: mx.array
    _features: mx.array | None
    _offsets: mx.array
    _ends: np.ndarray | None  # the offsets on the host, once they have been read
    _order: mx.array | None = None

    def _set(self, positions: Any, features: Any) -> None:
        self._positions = floats("positions", positions)
        if self._positions.ndim != 2:
            raise ValueError(f"positions must have shape (points, dimensions); got {tuple(self._positions.shape)}")
        self._features = None if features is None else self._per_point("features", features)

    def _set_lengths(self, lengths: np.ndarray) -> None:
        self._ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._offsets = _dense.to_index(self._ends, _dtypes.index_dtype(maxval=self.total_points), "offsets")

    def _per_point(self, name: str, values: Any) -> mx.array:
        values = to_mlx(values)
        if values.ndim == 0 or values.shape[0] != self.total_points:
            raise ValueError(f"{name} must have a row for each of {self.total_points} points; got {values.shape}")
        return values

    @classmethod
    def _from_parts(cls, positions: mx.array, features: mx.array | None, lengths: np.ndarray) -> Any:
        """A batch over these arrays, unchecked."""
        new = cls.__new__(cls)
        new._positions, new._features = positions, features
        new._set_lengths(lengths)
        new._bind()
        return new

    def _bind(self) -> None:
        """Evaluate what any thread may use. Positions and features may be pending."""
        _native.settle([self._offsets] if self._order is None else [self._offsets, self._order])

    def _host(self) -> np.ndarray:
        """Offsets on the host. Synchronises the first time."""
        if self._ends is None:
            if is_traced(self._offsets):
                raise ValueError("the clouds' lengths are traced and have no values yet; make the batch outside")
            self._ends = _dense.view(self._offsets).astype(np.int64)
        return self._ends

    # ---- making ------------------------------------------------------------------------------------------------

    @classmethod
    def from_list(cls, clouds: Sequence[Any], features: Sequence[Any] | None = None) -> Any:
        """A batch of the clouds in a list.

        Parameters
        ----------
        clouds : sequence of array_like, shapes (n_i, D)
            Positions of each cloud; at least one cloud, all of one D and dtype.
        features : sequence of array_like, shapes (n_i, ...), optional
            Features of each cloud.

        Raises
        ------
        ValueError
            No clouds, shapes that do not fit each other.

        Examples
        --------
        >>> import mlx.core as mx
        >>> from mlx_sparse.indexed import PointCloudBatch
        >>> PointCloudBatch.from_list([mx.zeros((2, 3)), mx.ones((5, 3))])
        <PointCloudBatch of 2 clouds: 7 points in 3 dimensions, float32>
        """
        parts = [floats(f"clouds[{i}]", c) for i, c in enumerate(clouds)]
        if not parts:
            raise ValueError("clouds is empty, which leaves the number of dimensions open")
        for i, part in enumerate(parts):
            if part.ndim != 2 or part.shape[1] != parts[0].shape[-1]:
                raise ValueError(f"clouds[{i}] must have shape (points, {parts[0].shape[-1]}); got {part.shape}")
        attached = None
        if features is not None:
            attached = [to_mlx(f) for f in features]
            if len(attached) != len(parts):
                raise ValueError(f"features must be as many as clouds, {len(parts)}; got {len(attached)}")
            for i, (part, values) in enumerate(zip(parts, attached, strict=True)):
                if values.shape[:1] != part.shape[:1] or values.shape[1:] != attached[0].shape[1:]:
                    raise ValueError(f"features[{i}] does not fit its {part.shape[0]} points; got {values.shape}")
        lengths = np.array([p.shape[0] for p in parts])
        return cls._from_parts(
            joined("clouds", parts), None if attached is None else joined("features", attached), lengths
        )

    @classmethod
    def from_dense(cls, dense: Any, lengths: Any = None, mask: Any = None, features: Any = None) -> Any:
        """The batch that a padded array holds. Reads `lengths` or `mask` (synchronises).

        Parameters
        ----------
        dense : array_like, shape (B, L, D)
            Positions.
        lengths : array_like of int, shape (B,), optional
            The first so many rows of each cloud are points.
        mask : array_like of bool, shape (B, L), optional
            Which rows are points, instead of `lengths`. Without either all are.
        features : array_like, shape (B, L, ...), optional
            Padded in the same way.

        Raises
        ------
        ValueError
            Shapes that do not fit; a length outside [0, L]; `lengths` and `mask` both given.
        """
        dense = floats("dense", dense)
        if dense.ndim != 3:
            raise ValueError(f"dense must have shape (clouds, points, dimensions); got {tuple(dense.shape)}")
        B, L, D = dense.shape
        if lengths is not None and mask is not None:
            raise ValueError("lengths and mask say the same; give one of them")
        if mask is not None:
            inside = np.asarray(_dense.view(mask) if _dense.is_mlx(mask) else mask)
            if inside.shape != (B, L) or inside.dtype != np.bool_:
                raise ValueError(f"mask must be boolean with shape {(B, L)}; got {inside.dtype} {inside.shape}")
        elif lengths is not None:
            counts = _dense.view(index_array("lengths", lengths, B))
            if ((counts < 0) | (counts > L)).any():
                raise ValueError(f"lengths must be in [0, {L}]; got {counts.min()} to {counts.max()}")
            inside = np.arange(L) < counts[:, None]
        else:
            inside = np.ones((B, L), np.bool_)
        if features is not None:
            features = to_mlx(features)
            if features.shape[:2] != (B, L):
                raise ValueError(f"features must have shape ({B}, {L}, ...); got {tuple(features.shape)}")
            features = features.reshape(B * L, *features.shape[2:])
        rows = np.flatnonzero(inside)
        return cls._from_parts(
            take(dense.reshape(B * L, D), rows), None if features is None else take(features, rows), inside.sum(1)
        )

    @classmethod
    def concatenate(cls, batches: Sequence[Any]) -> Any:
        """The clouds of all `batches`, in order; all have features or none has."""
        batches = list(batches)
        if not batches:
            raise ValueError("batches is empty")
        if len({b.positions.shape[1] for b in batches}) > 1:
            raise ValueError(f"batches differ in dimensions: {[b.positions.shape[1] for b in batches]}")
        featured = [b.features for b in batches if b.features is not None]
        if featured and len(featured) < len(batches) or len({f.shape[1:] for f in featured}) > 1:
            raise ValueError("batches must all have features of one shape, or none")
        lengths = np.concatenate([np.diff(b._host()) for b in batches])
        positions = joined("batches", [b.positions for b in batches])
        return cls._from_parts(positions, joined("features", featured) if featured else None, lengths)

    def with_positions(self, positions: Any) -> Any:
        """The same clouds with other positions (T, D'), which may be traced; nothing is read."""
        return self._replace(self._per_point("positions", floats("positions", positions)), self._features)

    def with_features(self, features: Any) -> Any:
        """The same clouds with other features (T, ...), which may be traced, or None; nothing is read."""
        return self._replace(self._positions, None if features is None else self._per_point("features", features))

    def _replace(self, positions: mx.array, features: mx.array | None) -> Any:
        if positions.ndim != 2:
            raise ValueError(f"positions must have shape (points, dimensions); got {tuple(positions.shape)}")
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._positions, new._features = positions, features
        return new

    # ---- what it is --------------------------------------------------------------------------------------------

    @property
    def positions(self) -> mx.array:
        """Positions of all points, shape (T, D)."""
        return _native.handle(self._positions)

    @property
    def features(self) -> mx.array | None:
        """Features of all points, shape (T, ...), if there are any."""
        return None if self._features is None else _native.handle(self._features)

    @property
    def lengths(self) -> mx.array:
        """Points in each cloud, shape (B,). Lazy."""
        return offsets_to_lengths(self._offsets)

    @property
    def offsets(self) -> mx.array:
        """Where each cloud begins, and the end, shape (B + 1,)."""
        return _native.handle(self._offsets)

    @property
    def indices(self) -> mx.array:
        """Cloud of each point, shape (T,), ascending. Lazy."""
        return offsets_to_segment_ids(self._offsets, total=self.total_points)

    @property
    def batch_size(self) -> int:
        """Number of clouds, B."""
        return self._offsets.shape[0] - 1

    @property
    def total_points(self) -> int:
        """Number of points in all clouds, T."""
        return self._positions.shape[0]

    def as_lengths(self) -> mx.array:
        """Points in each cloud; as `lengths`."""
        return self.lengths

    def __len__(self) -> int:
        return self.batch_size

    def __repr__(self) -> str:
        extra = "" if self._features is None else f", features {tuple(self._features.shape)}"
        dtype = str(self._positions.dtype).removeprefix("mlx.core.")
        return (
            f"<{type(self).__name__} of {self.batch_size} clouds: {self.total_points} points in "
            f"{self._positions.shape[1]} dimensions{extra}, {dtype}>"
        )

    # ---- choosing ----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        """Each cloud as a batch of one."""
        return (self[i] for i in range(self.batch_size))

    def __getitem__(self, key: Any) -> Any:
        """A batch of the clouds that an integer, a slice, integers or a boolean mask choose. Reads the offsets.

        Consecutive clouds are slices of the arrays; others are gathered. Points keep their order in each cloud.
        """
        if _dense.is_mlx(key):
            key = _dense.view(key)
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.size == 0 and key.dtype.kind == "f":
                key = key.astype(np.int64)
            if key.dtype.kind not in "iub" or key.ndim > 1 or key.ndim == 0 and key.dtype.kind == "b":
                raise IndexError(f"clouds are chosen by integers, slices or a mask; got {key.dtype} of rank {key.ndim}")
        clouds = np.atleast_1d(np.arange(self.batch_size)[key])  # NumPy's rules, and its IndexError
        ends = self._host()
        lengths = np.diff(ends)[clouds]
        if len(clouds) and np.array_equal(clouds, np.arange(clouds[0], clouds[0] + len(clouds))):
            part = slice(int(ends[clouds[0]]), int(ends[clouds[-1] + 1]))
            features = None if self._features is None else self._features[part]
            return self._from_parts(self._positions[part], features, lengths)
        rows = np.repeat(ends[clouds] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        features = None if self._features is None else take(self._features, rows)
        return self._from_parts(take(self._positions, rows), features, lengths)

    def get_points(self, i: int) -> mx.array:
        """Positions of cloud `i`, shape (n_i, D). Reads the offsets."""
        ends, i = self._host(), range(self.batch_size)[i]
        return self._positions[int(ends[i]) : int(ends[i + 1])]

    def gather_by_index(self, idx: Any) -> mx.array:
        """Positions of the points `idx` (K,) of the whole batch, shape (K, D).

        Raises
        ------
        ValueError
            An index outside [0, T). Traced indices are not checked.
        """
        idx = index_array("idx", idx)
        if not is_traced(idx):
            return gather(self._positions, check_range("idx", idx, self.total_points))
        return gather(self._positions, mx.clip(idx, 0, max(self.total_points - 1, 0)))


def floats(name: str, x: Any) -> mx.array:
    x = to_mlx(x)
    if x.dtype == mx.complex64:
        raise TypeError(f"{name} must be real; got complex64")
    return x.astype(_dtypes.default_float()) if _dtypes.is_integral(x.dtype) else x


def row_index(rows: np.ndarray) -> mx.array:
    return _dense.to_index(rows, _dtypes.index_dtype(maxval=int(rows.max(initial=0))), "rows")


def take(x: mx.array, rows: np.ndarray) -> mx.array:
    """Rows of `x`, also none of none."""
    return gather(x, row_index(rows)) if len(rows) else mx.zeros((0, *x.shape[1:]), dtype=x.dtype)


def joined(name: str, parts: list[mx.array]) -> mx.array:
    if len({p.dtype for p in parts}) > 1:
        raise TypeError(f"{name} must have one dtype; got {', '.join(sorted({str(p.dtype) for p in parts}))}")
    return mx.concatenate(parts)
