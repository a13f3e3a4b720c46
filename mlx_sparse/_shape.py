"""Shapes: parsing and checking."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

_INT64_MAX = 2**63 - 1


def is_shape(x: Any, allow_nd: tuple[int, ...]) -> bool:
    """True when `x` is a tuple of non-negative integers of an allowed length.

    Raises
    ------
    ValueError
        A whole number in floating point.
    """
    if not isinstance(x, tuple) or len(x) not in allow_nd:
        return False
    for n in x:
        if type(n) is int and n >= 0:
            continue
        if isinstance(n, (float, np.floating)) and n == np.trunc(n):
            raise ValueError(f"a shape must be made of integers; got {n!r}")
        try:
            if np.ndim(n) != 0 or operator.index(n) < 0:
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
    if type(arg1) is not tuple and np.isscalar(arg1):
        raise ValueError(f"scipy sparse array classes do not support instantiation from a scalar; got {arg1!r}")
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
    OverflowError
        A dimension that int64 does not hold.
    """
    if type(shape) is tuple and len(shape) == 2 and 2 in allow_nd:  # most often there is nothing to do
        m, n = shape
        if type(m) is type(n) is int and 0 <= m <= _INT64_MAX and 0 <= n <= _INT64_MAX:
            return shape
    if not hasattr(shape, "__len__") or len(shape) == 0:
        raise TypeError(f"{who} must be a sequence of integers; got {shape!r}")
    try:
        found = tuple(operator.index(n) for n in shape)
    except TypeError as error:
        raise TypeError(f"{who} must be made of integers: {error}") from None
    if len(found) not in allow_nd:
        some = allow_nd if len(allow_nd) < 3 else (allow_nd[0], allow_nd[-1])
        kinds = (" or " if some is allow_nd else " to ").join(f"{n}-D" for n in some)
        raise ValueError(f"{who} must be {kinds}; got {len(found)}-D {found}")
    if any(n < 0 for n in found):
        raise ValueError(f"'shape' elements cannot be negative; got {found}")
    if max(found) > _INT64_MAX:
        raise OverflowError(f"{who} must be made of integers below 2**63; got {found}")
    return found


def given_shape(args: tuple, allow_nd: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the arguments of a method that takes it as one tuple or as several integers."""
    if not args:
        raise TypeError("function missing 1 required positional argument: 'shape'")
    return check_shape(args[0] if len(args) == 1 and hasattr(args[0], "__len__") else args, allow_nd)


def resolve_shape(args: tuple, current: tuple[int, ...], allow_nd: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that reshape's arguments ask for, with one negative dimension filled in."""
    if not args:
        raise TypeError("function missing 1 required positional argument: 'shape'")
    given = args[0] if len(args) == 1 and hasattr(args[0], "__iter__") else args
    shape = [operator.index(n) for n in given]
    unknown = [i for i, n in enumerate(shape) if n < 0]
    if len(unknown) > 1:
        raise ValueError(f"can only specify one unknown dimension; got {tuple(shape)}")
    total = math.prod(current)
    for i in unknown:
        rest = math.prod(n for n in shape if n >= 0)
        if rest == 0 or total % rest:
            raise ValueError(f"cannot reshape array of size {total} into shape {tuple(shape)}")
        shape[i] = total // rest
    found = check_shape(tuple(shape), allow_nd)
    if math.prod(found) != total:
        raise ValueError(f"cannot reshape array of size {total} into shape {found}")
    return found
