"""What a file says of itself is checked against its size before anything is read or allocated."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _dtypes

_PIECE = 1 << 20
# Deflate cannot do better; bz2 and lzma, which no writer of .npz files uses, are held to it as well.
_DENSEST = 1040
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}


@contextmanager
def reading(file: Any) -> Iterator[None]:
    """Whatever goes wrong within means that `file` is damaged: a ValueError. What the system says passes as it is."""
    try:
        yield
    except (OSError, MemoryError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"the file {file} is damaged: {type(error).__name__}: {error}") from error


def check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """That so many bytes can stand in the file.

    Raises
    ------
    zipfile.BadZipFile
        They cannot.
    """
    assert archive.fp is not None
    held = os.fstat(archive.fp.fileno()).st_size if _is_on_disk(archive.fp) else archive.fp.seek(0, os.SEEK_END)
    stored = member.compress_type == zipfile.ZIP_STORED
    most = member.compress_size if stored else _DENSEST * member.compress_size
    if member.file_size > most or member.header_offset + member.compress_size > held:
        raise zipfile.BadZipFile(
            f"{member.filename!r} is said to take {member.file_size} bytes, more than the file holds"
        )


def _is_on_disk(file: Any) -> bool:
    try:
        return file.fileno() >= 0
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        return False


def npy_header(f: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and dtype of the .npy content at which `f` stands."""
    version = np.lib.format.read_magic(f)
    if version not in ((1, 0), (2, 0)):  # later ones name fields, which sparse arrays do not have
        raise ValueError(f"a .npy file of version {version}, which holds no plain array")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(f)
    if min(shape, default=0) < 0 or dtype.hasobject:
        raise ValueError(f"a .npy file of dtype {dtype} and shape {shape}")
    return shape, columns_first, dtype


def read_npy(f: Any, size: int) -> np.ndarray:
    """The array in the .npy content `f` of `size` bytes. No larger claim of its header is believed."""
    shape, columns_first, dtype = npy_header(f)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > size:
        raise ValueError(f"a .npy file of {size} bytes that claims an array of {claimed}")
    content = f.read()
    if len(content) < claimed:
        raise ValueError(f"a .npy file that ends after {len(content)} of {claimed} bytes")
    return np.ndarray(shape, dtype, content, order="F" if columns_first else "C")


@contextmanager
def plain_text(source: Any) -> Iterator[Any]:
    """`source`, a Matrix Market file, as what SciPy's reader can take: it follows a zero byte, or a text without a last
    newline, out of its memory.
    """
    if not isinstance(source, (str, os.PathLike)):
        yield _Text(source) if hasattr(source, "read") else source
        return
    path = os.fspath(source)
    opened: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(os.path.splitext(path)[1], open)
    with opened(path, "rb") as f:
        text = _Text(f)
        if opened is open:
            while text.read(_PIECE):
                pass
            if not text.added:
                yield path
                return
            f.seek(0)
            text = _Text(f)
        yield text


class _Text:
    """A stream of bytes, or of text, that ends with a newline and has no zero in it."""

    def __init__(self, source: Any) -> None:
        self._source, self._last, self.added = source, b"", False

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        piece = piece.encode() if isinstance(piece, str) else piece
        if b"\0" in piece:
            raise ValueError("a Matrix Market file with a zero byte, which is no text")
        if not piece and self._last != b"\n":
            piece, self.added = b"\n", True
        self._last = piece[-1:] or self._last
        return piece


def check_entries(path: Any, entries: int) -> None:
    """That a Matrix Market file can hold so many.

    Raises
    ------
    ValueError
        It cannot.
    """
    if isinstance(path, (str, os.PathLike)):
        packed = os.path.splitext(path)[1] in (".gz", ".bz2")
        held = os.stat(path).st_size * (_DENSEST if packed else 1)
        if entries > held:  # each takes a digit and an end of line; symmetric arrays leave half of them out
            raise ValueError(f"a Matrix Market file of {held} bytes that claims {entries} entries")


def check_safetensors(file: Any) -> None:
    """That the header of a safetensors file is one, and that its arrays lie within the file.

    Raises
    ------
    ValueError
        What is wrong first.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as f:
            return _check_tensors(f)
    start = file.tell()
    _check_tensors(file)
    file.seek(start)


def _check_tensors(f: io.BufferedIOBase | Any) -> None:
    start = f.tell()
    held = f.seek(0, os.SEEK_END) - start
    f.seek(start)
    first = f.read(8)
    length = struct.unpack("<Q", first)[0] if len(first) == 8 else held
    if length + 8 > held:
        raise ValueError(f"a safetensors file of {held} bytes whose header is not whole")
    header = json.loads(f.read(length).decode("utf-8"), object_pairs_hook=_without_repeats)
    if not isinstance(header, dict):
        raise ValueError("a safetensors file whose header is no object")
    for name, what in header.items():
        if name == "__metadata__":
            if not all(isinstance(v, str) for v in (what or {}).values()):  # MLX writes null where there are none
                raise ValueError("a safetensors file whose metadata are not text")
            continue
        _check_tensor(name, what, held - length - 8)


def _check_tensor(name: str, what: Any, held: int) -> None:
    shape, offsets, dtype = what["shape"], what["data_offsets"], what["dtype"]
    if not all(type(n) is int for n in (*shape, *offsets)) or len(offsets) != 2:
        raise ValueError(f"the shape and the place of {name!r} must be integers")
    if any(not 0 <= n <= _dtypes.INT32_MAX for n in shape):
        raise ValueError(f"{name!r} has the shape {shape}")
    begin, end = offsets
    if not 0 <= begin <= end <= held or end - begin != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise ValueError(f"{name!r} of dtype {dtype} and shape {shape} does not fit bytes {begin} to {end} of {held}")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in the header of a safetensors file")
    return found
