"""Deprecated: direct solvers are imported from `mlx_sparse.linalg`."""

from ._old_names import moved

_NAMES = ("MatrixRankWarning", "SuperLU", "factorized", "spilu", "splu", "spsolve", "spsolve_triangular", "use_solver")
__dir__, __getattr__ = moved(__name__, _NAMES)
