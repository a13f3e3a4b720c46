"""What docstrings of csgraph say alike: `documented` puts it in the place of a line like ``{indices}``."""

from __future__ import annotations

from ..linalg._docstrings import documenting

documented = documenting(
    {
        "graph": """\
    csgraph : sparse or dense array, shape (N, N)
""",
        "lengths of edges": """\
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
""",
        "directed": """\
    directed : bool
        False: edges go both ways.
""",
        "shorter way": """\
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
""",
        "indices": """\
    indices : int or array of int, optional
        Nodes from which paths start; default: all.
""",
        "unweighted": """\
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.
""",
        "overwrite": """\
    overwrite : bool
        Allows to use the memory of a dense float64 ndarray.
""",
        "lengths": """\
    dist_matrix : dense float64 array (float32 on a GPU), shape (..., N)
        From each of `indices` to each node; infinite where no path leads.
""",
        "predecessors": """\
    predecessors : dense int32 array of the same shape, if `return_predecessors`
        The node before the last one of each path; -9999 where there is none.
""",
        "indices out of range": """\
    ValueError
        `csgraph` is not square, or `indices` is out of range.
""",
        "negative cycle": """\
    NegativeCycleError
        A cycle of negative length.
""",
        "start": """\
    i_start : int
        Where to start.
""",
        "no node": """\
    ValueError
        `csgraph` is not square, or `i_start` is no node.
    OverflowError
        `i_start` is negative.
""",
        "order": """\
    node_array : dense int32 array
        The nodes in the order in which they are met, `i_start` first.
    predecessors : dense int32 array, shape (N,), if `return_predecessors`
        From where each node is met first; -9999 for `i_start` and for those that cannot be reached.
""",
        "tree": """\
    csr_array (csr_matrix for a matrix), shape (N, N), float64 (float32 on a GPU)
        The edges from each node to those that are met from it, with their weights.
""",
    }
)
