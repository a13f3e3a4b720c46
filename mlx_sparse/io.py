"""Files: Matrix Market, and safetensors beside the dense parameters of an MLX model. And what other libraries have."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.io as _scipy_io
import scipy.sparse as _scipy_sparse

from . import _dense, _dtypes, _native
from ._base import as_sparse, issparse
from ._classes import container, from_scipy
from ._exchange import from_jax, from_torch, to_jax, to_torch
from ._kinds import is_array
from ._npz import load_npz, save_npz
from ._safe_files import check_entries, check_safetensors, plain_text, reading

__all__ = [
    "from_jax",
    "from_torch",
    "load_npz",
    "load_safetensors",
    "mminfo",
    "mmread",
    "mmwrite",
    "save_npz",
    "save_safetensors",
    "to_jax",
    "to_torch",
]

_BUFFERS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "dia": ("data", "offsets"),
}
_KEY = "mlx_sparse"
# The file format has no name for these: their bits are written as integers of 64 bits.
_AS_BITS = {_dtypes.name(dtype): dtype for dtype in (mx.float64, _dtypes.complex128)}


def mminfo(source: Any) -> tuple:
    """Rows, columns, entries, format, field and symmetry of a Matrix Market file; as `scipy.io.mminfo`.

    Examples
    --------
    >>> import io, mlx_sparse as sp
    >>> sp.io.mminfo(io.BytesIO(b"%%MatrixMarket matrix coordinate real general\\n2 2 1\\n1 2 3.5\\n"))
    (2, 2, 1, 'coordinate', 'real', 'general')
    """
    return _scipy_io.mminfo(source)


def mmread(source: Any, *, spmatrix: bool = True) -> Any:
    """Read a Matrix Market file.

    Parameters
    ----------
    source : str, path or file object
        A name may end in .mtx, .mtx.gz or .mtx.bz2.
    spmatrix : bool
        A sparse matrix, else a sparse array.

    Returns
    -------
    coo matrix or array for a "coordinate" file, dense array for an "array" file.

    Examples
    --------
    >>> import io, mlx_sparse as sp
    >>> text = b"%%MatrixMarket matrix coordinate real general\\n2 2 1\\n1 2 3.5\\n"
    >>> sp.io.mmread(io.BytesIO(text), spmatrix=False).toarray()
    array([[0. , 3.5],
           [0. , 0. ]])
    """
    if isinstance(source, (str, os.PathLike)):
        check_entries(source, mminfo(source)[2])
    with plain_text(source) as text:
        found = _scipy_io.mmread(text, spmatrix=spmatrix)
    if _scipy_sparse.issparse(found):
        return from_scipy(found)
    return _dense.in_namespace(_dense.to_mlx(found))


def mmwrite(
    target: Any,
    a: Any,
    comment: str | None = None,
    field: str | None = None,
    precision: int | None = None,
    symmetry: str | None = "AUTO",
) -> None:
    """Write a sparse or dense array to a Matrix Market file; parameters as in `scipy.io.mmwrite`.

    Examples
    --------
    >>> import io, mlx_sparse as sp
    >>> file = io.BytesIO()
    >>> sp.io.mmwrite(file, sp.csr_array([[0, 2], [0, 0]]))
    >>> file.getvalue().splitlines()[-1]
    b'1 2 2'
    """
    if issparse(a):
        coo = as_sparse(a).tocoo(copy=False)
        parts = _dense.view(coo._data), tuple(_dense.view(c) for c in coo._coords)
        dense: Any = _scipy_sparse.coo_array(parts, shape=coo.shape)
    else:
        dense = _dense.view(a) if _dense.is_mlx(a) else a
    _scipy_io.mmwrite(target, dense, comment=comment, field=field, precision=precision, symmetry=symmetry)


def save_safetensors(file: Any, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write sparse and dense arrays to one safetensors file.

    Parameters
    ----------
    file : str, path or file object
    arrays : mapping of names to arrays
        A sparse array in csr, csc, bsr, dia or coo format stands as its buffers, ``name.data``, ``name.indices`` and so
        on; others are converted to coo first. Dense arrays stand under their own name, so a model's parameters can
        be among them. float64 and complex128, which the file format lacks, are written as the bits of uint64.
    metadata : mapping of str to str, optional
        Further entries of the file's header. Formats and shapes stand there under "mlx_sparse".

    Raises
    ------
    ValueError
        Two arrays would have one name in the file.
    TypeError
        A value is neither a sparse nor a dense array.

    Examples
    --------
    >>> import os, tempfile, mlx.core as mx, mlx_sparse as sp
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> sp.io.save_safetensors(path, {"A": sp.csr_array([[0.0, 2.0]], dtype=mx.float16), "b": mx.ones(3)})
    >>> sorted(sp.io.load_safetensors(path))
    ['A', 'b']
    """
    buffers: dict[str, mx.array] = {}
    described: dict[str, Any] = {}
    bits: dict[str, str] = {}

    def put(name: str, x: mx.array) -> None:
        if name in buffers:
            raise ValueError(f"two arrays would be written as {name!r}")
        _native.refuse_traced(x)
        if (dtype := _dtypes.name(x.dtype)) in _AS_BITS:
            bits[name] = dtype
            x = _dense.to_mlx(_dense.view(x).view(np.uint64))
        buffers[name] = x

    for name, a in arrays.items():
        if not issparse(a):
            if not _dense.is_dense(a):
                raise TypeError(f"{name!r} must be a sparse or a dense array; got {type(a).__name__}")
            put(name, _dense.to_mlx(a))
            continue
        A = as_sparse(a)
        A = A if A.format in _BUFFERS or A.format == "coo" else A.tocoo(copy=False)
        described[name] = {"format": A.format, "shape": list(A.shape), "array": is_array(a)}
        if A.format == "coo":
            put(f"{name}.data", A._data)
            for axis, c in enumerate(A._coords):
                put(f"{name}.coords.{axis}", c)
        else:
            for part in _BUFFERS[A.format]:
                put(f"{name}.{part}", getattr(A, f"_{part}"))
    mx.save_safetensors(file, buffers, {**(metadata or {}), _KEY: json.dumps({"arrays": described, "bits": bits})})


def load_safetensors(file: Any, *, return_metadata: bool = False) -> Any:
    """Read the arrays of a safetensors file, sparse ones as `save_safetensors` wrote them.

    Parameters
    ----------
    file : str, path or file object
    return_metadata : bool
        Return also the header's entries that are not this package's.

    Returns
    -------
    dict of names to sparse arrays and `mx.array`; with it, if asked for, dict of metadata.

    Raises
    ------
    ValueError
        The file is damaged; or its header describes a format that is unknown, or buffers that are missing or do not fit
        together.

    Examples
    --------
    >>> import os, tempfile, mlx_sparse as sp
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> sp.io.save_safetensors(path, {"A": sp.csr_array([[0.0, 2.0]])}, metadata={"epoch": "3"})
    >>> arrays, metadata = sp.io.load_safetensors(path, return_metadata=True)
    >>> arrays["A"].toarray(), metadata
    (array([[0., 2.]]), {'epoch': '3'})
    """
    with reading(file):
        check_safetensors(file)
        loaded: Any = mx.load(file, format="safetensors", return_metadata=True)
        found, metadata = _described(*loaded)
    return (found, metadata) if return_metadata else found


def _described(buffers: dict[str, mx.array], metadata: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Sparse arrays in place of their buffers, and what is left of the metadata."""
    found: dict[str, Any] = {}
    header = json.loads(metadata.pop(_KEY, '{"arrays": {}, "bits": {}}'))
    for name, dtype in header["bits"].items():
        x = buffers[name]
        if x.dtype != mx.uint64:
            raise ValueError(f"{name!r} has the dtype {x.dtype}, and should hold the bits of {dtype}")
        buffers[name] = _dense.to_mlx(_dense.view(x).view(_dtypes.numpy_dtype(_AS_BITS[dtype])))
    for name, what in header["arrays"].items():
        shape, format = tuple(what["shape"]), what["format"]
        cls = container(format, matrix=not what["array"])
        if format == "coo":
            coords = tuple(buffers.pop(f"{name}.coords.{axis}") for axis in range(len(shape)))
            found[name] = cls((buffers.pop(f"{name}.data"), coords), shape=shape)
        elif format in _BUFFERS:
            found[name] = cls(tuple(buffers.pop(f"{name}.{part}") for part in _BUFFERS[format]), shape=shape)
        else:
            raise ValueError(f"{name!r} has the unknown format {format!r}")
    return {**{name: _dense.settled(x) for name, x in buffers.items()}, **found}, metadata
