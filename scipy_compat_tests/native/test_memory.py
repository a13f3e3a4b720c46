"""Sizes that cannot be had are refused before work begins; those beyond int32 that can be had are right.

What could end the process runs in another one, where that is a failure.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from scipy_compat_tests.oracle.harness import numpy_mode

HERE = Path(__file__).parent
HUGE = 2**40


def child(script, *args, timeout=300):
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, args)], capture_output=True, text=True, timeout=timeout
    )
    lines = done.stdout.splitlines()
    wrong = [line for line in lines if re.match("NOT REFUSED|OTHER ERROR", line)]
    assert not wrong, "\n".join(wrong)
    assert done.returncode == 0 and lines and lines[-1].endswith("done"), (
        lines[-1:],
        done.returncode,
        done.stderr[-2000:],
    )


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")
@pytest.mark.parametrize("mode", ["mlx", "numpy"])
def test_what_cannot_be_had_is_a_memory_error(mode):
    child("exhaust_memory.py", mode)


def test_message_names_the_bytes():
    A = sp.coo_array(([1.0], ([0], [0])), shape=(2**30, 2**30))
    with pytest.raises(MemoryError, match=str(2**63)):
        A.toarray()
    with pytest.raises(OverflowError, match=str(2**31)):
        sp.coo_array((np.ones(1, bool), ([0], [0])), shape=(1, 2**31)).sum(axis=0)


def wide(lib, fmt, shape=(HUGE, HUGE), dtype=float):
    rows, cols = np.array([0, 5, 5, shape[0] - 1]), np.array([1, 5, shape[1] - 1, 7])
    return lib.coo_array((np.array([1, -2, 3, 4], dtype), (rows, cols)), shape=shape).asformat(fmt)


SHAPES = [(HUGE, HUGE), (HUGE, 1000), (1000, HUGE), (2**31, 2**31 - 1), (2**32 + 7, 9), (9, 2**32 + 7)]
WIDE = {
    "sum": lambda A, lib: A.sum(),
    "mean": lambda A, lib: A.mean(),
    "nnz": lambda A, lib: (A.nnz, A.shape, A.T.shape, A.count_nonzero()),
    "max": lambda A, lib: (A.tocoo().max(), A.tocoo().min()),
    "argmax": lambda A, lib: (A.tocoo().argmax(), A.tocoo().argmin()),
    "trace of T": lambda A, lib: A.T.sum(),
    "coo": lambda A, lib: [np.asarray(c).tolist() for c in A.tocoo().coords],
    "scaled": lambda A, lib: (A * 2).sum(),
    "added": lambda A, lib: (A.tocoo().T.T * 3).sum(),
    "dia": lambda A, lib: np.asarray(A.tocoo().todia().offsets).tolist() if min(A.shape) < 2**20 else None,
    "element": lambda A, lib: A.todok()[5, 5],
    "reshape": lambda A, lib: (
        [np.asarray(c).tolist() for c in A.tocoo().reshape(A.shape[::-1]).coords]
        if A.shape[0] * A.shape[1] < 2**63
        else None
    ),
    "abs": lambda A, lib: abs(A).sum(),
    "csr": lambda A, lib: (A.tocsr().sum(), np.asarray(A.tocsr().indices).tolist()) if A.shape[0] < 2**20 else None,
    "csc": lambda A, lib: (A.tocsc().sum(), np.asarray(A.tocsc().indices).tolist()) if A.shape[1] < 2**20 else None,
    "rows": lambda A, lib: A.sum(axis=1).tolist() if A.shape[0] < 2**20 else None,
    "columns": lambda A, lib: A.sum(axis=0).tolist() if A.shape[1] < 2**20 else None,
    "product": lambda A, lib: (
        (A.T @ np.ones(A.shape[0])).tolist() if A.shape[0] < 2**20 and A.shape[1] < 2**20 else None
    ),
    "slice": lambda A, lib: A.tocsr()[:6, 5:].toarray().tolist() if max(A.shape) < 2**20 else None,
    "rows of csr": lambda A, lib: A.tocsr()[5].tocoo().coords[-1].tolist() if A.shape[0] < 2**20 else None,
    "columns of csc": lambda A, lib: A.tocsc()[:, 5].tocoo().coords[-1].tolist() if A.shape[1] < 2**20 else None,
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", WIDE)
def test_sizes_beyond_int32_are_not_cut(name, shape):
    with numpy_mode():
        for fmt in ("coo", "dok"):
            want = WIDE[name](wide(scipy.sparse, fmt, shape), scipy.sparse)
            got = WIDE[name](wide(sp, fmt, shape), sp)
            if name == "argmax":  # SciPy counts positions in int64
                flat = [5 * shape[1] + 5, (shape[0] - 1) * shape[1] + 7]
                want = (flat[1], flat[0])
            assert got == want, fmt


def test_wide_blocks_and_diagonals():
    with numpy_mode():
        for lib in (sp, scipy.sparse):
            B = lib.bsr_array((np.ones((1, 1, 1)), [2**32 + 1], [0, 1]), shape=(1, 2**32 + 2))
            assert B.sum() == 1 and B.tocoo().coords[1].tolist() == [2**32 + 1] and (2 * B).sum() == 2
            D = lib.dia_array((np.ones((1, 2)), [0]), shape=(2**32, 3))
            assert D.nnz == 2 and D.sum(axis=0).tolist() == [1, 1, 0]
            assert D.T.shape == (3, 2**32)


def test_positions_that_int64_does_not_hold():
    A = sp.coo_array(([1.0, 3.0, -1.0], ([0, HUGE - 1, 3], [1, 2, HUGE - 1])), shape=(HUGE, HUGE))
    assert A.argmax() == (HUGE - 1) * HUGE + 2 and A.argmin() == 3 * HUGE + HUGE - 1
    C = sp.coo_array(([1.0, 3.0], ([0, HUGE - 1], [1, 2], [HUGE - 1, 1])), shape=(HUGE, HUGE, HUGE))
    assert C.argmax() == ((HUGE - 1) * HUGE + 2) * HUGE + 1 and C.max() == 3 and C.sum() == 4
    narrow = sp.coo_array(([1.0, 3.0], ([0, 1], [1, 2], [HUGE - 1, 1])), shape=(2, HUGE, HUGE))
    assert narrow.max(axis=(1, 2)).toarray().tolist() == [1, 3]
    with pytest.raises(OverflowError, match="int64"):
        narrow.argmax(axis=(1, 2))
