"""The layout check: it passes on this tree, and it can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "tools").is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)
sys.path.insert(0, str(ROOT / "tools"))
import check_layout  # noqa: E402


def reported(root, files, capsys):
    """What the check says of a tree of these files (path -> text), less the exceptions that it does not need."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    check_layout.main(root)
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if not line.startswith(("exception", "layout: ok"))]


def test_this_tree():
    run = subprocess.run([sys.executable, ROOT / "tools/check_layout.py"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "layout: ok\n")


CALL = "def f():\n    from {} import g\n"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ._csr import csr_array\n"
PY, LINALG, NATIVE = "mlx_sparse/", "mlx_sparse/linalg/", "native/"
# name -> (files, what is reported, in order)
TREES = {
    "downward": ({PY + "_csr.py": CALL.format("._base"), PY + "_base.py": "from . import _native\n"}, []),
    "for type checkers": ({PY + "_base.py": TYPES}, []),
    "upward": ({PY + "_base.py": "from ._csr import csr_array\n"}, ["mlx_sparse/_base:1: imports mlx_sparse/_csr"]),
    "upward, at call time": ({PY + "_base.py": CALL.format("._csr")}, ["mlx_sparse/_base:2: imports mlx_sparse/_csr"]),
    "upward, by an absolute name": ({PY + "_base.py": "import mlx_sparse.io\n"}, ["mlx_sparse/_base:1: imports"]),
    "from below a package": ({LINALG + "_krylov/cg.py": "from ..._base import g\n"}, []),
    "into a package": ({PY + "_csr.py": CALL.format(".linalg")}, ["mlx_sparse/_csr:2: imports mlx_sparse/linalg"]),
    "packages": (
        {PY + "indexed/a.py": CALL.format("..linalg.b")},
        ["mlx_sparse/indexed/a:2: imports mlx_sparse/linalg/b"],
    ),
    "layers of linalg": (
        {LINALG + "_direct/a.py": CALL.format(".._krylov.b"), LINALG + "_krylov/b.py": CALL.format(".._solve")},
        ["mlx_sparse/linalg/_direct/a:2: imports mlx_sparse/linalg/_krylov/b"],
    ),
    "the front": (
        {PY + "__init__.py": "from ._csr import g\n", PY + "_csr.py": CALL.format(".")},
        ["mlx_sparse/_csr:2:", "circle of 2"],
    ),
    "no layer": ({PY + "_new.py": "", LINALG + "_new.py": ""}, ["mlx_sparse/_new: ", "mlx_sparse/linalg/_new: "]),
    "a circle": (
        {
            PY + "indexed/a.py": CALL.format(".b"),
            PY + "indexed/b.py": "from .c import g\n",
            PY + "indexed/c.py": CALL.format(".a"),
        },
        ["circle of 3: mlx_sparse/indexed/a, mlx_sparse/indexed/b, mlx_sparse/indexed/c"],
    ),
    "includes downward": (
        {
            NATIVE + "bind/a.cpp": '#include <pybind11/stl.h>\n#include "kernels/b.h"\n',
            NATIVE + "kernels/b.h": '#include "../parallel.h"\n#include "mlx/mlx.h"\n',
            NATIVE + "parallel.h": "",
        },
        [],
    ),
    "includes upward": (
        {NATIVE + "kernels/a.h": '#include "../primitives/b.h"\n', NATIVE + "primitives/b.h": ""},
        ["native/kernels/a.h:1: imports native/primitives/b.h"],
    ),
    "includes in a circle": (
        {NATIVE + "kernels/a.h": '#include "b.h"\n', NATIVE + "kernels/b.h": '#include "a.h"\n'},
        ["circle of 2: native/kernels/a.h, native/kernels/b.h"],
    ),
    "pybind11": (
        {NATIVE + "primitives/a.h": "#include <pybind11/stl.h>\n"},
        ["native/primitives/a.h:1: imports pybind11"],
    ),
    "a file of no layer of native": ({NATIVE + "new.h": ""}, ["native/new.h: "]),
    "a long file": ({"docs/a.py": "\n" * 601}, ["docs/a.py: 601 lines"]),
}


@pytest.mark.parametrize("name", TREES)
def test_reported(name, tmp_path, capsys):
    files, expected = TREES[name]
    found = reported(tmp_path, files, capsys)
    assert len(found) == len(expected) and all(map(str.startswith, found, expected)), found


def test_unneeded_exceptions(tmp_path, capsys, monkeypatch):
    key = ("native/kernels/a.h", "native/ops/*")
    monkeypatch.setattr(check_layout, "EXCEPTIONS", {key: "a reason"})
    files = {NATIVE + "kernels/a.h": '#include "ops/b.h"\n', NATIVE + "ops/b.h": ""}
    assert reported(tmp_path, files, capsys) == [] and check_layout.main(tmp_path) == 0
    (tmp_path / NATIVE / "kernels/a.h").write_text("")
    assert check_layout.main(tmp_path) == 1
    assert "allows nothing any more" in capsys.readouterr().out
