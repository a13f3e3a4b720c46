"""Preconditioners: operators M, near the inverse of A, that any iterative solver takes as its `M`.

All are `LinearOperator`s of type `Preconditioner`. They take ndarrays and `mx.array`, vectors and blocks of them, and
follow the dtype of a solver. `identity`, `diagonal`, `jacobi`, `block_jacobi` and `chebyshev` are made of products and
run wholly on MLX's default device; `ssor`, `ilu0` and `ichol0` are made of triangular solves, which do so too where
many rows do not depend on each other (`linalg.spsolve_triangular`); `spilu`, `exact` and pyamg's own cycles compute on
ndarrays. All but the latter run natively inside solvers: an iteration takes no Python there, and may stand in
`mx.compile` and `mx.vmap`.

A preconditioner is made of numbers: of traced values (inside `mx.grad`) it is a `ValueError`. It changes how a solver
gets to the solution and not the solution, so that derivatives through a solver do not miss it.
"""

from ._base import Preconditioner
from ._factored import exact, from_factorized, ichol0, ilu0, spilu
from ._given import aspreconditioner, from_pyamg
from ._pointwise import block_jacobi, diagonal, identity, jacobi
from ._sweeps import chebyshev, ssor

__all__ = [
    "Preconditioner",
    "aspreconditioner",
    "block_jacobi",
    "chebyshev",
    "diagonal",
    "exact",
    "from_factorized",
    "from_pyamg",
    "ichol0",
    "identity",
    "ilu0",
    "jacobi",
    "spilu",
    "ssor",
]
