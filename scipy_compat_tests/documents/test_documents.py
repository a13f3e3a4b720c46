"""The examples of the docstrings and the Python blocks of the documents run, and print what they say."""

import ast
import contextlib
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

ROOT = Path(__file__).resolve().parents[2]
SITE = sorted(page for folder in ("", "guide", "api") for page in (ROOT / "docs" / folder).glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *SITE]
BLOCK = re.compile(r"^```python( no-run)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
PUBLIC = (sp, sp.linalg, sp.linalg.preconditioners, sp.csgraph, sp.indexed, sp.io, sp.runtime)


@contextlib.contextmanager
def defaults(device):
    """What a program finds that has just imported the package; an example may change it and need not clean up."""
    before = mx.default_device()
    if device != "gpu":
        mx.set_default_device(mx.cpu)
    numpy_print = np.printoptions(
        precision=8, threshold=1000, edgeitems=3, linewidth=75, suppress=False, floatmode="maxprec", sign="-"
    )
    try:
        with sp.runtime.context(dense_namespace="mlx"), numpy_print, mx.printoptions():
            yield
    finally:
        mx.set_default_device(before)


# ---- docstrings -------------------------------------------------------------------------------------------------


def modules():
    return [sp, *(importlib.import_module(m.name) for m in pkgutil.walk_packages(sp.__path__, "mlx_sparse."))]


def readable(test, module):
    """`csr_array.tocsc` for `mlx_sparse._csr._csr_base.tocsc`, `linalg.cg` for `mlx_sparse.linalg._krylov.cg.cg`."""
    name, _, rest = test.name.removeprefix(module.__name__).lstrip(".").partition(".")
    cls = getattr(module, name, None)
    if inspect.isclass(cls) and name.startswith("_"):
        public = (sp.csr_array, *(getattr(m, n) for m in PUBLIC for n in m.__all__))
        name = next((c for c in public if inspect.isclass(c) and issubclass(c, cls)), cls).__name__
    package = [part for part in module.__name__.split(".")[1:2] if not part.startswith("_")]
    return ".".join(filter(None, (*package, name, rest)))


def examples():
    """A test for each docstring that has examples. They see no name that they do not import."""
    found = {}
    for module in modules():
        tests = doctest.DocTestFinder().find(module, module.__name__, globs={})
        for test in sorted(tests, key=lambda t: "._" in t.name.removeprefix(module.__name__)):  # public names first
            if test.examples:
                found.setdefault(test.docstring, pytest.param(test, id=readable(test, module)))
    return found


EXAMPLES = examples()


@pytest.fixture
def documented(device):
    if device == "gpu":
        pytest.skip("the examples print the dtypes of the CPU")
    with defaults(device):
        yield


@pytest.mark.parametrize("test", EXAMPLES.values())
def test_docstring(test, documented):
    for name in re.findall(r"\bimport (torch|jax)\b", "".join(example.source for example in test.examples)):
        pytest.importorskip(name)
    out = []
    found = doctest.DocTestRunner(verbose=False).run(test, out=out.append)
    assert found.attempted and not found.failed, "".join(out)


def test_no_example_is_overlooked():
    """Also of docstrings that are completed when their module is imported."""
    run = {(example.source, example.want) for test in EXAMPLES.values() for example in test.values[0].examples}
    for path in sorted(Path(sp.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node) or ""
                for example in doctest.DocTestParser().get_examples(text):
                    assert (example.source, example.want) in run, f"{path.name}: {text.splitlines()[0]}"


def test_every_public_function_and_class_has_an_example():
    own = ((m, n, getattr(m, n)) for m in PUBLIC for n in m.__all__)
    own = ((m, n, x) for m, n, x in own if callable(x) and x.__module__.startswith("mlx_sparse"))
    assert [f"{m.__name__}.{n}" for m, n, x in own if ">>>" not in (x.__doc__ or "")] == []


# ---- pages ------------------------------------------------------------------------------------------------------


def run(page, device):
    """Run the blocks of a page one after another, each under the default settings; the names that they leave behind.

    A block that cannot run here is marked ``python no-run`` and tells its readers why in its first line.
    """
    text, names = page.read_text(encoding="utf-8"), {}
    for block in BLOCK.finditer(text):
        if block[1]:
            assert block[2].startswith("# Not run: "), f"{page.name}: the first line says why this is not run"
            continue
        lines_before = text.count("\n", 0, block.start(2))
        code = compile("\n" * lines_before + block[2], str(page), "exec")
        with defaults(device):
            exec(code, names)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page, device):
    run(page, device)


def test_page_of_graphs():
    assert set(sp.csgraph.__all__) <= set(re.findall(r"`(\w+)", (ROOT / "docs" / "csgraph.md").read_text()))


def test_page_of_ragged_data(device):
    page = ROOT / "docs" / "indexed.md"
    names = run(page, device)
    x = names["a"]
    expected = np.square(np.array(names["A"].data)).sum()
    assert names["energy"](x).item() == pytest.approx(expected, rel=1e-5)
    assert mx.all(mx.isfinite(mx.grad(names["energy"])(x))).item()
    assert set(sp.indexed.__all__) <= set(re.findall(r"`(\w+)", page.read_text()))
