"""Shapes: parsing and checking."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def is_shape(x: Any, allow_nd: tuple[int, ...]) -> bool:
    """True when `x` is a tuple of non-negative integers of an allowed length."""
    if not isinstance(x, tuple) or len(x) not in allow_nd:
        return False
    for n in x:
        if isinstance(n, (bool, np.bool_)) or np.ndim(n) != 0:
            return False
        try:
            if operator.index(n) < 0:
                return False
        except TypeError:
            return False
    return True


def all_integers(x: Any) -> bool:
    """True for a tuple of integers, which can only be meant as a shape."""
    return isinstance(x, tuple) and len(x) > 0 and all(isinstance(n, (int, np.integer)) for n in x)


def check_shape(shape: Any, allow_nd: tuple[int, ...] = (2,), who: str = "shape") -> tuple[int, ...]:
    """`shape` as a tuple of ints.

    Raises
    ------
    TypeError
        `shape` is missing or not made of integers.
    ValueError
        A negative dimension or a number of dimensions that the format does not have.
    """
    if shape is None:
        raise TypeError(f"{who} must be given")
    items = shape if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    try:
        found = tuple(operator.index(n) for n in items)
    except TypeError:
        raise TypeError(f"{who} must be made of integers; got {shape!r}") from None
    if len(found) not in allow_nd:
        kinds = " or ".join(f"{n}-D" for n in allow_nd)
        raise ValueError(f"{who} must be {kinds}; got {len(found)}-D {found}")
    if any(n < 0 for n in found):
        raise ValueError(f"'shape' elements cannot be negative; got {found}")
    return found
