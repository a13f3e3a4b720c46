"""Recorded recurrences of systems: which of them can be replayed natively, and how."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .. import _dtypes, _native, runtime
from .._reduce import totals_along
from ._operator import Operator, _Sparse, by_rows
from ._problem import System
from ._recording import Unrecordable, record


class Recorded(NamedTuple):
    """A program with the operators that it is to be given."""

    recording: Any
    operators: list[Any]
    places: list[int]  # slots of its state


def on_device() -> bool:
    """Whether programs are replayed by shaders: on a GPU, or where the host plays one."""
    return not _dtypes.on_cpu() or runtime.EXECUTOR == "shader"


def recorded(method: Any, system: System) -> Recorded | None:
    """The program of a method for `system`; None where a product needs Python, or a device lacks its precision."""
    if on_device() and not (system.lazy and system.dtype in (mx.float32, mx.complex64)):
        return None
    dtype = _dtypes.mlx_dtype(system.dtype)
    kinds, parts = [], []
    for adjoint in (False, True)[: 1 + method.adjoint]:
        for word, B in (("A", system.A), ("M", system.M), ("M2", system.M2)):
            stages = _stages(B, word == "A", adjoint, dtype)
            if stages is None:
                return None
            kinds.append((word + "H" * adjoint, tuple(kind for kind, _ in stages)))
            parts += [list(arrays) for _, arrays in stages]
    try:
        recording, places = record(method, tuple(kinds), float(np.finfo(_dtypes.numpy_dtype(dtype)).eps))
    except Unrecordable:
        return None
    return Recorded(recording, parts, places)


def _stages(B: Operator | None, entries: bool, adjoint: bool, dtype: Any) -> list[Any] | None:
    """`Operator.stages`; of the one that solutions are sought of, its `entries`."""
    if B is None:
        return []
    B = B.stored() if entries else B
    if entries and not isinstance(B, _Sparse):
        return None
    B = B.H if adjoint else B
    return [("matrix", by_rows(B, dtype))] if entries else B.stages(dtype)


def replay(
    program: Recorded, b: np.ndarray, x: np.ndarray | None, tolerance: Any, maxiter: int
) -> tuple[Any, Any, Any]:
    """(x, codes, norms of each test); `x` may be written to. Codes: see `krylov.h`."""
    b = np.ascontiguousarray(b)
    made = np.empty_like(b) if x is None else np.ascontiguousarray(x)
    tolerances = np.broadcast_to(tolerance, b.shape[1:] or (1,)).tolist()
    codes, norms = _native.krylov_numpy(
        program.recording, program.operators, b, made, x is not None, tolerances, maxiter
    )
    return made, np.array(codes), norms


def replay_on_device(
    program: Recorded, b: mx.array, x: mx.array | None, tolerance: Any, maxiter: int
) -> tuple[mx.array, np.ndarray, np.ndarray]:
    """As `replay`, over `mx.array` on the default device."""
    tolerances = mx.array(np.broadcast_to(np.asarray(tolerance, np.float32), b.shape[1:]))
    stream = mx.default_stream(mx.default_device())
    x, codes, norms = _native.krylov_device(program.recording, program.operators, b, x, tolerances, maxiter, stream)
    return x, np.array(codes), norms


def replay_lazily(program: Recorded, b: mx.array, x: Any, rtol: Any, atol: float, maxiter: int) -> tuple[Any, Any]:
    """(x, codes) as nodes of the graph, with what `Limits` say."""
    size = norm_lazily(b)
    tolerance = mx.where(size == 0, math.inf, mx.maximum(atol, rtol * size))
    if x is not None:  # which is exact where b is zero
        x = mx.where(size == 0, mx.zeros_like(x), x)
    stream = mx.default_stream(mx.default_device())
    x, codes, _, _ = _native.krylov(program.recording, program.operators, b, x, tolerance, maxiter, stream)
    return x, mx.where(codes > 0, maxiter, codes)


def norm_lazily(b: mx.array) -> mx.array:
    """The norm of a vector, shape (), or of each column."""
    return mx.sqrt(totals_along(mx.square(mx.abs(b)), 0))
