"""Flows."""

from __future__ import annotations

from operator import index
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native
from .._base import as_sparse, issparse


class MaximumFlowResult:
    """A maximum flow.

    Attributes
    ----------
    flow_value : int
        What flows from the source to the sink.
    flow : csr_array, shape (N, N)
        The flow from node to node, against an edge negative.
    """

    def __init__(self, flow_value: int, flow: Any) -> None:
        self.flow_value, self.flow = flow_value, flow

    def __repr__(self) -> str:
        return f"MaximumFlowResult with value of {self.flow_value}"


def maximum_flow(csgraph: Any, source: int, sink: int, *, method: str = "dinic") -> MaximumFlowResult:
    """The largest flow from one node to another that edges of given capacities carry.

    Parameters
    ----------
    csgraph : csr_array of int32, shape (N, N)
        Capacities of the edges. They are integers, since methods of this kind need not end for others.
    source, sink : int
        Different nodes.
    method : {"dinic", "edmonds_karp"}

    Returns
    -------
    MaximumFlowResult
        With attributes `flow_value` and `flow`. Only one of the flows of this value if there are more.

    Raises
    ------
    TypeError
        `csgraph` is no csr array, or a node no integer.
    ValueError
        Capacities are no integers of int32's range, a node is out of range, both are the same, or `method` is unknown.

    Notes
    -----
    E. A. Dinic, Soviet Mathematics Doklady 11 (1970): O(N**2 E). J. Edmonds and R. M. Karp, Journal of the ACM 19
    (1972): O(N E**2). Runs on one core of the host.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[0, 3, 2], [0, 0, 2], [0, 0, 0]], dtype=np.int32))
    >>> found = sp.csgraph.maximum_flow(A, 0, 2)
    >>> found.flow_value, found.flow.toarray().tolist()
    (4, [[0, 2, 2], [-2, 0, 2], [-2, -2, 0]])
    """
    if not issparse(csgraph) or csgraph.format != "csr":
        given = f"{csgraph.format} format" if issparse(csgraph) else type(csgraph).__name__
        raise TypeError(f"graph must be a sparse array in csr format; got {given}")
    A = as_sparse(csgraph)
    if not np.issubdtype(_dtypes.numpy_dtype(A._data.dtype), np.integer):
        raise ValueError(f"graph capacities must be integers; got {_dtypes.name(A._data.dtype)}")
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"graph must be specified as a square matrix; got shape {tuple(A.shape)}")
    source, sink = index(source), index(sink)
    if source == sink:
        raise ValueError(f"source and sink vertices must differ; both are {source}")
    for name, node in (("source", source), ("sink", sink)):
        if not 0 <= node < A.shape[0]:
            raise ValueError(f"{name} value ({node}) must be between 0 and {A.shape[0] - 1}")
    if method not in ("dinic", "edmonds_karp"):
        raise ValueError(f"method must be 'dinic' or 'edmonds_karp'; got {method!r}")
    A = A._canonical()
    trio = _capacities(A._data), A._indices, A._indptr
    flow = A._classes["csr"]._from_parts(
        *_native.maximum_flow(trio, source, sink, method == "edmonds_karp"), A.shape, canonical=True
    )
    begin, end = _dense.view(flow._indptr)[source : source + 2]
    return MaximumFlowResult(int(_dense.view(flow._data)[begin:end].sum(dtype=np.int64)), flow)


def _capacities(data: mx.array) -> mx.array:
    """As int32, checked."""
    if data.dtype == mx.int32:
        return data
    values = _dense.view(data)
    if values.size and (values.max() > _dtypes.INT32_MAX or values.min() < -_dtypes.INT32_MAX):
        raise ValueError(f"graph capacities must be of int32's range; they go from {values.min()} to {values.max()}")
    return _dense.to_mlx(values.astype(np.int32))
