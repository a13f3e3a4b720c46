"""What modules of former releases of SciPy, which old scripts import, have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from warnings import warn

_HOME = __name__.rpartition(".")[0]


def moved(module: str, names: tuple[str, ...]) -> tuple[Callable[[], list[str]], Callable[[str], Any]]:
    """`__dir__` and `__getattr__` of a module whose `names` stand in `linalg`, as an access to one says."""
    short = module.rpartition(".")[2]

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"`{module}` has no attribute `{name}`; furthermore, `{short}` is deprecated.")
        message = f"Please import `{name}` from the `{_HOME}` namespace; the `{module}` namespace is deprecated."
        warn(message, DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[_HOME], name)

    return lambda: list(names), find
