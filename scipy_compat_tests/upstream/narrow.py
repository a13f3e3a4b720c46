"""The one rule for types that MLX, or its GPU, lacks.

A wide type stands for the narrow one that mlx_sparse holds instead: longdouble is float64, and when the executor is a
GPU float64 is float32 and complex128 complex64. For an upstream module this means:

1. ``np.longdouble`` (and the other wide names, and such words as ``"complex128"`` in its source) are the narrow types;
2. NumPy's creation functions return narrow arrays;
3. the assertions of ``numpy.testing`` narrow both operands, dtypes included, before they compare; values of a narrow
   type are compared with a tolerance of at least `RTOL` and `ATOL` (`DECIMAL` digits at most), by exact ones as well;
4. lists of dtypes in SciPy's ``_sputils`` lose their wide members.
"""

import functools
import types

import numpy as np
import numpy.testing as real_testing

RTOL, ATOL, DECIMAL = 2e-5, 2e-5, 4

_TABLES = {
    False: {np.longdouble: np.float64, np.clongdouble: np.complex128},
    True: {t: np.float32 for t in (np.longdouble, np.float64)}
    | {t: np.complex64 for t in (np.clongdouble, np.complex128)},
}
_CREATE = frozenset(
    "array asarray asanyarray ascontiguousarray zeros zeros_like ones ones_like empty full full_like eye identity "
    "arange linspace diag kron vstack hstack random.random random.rand random.randn random.uniform".split()
)
_TOLERANT = frozenset(["assert_allclose", "assert_almost_equal", "assert_array_almost_equal"])
_EXACT = frozenset(["assert_equal", "assert_array_equal"])


class Narrow:
    """The rule of this module for one executor."""

    def __init__(self, gpu=False):
        self.table = _TABLES[gpu]
        self.words = {np.dtype(wide).name: np.dtype(to).name for wide, to in self.table.items()}
        self.targets = {np.dtype(np.complex64), np.dtype(np.float32)} if gpu else set()
        self.testing = _View(real_testing, self._assertion)
        self.numpy = _View(np, self._numpy_name)

    def type(self, t):
        return self.table.get(np.dtype(t).type, t)

    def kept(self, dtypes):
        """`dtypes` without the wide ones."""
        return [t for t in dtypes if np.dtype(t).type not in self.table]

    def value(self, x):
        """`x` with wide arrays, scalars and dtypes replaced; anything else as it is."""
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.type in self.table:
            return x.astype(self.table[x.dtype.type])
        if isinstance(x, np.dtype):
            return np.dtype(self.table.get(x.type, x))
        if isinstance(x, type):
            return self.table.get(x, x)
        return x

    def _numpy_name(self, name, found):
        if name == "testing":
            return self.testing
        if isinstance(found, types.ModuleType):
            return _View(found, lambda inner, value: self._numpy_name(f"{name}.{inner}", value))
        if isinstance(found, type):
            return self.table.get(found, found)
        if name in _CREATE and callable(found):
            return _Created(found, self)
        return found

    def _assertion(self, name, found):
        if name not in _TOLERANT and name not in _EXACT:
            return found

        @functools.wraps(found)
        def check(actual, desired, *args, **kwargs):
            actual, desired = self.value(actual), self.value(desired)
            if not (self._single(actual) or self._single(desired)):
                return found(actual, desired, *args, **kwargs)
            if name in _TOLERANT:
                args, kwargs = _widened(name, args, kwargs)
                return found(actual, desired, *args, **kwargs)
            return real_testing.assert_allclose(actual, desired, RTOL, ATOL)

        return check

    def _single(self, x):
        return getattr(x, "dtype", None) in self.targets


def _widened(name, args, kwargs):
    kwargs = dict(kwargs)
    if name == "assert_allclose":
        kwargs.update(zip(("rtol", "atol"), args[:2], strict=False))
        kwargs["rtol"] = max(kwargs.get("rtol", 0), RTOL)
        kwargs["atol"] = max(kwargs.get("atol", 0), ATOL)
        return args[2:], kwargs
    kwargs["decimal"] = min(args[0] if args else kwargs.get("decimal", DECIMAL), DECIMAL)
    return args[1:], kwargs


class _Created:
    """A creation function with narrow results; not a function, so that as a class attribute it stays unbound."""

    def __init__(self, function, narrow):
        self.function, self.narrow = function, narrow
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        return self.narrow.value(self.function(*args, **kwargs))


class _View(types.ModuleType):
    """A module whose attributes pass through `rule(name, value)`."""

    def __init__(self, real, rule):
        super().__init__(real.__name__)
        self._real, self._rule, self._seen = real, rule, {}

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name.startswith("_"):
            return found
        if name not in self._seen:
            self._seen[name] = self._rule(name, found)
        return self._seen[name]
