"""Do what docs/adding_an_operation.md says, in a copy of the tree: apply its blocks, build, run its test.

Usage: python tools/try_adding.py [BUILD_OPTION ...]

Needs what an editable install needs (CONTRIBUTING.md). Options go to `meson setup`, such as -Doptimization=1. Prints
the files that were touched, and fails when there are more than four besides the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEP = re.compile(r"^In (the new file )?`([^`]+)`(?:, before `([^\n]+)`)?:\n\n```\w+[^\n]*\n(.*?)^```", re.M | re.S)
NOT_RUN = re.compile(r"^# Not run: .*\n")


def apply(page: str, tree: Path) -> list[str]:
    """Write the blocks of the page into the tree; the paths that they change."""
    touched = []
    for new, name, anchor, block in STEP.findall(page):
        block, path = NOT_RUN.sub("", block), tree / name
        if new:
            if path.exists():
                raise ValueError(f"{name} is no new file")
            path.write_text(block)
        else:
            before, found, after = path.read_text().partition(anchor)
            if not found:
                raise ValueError(f"{name} has no line {anchor!r}")
            path.write_text(before + block + found + after)
        touched.append(name)
    return list(dict.fromkeys(touched))


def main(options: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        tree, build = Path(folder) / "tree", Path(folder) / "build"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", "build", "*.so", "__pycache__", ".gpu"))
        touched = apply((ROOT / "docs" / "adding_an_operation.md").read_text(), tree)
        tests = [name for name in touched if name.startswith("scipy_compat_tests/")]
        print("\n".join(touched))
        run = [["meson", "setup", str(build), str(tree), "-Dbuildtype=release", *options], ["ninja", "-C", str(build)]]
        for command in run:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                print(done.stdout[-4000:])  # which is where ninja tells what a compiler said
                return 1
        for made in (*(build / "native").glob("_native*.so"), build / "native" / "_built_with.py"):
            shutil.copy(made, tree / "mlx_sparse")
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        for device in ("cpu", "shader"):
            command = [sys.executable, "-m", "pytest", "-q", f"--device={device}", *tests]
            subprocess.run(command, check=True, cwd=tree, env=environment)
        count = len(touched) - len(tests)
        print(f"{count} files and {len(tests)} test")
        return int(count > 4 or len(tests) != 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
