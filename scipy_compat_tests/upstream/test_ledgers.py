"""The ledgers themselves: their format, and that each line names a test."""

import pytest
import scipy

from scipy_compat_tests.upstream import ledger


def test_parse_and_match():
    lines = ledger.parse("# head\n\nu/a.py::T::x[p-1]  # one\nu/a.py::T::y*  # two\n! u/b.py::z  # three\n")
    assert lines == {"u/a.py::T::x[p-1]": "one", "u/a.py::T::y*": "two", "u/b.py::z": None}
    book = ledger.Ledger()
    book.lines = lines
    assert book.reason("u/a.py::T::x[p-1]") == "one"
    assert book.reason("u/a.py::T::y[q]") == "two"
    assert book.reason("u/a.py::T::x[p-2]") is None
    assert book.stale(["u/a.py::T::y1"]) == ["u/a.py::T::x[p-1]", "u/b.py::z"]


def test_lines_of_releases():
    own = ".".join(scipy.__version__.split(".")[:2])
    assert ledger.parse(f"u/a.py::x  # SciPy 0.9: one\nu/a.py::y  # SciPy {own}: two\n") == {
        "u/a.py::y": f"SciPy {own}: two"
    }


@pytest.mark.parametrize("text", ["u/a.py::x\n", "u/a.py::x  # \n", "a  # one\na  # two\n"])
def test_parse_refuses(text):
    with pytest.raises(ValueError):
        ledger.parse(text)


def test_every_line_names_a_test(request):
    if any("::" in arg for arg in request.config.args):
        pytest.skip("only part of the upstream tests is collected")
    device = request.config.getoption("--device")
    ids = request.config.stash[ledger.COLLECTED]
    modules = {test.partition("::")[0] for test in ids}
    books = [ledger.for_device(device), ledger.Ledger("not_applicable")]
    stale = [line for book in books for line in book.stale(ids)]
    if {"upstream/test_base.py"} <= modules:  # a whole run
        assert not stale, f"ledger lines that name no collected test: {stale[:10]}"
    else:
        pytest.skip("only part of the upstream tests is collected")
