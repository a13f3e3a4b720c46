"""Algorithms on graphs, named as in `scipy.sparse.csgraph`.

A graph of N nodes is an (N, N) sparse array whose stored entries, zeros included, are its edges and their weights, or a
dense array in which zero, infinity and nan mean that there is no edge.
"""

from ._components import connected_components
from ._conversions import (
    csgraph_from_dense,
    csgraph_from_masked,
    csgraph_masked_from_dense,
    csgraph_to_dense,
    csgraph_to_masked,
)
from ._flow import maximum_flow
from ._graph import NegativeCycleError
from ._laplacian import laplacian
from ._matching import maximum_bipartite_matching, min_weight_full_bipartite_matching, structural_rank
from ._ordering import reverse_cuthill_mckee
from ._paths import dijkstra, johnson, shortest_path
from ._predecessors import construct_dist_matrix, reconstruct_path
from ._signed_paths import bellman_ford, floyd_warshall, yen
from ._traversal import breadth_first_order, breadth_first_tree, depth_first_order, depth_first_tree
from ._tree import minimum_spanning_tree

__all__ = [
    "NegativeCycleError",
    "bellman_ford",
    "breadth_first_order",
    "breadth_first_tree",
    "connected_components",
    "construct_dist_matrix",
    "csgraph_from_dense",
    "csgraph_from_masked",
    "csgraph_masked_from_dense",
    "csgraph_to_dense",
    "csgraph_to_masked",
    "depth_first_order",
    "depth_first_tree",
    "dijkstra",
    "floyd_warshall",
    "johnson",
    "laplacian",
    "maximum_bipartite_matching",
    "maximum_flow",
    "min_weight_full_bipartite_matching",
    "minimum_spanning_tree",
    "reconstruct_path",
    "reverse_cuthill_mckee",
    "shortest_path",
    "structural_rank",
    "yen",
]
