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


def check_input(arg1: Any, validate: bool | str) -> None:
    """What every constructor refuses.

    Raises
    ------
    TypeError
        `arg1` is None.
    ValueError
        `arg1` is a scalar, or `validate` is not one of its values.
    """
    if arg1 is None:
        raise TypeError("arg1 must be an array, a tuple of arrays or a shape; got None")
    if np.isscalar(arg1):
        raise ValueError("scipy sparse array classes do not support instantiation from a scalar")
    if validate not in (True, False, "metadata", "full"):
        raise ValueError(f"validate must be True, False, 'metadata' or 'full'; got {validate!r}")


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
    except TypeError as error:
        raise TypeError(f"{who} must be made of integers: {error}") from None
    if len(found) not in allow_nd:
        kinds = " or ".join(f"{n}-D" for n in allow_nd)
        raise ValueError(f"{who} must be {kinds}; got {len(found)}-D {found}")
    if any(n < 0 for n in found):
        raise ValueError(f"'shape' elements cannot be negative; got {found}")
    return found
