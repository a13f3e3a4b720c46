"""Modules that stand for SciPy's: `scipy.sparse`, its `linalg` and `csgraph`, and `scipy.io`."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
import types
from typing import Any

import scipy
import scipy.io
import scipy.sparse

from .._base import _spbase
from .._classes import from_scipy
from . import _classes, _profile

_PACKAGE = __name__.partition(".")[0]
# SciPy's module -> this package's ("": the package itself)
_PAIRS = {
    "scipy.sparse": "",
    "scipy.sparse.linalg": ".linalg",
    "scipy.sparse.csgraph": ".csgraph",
    "scipy.io": ".io",
}
# Classes that every array is an instance of, SciPy's long doubles too, and what asks for them: SciPy's serve everybody.
_SCIPYS = (
    *("sparray", "spmatrix", "issparse", "isspmatrix"),
    *(f"isspmatrix_{format}" for format in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")),
)
_MISSING = object()
_real: dict[str, types.ModuleType] = {}


def import_all() -> None:
    """Import what may name sparse classes at its top, so that it has SciPy's."""
    for root in (scipy.sparse, scipy.io):
        for found in pkgutil.walk_packages(root.__path__, root.__name__ + ".", onerror=lambda name: None):
            if ".tests" not in found.name and ".conftest" not in found.name:
                try:
                    importlib.import_module(found.name)
                except Exception:  # noqa: BLE001, S112 - a module that cannot be imported has nobody's names
                    continue


def install() -> None:
    for name, ours in _PAIRS.items():
        _real[name] = sys.modules[name]
        _put(name, _StandIn(_real[name], sys.modules[_PACKAGE + ours]))


def uninstall() -> None:
    for name, module in _real.items():
        _put(name, module)
    _real.clear()


def _put(name: str, module: types.ModuleType) -> None:
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in _real:
        setattr(_real[parent], child, _real[name])  # what SciPy's own code finds; others ask the stand-in
    else:
        setattr(sys.modules[parent], child, module)


class _StandIn(types.ModuleType):
    """One of SciPy's modules, with this package's names for whoever is neither SciPy nor this package.

    Attributes are looked up again at each access, since the answer depends on the caller, but for SciPy's own.
    """

    def __init__(self, real: types.ModuleType, ours: types.ModuleType) -> None:
        super().__init__(real.__name__, real.__doc__)
        for name in ("__file__", "__loader__", "__package__", "__path__", "__spec__"):
            self.__dict__[name] = getattr(real, name, None)
        self.__dict__.update({name: getattr(real, name) for name in _SCIPYS if hasattr(real, name)})
        self.__dict__.update(_names_of=real, _first=ours, _answers={})

    def __getattr__(self, name: str) -> Any:
        theirs = getattr(self._names_of, name, _MISSING)
        if theirs is _MISSING:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if by_scipy(sys._getframe(1)) or name.startswith("_"):
            return theirs
        if isinstance(theirs, types.ModuleType):
            return sys.modules.get(f"{self.__name__}.{name}", theirs)
        known = self._answers.get(name)
        if known is None or known[0] is not theirs:
            found = _stand_in(self._first, theirs, f"{self.__name__}.{name}", name)
            known = self._answers[name] = theirs, found
        return known[1]

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType):  # an import tells the parent
            setattr(self._names_of, name, value)
        else:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return dir(self._names_of)


def by_scipy(frame: Any) -> bool:
    """Whether code of SciPy's or of this package asks. A compiled module has no frame: who imports it asks."""
    name = frame.f_globals.get("__name__") or ""
    while name.startswith("importlib.") and frame.f_back is not None:
        frame = frame.f_back
        name = frame.f_globals.get("__name__") or ""
    return _is_scipys(name)


@functools.cache
def _is_scipys(module: str) -> bool:
    return module.partition(".")[0] in ("scipy", _PACKAGE) and ".tests." not in module


def _stand_in(ours: Any, theirs: Any, path: str, name: str) -> Any:
    """What users get for SciPy's `theirs`."""
    if name not in getattr(ours, "__all__", ()) and not _is_public(ours, name):
        return theirs if not callable(theirs) or isinstance(theirs, type) else _falling_back(theirs, path)
    public = getattr(ours, name)
    return _running_here(public, theirs, path) if isinstance(public, types.FunctionType) else public


def _is_public(ours: Any, name: str) -> bool:
    return not hasattr(ours, "__all__") and getattr(getattr(ours, name, None), "__module__", "").startswith(_PACKAGE)


def _running_here(ours: Any, theirs: Any, path: str) -> Any:
    """`ours`, or SciPy's function where an argument holds numbers that only SciPy has."""

    @functools.wraps(ours)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _profile.here(path, sys._getframe(1)) as record:
            try:
                return ours(*args, **kwargs)
            except (TypeError, ValueError, NotImplementedError) as error:
                if not isinstance(error, NotImplementedError) and not _classes.needs_scipy(*args, *kwargs.values()):
                    raise
                record.fell_back(f"{type(error).__name__}: {error}")
            return own(theirs(*map(scipys, args), **{k: scipys(v) for k, v in kwargs.items()}))

    call.__signature__ = _signature(theirs)  # type: ignore[attr-defined]
    return call


def _signature(f: Any) -> Any:
    try:
        return inspect.signature(f)
    except (TypeError, ValueError):
        return None


def _falling_back(theirs: Any, path: str) -> Any:
    """SciPy's function, over arrays of this package."""

    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _profile.here(path, sys._getframe(1)) as record:
            record.fell_back("no such function here")
            return own(theirs(*map(scipys, args), **{k: scipys(v) for k, v in kwargs.items()}))

    return call


def scipys(x: Any) -> Any:
    """SciPy's array, with buffers of its own, for an array of this package; a container of them likewise."""
    if isinstance(x, _spbase):
        return x.to_scipy(copy=True)
    return _mapped(scipys, x)


def own(x: Any) -> Any:
    """A result of SciPy's as this package's, but for long doubles."""
    if isinstance(x, (scipy.sparse.sparray, scipy.sparse.spmatrix)) and not isinstance(x, _spbase):
        return x if _classes.needs_scipy(x) else from_scipy(x)
    return _mapped(own, x)


def _mapped(f: Any, x: Any) -> Any:
    if type(x) in (tuple, list):
        return type(x)(map(f, x))
    return {k: f(v) for k, v in x.items()} if type(x) is dict else x
