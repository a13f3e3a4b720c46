"""Flows."""

from __future__ import annotations

from typing import Any

import scipy.sparse as _scipy_sparse
import scipy.sparse.csgraph as _scipy

from .._classes import made_by_scipy
from ._graph import host


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
        `csgraph` is no csr array, or not of integers.
    ValueError
        A node is out of range, both are the same, a capacity is out of int32's range, or `method` is unknown.

    Notes
    -----
    Dinic's algorithm takes O(N**2 E) steps, that of Edmonds and Karp O(N E**2). Computed by SciPy's routine.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[0, 3, 2], [0, 0, 2], [0, 0, 0]], dtype=np.int32))
    >>> found = sp.csgraph.maximum_flow(A, 0, 2)
    >>> found.flow_value, found.flow.toarray().tolist()
    (4, [[0, 2, 2], [-2, 0, 2], [-2, -2, 0]])
    """
    graph = host(csgraph, copy=True)
    if _scipy_sparse.issparse(graph) and graph.ndim != 2:
        raise ValueError(f"graph must be specified as a square matrix; got shape {graph.shape}")
    if _scipy_sparse.issparse(graph) and graph.format == "csr":
        graph = graph.copy() if graph is csgraph else graph
        graph.sum_duplicates()  # without order SciPy's routine reads beyond its arrays
    found = _scipy.maximum_flow(graph, source, sink, method=method)
    return MaximumFlowResult(int(found.flow_value), made_by_scipy(found.flow))
