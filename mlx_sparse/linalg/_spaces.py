"""Which space a right-hand side is solved in."""

from __future__ import annotations

from typing import Any

from .. import _dense
from ._host import Host
from ._host_blocks import HostBlocks, HostColumns
from ._lazy import Lazy, LazyColumns
from ._vectors import BLOCK, Products


def space(b: Any, products: Products) -> Any:
    """The space of vectors shaped like the right-hand side `b`, in its namespace and dtype."""
    if _dense.is_mlx(b):
        return (Lazy if b.ndim == 1 else LazyColumns)(b, products)
    if b.ndim == 2:
        return HostColumns(b, products)
    return (Host if b.size <= BLOCK else HostBlocks)(b, products)
