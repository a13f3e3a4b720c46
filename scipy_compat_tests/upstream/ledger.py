"""Reading, matching and writing the ledgers of upstream tests.

A ledger is a text file of lines ``id  # reason``. In an id, ``*`` and ``?`` are wildcards; brackets are literal,
because ids of parametrised tests hold them. `cpu.txt` lists the tests that fail. `shader.txt` and `gpu.txt` extend it:
there a line ``! id  # reason`` says that a test passes which fails on the CPU. `not_applicable.txt` lists tests that
cannot apply. A test whose reason begins with "crash:" is not run: it would end the process or hang. A line whose reason
begins with "SciPy 1.18:" holds with that release alone.
"""

import re
from functools import cached_property
from pathlib import Path

import pytest
import scipy

FOLDER = Path(__file__).resolve().parents[1] / "ledgers"
PREFIX = "scipy_compat_tests/"
CRASH = "crash:"  # a reason that begins so keeps the test from running
RELEASE = re.compile(r"SciPy (\d+\.\d+):")
COLLECTED = pytest.StashKey[list]()  # short ids of the upstream tests of a session


def short_id(nodeid):
    """`upstream/test_base.py::TestCSR::test_add` for a pytest node id."""
    return nodeid[len(PREFIX) :] if nodeid.startswith(PREFIX) else nodeid


class Ledger:
    """Lines of one or more ledger files; a later file overrides an earlier one.

    Parameters
    ----------
    *names : str
        File names without suffix. A file that does not exist is empty.
    """

    def __init__(self, *names, folder=FOLDER):
        self.lines = {}
        for name in names:
            path = folder / f"{name}.txt"
            if path.exists():
                self.lines.update(parse(path.read_text(encoding="utf-8"), str(path)))

    @cached_property
    def _globs(self):
        return [(glob_pattern(line), line) for line in self.lines if "*" in line or "?" in line]

    def match(self, test):
        """The line that covers the test id, or None; an exact line wins over a glob, the last glob over the others."""
        found = test if test in self.lines else None
        for pattern, line in self._globs if found is None else ():
            if pattern.fullmatch(test):
                found = line
        return found

    def reason(self, test):
        """Why the test is listed, or None when it is not (or is lifted by a `!` line)."""
        line = self.match(test)
        return None if line is None else self.lines[line]

    def stale(self, tests):
        """Lines that cover none of the ids."""
        return sorted(set(self.lines) - {self.match(test) for test in tests})


def glob_pattern(line):
    """Regular expression for a line in which only `*` and `?` are special."""
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in line))


def parse(text, where="ledger"):
    """Mapping id -> reason (None for a `!` line) of a ledger's text."""
    lines = {}
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip() or raw.startswith("#"):
            continue
        test, mark, reason = raw.partition("  # ")
        lifted, test = test.startswith("! "), test.removeprefix("! ").strip()
        if not mark or not reason.strip():
            raise ValueError(f"{where}:{number}: a line is 'id  # reason', got {raw!r}")
        if test in lines:
            raise ValueError(f"{where}:{number}: {test} is listed twice")
        release = RELEASE.match(reason.strip())
        if release and not scipy.__version__.startswith(f"{release[1]}."):
            continue
        lines[test] = None if lifted else reason.strip()
    return lines


def write(path, reasons, header):
    """Write a ledger: mapping id -> reason (None: lifted), grouped by reason so that a group is easy to review."""
    groups = {}
    for test, reason in reasons.items():
        line = test if reason is not None else f"! {test}"
        groups.setdefault(reason or "passes here", []).append(line)
    blocks = [header.rstrip()]
    for reason in sorted(groups):
        blocks.append("\n".join(f"{test}  # {reason}" for test in sorted(groups[reason])))
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def for_device(device):
    """The ledger of failures for an executor."""
    return Ledger("cpu") if device == "cpu" else Ledger("cpu", device)
