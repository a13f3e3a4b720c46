"""Breadth first and depth first."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import scipy.sparse.csgraph as _scipy

from .. import _dense, _native
from ._docstrings import documented
from ._graph import both_ways, by_rows, delegate, host_array, pattern
from ._predecessors import tree


def _node(i: Any, graph: Any) -> int:
    """A node of `graph`, as SciPy's routines take it, which look at nothing."""
    i, n = operator.index(i), np.shape(graph)[0]
    if i < 0:
        raise OverflowError(f"i_start must not be negative; got {i}")
    if i >= n:
        raise ValueError(f"i_start must be less than {n}, the number of nodes; got {i}")
    return i


def _order(search: str, graph: Any, i_start: Any, directed: bool, return_predecessors: bool) -> Any:
    A, start = by_rows(graph, directed), _node(i_start, graph)
    if A is None:
        return delegate(getattr(_scipy, f"{search}_order"), graph, start, directed, return_predecessors)
    if search == "breadth_first":
        found = _native.breadth_first(pattern(A), start, not directed)
    else:
        found = _native.depth_first(both_ways(pattern(A), directed), start)
    order, before = map(_dense.in_namespace, found)
    return (order, before) if return_predecessors else order


def _tree(search: str, graph: Any, i_start: Any, directed: bool) -> Any:
    _, before = _order(search, graph, i_start, directed, True)
    return tree(graph, host_array(before), directed)


@documented
def breadth_first_order(csgraph: Any, i_start: int, directed: bool = True, return_predecessors: bool = True) -> Any:
    """The nodes that can be reached from one node, nearest first.

    Parameters
    ----------
    {graph}
    {start}
    {directed}
    return_predecessors : bool

    Returns
    -------
    {order}

    Raises
    ------
    {no node}

    Notes
    -----
    O(N + E), by levels: long ones are searched on all cores where there are four or more. Where edges go both ways and
    stand once, nodes that are left look for one of the level among their own edges while levels grow fast (S. Beamer,
    K. Asanović, D. Patterson, SC 2012), instead of a transpose.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> sp.csgraph.breadth_first_order(A, 0)
    (array([0, 1, 2], dtype=int32), array([-9999, 0, 0], dtype=int32))
    """
    return _order("breadth_first", csgraph, i_start, directed, return_predecessors)


@documented
def breadth_first_tree(csgraph: Any, i_start: int, directed: bool = True) -> Any:
    """The edges by which `breadth_first_order` meets nodes.

    Parameters
    ----------
    {graph}
    {start}
    {directed}

    Returns
    -------
    {tree}

    Raises
    ------
    {no node}

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 5, 6], [0, 0, 7], [0, 0, 0]])
    >>> sp.csgraph.breadth_first_tree(A, 0).toarray()
    array([[0., 5., 6.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """
    return _tree("breadth_first", csgraph, i_start, directed)


@documented
def depth_first_order(csgraph: Any, i_start: int, directed: bool = True, return_predecessors: bool = True) -> Any:
    """The nodes that can be reached from one node, each path followed to its end before the next.

    Parameters
    ----------
    {graph}
    {start}
    {directed}
    return_predecessors : bool

    Returns
    -------
    {order}

    Raises
    ------
    {no node}

    Notes
    -----
    O(N + E), one thread.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> sp.csgraph.depth_first_order(A, 0)
    (array([0, 1, 2], dtype=int32), array([-9999, 0, 1], dtype=int32))
    """
    return _order("depth_first", csgraph, i_start, directed, return_predecessors)


@documented
def depth_first_tree(csgraph: Any, i_start: int, directed: bool = True) -> Any:
    """The edges by which `depth_first_order` meets nodes.

    Parameters
    ----------
    {graph}
    {start}
    {directed}

    Returns
    -------
    {tree}

    Raises
    ------
    {no node}

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 5, 6], [0, 0, 7], [0, 0, 0]])
    >>> sp.csgraph.depth_first_tree(A, 0).toarray()
    array([[0., 5., 0.],
           [0., 0., 7.],
           [0., 0., 0.]])
    """
    return _tree("depth_first", csgraph, i_start, directed)
