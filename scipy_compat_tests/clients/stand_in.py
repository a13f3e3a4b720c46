"""A pytest plugin that gives one package `mlx_sparse` where it imports `scipy.sparse`: what a client's own tests need.

Its imports are answered by who asks: SciPy, and everything but the client, gets the real modules. Names that are
missing here are SciPy's, and functions of its `scipy.io` take and give arrays of this package.
"""

import builtins
import functools
import os
import sys
import types

import scipy
import scipy.io
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg

import mlx_sparse

_import = builtins.__import__


class _Module(types.ModuleType):
    """The names of `first`, and where it has none those of `second`, through `wrap`."""

    def __init__(self, name, first, second, wrap=lambda f: f, **members):
        super().__init__(name)
        self.__dict__.update(members, _first=first, _second=second, _wrap=wrap)

    def __getattr__(self, name):
        if self._first is not None and hasattr(self._first, name) and not name.startswith("__"):
            return getattr(self._first, name)
        return self._wrap(getattr(self._second, name))


def _ours(x):
    if scipy.sparse.issparse(x) and not isinstance(x, mlx_sparse._base._spbase):
        return mlx_sparse.from_scipy(x)
    if isinstance(x, tuple) and type(x) is tuple:
        return tuple(map(_ours, x))
    if type(x) is dict:
        return {k: _ours(v) for k, v in x.items()}
    return x


def _theirs(x):
    return x.to_scipy(copy=True) if isinstance(x, mlx_sparse._base._spbase) else x


def _converting(f):
    if not callable(f) or isinstance(f, type):
        return f

    @functools.wraps(f)
    def call(*args, **kwargs):
        return _ours(f(*map(_theirs, args), **{k: _theirs(v) for k, v in kwargs.items()}))

    return call


_LINALG = _Module("scipy.sparse.linalg", mlx_sparse.linalg, scipy.sparse.linalg)
_CSGRAPH = _Module("scipy.sparse.csgraph", mlx_sparse.csgraph, scipy.sparse.csgraph, _converting)
_SPARSE = _Module("scipy.sparse", mlx_sparse, scipy.sparse, linalg=_LINALG, csgraph=_CSGRAPH)
_IO = _Module("scipy.io", mlx_sparse.io, scipy.io, _converting)
_SCIPY = _Module("scipy", None, scipy, sparse=_SPARSE, io=_IO)
_STAND_INS = {m.__name__: m for m in (_SCIPY, _SPARSE, _LINALG, _CSGRAPH, _IO)}


def _answer(client):
    def answer(name, globals=None, locals=None, fromlist=(), level=0):
        found = _import(name, globals, locals, fromlist, level)
        asks = (globals or {}).get("__name__", "")
        if level or not (asks == client or asks.startswith(f"{client}.")) or name.partition(".")[0] != "scipy":
            return found
        return _STAND_INS.get(name, found) if fromlist else _SCIPY

    return answer


def pytest_configure(config):
    client = os.environ["MLX_SPARSE_CLIENT"]
    if any(name.partition(".")[0] == client for name in sys.modules):
        raise RuntimeError(f"{client} is imported already, with SciPy's arrays")
    builtins.__import__ = _answer(client)
