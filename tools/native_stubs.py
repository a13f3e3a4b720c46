"""Write mlx_sparse/_native.pyi, the signatures of the native module, out of the module itself.

Usage: python tools/native_stubs.py

A test fails when the file differs from what this makes, so run it after a change of bindings.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUBS = Path(__file__).resolve().parent.parent / "mlx_sparse" / "_native.pyi"
HEAD = '"""Signatures of the native module, made by tools/native_stubs.py: do not edit."""\n\n'
INTEGER = "typing.SupportsInt | typing.SupportsIndex"  # what pybind11 calls an int that Python may convert


def generate() -> str:
    """The text of the stub file for the module that is installed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "mlx_sparse._native", "-o", folder, "--exit-code"]
        # Elsewhere than here: a checkout without a compiled module would hide the installed package.
        found = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if found.returncode:
            raise RuntimeError(found.stderr)
        text = (Path(folder) / "mlx_sparse" / "_native.pyi").read_text()
    text = re.sub(r"^__all__.*\n", "", text, flags=re.M)
    text = re.sub(r"^    def __(release_)?buffer__.*\n(        .*\n)*", "", text, flags=re.M)  # from Python 3.12 on
    text = re.sub(r"^    def __reduce_ex__.*\n(        .*\n)*", "", text, flags=re.M)  # which only refuses
    text = re.sub(r"^(class .*:\n)(?!    )", r"\1    ...\n", text, flags=re.M)
    return HEAD + text.replace(INTEGER, "int").replace(":\n        ...\n", ": ...\n").replace(":\n    ...\n", ": ...\n")


if __name__ == "__main__":
    STUBS.write_text(generate())
