"""Linear algebra of sparse arrays, named as in `scipy.sparse.linalg`."""

from ._direct.spsolve import MatrixRankWarning, spsolve
from ._direct.superlu import SuperLU, factorized, spilu, splu, use_solver
from ._direct.triangular import is_sptriangular, spbandwidth, spsolve_triangular
from ._expm import expm
from ._expm_multiply import expm_multiply
from ._krylov.cg import cg
from ._matfuncs import inv, matrix_power
from ._norm import norm
from ._onenormest import onenormest

__all__ = [
    "MatrixRankWarning",
    "SuperLU",
    "cg",
    "expm",
    "expm_multiply",
    "factorized",
    "inv",
    "is_sptriangular",
    "matrix_power",
    "norm",
    "onenormest",
    "spbandwidth",
    "spilu",
    "splu",
    "spsolve",
    "spsolve_triangular",
    "use_solver",
]
