"""Damaged files are refused or read, and never more than that: see damage_files.py."""

import random
import struct
import sys
import zipfile

import numpy as np
import pytest

import mlx_sparse as sp
from scipy_compat_tests.native.test_memory import child

linux = pytest.mark.skipif(sys.platform == "win32", reason="a process without limits")


@linux
def test_damaged_files():
    seed = random.randrange(10**6)
    print("seed", seed)
    child("damage_files.py", seed, 500)


@linux
@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(20))
def test_many_damaged_files(seed):
    child("damage_files.py", seed, 2000, timeout=900)


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_that_claims_more_than_it_holds(tmp_path, compressed):
    A = sp.csr_array(np.eye(3))
    path = tmp_path / "a.npz"
    sp.save_npz(path, A, compressed)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**33,)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            with archive.open(name, "w") as f:
                if name == "data.npy":
                    np.lib.format.write_array_header_1_0(f, header)
                else:
                    f.write(content)
    with pytest.raises(ValueError, match="claims"):
        sp.load_npz(path)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_npz_of_diagonals_is_checked(tmp_path):
    good = {"format": b"dia", "shape": (3, 3), "_is_array": True}
    for data, offsets in (
        (np.ones((2, 3)), [0]),
        (np.ones((2, 3)), [1, 1]),
        (np.ones(3), [0, 1]),
        (np.ones((1, 1, 3)), [0]),
        (np.ones((1, 3)), [[0]]),
        (np.ones((1, 3)), [np.nan]),
    ):
        np.savez(tmp_path / "d.npz", data=data, offsets=np.array(offsets), **good)
        with pytest.raises(ValueError):
            sp.load_npz(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", data=np.ones((1, 2)), offsets=np.array([0]), format=b"dia", shape=(2**40, 3))
    A = sp.load_npz(tmp_path / "d.npz")
    assert A.shape == (2**40, 3) and A.nnz == 2
    with pytest.raises((MemoryError, OverflowError)):
        A.toarray()


@pytest.mark.parametrize("header", ["{}x", "[]", '{"a": 1}', '{"a": {}}', "[" * 5000, '{"a": null}'])
def test_safetensors_header(tmp_path, header):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())
    with pytest.raises(ValueError):
        sp.io.load_safetensors(str(path))


@pytest.mark.parametrize("text", ["1 1 1E", "1 1 .", "2 2 3\n1 1 1e+", "1 1 1\0", "1 1 1"])
def test_matrix_market_without_a_last_newline(tmp_path, text):
    path = tmp_path / "x.mtx"
    content = f"%%MatrixMarket matrix coordinate real general\n2 2 {text.count(chr(10)) + 1}\n{text}"
    path.write_bytes(content.encode())
    try:
        assert sp.io.mmread(path).nnz  # some of these are numbers to SciPy's reader
    except ValueError:
        assert text != "1 1 1"
