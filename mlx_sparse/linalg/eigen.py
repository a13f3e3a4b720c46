"""Deprecated: eigenvalue functions are imported from `mlx_sparse.linalg`."""

from ._old_names import moved

_NAMES = ("ArpackError", "ArpackNoConvergence", "eigs", "eigsh", "lobpcg", "svds")
__dir__, __getattr__ = moved(__name__, _NAMES)
