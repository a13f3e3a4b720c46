"""Linear algebra of sparse arrays, named as in `scipy.sparse.linalg`."""

from ._direct.spsolve import MatrixRankWarning, spsolve
from ._direct.superlu import SuperLU, factorized, spilu, splu, use_solver
from ._direct.triangular import is_sptriangular, spbandwidth, spsolve_triangular
from ._functions.expm import expm
from ._functions.expm_multiply import expm_multiply
from ._functions.matfuncs import inv, matrix_power
from ._functions.norm import norm
from ._functions.onenormest import onenormest
from ._krylov.cg import cg
from ._krylov.lsmr import lsmr
from ._krylov.lsqr import lsqr
from ._krylov.minres import minres

__all__ = [
    "MatrixRankWarning",
    "SuperLU",
    "cg",
    "expm",
    "expm_multiply",
    "factorized",
    "inv",
    "is_sptriangular",
    "lsmr",
    "lsqr",
    "matrix_power",
    "minres",
    "norm",
    "onenormest",
    "spbandwidth",
    "spilu",
    "splu",
    "spsolve",
    "spsolve_triangular",
    "use_solver",
]
