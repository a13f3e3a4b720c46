"""Sparse arrays in NumPy's .npz files, in SciPy's layout: files can be exchanged both ways."""

from __future__ import annotations

import math
import operator
import os
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes
from ._base import as_sparse
from ._classes import container
from ._kinds import is_array
from ._safe_files import check_member, npy_header, read_npy, reading

_BUFFERS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "dia": ("offsets",),
}


_MEMBERS = {
    f"{name}.npy"
    for name in ("format", "shape", "data", "indices", "indptr", "offsets", "row", "col", "coords", "_is_array")
}
_LONG = 1 << 16  # bytes
_PIECE = 1 << 18  # bytes that stay in a core's cache between being read and being checked


def _host(x: Any) -> np.ndarray:
    return _dense.view(x) if _dense.is_mlx(x) else np.asarray(x)


def _read_into_mlx(path: Any, member: zipfile.ZipInfo) -> mx.array | None:
    """A long member that is stored as it is, read into memory of MLX, where `numpy.load` copies twice. None where NumPy
    must read it."""
    with open(path, "rb", buffering=0) as f:
        f.seek(member.header_offset + 26)
        name, extra = struct.unpack("<HH", f.read(4))
        start = f.seek(name + extra, os.SEEK_CUR)
        shape, columns_first, dtype = npy_header(f)
        if columns_first or not dtype.isnative or dtype.kind not in "biufc" or dtype.itemsize > 8:
            return None
        if _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype)) != dtype:
            return None
        header = f.tell() - start
        if math.prod(shape) * dtype.itemsize != member.file_size - header:
            return None
        f.seek(start)
        checksum, read = zlib.crc32(f.read(header)), header
        out = _dense.uninitialized(shape, _dtypes.mlx_dtype(dtype))
        flat: Any = _dense.view(out)
        content = memoryview(flat).cast("B")
        for i in range(0, len(content), _PIECE):
            piece = content[i : i + _PIECE]
            read += f.readinto(piece) or 0
            checksum = zlib.crc32(piece, checksum)
        if read != member.file_size or checksum != member.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")
        return out


def _member(archive: zipfile.ZipFile, path: Any, member: zipfile.ZipInfo) -> Any:
    check_member(archive, member)
    plain = path is not None and member.compress_type == zipfile.ZIP_STORED
    if plain and member.file_size > _LONG and (found := _read_into_mlx(path, member)) is not None:
        return found
    with archive.open(member) as f:
        return read_npy(f, member.file_size)


def _arrays(file: Any) -> dict[str, Any]:
    """The arrays of an .npz file by name: those that can be part of a sparse one."""
    path = file if isinstance(file, (str, os.PathLike)) else None
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ValueError(f"The file {file} is not an .npz file.") from error
    with archive, ThreadPoolExecutor(2) as pool:
        members = [m for m in archive.infolist() if m.filename in _MEMBERS]
        run = pool.map if any(m.file_size > _LONG for m in members) else map
        return dict(zip((m.filename[:-4] for m in members), run(partial(_member, archive, path), members), strict=True))


def _write(file: Any, arrays: dict[str, Any], compression: int) -> None:
    """As `numpy.savez`, which copies every array once more, 16 MB at a time."""
    if not hasattr(file, "write"):
        file = os.fspath(file)
        file = file if file.endswith(".npz") else file + ".npz"
    with zipfile.ZipFile(file, "w", compression, allowZip64=True) as archive:
        for name, x in arrays.items():
            a = np.asarray(x)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as f:
                if a.nbytes <= _LONG:
                    np.lib.format.write_array(f, a, allow_pickle=False)
                    continue
                a = np.ascontiguousarray(a)
                np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(a))
                content: Any = a.reshape(-1).view(np.uint8)
                for i in range(0, content.size, _PIECE):
                    f.write(content[i : i + _PIECE])


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
    _write(file, arrays, zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED)


def load_npz(file: Any) -> Any:
    """Read the sparse array or matrix in an .npz file that `save_npz` or SciPy's wrote.

    Raises
    ------
    ValueError
        The file is damaged, or holds no sparse array, or one of an unknown format. Lengths and indices are checked as
        the constructors check them.

    Examples
    --------
    >>> import io, mlx_sparse as sp
    >>> file = io.BytesIO()
    >>> sp.save_npz(file, sp.dia_array([[1.0, 0.0], [0.0, 2.0]]))
    >>> _ = file.seek(0)
    >>> sp.load_npz(file).format
    'dia'
    """
    with reading(file):
        loaded = _arrays(file)
    if "format" not in loaded:
        raise ValueError(f"The file {file} does not contain a sparse array or matrix.")
    with reading(file):
        format, matrix = _text(loaded["format"]), not loaded.get("_is_array")
    try:
        cls = container(format, matrix)
    except ValueError as error:
        raise ValueError(f'Unknown format "{format}_{"matrix" if matrix else "array"}"') from error
    if format not in (*_BUFFERS, "coo"):
        raise NotImplementedError(f"Load is not implemented for sparse matrix of format {format}.")
    with reading(file):
        shape = tuple(operator.index(n) for n in _host(loaded["shape"]))
        if format in _BUFFERS:
            return cls((loaded["data"], *(loaded[name] for name in _BUFFERS[format])), shape=shape)
        coords = tuple(loaded["coords"]) if "coords" in loaded else (loaded["row"], loaded["col"])
        return cls((loaded["data"], coords), shape=shape)


def _text(x: Any) -> str:
    item = x.item()
    return item if isinstance(item, str) else item.decode("ascii")
