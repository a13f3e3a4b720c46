"""Deprecated: iterative solvers are imported from `mlx_sparse.linalg`."""

from ._old_names import moved

_NAMES = ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "lsmr", "lsqr", "minres", "qmr", "tfqmr")
__dir__, __getattr__ = moved(__name__, _NAMES)
