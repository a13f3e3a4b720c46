"""Counts of SciPy's own tests against mlx_sparse, and the ledger of known failures.

    python scipy_compat_tests/upstream/report.py [--device cpu|shader|gpu] [--update] [pytest arguments]

With ``--update`` the device's ledger is rewritten: tests that fail get a line, those that pass lose theirs. A line that
stays keeps its reason unless that begins with "todo"; a new line's reason is that of the first rule of `RULES` that
matches, or "todo: <exception>".
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from scipy_compat_tests.upstream import ledger, loader  # noqa: E402

HEADER = """# Tests of SciPy {releases} that fail on mlx_sparse, {device}: id  # reason. One that passes is an error.
# Written by scipy_compat_tests/upstream/report.py --update; reasons may be edited."""

# (reason, pattern searched in the test's id, pattern searched in its failure): the first row found gives the reason.
RULES = [
    ("sums of complex64 are rounded once", r"test_base.py::TestCOONonCanonical(Matrix)?::test_sum", ""),
    (
        "gives our arrays to a private function of SciPy's",
        r"::test_(padecases_dtype_sparse_float|add_reverse_edges)",
        "",
    ),
    ("counts references to SuperLU's own object", r"::test_lu_refcount", ""),
    ("float16 is supported", r"::test_dtype_check", ""),
    ("buffers that are replaced are looked at again", r"::test_has_canonical_format", ""),
    ("mlx has no axis of 2**31 or more", r"::test_scalar_idx_dtype", ""),
    ("replaces a private function of SciPy's", r"::test_setdiag_dtype", ""),
    ("wording of an error message", "", r"Regex pattern did not match"),
]


OWN = ("upstream/test_ledgers.py", "upstream/test_loader.py")  # tests of this folder itself


class Recorder:
    """Pytest plugin that keeps the outcome of every upstream test.

    Attributes
    ----------
    outcomes : dict
        id -> one of "passed", "failed", "known", "unexpected pass", "not applicable", "skipped".
    texts : dict
        id -> text of the failure.
    """

    def __init__(self, known):
        self.known, self.outcomes, self.texts, self.foreign = known, {}, {}, 0

    def pytest_deselected(self, items):
        self.foreign += len(items)

    def pytest_runtest_logreport(self, report):
        test = ledger.short_id(report.nodeid)
        if test.startswith(OWN) or (report.when != "call" and report.outcome == "passed"):
            return
        self.outcomes[test] = self._outcome(test, report)
        if self.outcomes[test] in ("failed", "known"):
            self.texts[test] = _failure(report)

    def _outcome(self, test, report):
        if report.outcome == "passed":
            return "passed"
        if report.outcome == "failed":
            return "unexpected pass" if str(report.longrepr).startswith("[XPASS(strict)]") else "failed"
        if hasattr(report, "wasxfail"):
            return "known" if self.known.reason(test) == report.wasxfail.removeprefix("[NOTRUN] ") else "skipped"
        return "not applicable" if "not applicable:" in str(report.longrepr) else "skipped"


def _failure(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else str(report.longrepr)


def summary(text):
    """One line for a failure: the exception, and where an assertion has no text of its own, the compared kinds."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "AssertionError"
    line = " ".join(lines[:2]) if lines[0].rstrip(":") == "AssertionError" and len(lines) > 1 else lines[0]
    line = re.sub(r"0x[0-9a-f]+", "0x", line)
    return re.sub(r"\s+#", " ", line)[:110]


def reason_for(test, text):
    """Default reason of a failing test."""
    for reason, in_id, in_text in RULES:
        if re.search(in_id, test) and re.search(in_text, text):
            return reason
    return f"todo: {summary(text)}"


def updated(known, recorder, base):
    """Mapping id -> reason of the device's ledger after a run; `base` is the ledger that it extends."""
    lines = {}
    for test, outcome in recorder.outcomes.items():
        if outcome in ("failed", "known"):
            reason = known.reason(test)
            if reason is None or reason.startswith("todo"):
                reason = reason_for(test, recorder.texts[test])
            if base.reason(test) is None or not reason.startswith("todo") and reason != base.reason(test):
                lines[test] = reason
        elif outcome in ("passed", "unexpected pass") and base.reason(test) is not None:
            lines[test] = None
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "shader", "gpu"), default="cpu")
    parser.add_argument("--update", action="store_true", help="rewrite the device's ledger")
    options, rest = parser.parse_known_args(argv)
    known = ledger.for_device(options.device)
    recorder = Recorder(known)
    folder = Path(__file__).resolve().parent
    quiet = ["-q", "-r", "N", "--tb=no", "--no-header", "-p", "no:cacheprovider"]
    code = pytest.main([str(folder), "--device", options.device, *quiet, *rest], plugins=[recorder])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(code)
    counts = Counter(recorder.outcomes.values())
    print(f"\nSciPy's own tests on mlx_sparse, device {options.device}")
    for outcome in ("passed", "failed", "unexpected pass", "known", "not applicable", "skipped"):
        print(f"  {outcome:<16}{counts[outcome]:>6}")
    print(f"  {'SciPy only':<16}{recorder.foreign:>6}  (use no object of mlx_sparse: not run)")
    why = Counter(reason_for(t, x) if known.reason(t) is None else known.reason(t) for t, x in recorder.texts.items())
    for reason, count in why.most_common():
        print(f"  {count:>6}  {reason}")
    if options.update:
        _update(options.device, known, recorder)
        return 0
    return int(bool(counts["failed"] or counts["unexpected pass"]))


def _update(device, known, recorder):
    base = ledger.Ledger() if device == "cpu" else ledger.Ledger("cpu")
    path = ledger.FOLDER / f"{device}.txt"
    reasons = updated(known, recorder, base)
    ledger.write(path, reasons, HEADER.format(releases=" and ".join(loader.RELEASES), device=device))
    print(f"{path.name}: {len(reasons)} lines")


if __name__ == "__main__":
    sys.exit(main())
