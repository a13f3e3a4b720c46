"""The Frobenius inner products of sparse arrays."""

from __future__ import annotations

from typing import Any

from ... import _dtypes
from ..._base import as_sparse, issparse
from .._problem import host_dtype


def dot(A: Any, B: Any) -> Any:
    """The sum of the products of the elements of `A` and `B`, neither of which is conjugated.

    Parameters
    ----------
    A, B : sparse array
        Of one shape and any formats.

    Returns
    -------
    scalar, as `A.multiply(B).sum()`
        Half precision is summed, and given, in float32. Differentiable with respect to the values of both.

    Raises
    ------
    TypeError
        `A` or `B` is not sparse.
    ValueError
        Shapes differ.

    Notes
    -----
    Costs as much as the elementwise product, the structure of which is found at once (synchronises if index arrays are
    pending); values stay lazy. This is no product of matrices: that is ``A @ B``, and `A.dot(B)` as in SciPy.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 3.0]])
    >>> float(sp.linalg.dot(A, A))
    14.0
    """
    A, B = _checked(A, B)
    return A.multiply(B).sum()


def vdot(A: Any, B: Any) -> Any:
    """The Frobenius inner product: the sum of the products of the conjugate elements of `A` and those of `B`.

    Parameters
    ----------
    A, B : sparse array
        Of one shape and any formats.

    Returns
    -------
    scalar
        As `dot`, which conjugates nothing.

    Raises
    ------
    TypeError
        `A` or `B` is not sparse.
    ValueError
        Shapes differ.

    Notes
    -----
    ``vdot(A, A)`` is the square of the Frobenius norm. Costs are those of `dot`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[1j, 2.0], [0.0, 0.0]]))
    >>> (complex(sp.linalg.vdot(A, A)), complex(sp.linalg.dot(A, A)))
    ((5+0j), (3+0j))
    """
    A, B = _checked(A, B)
    return (A.conj() if host_dtype(A).kind == "c" else A).multiply(B).sum()


def _checked(A: Any, B: Any) -> tuple[Any, Any]:
    for X in (A, B):
        if not issparse(X):
            raise TypeError(f"expected two sparse arrays; got {type(X).__name__}")
    A, B = as_sparse(A), as_sparse(B)
    if A.shape != B.shape:
        raise ValueError(f"shapes {A.shape} and {B.shape} differ")
    A, B = (X.astype(_dtypes.accumulator(X._data.dtype), copy=False) for X in (A, B))
    return A, B
