"""Sparse tensors of PyTorch and JAX, both of which are imported only where they are asked for."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense
from ._base import as_sparse
from ._classes import container

_BITS = np.uint16  # bfloat16, which NumPy lacks, goes by these


def _host(x: mx.array) -> np.ndarray:
    """A copy of the values; of bfloat16 the bits."""
    return np.array(_dense.view(x.view(mx.uint16) if x.dtype == mx.bfloat16 else x))


def _of_bits(bits: np.ndarray) -> mx.array:
    return mx.array(bits).view(mx.bfloat16)


def _canonical(A: Any, formats: tuple[str, ...]) -> Any:
    """In one of these formats, the first if it has another; indices in order and none twice."""
    A = as_sparse(A)
    A = A if A.format in formats else A.asformat(formats[0])
    if A.has_canonical_format:
        return A
    A = A.copy()
    A.sum_duplicates()
    return A


def to_torch(A: Any) -> Any:
    """Sparse tensor of PyTorch with the values of `A`: a copy, on the CPU.

    Parameters
    ----------
    A : sparse array
        csr, csc, bsr and coo keep their format; others become csr, or coo with other than two dimensions.

    Returns
    -------
    torch.Tensor
        Of layout ``sparse_csr``, ``sparse_csc``, ``sparse_bsr`` or ``sparse_coo``, coalesced, of the dtype of `A`.
        Changes of one are not seen by the other, and no gradient passes.

    Raises
    ------
    ImportError
        PyTorch is not installed.
    TypeError
        PyTorch has no such dtype.

    Examples
    --------
    >>> import torch, mlx_sparse as sp
    >>> T = sp.io.to_torch(sp.csr_array([[0.0, 2.0], [3.0, 0.0]]))
    >>> T.layout, T.to_dense().tolist()
    (torch.sparse_csr, [[0.0, 2.0], [3.0, 0.0]])
    """
    import torch

    A = _canonical(A, ("csr", "csc", "bsr", "coo") if as_sparse(A).ndim == 2 else ("coo",))
    host = _host(A._data)
    half = A._data.dtype == mx.bfloat16
    values = torch.from_numpy(host.view(np.int16)).view(torch.bfloat16) if half else torch.from_numpy(host)
    if A.format == "coo":
        at = np.stack([_dense.view(c) for c in A._coords]).astype(np.int64)
        return torch.sparse_coo_tensor(torch.from_numpy(at), values, A.shape, check_invariants=False).coalesce()
    index = [torch.from_numpy(np.array(_dense.view(x))) for x in (A._indptr, A._indices)]
    layout = getattr(torch, f"sparse_{A.format}")
    return torch.sparse_compressed_tensor(*index, values, A.shape, layout=layout, check_invariants=False)


def from_torch(T: Any) -> Any:
    """Sparse array with the values of a sparse tensor of PyTorch: a copy.

    Parameters
    ----------
    T : torch.Tensor
        Of layout ``sparse_coo``, ``sparse_csr``, ``sparse_csc`` or ``sparse_bsr``, on any device.

    Returns
    -------
    coo_array, csr_array, csc_array or bsr_array
        Of the dtype of `T`. Entries that `T` holds twice stay so. No gradient passes.

    Raises
    ------
    TypeError
        `T` is no sparse tensor.
    ValueError
        It has batches, or dense dimensions.

    Examples
    --------
    >>> import torch, mlx_sparse as sp
    >>> A = sp.io.from_torch(torch.eye(2).to_sparse_csr())
    >>> A.format, A.toarray().tolist()
    ('csr', [[1.0, 0.0], [0.0, 1.0]])
    """
    import torch

    name = str(getattr(T, "layout", "")).removeprefix("torch.sparse_")
    if not isinstance(T, torch.Tensor) or name not in ("coo", "csr", "csc", "bsr"):
        what = f"a tensor of layout {T.layout}" if isinstance(T, torch.Tensor) else type(T).__name__
        raise TypeError(f"from_torch takes sparse tensors of PyTorch (coo, csr, csc, bsr); got {what}")
    if T.dense_dim() or (name != "coo" and T.ndim != 2):
        raise ValueError(f"a sparse tensor must have no batches and no dense dimensions; got shape {tuple(T.shape)}")
    T = T.detach().cpu()

    def host(x: Any) -> Any:
        if x.dtype == torch.bfloat16:
            return _of_bits(x.contiguous().view(torch.int16).numpy().view(_BITS))
        return x.resolve_conj().resolve_neg().numpy()

    cls, shape = container(name), tuple(T.shape)
    if name == "coo":
        return cls((host(T._values()), tuple(host(T._indices()))), shape=shape)
    index = (T.crow_indices(), T.col_indices()) if name != "csc" else (T.ccol_indices(), T.row_indices())
    indptr, indices = map(host, index)
    return cls((host(T.values()), indices, indptr), shape=shape)


def to_jax(A: Any) -> Any:
    """Sparse matrix of JAX with the values of `A`: a copy, on JAX's default device.

    Parameters
    ----------
    A : sparse array

    Returns
    -------
    jax.experimental.sparse.BCSR or BCOO
        BCSR for csr, else BCOO; indices in order and none twice.

    Raises
    ------
    ImportError
        JAX is not installed.
    ValueError
        JAX would cut the values to fewer bits, as it does where ``jax_enable_x64`` is off.

    Examples
    --------
    >>> import jax, mlx_sparse as sp
    >>> M = sp.io.to_jax(sp.csr_array([[0.0, 2.0], [3.0, 0.0]]).astype("float32"))
    >>> type(M).__name__, M.todense().tolist()
    ('BCSR', [[0.0, 2.0], [3.0, 0.0]])
    """
    import jax
    import jax.numpy as jnp
    from jax.experimental import sparse

    A = _canonical(A, ("coo", "csr") if as_sparse(A).ndim == 2 else ("coo",))
    host = _host(A._data)
    if A._data.dtype == mx.bfloat16:
        host = host.view(jnp.bfloat16)
    index = np.dtype(np.int32 if max((A.nnz, *A.shape)) <= np.iinfo(np.int32).max else np.int64)
    for dtype in (host.dtype, index):
        if dtype.itemsize > jax.dtypes.canonicalize_dtype(dtype).itemsize:
            raise ValueError(f"JAX would cut {dtype} to fewer bits: switch jax_enable_x64 on, or cast with astype")
    values = jnp.asarray(host)
    if A.format == "csr":
        indices, indptr = (jnp.asarray(_dense.view(x).astype(index)) for x in (A._indices, A._indptr))
        return sparse.BCSR((values, indices, indptr), shape=A.shape, indices_sorted=True, unique_indices=True)
    at = np.stack([_dense.view(c) for c in A._coords], axis=1).astype(index)
    return sparse.BCOO((values, jnp.asarray(at)), shape=A.shape, indices_sorted=True, unique_indices=True)


def from_jax(M: Any) -> Any:
    """Sparse array with the values of a sparse matrix of JAX: a copy.

    Parameters
    ----------
    M : jax.experimental.sparse.BCOO or BCSR

    Returns
    -------
    coo_array or csr_array
        Of the dtype of `M`. Entries that stand for padding, with indices out of bounds, are left out.

    Raises
    ------
    TypeError
        `M` is neither.
    ValueError
        It has batches, or dense dimensions; or its values are traced.

    Examples
    --------
    >>> import jax.numpy as jnp, mlx_sparse as sp
    >>> from jax.experimental import sparse
    >>> sp.io.from_jax(sparse.BCOO.fromdense(jnp.eye(2))).toarray().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    import jax
    from jax.experimental import sparse

    if not isinstance(M, (sparse.BCOO, sparse.BCSR)):
        raise TypeError(f"from_jax takes BCOO and BCSR of jax.experimental.sparse; got {type(M).__name__}")
    if M.n_batch or M.n_dense:
        raise ValueError(f"a sparse matrix must have no batches and no dense dimensions; got shape {tuple(M.shape)}")
    if isinstance(M.data, jax.core.Tracer):
        raise ValueError("the values are traced by JAX: convert outside of its transformations")
    if isinstance(M, sparse.BCSR):
        M = M.to_bcoo()
        fmt = "csr"
    else:
        fmt = "coo"
    host, at = np.asarray(M.data), np.asarray(M.indices)
    inside = np.all(at < np.array(M.shape), axis=1)
    host, at = host[inside], at[inside]
    values = _of_bits(host.view(_BITS)) if host.dtype.name == "bfloat16" else host
    return container("coo")((values, tuple(at.T)), shape=M.shape).asformat(fmt)
