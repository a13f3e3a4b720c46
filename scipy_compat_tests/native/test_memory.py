"""Sizes that cannot be had are refused before work begins; those beyond int32 that can be had are right.

What could end the process runs in another one, where that is a failure.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mlx_sparse as sp
from scipy_compat_tests.native.children import run
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


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")
def test_memory_is_short_in_a_process_of_many_streams():
    """MLX starts a thread for each before it gives back what it keeps, and there is no room for their stacks."""
    run("""
import resource
mx.eval(mx.ones(10**6) + 1)
assert mx.get_cache_memory()
for _ in range(60):
    thread = threading.Thread(target=lambda: mx.default_stream(mx.cpu))
    thread.start()
    thread.join()
A = sp.coo_array(([1.0], ([0], [0])), shape=(2**14, 2**14))
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**27,) * 2)
for _ in range(3):
    try:
        A.toarray()
    except MemoryError as error:
        assert str(2**31) in str(error)
    else:
        raise AssertionError("no MemoryError")
""")


def test_message_names_the_bytes():
    A = sp.coo_array(([1.0], ([0], [0])), shape=(2**30, 2**30))
    with pytest.raises(MemoryError, match=str(2**63)):
        A.toarray()
    with pytest.raises(OverflowError, match=f"{2**31}|{2**31 + 1}"):  # shaders count offsets too
        sp.coo_array((np.ones(1, bool), ([0], [0])), shape=(1, 2**31)).sum(axis=0)


SHAPES = [(HUGE, HUGE), (HUGE, 1000), (1000, HUGE), (2**31, 2**31 - 1), (2**32 + 7, 9), (9, 2**32 + 7)]
FEW = 2**20  # as many slices as are worth a result of their own


def wide(fmt, shape):
    rows, cols = [0, 5, 5, shape[0] - 1], [1, 5, shape[1] - 1, 7]
    return sp.coo_array(([1.0, -2.0, 3.0, 4.0], (rows, cols)), shape=shape).asformat(fmt)


def coordinates(A):
    coo = A.tocoo()
    coo.sum_duplicates()
    return [c.tolist() for c in coo.coords]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", ["coo", "dok"])
def test_sizes_beyond_int32_are_not_cut(fmt, shape):
    (M, N), at = shape, [[0, 5, 5, shape[0] - 1], [1, 5, shape[1] - 1, 7]]
    with numpy_mode():
        A = wide(fmt, shape)
        assert A.sum() == A.T.sum() == 6 and (A * 2).sum() == 12 and abs(A).sum() == 10
        assert np.isclose(A.mean(), 6 / (M * N)) and A.nnz == A.count_nonzero() == 4 and A.T.shape == (N, M)
        assert coordinates(A) == at and coordinates(A.T.tocoo().T) == at
        coo = A.tocoo()
        assert (coo.max(), coo.min(), coo.argmax(), coo.argmin()) == (4, -2, (M - 1) * N + 7, 5 * N + 5)
        assert A.todok()[5, 5] == -2 and coo[5, N - 1] == 3 and A.todok()[M - 1, 7] == 4
        places = [r * N + c for r, c in zip(*at, strict=True)]
        if M * N < 2**63:
            assert coordinates(coo.reshape((N, M))) == [[p // M for p in places], [p % M for p in places]]
        offsets = sorted({c - r for r, c in zip(*at, strict=True)})
        if N < FEW:
            assert coo.todia().offsets.tolist() == offsets


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", ["coo", "dok"])
def test_long_minor_axes(fmt, shape):
    (M, N), at = shape, [[0, 5, 5, shape[0] - 1], [1, 5, shape[1] - 1, 7]]
    with numpy_mode():
        A = wide(fmt, shape)
        if M < FEW:
            rows = np.zeros(M)
            np.add.at(rows, at[0], [1, -2, 3, 4])
            assert A.sum(axis=1).tolist() == A.tocsr().sum(axis=1).tolist() == rows.tolist()
            assert A.tocsr().indices.tolist() == at[1] and coordinates(A.tocsr()) == at
            assert coordinates(A.tocsr()[5]) == [[5, N - 1]] and coordinates(A.tocsr()[5:, 5:]) == [
                [0, 0, M - 6],
                [0, N - 6, 2],
            ]
            assert coordinates(A.tocsr() + A.tocsr()) == at and (A.tocsr() + A.tocsr()).sum() == 12
            assert coordinates(sp.vstack([A, A], format="csr"))[1] == at[1] * 2
            assert A.tocsr().T.shape == (N, M) and A.tocsr().T.sum(axis=0).tolist() == rows.tolist()
        if N < FEW:
            columns = np.zeros(N)
            np.add.at(columns, at[1], [1, -2, 3, 4])
            assert A.sum(axis=0).tolist() == A.tocsc().sum(axis=0).tolist() == columns.tolist()
            assert coordinates(A.tocsc()[:, 5]) == [[5]] and coordinates(A.tocsc()) == at
            assert (np.ones(3) @ A.tocsc().T.tocsr()[:3].T.tocsc().T[:, :3].T).shape == (3,)


def test_wide_blocks_and_diagonals():
    with numpy_mode():
        B = sp.bsr_array((np.ones((1, 1, 1)), [2**32 + 1], [0, 1]), shape=(1, 2**32 + 2))
        assert B.sum() == 1 and B.tocoo().coords[1].tolist() == [2**32 + 1] and (2 * B).sum() == 2
        D = sp.dia_array((np.ones((1, 2)), [0]), shape=(2**32, 3))
        assert D.nnz == 2 and D.sum(axis=0).tolist() == [1, 1, 0] and D.sum() == 2 and D.T.shape == (3, 2**32)
        T = sp.dia_array((np.ones((2, 5)), [-(2**31), 2**31 - 1]), shape=(2**33, 2**33))
        assert T.nnz == 5 and T.sum() == 5


def test_positions_that_int64_does_not_hold():
    A = sp.coo_array(([1.0, 3.0, -1.0], ([0, HUGE - 1, 3], [1, 2, HUGE - 1])), shape=(HUGE, HUGE))
    assert A.argmax() == (HUGE - 1) * HUGE + 2 and A.argmin() == 3 * HUGE + HUGE - 1
    C = sp.coo_array(([1.0, 3.0], ([0, HUGE - 1], [1, 2], [HUGE - 1, 1])), shape=(HUGE, HUGE, HUGE))
    assert C.argmax() == ((HUGE - 1) * HUGE + 2) * HUGE + 1 and C.max() == 3 and C.sum() == 4
    narrow = sp.coo_array(([1.0, 3.0], ([0, 1], [1, 2], [HUGE - 1, 1])), shape=(2, HUGE, HUGE))
    assert narrow.max(axis=(1, 2)).toarray().tolist() == [1, 3]
    with pytest.raises(OverflowError, match="int64"):
        narrow.argmax(axis=(1, 2))
