"""Fail when the tree breaks its own layout: file sizes, directions of imports and includes, circles, misplaced words.

Usage: python tools/check_layout.py
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("mlx_sparse", "native", "shaders", "scipy_compat_tests", "docs", "tools")
HARD_LINES = 600
HARD_LINES_PY = 800
PACKAGE = "mlx_sparse"
TYPES_ONLY = "TYPE_CHECKING"

# The layers of a folder's files and folders, from low to high. What stands in one imports from lower ones only, not
# from its neighbours; call-time imports count. Files of a folder without layers import each other, but in no circle.
LAYERS = {
    PACKAGE: [
        {"_native", "_built_with"},
        {"runtime", "_device", "_shape", "_dtypes"},
        {"_dense", "_safe_files"},
        {"_values"},
        {"_scipy_release"},
        {"_reduce", "_classes", "_interop", "_display"},
        {"_base"},
        {"_data", "_index"},
        {"_multiply", "_minmax", "_compressed_index", "_coo_index", "_coo_nd"},
        {"_compressed", "_entrywise"},
        {"_coo", "_csr", "_csc", "_dia", "_bsr", "_dok", "_lil"},
        {"_matrix"},
        {"_kinds"},
        {"_construct", "_extract", "_function_forms", "_axes", "_random", "_npz", "_exchange"},
        {"_assemble", "io"},
        {"linalg", "indexed"},
        {"csgraph"},
        {"drop_in"},
        {"_install", "__main__"},
    ],
    f"{PACKAGE}/drop_in": [{"_classes"}, {"_profile"}, {"_modules"}],
    f"{PACKAGE}/linalg": [
        {"_docstrings", "_info", "_old_names", "_operator", "_products"},
        {"dsolve", "eigen", "interface", "isolve", "matfuncs"},
        {"_interface", "_estimate"},
        {"_laplacian"},
        {"_problem"},
        {"_recording", "_vectors"},
        {"_host"},
        {"_host_blocks", "_lazy"},
        {"_spaces", "_recorded", "_refine"},
        {"_solve"},
        {"_direct", "_krylov"},
        {"_eigen"},
        {"_functions", "slq"},
        {"preconditioners"},
    ],
    f"{PACKAGE}/csgraph": [
        {"_docstrings", "_graph", "_lengths"},
        {"_predecessors", "_signed_paths"},
        {
            "_components",
            "_conversions",
            "_flow",
            "_laplacian",
            "_matching",
            "_ordering",
            "_paths",
            "_traversal",
            "_tree",
        },
    ],
    "native": [
        {"interrupt", "pch"},
        {"dispatch", "memory", "parallel"},
        {"kernels", "executor"},
        {"launch"},
        {"primitives"},
        {"ops"},
        {"bind"},
    ],
}
PYBIND = "pybind11"
PYBIND_HOME = "native/bind/"
# (what imports, what it imports) -> why it may; patterns. A line that allows nothing any more has to go.
EXCEPTIONS = {
    ("native/launch.cpp", "native/primitives/*"): "what every evaluation needs stands with the primitives",
}


class Edge(NamedTuple):
    """An import or include of one file by another; paths from the root, a module's without its suffix."""

    source: str
    target: str
    line: int


def sources(root: Path, *suffixes: str, folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    found = [p for folder in folders for p in (root / folder).rglob("*") if p.suffix in suffixes]
    return sorted(found + [p for p in root.glob("*.py") if p.suffix in suffixes])


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


# ---- edges ------------------------------------------------------------------------------------------------------


def imports(root: Path) -> dict[str, list[Edge]]:
    """Module -> its imports of this package's modules, at module level or in a function; none for type checkers."""
    files = {relative(p.with_suffix(""), root).removesuffix("/__init__"): p for p in (root / PACKAGE).rglob("*.py")}
    known = set(files) | {f"{PACKAGE}/_native"}
    edges: dict[str, list[Edge]] = {}
    for module, path in sorted(files.items()):
        folder = module if path.name == "__init__.py" else module.rpartition("/")[0]
        edges[module] = []
        for node in _statements(ast.parse(path.read_text())):
            for base, names in _imported(node, folder):
                targets = {path if (path := f"{base}/{name}") in known else base for name in names} or {base}
                edges[module] += [Edge(module, t, node.lineno) for t in sorted(targets) if t != module]
    return edges


def _statements(tree: ast.Module) -> list[ast.AST]:
    """The nodes of `tree` but for those that only type checkers read."""
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).split(".")[-1] == TYPES_ONLY]
    unread = {id(n) for check in checks for statement in check.body for n in ast.walk(statement)}
    return [n for n in ast.walk(tree) if id(n) not in unread]


def _imported(node: ast.AST, folder: str) -> Iterator[tuple[str, list[str]]]:
    """(module, names taken from it) for each module of this package that an import statement in `folder` names."""
    if isinstance(node, ast.Import):
        yield from ((a.name.replace(".", "/"), []) for a in node.names if a.name.split(".")[0] == PACKAGE)
    elif isinstance(node, ast.ImportFrom):
        parts = folder.split("/")[: 1 - node.level or None] if node.level else []
        base = "/".join(parts + (node.module.split(".") if node.module else []))
        if base.split("/")[0] == PACKAGE:
            yield base, [a.name for a in node.names]


def includes(root: Path) -> dict[str, list[Edge]]:
    """File of native/ -> its includes of other files there, and of pybind11."""
    edges: dict[str, list[Edge]] = {}
    for path in sources(root, ".h", ".cpp", folders=("native",)):
        name = relative(path, root)
        edges[name] = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line):
                given = match[1]
                here = [p.resolve() for p in (path.parent / given, root / "native" / given) if p.is_file()]
                if given.startswith(PYBIND + "/"):
                    edges[name].append(Edge(name, PYBIND, number))
                elif here and here[0].is_relative_to((root / "native").resolve()):
                    edges[name].append(Edge(name, relative(here[0], root.resolve()), number))
    return edges


# ---- rules ------------------------------------------------------------------------------------------------------


def layer(path: str, folder: str) -> int | None:
    """Number of the layer in which `path` stands in `folder`; None for no layer."""
    name = path.removeprefix(folder + "/").split("/")[0].split(".")[0]
    return next((i for i, names in enumerate(LAYERS[folder]) if name in names), None)


def placed(paths: list[str]) -> list[str]:
    """Every file and folder directly in a folder with layers is in one of them."""
    bad = []
    for path in paths:
        for folder in LAYERS:
            if path.startswith(folder + "/") and layer(path, folder) is None:
                bad.append(f"{path}: stands in no layer of {folder}; {Path(__file__).name} lists them")
    return bad


def arrow(edge: Edge) -> str | None:
    """What is wrong with the direction of `edge`."""
    if edge.target == PYBIND:
        return None if edge.source.startswith(PYBIND_HOME) else f"pybind11 is included under {PYBIND_HOME} only"
    common = [f for f in LAYERS if all(p.startswith(f + "/") for p in edge[:2])]
    if not common:  # the package's front imports all of it
        return None if edge.source == PACKAGE else "nothing inside imports the package's front"
    folder = max(common, key=len)
    mine, other = (p.removeprefix(folder + "/").split("/")[0].split(".")[0] for p in edge[:2])
    low, high = layer(edge.source, folder), layer(edge.target, folder)
    if mine == other or low is None or high is None or high < low:
        return None
    return f"{other} stands {'beside' if low == high else 'above'} {mine}, not below it"


def directions(edges: dict[str, list[Edge]], used: set[tuple[str, str]]) -> list[str]:
    """Edges that do not go down, less the exceptions; `used` gathers those that were needed."""
    bad = []
    for edge in (e for found in edges.values() for e in found):
        wrong = arrow(edge)
        if wrong is None:
            continue
        allowed = [key for key in EXCEPTIONS if fnmatch(edge.source, key[0]) and fnmatch(edge.target, key[1])]
        used.update(allowed)
        if not allowed:
            bad.append(f"{edge.source}:{edge.line}: imports {edge.target}: {wrong}")
    return bad


def circles(edges: dict[str, list[Edge]]) -> list[str]:
    """Sets of files of which each one imports, directly or not, all others."""
    below = {file: _reached(file, edges) for file in edges}
    bad, met = [], set()
    for file in edges:
        circle = sorted(other for other in below[file] if file in below.get(other, ()))
        if circle and file not in met:
            met.update(circle)
            bad.append(f"circle of {len(circle)}: {', '.join(circle)}")
    return bad


def _reached(file: str, edges: dict[str, list[Edge]]) -> set[str]:
    found: set[str] = set()
    queue = [file]
    for at in queue:
        new = {edge.target for edge in edges.get(at, [])} - found
        found |= new
        queue += new
    return found


def sizes(root: Path) -> list[str]:
    bad = []
    for path in sources(root, ".py", ".h", ".cpp", ".metal"):
        limit = HARD_LINES_PY if path.suffix == ".py" and relative(path, root).startswith(PACKAGE) else HARD_LINES
        lines = len(path.read_text().splitlines())
        if lines > limit:
            bad.append(f"{relative(path, root)}: {lines} lines, at most {limit}")
    return bad


def words(root: Path) -> list[str]:
    rules = [  # pattern, suffixes, the file where it may stand, rule
        (r"\bcs[rc]_[a-z]", (".cpp", ".h", ".metal"), "", "compressed code says cs_, not csr_/csc_"),
        (
            r"case mx::Dtype::Val::float32: return f",
            (".cpp", ".h"),
            "dispatch.h",
            "type lists stand in dispatch.h only",
        ),
        (r"fast::(cuda|metal)_kernel\(", (".cpp", ".h"), "launch.cpp", "shaders are launched in launch.cpp only"),
    ]
    bad = []
    for pattern, suffixes, home, rule in rules:
        for path in sources(root, *suffixes):
            if path.name == home:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(pattern, line):
                    bad.append(f"{relative(path, root)}:{number}: {rule}")
    return bad


def main(root: Path = ROOT) -> int:
    used: set[tuple[str, str]] = set()
    bad = sizes(root) + words(root)
    for edges in (imports(root), includes(root)):
        bad += placed(list(edges)) + directions(edges, used) + circles(edges)
    bad += [f"exception {key} allows nothing any more" for key in EXCEPTIONS if key not in used]
    print("\n".join(bad) if bad else "layout: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
