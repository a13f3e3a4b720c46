"""Random sequences of statements about the same arrays: SciPy's state after each of them, or its exception type.

`MLX_SPARSE_FUZZ_SEED` (a number, or "clock") and `MLX_SPARSE_STATES` choose the run; the seed is printed.
"""

import multiprocessing
import os
import re
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from scipy_compat_tests.properties import states
from scipy_compat_tests.properties.test_fuzz import MEANT as MEANT_OF_ONE

SEQUENCES = 2_000
CHUNK = 100  # sequences a child process is asked for at a time

# What is meant to differ, beyond what test_fuzz.py knows of a single statement: pattern in the last statement ->
# pattern in the format and the difference.
MEANT = {
    # SciPy has no setdiag for blocks, elsewhere the dtype becomes the values'; its count_nonzero knows no axis -1 of a
    # 1-D array.
    r"setdiag": r"^bsr: .*has no attribute '_swap'|^(coo|csr|csc): A: dtype \w+ against \w+$",
    r"count_nonzero\(axis=(-1|0)\)": r"SciPy gives IndexError: tuple index out of range",
    # A 1-D array times itself, where that is zero: SciPy reads a value that is not there.
    # Its product of dia arrays without diagonals is float64.
    r"A\.T @ A": r"(elements: 1 / 1|nan location mismatch).*ACTUAL: array\((0|False)|^dia: A: dtype float64 against",
    # Stored zeros of blocks, which SciPy drops here and keeps there, are values to write to.
    r"A\.data\[\.\.\.\] = 1": r"^bsr: (Arrays are not equal|Not equal to tolerance)",
    # What SciPy cannot look at itself, or where it selects all for none.
    r"\[\]": r"unsupported data types in input",
    r"\[np\.array\(.*bool.*:": r"^csr: A: shape",
    # Half of True is no boolean, and is cut to one by way of SciPy's integers.
    r"A /= 2": r"^dok: Arrays are not equal .*: False \(ACTUAL\)",
    # One row times a vector gives a scalar for SciPy's coo_array; for its other formats, and here, a vector.
    r"@": r"^coo: result: type \w+ against ndarray|vector::_M_default_append",
    # Sums of diagonals get their dtype from whichever operand has more of them, even if that cannot hold them.
    # What one of them has none of does not broadcast.
    r"[+-]=? B": r"^dia: (A: dtype|result: SciPy gives (UFuncTypeError|ValueError: operands could not be broadcast))",
    # Booleans that share a place are added up before or after they become numbers, by the route.
    r"[vh]stack\(\[A, [AB]": r"^(csr|coo): (Arrays are not equal|Not equal to tolerance)",
    # The format of a product of 1-D arrays of two formats, and its shape if one is a (1, 1) array.
    r"A\.multiply\(B\)": r"A: type (coo|csr|dok)_array against (coo|csr)_array|^coo: A: shape .* against \(1, \d\)$",
    # Its coo arrays take an (n, 1) right-hand side for a row, and no new shape for a list of positions.
    r"\] = \[\[1\], \[2\]\]": r"^coo: (Arrays are|Not equal|.* could not be broadcast)",
    r"\] = ": r"SciPy gives (ValueError: .*(remapp|broadcast)|AttributeError: module 'numpy' has no)",
    # Nothing cuts 1.5 to an index, and an index out of range is an IndexError.
    r"\[1\.5\]": r"mlx_sparse IndexError: an index array must hold integers",
    r"\[.*\]": r"SciPy gives ValueError: (row|column) index|^lil: .*mlx_sparse IndexError: index",
    r"\[": r"SciPy gives ValueError: cannot reshape|type (coo_array|csr_array|ndarray) against (coo|csr|lil)_array",
    # A slice with a step beside an index array: SciPy gives an ndarray, which no sequence goes on with. So do elements
    # of its dok arrays with a new axis; here, and with two new axes there, they are sparse.
    r"kept\(A, A\[(np\.array|\[\w*\]).*:(-?\d)": r"^csr: A: shape",
    r"^r = A\[.*None": r"^dok: result: type ndarray against dok_array",
    # It counts the entries of no rows as a Python int.
    r"count_nonzero\(axis=None": r"^lil: result: type int against int64",
    r"kept\(A, A\[.*None": r"^dok: A: type dok_array against coo_array",
    # Numbers of its dok arrays are Python's, which do not wrap.
    r"astype": r"^dok: result: SciPy gives OverflowError: Python integer",
    # In its dok arrays booleans stand among integers, and floats; it removes a key that is given twice, twice.
    r"^A = -A$": r"^dok: .*numpy boolean negative",
    r"^r = A\[": r"^dok: result: type (float64 against int|int64 against bool)",
    r"\] = (0$|sp\.)": r"^dok: result: SciPy gives KeyError",
}


def meant(statement, difference):
    return any(re.search(text, statement) and re.search(what, difference) for text, what in MEANT.items()) or any(
        re.search(what, difference) for text, what in MEANT_OF_ONE.items() if text == ""
    )


def run(count, capsys, device):
    seed = os.environ.get("MLX_SPARSE_FUZZ_SEED") or "1"
    seed = time.time_ns() % 2**32 if seed == "clock" else int(seed)
    count = int(os.environ.get("MLX_SPARSE_STATES") or count)
    with capsys.disabled():
        print(f"\nstates: MLX_SPARSE_FUZZ_SEED={seed}, {count} sequences")
    found = []
    for first in range(0, count, CHUNK):
        for number, statements, difference in _in_a_child(device, seed, range(first, min(first + CHUNK, count))):
            if not meant(statements[-1], difference):
                found.append(f"sequence {number}:\n    " + "\n    ".join([*statements, difference]))
    assert not found, f"{len(found)} of {count} differ with MLX_SPARSE_FUZZ_SEED={seed}\n" + "\n".join(found[:10])


_pool = None


def _in_a_child(device, seed, numbers):
    """The differences among these sequences, found in another process: if that ends, this is a difference too."""
    global _pool
    if _pool is None:
        _pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), states.use, (device,))
    try:
        return _pool.submit(states.differences, seed, numbers).result()
    except BrokenProcessPool:
        _pool = None
        if len(numbers) == 1:
            return [(numbers[0], ["(unknown)"], "the process ended")]
        return [d for n in numbers for d in _in_a_child(device, seed, range(n, n + 1))]


@pytest.fixture(autouse=True)
def _no_child_is_left():
    global _pool
    yield
    if _pool is not None:
        _pool.shutdown()
        _pool = None


def test_states(capsys, device):
    run(SEQUENCES, capsys, device)
