"""The classes of this package as subclasses of SciPy's, while installed.

SciPy's class of the same name becomes the last base, so that every method stays this package's and only names that this
package lacks, all of them private, are SciPy's.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as _scipy_sparse

from .._classes import ARRAYS, MATRICES

_KINDS = {"array": ARRAYS, "matrix": MATRICES}
_LONG = np.dtype(np.longdouble).char + np.dtype(np.clongdouble).char
_saved: dict[type, tuple[tuple[type, ...], str]] = {}  # bases and module


def pairs() -> Iterator[tuple[type, type]]:
    """(class of this package, SciPy's) for every format and kind."""
    for kind, classes in _KINDS.items():
        for format, cls in classes.items():
            yield cls, getattr(_scipy_sparse, f"{format}_{kind}")


def install() -> None:
    for ours, theirs in pairs():
        _saved[ours] = ours.__bases__, ours.__module__
        ours.__bases__ = (*ours.__bases__, theirs)
        ours.__module__ = theirs.__module__
        ours.__new__ = _maker(ours, theirs)  # type: ignore[method-assign, assignment]
        ours.__reduce_ex__ = _reduce  # type: ignore[method-assign, assignment]
    _forget()


def uninstall() -> None:
    for ours, (bases, module) in _saved.items():
        ours.__bases__, ours.__module__ = bases, module
        # One that was there cannot be taken away: Python would then refuse arguments.
        ours.__new__ = _maker(ours)  # type: ignore[method-assign, assignment]
        del ours.__reduce_ex__
    _saved.clear()
    _forget()


def _forget() -> None:
    """Drop what SciPy's abstract classes remember of `isinstance`."""
    for base in {c for _, theirs in pairs() for c in theirs.__mro__}:
        if hasattr(base, "_abc_caches_clear"):
            base._abc_caches_clear()


# ---- construction ---------------------------------------------------------------------------------------------------


def _maker(ours: Any, theirs: Any = None) -> Any:
    """A `__new__` of `ours` that gives an instance of `theirs` where the values are of a dtype that only SciPy has."""
    blank = dict.__new__ if issubclass(ours, dict) else object.__new__

    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if theirs is not None and cls is ours and (any(map(_is_long, args)) or any(map(_is_long, kwargs.values()))):
            return theirs(*args, **kwargs)
        return blank(cls)

    new.__name__, new.__signature__ = "__new__", inspect.signature(ours.__init__)  # type: ignore[attr-defined]
    return new


def needs_scipy(*arguments: Any) -> bool:
    """Whether an argument, or a part of one, holds long doubles or asks for them."""
    return any(_is_long(x) or isinstance(x, list) and needs_scipy(*x) for x in arguments)


def _is_long(x: Any) -> bool:
    if type(x) is np.ndarray:
        return x.dtype.char in _LONG
    if isinstance(x, tuple):
        return any(map(_is_long, x))
    if isinstance(x, type):
        return x in (np.longdouble, np.clongdouble)
    dtype = x if isinstance(x, np.dtype) else getattr(x, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.char in _LONG


# ---- pickling -------------------------------------------------------------------------------------------------------


def restore(format: str, kind: str) -> Any:
    """An instance without contents, which a pickle goes on to fill."""
    cls = _KINDS[kind][format]
    return dict.__new__(cls) if issubclass(cls, dict) else object.__new__(cls)


def _reduce(self: Any, protocol: Any) -> Any:
    """The class by its format: the one of its name in its module is SciPy's. Subclasses are found by their own name."""
    if type(self) not in _saved:
        return object.__reduce_ex__(self, protocol)
    return restore, (self._format, self._kind), self.__getstate__()
