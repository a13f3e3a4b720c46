"""Damaged files of every kind that the package reads: `python FILE SEED COUNT`, in a process of its own.

It ends with "done" where each of COUNT files was read or refused as it should be.

Whatever was read is used, since a file that passed the checks must not lead out of its buffers. Memory is limited to
little more than the process has, and every file to a few seconds.
"""

import io
import json
import random
import resource
import signal
import struct
import sys
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path

import mlx.core as mx
import numpy as np

import mlx_sparse as sp

REFUSED = (ValueError, OSError, zipfile.BadZipFile, NotImplementedError)
USELESS = (*REFUSED, MemoryError, OverflowError, TypeError, IndexError)  # a shape may have become anything
GIB = 2**30


def samples():
    """Sound files by name: bytes of .npz, .safetensors and .mtx."""
    dense = np.where(np.arange(48).reshape(6, 8) % 5 == 0, np.arange(48.0).reshape(6, 8), 0)
    large = sp.random_array((300, 300), density=0.2, rng=np.random.default_rng(0), format="csr")
    arrays = {fmt: sp.coo_array(dense).asformat(fmt) for fmt in ("csr", "csc", "coo", "bsr", "dia")}
    arrays |= {"matrix": sp.csr_matrix(dense.astype(np.complex64)), "ints": sp.csc_array(dense.astype(np.int32))}
    arrays |= {"cube": sp.coo_array(dense.reshape(4, 2, 6)), "vector": sp.coo_array(dense[0]), "large": large}
    arrays |= {"blocks": sp.bsr_array(dense, blocksize=(2, 4))}
    files = {}
    for name, A in arrays.items():
        for compressed in (False, True):
            out = io.BytesIO()
            sp.save_npz(out, A, compressed)
            files[f"{name}-{compressed}.npz"] = out.getvalue()
        out = io.BytesIO()
        if A.ndim == 2:
            sp.io.mmwrite(out, A)
            files[f"{name}.mtx"] = out.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.safetensors")
        sp.io.save_safetensors(path, {**arrays, "dense": mx.ones((3, 4)), "wide": mx.ones(3, dtype=mx.float16)})
        files["all.safetensors"] = path.read_bytes()
        for name, A in arrays.items():
            sp.io.save_safetensors(path, {name: A})
            files[f"{name}.safetensors"] = path.read_bytes()
    return files


ODD = (0, 1, -1, 2, 3, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1)


def flipped(content, r):
    out = bytearray(content)
    for _ in range(r.choice((1, 1, 2, 8, 64))):
        out[r.randrange(len(out))] = r.randrange(256)
    return bytes(out)


def cut(content, r):
    return content[: r.randrange(len(content))]


def shifted(content, r):
    at, other = r.randrange(len(content)), r.randrange(len(content))
    piece = content[other : other + r.randrange(1, 40)]
    return content[:at] + piece + content[at + (len(piece) if r.random() < 0.5 else 0) :]


def number(content, r):
    """An integer somewhere becomes another."""
    size, code = r.choice(((4, "<I"), (8, "<Q"), (2, "<H")))
    at = r.randrange(max(1, len(content) - size))
    return content[:at] + struct.pack(code, r.choice(ODD) % 2 ** (8 * size)) + content[at + size :]


def text_number(content, r):
    """A number that is written out becomes another: shapes in headers, sizes in Matrix Market files."""
    places = [i for i in range(len(content)) if content[i : i + 1].isdigit()]
    at = r.choice(places) if places else 0
    return content[:at] + str(r.choice(ODD)).encode() + content[at + 1 :]


def members(content, r):
    """An .npz file, sound as such, whose arrays were changed, renamed, swapped or left out."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    for _ in range(r.choice((1, 1, 2))):
        name, other = r.choice(list(parts)), r.choice(list(parts))
        x, kind = parts[name], r.randrange(9)
        if kind == 0 and len(parts) > 1:
            del parts[name]
        elif kind == 1:
            parts[name], parts[other] = parts[other], x
        elif kind == 2:
            if x.dtype.kind in "SU":
                continue
            parts[name] = x.astype(r.choice(("f4", "f8", "i1", "i8", "u8", "c16", "S3", "U2", "f2", "?")), copy=True)
        elif kind == 3:
            parts[name] = x.reshape(r.choice(((-1,), (1, -1), (-1, 1), (1, 1, -1))))
        elif kind == 4:
            parts[name] = np.resize(x, r.choice((0, 1, 3, 1000)))
        elif kind == 5 and x.dtype.kind in "iuf" and x.size:
            y = x.astype(np.float64 if x.dtype.kind == "f" else np.int64).ravel()
            y[r.randrange(y.size)] = r.choice((*ODD[:-1], -(2**31), -7, 5))
            parts[name] = y.reshape(x.shape)
        elif kind == 6:
            parts[name] = x[..., None][..., 0] if x.ndim == 0 else np.asfortranarray(x[::-1])
        elif kind == 7:
            parts["shape.npy"] = np.array([r.choice(ODD) for _ in range(r.choice((0, 1, 2, 2, 2, 3)))])
        else:
            parts["format.npy"] = np.array(r.choice((b"csr", b"csc", b"bsr", b"dia", b"coo", b"dok", b"\xff", "csr")))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", r.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, x in parts.items():
            held = io.BytesIO()
            np.save(held, x)
            raw = held.getvalue()
            archive.writestr(name, raw if r.random() < 0.9 else r.choice((flipped, cut, text_number))(raw, r))
    return out.getvalue()


def header(content, r):
    """A safetensors file whose header was changed as what it is."""
    n = struct.unpack("<Q", content[:8])[0]
    top = json.loads(content[8 : 8 + n])
    inner = json.loads(top["__metadata__"]["mlx_sparse"])
    name = r.choice([k for k in top if k != "__metadata__"])
    described = r.choice(list(inner["arrays"]) or [""])
    odd = r.choice((*ODD, 1e3, None, "x", [], {}, True, [1, 2], 2**70))
    kind = r.randrange(8)
    if kind == 0:
        top[name][r.choice(("dtype", "shape", "data_offsets"))] = odd
    elif kind == 1:
        top[name]["shape"] = [r.choice(ODD) for _ in range(r.randrange(4))]
    elif kind == 2:
        top[name]["data_offsets"] = [r.choice(ODD), r.choice(ODD)]
    elif kind == 3:
        top[name]["dtype"] = r.choice(("F32", "F64", "I64", "BOOL", "U8", "C64", "F8_E4M3", "BF16", "NONE"))
    elif kind == 4:
        del top[name]
    elif kind == 5 and described:
        inner["arrays"][described][r.choice(("format", "shape", "array"))] = odd
    elif kind == 6 and described:
        inner["arrays"][described]["shape"] = [r.choice(ODD) for _ in range(r.randrange(4))]
    elif described:
        inner["arrays"][described]["format"] = r.choice(("csr", "csc", "bsr", "dia", "coo", "lil", ""))
    if r.random() < 0.1:
        inner = r.choice((odd, {"arrays": odd, "bits": {}}, {"arrays": {}, "bits": {name: odd}}))
    top["__metadata__"]["mlx_sparse"] = json.dumps(inner)
    raw = json.dumps(top).encode()
    return struct.pack("<Q", len(raw)) + raw + content[8 + n :]


def read(name, content, on_disk):
    """The sparse arrays in a file."""
    if on_disk:
        path = Path(FOLDER.name, name)
        path.write_bytes(content)
    source = path if on_disk else io.BytesIO(content)
    if name.endswith(".npz"):
        return [sp.load_npz(source)]
    if name.endswith(".mtx"):
        return [sp.io.mmread(source, spmatrix=False)]
    return list(sp.io.load_safetensors(str(path)).values())


def use(A):
    """Look at every entry, in several ways."""
    if not sp.issparse(A):
        return np.asarray(A).sum()
    for f in (
        lambda: A.sum(),
        lambda: A.T.nnz,
        lambda: A.tocoo().sum(),
        lambda: A.diagonal()[:1],
        lambda: A.tocsc()[:, :2].nnz,
        lambda: A.tocsr().nnz,
        lambda: A @ np.ones(A.shape[-1]) if A.shape[-1] < 10**6 else None,
        lambda: A.toarray().sum(),
    ):
        try:
            f()
        except USELESS:
            pass


def main(seed, count):
    r = random.Random(seed)
    files = samples()
    tally = {"read": 0, "refused": 0}
    general = (flipped, cut, shifted, number, text_number)
    special = {"npz": (members, members, members), "safetensors": (header, header, header), "mtx": ()}
    if sys.platform == "linux":
        have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (have + 2 * GIB, have + 2 * GIB))
    for n in range(count):
        name = r.choice(list(files))
        how = r.choice(general + special[name.rpartition(".")[2]])
        content = how(files[name], r)
        what = f"file {n} of seed {seed}: {name}, {how.__name__}"
        Path(FOLDER.name, "now").write_text(what)
        on_disk = name.endswith(".safetensors") or r.random() < 0.7
        signal.alarm(10)
        try:
            found = read(name, content, on_disk)
        except REFUSED:
            tally["refused"] += 1
            continue
        except Exception:
            if name.endswith(".mtx"):  # SciPy reads these
                continue
            traceback.print_exc()
            raise SystemExit(f"{what}: another exception") from None
        tally["read"] += 1
        for A in found:
            use(A)
    signal.alarm(0)
    print(tally, "done", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    FOLDER = tempfile.TemporaryDirectory() if len(sys.argv) < 4 else type("Folder", (), {"name": sys.argv[3]})
    main(int(sys.argv[1]), int(sys.argv[2]))
