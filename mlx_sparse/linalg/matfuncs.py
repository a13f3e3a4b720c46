"""Deprecated: matrix functions are imported from `mlx_sparse.linalg`."""

from ._old_names import moved

_NAMES = ("LinearOperator", "expm", "inv", "spsolve")
__dir__, __getattr__ = moved(__name__, _NAMES)
