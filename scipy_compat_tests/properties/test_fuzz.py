"""Random constructor calls, index expressions, assignments and operations: SciPy's outcome or its exception type.

`MLX_SPARSE_FUZZ_SEED` (a number, or "clock") and `MLX_SPARSE_FUZZ_CASES` choose the run; the seed is printed. Without
them every run draws the same cases, so that a red run means a change.
Every failure names the text of its case, which `sp = mlx_sparse` or `sp = scipy.sparse` runs alone.
"""

import os
import re
import time

import pytest
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import outcome, twin, valid
from scipy_compat_tests.properties import fuzz

QUICK, LONG = 1_000, 20_000

# What is meant to differ: pattern in a case's text -> pattern in the difference.
MEANT = {
    # One row times a vector: SciPy's coo_array gives a scalar for it, and all its other formats a vector.
    r"sp\.coo_array.*@ np\.ones\(\d\)": r"type \w+ against ndarray",
    # SciPy's dok_array forgets `shape` beside dense data, and takes a triple of integers for data.
    r"^sp\.dok_array\((.*shape=|\(\d)": r"mlx_sparse (ValueError|TypeError): .*shape",
    # It also fails to delete an entry twice, where a place is named twice.
    r"assigned\(sp\.dok_array": r"SciPy gives KeyError",
    # An index out of range is an IndexError whatever else is wrong, and also where nothing is selected.
    r"sp\.lil_array": r"mlx_sparse IndexError: index",
    # SciPy's selections of builders carry stored zeros along or drop them, by the path; so do products of blocks.
    r"sp\.(lil|dok)_array.*\[": r"^result: nnz",
    r"sp\.bsr_array.* @ ": r"^result: nnz",
    # Nothing discards an imaginary part on the way into an array of integers.
    r"assigned\(sp\.(dok|lil)_array.*complex64": r"mlx_sparse TypeError: int\(\) argument",
    # A new axis, an empty stepped slice, a 2-D index of a 1-D array: SciPy's format, or density, depends on the path.
    r"sp\.(csr|dok|lil)_array.*\[": r"type (\w{3}_array|ndarray) against|cannot reshape array|remapped shapes",
    # A column is a right-hand side for a vector: so it is for SciPy's coo and dok arrays, but not for its csr array.
    r"assigned\(sp\.csr_array": r"SciPy gives ValueError: input operand has more dimensions than allowed",
    # What SciPy gets wrong: a real dia array minus a complex one, a product without columns, Python numbers divided.
    r"sp\.dia_array.* - sp\.dia_array": r"SciPy gives UFuncTypeError: Cannot cast",
    r"shape=\(\d, 0\)\)\)$": r"dtype float64 against",
    r"sp\.lil_array.* / 0$": r"SciPy gives ZeroDivisionError",
    r"sp\.dok_array.* / -1$": r"SciPy gives OverflowError",
    # SciPy's coo_array takes an (n, 1) right-hand side for a row, and counts entries apart that one place holds.
    r"assigned\(sp\.coo_array.*\[\[1\], \[2\]\]\)": r"could not be broadcast together|Arrays are not equal",
    # It takes no vector for a column.
    r"assigned\(sp\.coo_array.*(\[1, 2\]|np\.ones\(\d\))\)$": r"SciPy gives ValueError: operands could not",
    # Text is no index: a ValueError, where SciPy fails in a ufunc.
    r"\('a', 'b'\)": r"mlx_sparse ValueError: coords",
    # Nor does anything cut 1.5 to an index, which some of SciPy's selections do.
    r"\[1\.5\]": r"mlx_sparse (IndexError|ValueError)",
    # Two things are wrong with the call, and the other one is found first.
    r"sp\.dia_array\(\(\[.*j\).*dtype='": r"mlx_sparse ValueError: offsets array must have rank 1",
    r"sp\.(lil|csc|csr)_array.*(\[\]|None)\)$": r"mlx_sparse (TypeError|ValueError)",
    r"dtype=('U3'|'nonsense'|object)": r"mlx_sparse (TypeError|ValueError)",
    # SciPy fails in ways of its own.
    r"": r"SciPy gives (RuntimeError: vector|AttributeError: module 'nu|ValueError: zero-size|TypeError: '<' not)",
}


def differences(seed, count):
    found, skipped = [], 0
    for number, case in fuzz.cases(seed, count):
        difference = check(case)
        if difference is None:
            continue
        if any(re.search(text, case.text) and re.search(what, difference) for text, what in MEANT.items()):
            skipped += 1
            continue
        found.append(f"case {number}: {case.text}\n    {difference}")
    return found, skipped


def check(case):
    """How the packages differ on a case; None when they agree."""
    if case.refused:
        got = outcome(lambda sp: fuzz.evaluate(case.text, sp), mlx_sparse)
        return None if isinstance(got, (ValueError, TypeError)) else f"mlx_sparse accepts it: {got!r}"
    try:
        twin(lambda sp: fuzz.evaluate(case.text, sp), index_dtype=False)
    except Exception as error:
        if broken(outcome(lambda sp: fuzz.evaluate(case.text, sp), scipy.sparse)):
            return None
        return " | ".join(line.strip() for line in str(error).splitlines() if line.strip())[:240]
    return None


def broken(x):
    """Whether SciPy made an array that it cannot use itself: no reference."""
    if not scipy.sparse.issparse(x):
        return False
    try:
        valid(x).toarray()
        return x.ndim not in fuzz.FORMATS.get(x.format, (x.ndim,))
    except Exception:
        return True


def run(count, capsys):
    seed = os.environ.get("MLX_SPARSE_FUZZ_SEED") or "1"
    seed = time.time_ns() % 2**32 if seed == "clock" else int(seed)
    count = int(os.environ.get("MLX_SPARSE_FUZZ_CASES") or count)
    with capsys.disabled():
        print(f"\nfuzz: MLX_SPARSE_FUZZ_SEED={seed}, {count} cases")
    found, _ = differences(seed, count)
    shown = "\n".join(found[:20])
    assert not found, f"{len(found)} of {count} cases differ with MLX_SPARSE_FUZZ_SEED={seed}\n{shown}"


def test_fuzz(capsys):
    run(QUICK, capsys)


@pytest.mark.heavy
def test_fuzz_long(capsys):
    run(LONG, capsys)
