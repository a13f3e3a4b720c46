"""The examples in the docstrings of `mlx_sparse.indexed` and on its page run and print what they say."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlx_sparse import indexed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "indexed.md"


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(indexed.__path__)])
def test_docstrings(name):
    found = doctest.testmod(importlib.import_module(f"mlx_sparse.indexed.{name}"))
    assert found.failed == 0


def test_every_public_function_has_an_example():
    without = [name for name in indexed.__all__ if ">>>" not in (getattr(indexed, name).__doc__ or "")]
    assert without == []


def test_page():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    x = names["a"]
    expected = np.square(np.array(names["A"].data)).sum()
    assert names["energy"](x).item() == pytest.approx(expected, rel=1e-5)
    assert mx.all(mx.isfinite(mx.grad(names["energy"])(x))).item()
    assert set(indexed.__all__) <= set(re.findall(r"`(\w+)", PAGE.read_text()))
