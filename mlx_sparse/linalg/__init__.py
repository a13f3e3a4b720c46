"""Linear algebra of sparse arrays, named as in `scipy.sparse.linalg`."""

from . import dsolve, eigen, interface, isolve, matfuncs, preconditioners, slq
from ._direct.cholesky import SparseCholesky, cholesky, sparse_cholesky
from ._direct.incomplete import IncompleteCholesky, IncompleteLU, ichol0, ilu0
from ._direct.lu import SparseLU, sparse_lu
from ._direct.spsolve import MatrixRankWarning, spsolve
from ._direct.superlu import SuperLU, factorized, spilu, splu
from ._direct.triangular import is_sptriangular, spbandwidth, spsolve_triangular
from ._direct.umfpack import use_solver
from ._eigen._problem import ArpackError, ArpackNoConvergence
from ._eigen.eigs import eigs
from ._eigen.eigsh import eigsh
from ._eigen.lanczos import lanczos
from ._eigen.lobpcg import lobpcg
from ._eigen.randomized_svd import randomized_svd
from ._eigen.svds import svds
from ._functions.dot import dot, vdot
from ._functions.expm import expm
from ._functions.expm_multiply import expm_multiply
from ._functions.funm_multiply_krylov import funm_multiply_krylov
from ._functions.matfuncs import inv, matrix_power
from ._functions.norm import norm
from ._functions.onenormest import onenormest
from ._info import SolverInfo
from ._interface import LinearOperator, aslinearoperator
from ._krylov.bicg import bicg
from ._krylov.bicgstab import bicgstab
from ._krylov.cg import cg
from ._krylov.cgs import cgs
from ._krylov.gcrotmk import gcrotmk
from ._krylov.gmres import gmres
from ._krylov.lgmres import lgmres
from ._krylov.lsmr import lsmr
from ._krylov.lsqr import lsqr
from ._krylov.minres import minres
from ._krylov.qmr import qmr
from ._krylov.tfqmr import tfqmr
from ._laplacian import LaplacianNd

__all__ = [
    "ArpackError",
    "ArpackNoConvergence",
    "IncompleteCholesky",
    "IncompleteLU",
    "LaplacianNd",
    "LinearOperator",
    "MatrixRankWarning",
    "SolverInfo",
    "SparseCholesky",
    "SparseLU",
    "SuperLU",
    "aslinearoperator",
    "bicg",
    "bicgstab",
    "cg",
    "cgs",
    "cholesky",
    "dot",
    "dsolve",
    "eigen",
    "eigs",
    "eigsh",
    "expm",
    "expm_multiply",
    "factorized",
    "funm_multiply_krylov",
    "gcrotmk",
    "gmres",
    "ichol0",
    "ilu0",
    "interface",
    "inv",
    "is_sptriangular",
    "isolve",
    "lanczos",
    "lgmres",
    "lobpcg",
    "lsmr",
    "lsqr",
    "matfuncs",
    "matrix_power",
    "minres",
    "norm",
    "onenormest",
    "preconditioners",
    "qmr",
    "randomized_svd",
    "slq",
    "sparse_cholesky",
    "sparse_lu",
    "spbandwidth",
    "spilu",
    "splu",
    "spsolve",
    "spsolve_triangular",
    "svds",
    "tfqmr",
    "use_solver",
    "vdot",
]
