"""The stub file of the native module says what the module is."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="types of NumPy are written in another way")
def test_stubs_are_those_of_the_module():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import native_stubs
    finally:
        sys.path.remove(str(ROOT / "tools"))
    assert native_stubs.STUBS.read_text() == native_stubs.generate(), "run tools/native_stubs.py"
