"""Deprecated: operators are imported from `mlx_sparse.linalg`."""

from ._old_names import moved

_NAMES = ("LinearOperator", "aslinearoperator")
__dir__, __getattr__ = moved(__name__, _NAMES)
