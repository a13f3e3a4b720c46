"""Solvers for sparse linear systems, named as in `scipy.sparse.linalg`."""

from ._direct.spsolve import MatrixRankWarning, spsolve
from ._krylov.cg import cg

__all__ = ["MatrixRankWarning", "cg", "spsolve"]
