"""What Sphinx builds the site from: every page, public name, example and setting has its place."""

import ast
import re
from pathlib import Path

import pytest

import mlx_sparse as sp

DOCS = Path(__file__).resolve().parents[2] / "docs"
PUBLIC = (sp, sp.linalg, sp.linalg.preconditioners, sp.linalg.slq, sp.csgraph, sp.indexed, sp.io, sp.runtime)


def listed():
    """The names below each ``autosummary`` of the pages in docs/api, by module."""
    names = {}
    for page in (DOCS / "api").glob("*.md"):
        for block in re.findall(r"^```\{eval-rst\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            module = re.search(r"currentmodule:: (\S+)", block)
            if module:
                names.setdefault(module[1], []).extend(re.findall(r"^   (\w+)$", block, re.M))
    return names


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module):
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    found = listed()[module.__name__]
    assert len(found) == len(set(found))
    rest = set(module.__all__) - set(found)  # modules and settings, which the text or the module's docstring names
    assert [name for name in rest if callable(getattr(module, name))] == []
    assert module is sp.runtime or all(re.search(rf"(`|^# )(\w+\.)*{name}\b", text, re.M) for name in rest)
    assert set(found) <= set(module.__all__)


def test_settings_are_described():
    described = re.findall(r"^(\w[\w, ]*) : ", sp.runtime.__doc__, re.M)
    described = {name for line in described for name in line.split(", ")}
    assert {name for name in sp.runtime.__all__ if not callable(getattr(sp.runtime, name))} <= described


def test_every_page_is_in_a_table_of_contents():
    trees, pages = set(), {p for f in ("", "guide", "api") for p in (DOCS / f).glob("*.md")}
    for page in pages:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            trees |= {page.parent / f"{line}.md" for line in tree.splitlines() if line and not line.startswith(":")}
    assert trees == pages - {DOCS / "index.md"}


def test_every_example_is_in_the_gallery():
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    programs = {path.stem for path in (DOCS / "examples").glob("*.py")}
    assert programs == set(re.findall(r"\(examples/(\w+)\.py\)", text))
    tree = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    (drawn,) = (
        ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "PICTURES"
    )
    assert set(drawn) == set(re.findall(r"\(pictures/(\w+)\.png\)", text)) <= programs


LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page):
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


PAGES = [p for p in (*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")) if "_build" not in p.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_links_lead_somewhere(page):
    for file, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in file or file.startswith("pictures/"):
            continue
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


FILE = re.compile(
    r"(?<![\w./])(?:(?:docs|mlx_sparse|native|scipy_compat_tests|shaders|tools)/|\.)[\w./-]*\w(?![\w./{*<-])"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_files_that_are_named_exist(page):
    if page.name == "adding_an_operation.md":
        pytest.skip("names files that the reader makes")
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    named = {name for quoted in re.findall(r"`([^`\n]+)`", text) for name in FILE.findall(quoted) if "/" in name}
    places = DOCS.parent, DOCS.parent / "scipy_compat_tests"  # where the table of CONTRIBUTING.md begins
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert missing - {"docs/_build/html"} == set()
