"""Recorded recurrences of systems: which of them can be replayed natively, and how."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native, runtime
from .._reduce import totals_along
from ._operator import Operator, _Sparse
from ._problem import System
from ._recording import Unrecordable, record


def _diagonal(A: Any) -> bool:
    return A.format == "dia" and A._offsets.shape[0] == 1 and int(_dense.view(A._offsets)[0]) == 0


def _kind(B: Operator | None) -> str:
    if B is None:
        return "same"
    return "diagonal" if _diagonal(B.operand) else "matrix"


class Recorded(NamedTuple):
    """A program with the operators that it is to be given."""

    recording: Any
    operators: list[Any]
    places: list[int]  # slots of its state


def on_device() -> bool:
    """Whether programs are replayed by shaders: on a GPU, or where the host plays one."""
    return not _dtypes.on_cpu() or runtime.EXECUTOR == "shader"


def recorded(method: Any, system: System, whole: bool = False) -> Recorded | None:
    """The program of a method for `system`; None where a product needs Python, or work belongs on another device.

    whole: it is replayed as a whole, which devices do in single precision.
    """
    if on_device() and not (whole and system.lazy and system.dtype in (mx.float32, mx.complex64)):
        return None
    operators = {"A": system.A, "M": system.M, "M2": system.M2}
    given = {word: None if B is None else B.stored() for word, B in operators.items()}
    if not all(B is None or isinstance(B, _Sparse) for B in given.values()):
        return None
    dtype = _dtypes.numpy_dtype(system.dtype)
    kinds = {word: "matrix" if word == "A" else _kind(B) for word, B in given.items()}
    if method.adjoint:
        kinds |= {f"{word}H": kind for word, kind in kinds.items()}
    try:
        recording, words, places = record(method, tuple(kinds.items()), float(np.finfo(dtype).eps))
    except Unrecordable:
        return None
    parts = []
    for word in words:
        B: Any = given[word.removesuffix("H")]
        parts.append(_parts((B.H if word.endswith("H") else B).operand, kinds[word], system.dtype))
    return Recorded(recording, parts, places)


def _parts(A: Any, kind: str, dtype: Any) -> Any:
    """What the native layer takes for a sparse array: its diagonal, or (data, indices, indptr) by rows."""
    A = A.astype(dtype, copy=False)
    if kind == "diagonal":
        return [A._diagonal(0)]
    return A.tocsr()._trio


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
