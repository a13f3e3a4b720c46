"""The table of CONTRIBUTING.md that says which tests cover which source files: complete, and without dead names."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "scipy_compat_tests"
SOURCES = ("mlx_sparse", "native", "shaders", "tools")


def quoted(cell):
    """The names in backticks, with a shell's braces written out; not options."""
    for name in re.findall(r"`([^`]+)`", cell):
        if name.startswith("--"):
            continue
        before, brace, rest = name.partition("{")
        choices, _, after = rest.partition("}")
        yield from (before + choice + after for choice in choices.split(",")) if brace else [name]


def rows():
    """(globs of source files, tests) of each row; a row without tests says "none: " and why."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n| source | tests |\n|---|---|\n")[2]
    for line in table.partition("\n\n")[0].splitlines():
        sources, tests = line.strip("|").split("|")
        assert "`" in tests or tests.strip().startswith("none: "), line
        yield list(quoted(sources)), list(quoted(tests))


ROWS = list(rows())


def tracked(*folders):
    found = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *folders], cwd=ROOT, capture_output=True, text=True
    )
    if found.returncode:
        pytest.skip("needs a checkout")
    return {path for name in found.stdout.splitlines() if (path := ROOT / name).exists()}


def place(name):
    return TESTS / name if (TESTS / name).exists() else ROOT / name


def test_every_source_file_has_a_row():
    covered = {path for globs, _ in ROWS for glob in globs for path in ROOT.glob(glob)}
    missing = tracked(*SOURCES) - covered
    assert not missing, f"in no row of the table in CONTRIBUTING.md: {sorted(map(str, missing))}"


def test_every_pattern_matches_a_file():
    files = tracked()
    assert [glob for globs, _ in ROWS for glob in globs if not files.intersection(ROOT.glob(glob))] == []


def test_every_test_that_is_named_exists():
    assert ROWS and [name for _, names in ROWS for name in names if not place(name).exists()] == []


def test_every_test_file_is_named():
    named = {place(name) for _, names in ROWS for name in names}
    missing = {path for path in TESTS.rglob("test_*.py") if not named.intersection([path, *path.parents])}
    assert not missing, f"in no row of the table in CONTRIBUTING.md: {sorted(map(str, missing))}"
