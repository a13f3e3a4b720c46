"""`scipy.sparse` as an upstream module sees it: mlx_sparse's public names over SciPy's own.

SciPy itself is never patched: a view is another module object, handed out by the `__import__` of one module's builtins.
"""

import builtins
import importlib
import types

import pytest
import scipy
import scipy.sparse

PACKAGE = "scipy.sparse"
_OPERATORS = f"{PACKAGE}.linalg._interface"  # where tests look for the classes of sums and products
_BACKENDS = "scipy._lib._array_api"


class SparseView(types.ModuleType):
    """`scipy.sparse` or a module below it.

    A public name of the package that mlx_sparse has is mlx_sparse's, also when it is imported from a private module;
    so is a public name of `scipy.sparse.linalg` and `scipy.sparse.csgraph`, and a class of `_OPERATORS`. All else is
    SciPy's.
    """

    def __init__(self, name, ours, narrow):
        super().__init__(name)
        self.__path__ = []
        self._real = importlib.import_module(name)
        self._ours, self._narrow, self._views = ours, narrow, {}

    def __getattr__(self, name):
        if name.startswith("__"):
            return getattr(self._real, name)
        found = getattr(self._real, name, None)
        if isinstance(found, types.ModuleType) and found.__name__.startswith(PACKAGE):
            return self._submodule(name)
        own = self.own(name)
        if own is not None:
            return own
        if found is None and not hasattr(self._real, name):
            return self._submodule(name)
        return self._narrow.kept(found) if name == "supported_dtypes" else found

    def own(self, name):
        """mlx_sparse's object of that name, or None where SciPy's stands."""
        if self.__name__ == _OPERATORS and isinstance(getattr(self._real, name, None), type):
            return getattr(self._ours.linalg._interface, name, None)
        if name.startswith("_"):
            return None
        for public, ours in _public(self.__name__, self._ours):
            if name in public.__all__ and getattr(self._real, name, None) is getattr(public, name):
                found = getattr(ours, name, None)
                return None if isinstance(found, types.ModuleType) else found
        return None

    def _submodule(self, name):
        if name not in self._views:
            try:
                self._views[name] = SparseView(f"{self.__name__}.{name}", self._ours, self._narrow)
            except ModuleNotFoundError as error:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from error
        return self._views[name]


def _public(name, ours):
    """Pairs (SciPy's public module, ours) whose names count in module `name`."""
    pairs = [(scipy.sparse, ours)]
    for part in ("linalg", "csgraph"):
        if name.startswith(f"{PACKAGE}.{part}") and hasattr(ours, part):
            pairs.insert(0, (getattr(scipy.sparse, part), getattr(ours, part)))
    return pairs


class _Backends(types.ModuleType):
    """SciPy's helpers of tests over several array libraries. What they know of its functions is not true of ours."""

    def __getattr__(self, name):
        return getattr(importlib.import_module(_BACKENDS), name)

    @staticmethod
    def make_xp_test_case(*functions):
        return lambda test: test

    @staticmethod
    def make_xp_pytest_marks(*functions):
        return []

    @staticmethod
    def make_xp_pytest_param(function, *args, additional_marks=()):
        return pytest.param(function, *args, marks=additional_marks)


class _Top(types.ModuleType):
    def __init__(self, sparse):
        super().__init__("scipy")
        self.__path__, self.sparse = [], sparse

    def __getattr__(self, name):
        return getattr(scipy, name)


def builtins_over(sparse, narrow, tests):
    """Builtins of an upstream module: their `__import__` gives views for NumPy, SciPy and sibling test modules.

    Parameters
    ----------
    sparse : SparseView
    narrow : Narrow
    tests : callable
        Loads a sibling test module by its short name.
    """
    top, backends = _Top(sparse), _Backends(_BACKENDS)

    def find(name):
        if name in ("numpy", "scipy"):
            return narrow.numpy if name == "numpy" else top
        if name == "numpy.testing":
            return narrow.testing
        if name == _BACKENDS:
            return backends
        if name == PACKAGE:
            return sparse
        if name.startswith(PACKAGE + "."):
            module = sparse
            for part in name[len(PACKAGE) + 1 :].split("."):
                module = module._submodule(part)
            return module
        return None

    def import_(name, globals=None, locals=None, fromlist=(), level=0):
        if level:
            base = globals["__package__"].split(".")
            name = ".".join(base[: len(base) - level + 1] + ([name] if name else []))
        wanted = name if fromlist else name.partition(".")[0]
        if wanted.startswith(f"{PACKAGE}.tests."):
            return tests(wanted.rpartition(".")[2])
        real = builtins.__import__(name, globals, locals, fromlist, 0)
        view = find(wanted)
        return real if view is None else view

    return {**vars(builtins), "__import__": import_}
