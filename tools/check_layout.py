"""Fail when the tree breaks its own layout: file sizes, import direction, type lists and names out of place.

Usage: python tools/check_layout.py
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARD_LINES = 600
HARD_LINES_PY = 800
# A lower layer never imports a higher one.
LAYERS = [
    {"_native", "_built_with"},
    {"runtime", "_device", "_shape", "_dtypes"},
    {"_dense"},
    {"_reduce"},
    {"_base"},
    {"_data", "_index"},
    {"_multiply", "_minmax", "_compressed_index", "_coo_index", "_coo_nd"},
    {"_compressed"},
    {"_entrywise"},
    {"_coo", "_csr", "_csc", "_dia", "_bsr", "_dok", "_lil"},
    {"_matrix"},
    {"_kinds"},
    {"_construct", "_extract", "_function_forms", "_axes", "_random", "_npz"},
    {"_assemble", "io"},
    {"linalg", "indexed"},
]
PACKAGES = ("linalg", "indexed")
RANK = {name: i for i, names in enumerate(LAYERS) for name in names}


def tracked(pattern: str) -> list[Path]:
    found = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", pattern], cwd=ROOT, capture_output=True, text=True
    )
    if found.returncode:  # not a checkout: an unpacked source archive
        return sorted(p for p in ROOT.glob("**/" + pattern) if "build" not in p.parts)
    return [ROOT / line for line in found.stdout.splitlines() if (ROOT / line).exists()]


def sizes() -> list[str]:
    bad = []
    for pattern in ("*.py", "*.h", "*.cpp", "*.metal"):
        for path in tracked(pattern):
            limit = HARD_LINES_PY if path.suffix == ".py" and "mlx_sparse" in path.parts else HARD_LINES
            lines = len(path.read_text().splitlines())
            if lines > limit:
                bad.append(f"{path.relative_to(ROOT)}: {lines} lines, at most {limit}")
    return bad


def imports() -> list[str]:
    """Module-level imports only: a call-time import of a sibling format is how formats convert to each other."""
    bad = []
    for path in tracked("mlx_sparse/*.py"):
        package = next((p for p in PACKAGES if p in path.parts), None)
        name = package or path.stem
        if name not in RANK:
            if name != "__init__":
                bad.append(f"{path.relative_to(ROOT)}: module {name} is in no layer of {Path(__file__).name}")
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ImportFrom) or node.level == 0:
                continue
            targets = [node.module.split(".")[0]] if node.module else [a.name for a in node.names]
            for target in targets:
                if package and node.level == 1 + (package != path.parent.name):
                    continue
                if RANK.get(target, -1) > RANK[name]:
                    bad.append(f"{path.relative_to(ROOT)}: imports {target}, a layer above it")
    return bad


def words() -> list[str]:
    rules = [
        (
            r"\bcs[rc]_[a-z]",
            ("native/*.cpp", "native/*.h", "shaders/*.metal"),
            "compressed code says cs_, not csr_/csc_",
        ),
        (
            r"case mx::Dtype::Val::float32: return f",
            ("native/*.cpp", "native/*.h"),
            "type lists stand in dispatch.h only",
        ),
        (r"fast::(cuda|metal)_kernel\(", ("native/*.cpp", "native/*.h"), "shaders are launched in launch.cpp only"),
    ]
    homes = {
        "type lists stand in dispatch.h only": "dispatch.h",
        "shaders are launched in launch.cpp only": "launch.cpp",
    }
    bad = []
    for pattern, globs, rule in rules:
        for path in {p for g in globs for p in tracked(g)}:
            if path.name == homes.get(rule):
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(pattern, line):
                    bad.append(f"{path.relative_to(ROOT)}:{number}: {rule}")
    return bad


def main() -> int:
    bad = sizes() + imports() + words()
    print("\n".join(bad) if bad else "layout: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
