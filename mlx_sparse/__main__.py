"""Run a program that was written for SciPy on this package's arrays and solvers.

usage: python -m mlx_sparse [--profile] script.py [arguments]
       python -m mlx_sparse [--profile] -m module [arguments]

--profile prints which functions ran here, how long, from which lines, and which went to SciPy and why.
"""

from __future__ import annotations

import os
import runpy
import sys

from . import drop_in


def main(arguments: list[str]) -> int | None:
    profile = arguments[:1] == ["--profile"]
    rest = arguments[int(profile) :]
    module = rest[:1] == ["-m"]
    rest = rest[int(module) :]
    if rest[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if not rest or rest[0].startswith("-"):
        wrong = f"unknown option {rest[0]}" if rest else f"a {'module' if module else 'script'} is missing"
        print(f"mlx_sparse: {wrong}\n{__doc__}", file=sys.stderr)
        return 2
    if not module and not os.path.exists(rest[0]):
        print(f"mlx_sparse: cannot open {rest[0]!r}: no such file", file=sys.stderr)
        return 2
    drop_in.install(profile)
    sys.argv = rest
    try:
        if module:
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            if not sys.flags.safe_path:  # then the first entry is the folder of `python -m`, and not the script's
                sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))
            runpy.run_path(rest[0], run_name="__main__")
    finally:
        if profile:
            print(drop_in.report(), file=sys.stderr)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
