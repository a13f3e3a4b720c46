"""Sparse arrays in NumPy's .npz files, in SciPy's layout: files can be exchanged both ways."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _dense
from ._base import as_sparse
from ._sputils import container, is_array

_BUFFERS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "dia": ("offsets",),
}


def _host(x: Any) -> np.ndarray:
    return _dense.view(x) if _dense.is_mlx(x) else np.asarray(x)


def save_npz(file: Any, matrix: Any, compressed: bool = True) -> None:
    """Write a sparse array to an .npz file.

    Parameters
    ----------
    file : str, path or file object
        Of a name, the ending .npz is added where it lacks.
    matrix : sparse array in csr, csc, bsr, dia or coo format
    compressed : bool
        Compress the file: smaller, and many times slower.

    Raises
    ------
    NotImplementedError
        Another format.

    Examples
    --------
    >>> import io, mlx_sparse as sp
    >>> file = io.BytesIO()
    >>> sp.save_npz(file, sp.csr_array([[0.0, 2.0]]))
    >>> _ = file.seek(0)
    >>> sp.load_npz(file).toarray()
    array([[0., 2.]])

    Differences from SciPy
    ----------------------
    bfloat16, which NumPy lacks, is written as float32; `io.save_safetensors` keeps it.
    """
    if matrix.format not in (*_BUFFERS, "coo"):
        raise NotImplementedError(f"Save is not implemented for sparse matrix of format {matrix.format}.")
    A = as_sparse(matrix)
    arrays: dict[str, Any] = {}
    if A.format in _BUFFERS:
        arrays.update({name: _host(getattr(A, name)) for name in _BUFFERS[A.format]})
    elif A.ndim == 2:
        arrays.update(row=_host(A.row), col=_host(A.col))
    else:
        arrays.update(coords=np.stack([_host(c) for c in A.coords]))
    arrays.update(format=A.format.encode("ascii"), shape=A.shape, data=_host(A.data))
    if is_array(matrix):
        arrays["_is_array"] = True
    (np.savez_compressed if compressed else np.savez)(file, **arrays)


def load_npz(file: Any) -> Any:
    """Read the sparse array or matrix in an .npz file that `save_npz` or SciPy's wrote.

    Raises
    ------
    ValueError
        The file holds no sparse array, or one of an unknown format.
    """
    with np.load(file, allow_pickle=False) as loaded:
        format = loaded.get("format")
        if format is None:
            raise ValueError(f"The file {file} does not contain a sparse array or matrix.")
        format = format.item() if isinstance(format.item(), str) else format.item().decode("ascii")
        matrix = not loaded.get("_is_array")
        try:
            cls = container(format, matrix)
        except ValueError as error:
            raise ValueError(f'Unknown format "{format}_{"matrix" if matrix else "array"}"') from error
        shape = tuple(int(n) for n in loaded["shape"])
        if format in _BUFFERS:
            return cls((loaded["data"], *(loaded[name] for name in _BUFFERS[format])), shape=shape)
        if format == "coo":
            coords = tuple(loaded["coords"]) if "coords" in loaded else (loaded["row"], loaded["col"])
            return cls((loaded["data"], coords), shape=shape)
    raise NotImplementedError(f"Load is not implemented for sparse matrix of format {format}.")
