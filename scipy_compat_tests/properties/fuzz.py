"""Random expressions over `sp` (either package) and `np`: constructor calls with good and bad arguments, index
expressions, assignments and short operations. A case is text, so that a failure can be pasted and run.
"""

import itertools
import re
from typing import NamedTuple

import numpy as np

import mlx_sparse

# Formats and their dimensions; those that mlx_sparse has not are left out.
ALL_FORMATS = {"coo": (1, 2), "csr": (1, 2), "csc": (2,), "bsr": (2,), "dia": (2,), "lil": (2,), "dok": (1, 2)}
FORMATS = {f: dims for f, dims in ALL_FORMATS.items() if hasattr(mlx_sparse, f"{f}_array")}
INDEXED = hasattr(mlx_sparse.csr_array, "__getitem__")

VALUES = ("float64", "float32", "int32", "int8", "uint16", "int64", "bool", "complex64", "complex128")
INDEX = ("int32", "int32", "int64", "int16", "uint8", "uint32")
GARBAGE = ("None", "3", "1.5", "'abc'", "object()", "{}", "[]", "()", "[[]]", "[[[1]]]", "[[1, 2], [3]]", "(1, 2, 3)",
           "(2, -1)", "(2.0, 3)", "(1.5, 2)", "('a', 'b')", "np.float64(2)", "np.array(5)", "lambda: 0", "(None, None)",
           "([1], [0])", "([1], ([0],))", "([1, 2], ([0, 1], [0]))", "([1], 0)", "np.zeros((2, 0, 2))",
           "np.array(['a'])", "np.array([[None]])", "set()", "range(3)", "b'ab'", "([1], ([0], [0], [0]))")  # fmt: skip
SHAPES = ("None", "(5, 7)", "(2, -1)", "(2.0, 2)", "2", "(1, 2, 3)")
SMALL_SHAPES = ("(2, 2)", "(0, 0)", "(3,)", "[4, 4]")  # compressed arrays of SciPy would keep indices outside them
DTYPES = (
    "None",
    "'float32'",
    "'int8'",
    "'int64'",
    "bool",
    "int",
    "float",
    "np.float32",
    "object",
    "'U3'",
    "'nonsense'",
)


class Case(NamedTuple):
    """`text` to evaluate with both packages; `refused`: SciPy would crash, and mlx_sparse must refuse."""

    text: str
    refused: bool = False


def case(seed, number):
    """Case `number` of the run with `seed`."""
    return _Maker(np.random.default_rng([seed, number])).case()


class _Maker:
    def __init__(self, rng):
        self.rng = rng

    # ---- small choices ----------------------------------------------------------------------------------------

    def one(self, options):
        return options[self.rng.integers(len(options))]

    def rarely(self, chance=0.08):
        return self.rng.random() < chance

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def array(self, values, dtype):
        """Text of a 1-D or nested array: mostly an ndarray, sometimes a plain list."""
        values = np.asarray(values).tolist()
        return repr(values) if self.rarely(0.15) else f"np.array({values}, dtype='{dtype}')"

    def data(self, shape, dtype=None):
        dtype = self.one(VALUES) if dtype is None else dtype
        raw = self.rng.integers(0 if np.dtype(dtype).kind in "ub" else -3, 4, shape)
        raw = raw * (self.rng.random(shape) < 0.8)
        return self.array(np.asarray(raw).astype(dtype), dtype)

    def shape(self, ndim):
        return tuple(self.number(0, 5) for _ in range(ndim))

    # ---- constructors -----------------------------------------------------------------------------------------

    def case(self):
        kind = self.rng.random()
        if kind < 0.4:
            return self.construction()
        if kind < 0.55 or not INDEXED:
            return Case(self.operation())
        return Case(self.selection() if kind < 0.85 else self.assignment())

    def construction(self):
        """A constructor call with at most one thing wrong: which of two errors comes first is nobody's business."""
        fmt = self.one(list(FORMATS))
        draw, wrong, refused = self.rng.random(), False, False
        if draw < 0.15:
            arguments, wrong = self.one(GARBAGE), True
        elif draw < 0.3:
            ndim = self.one((1, 2, 2))
            arguments, wrong = repr(self.shape(ndim)), ndim not in FORMATS[fmt]
        elif draw < 0.5:
            arguments, wrong = self.dense(fmt)
        elif draw < 0.65:
            arguments, shape = self.sparse()
            wrong = len(shape) not in FORMATS[fmt]
        elif fmt in ("csr", "csc") and draw < 0.85:
            arguments, wrong, refused = self.buffers(fmt)
        else:
            ndim, wrong = self.one((2, 2, 1)), self.rarely(0.4)
            arguments, refused = self.coordinates(ndim, wrong), ndim not in FORMATS[fmt]
        options = []
        if not wrong and "shape=" not in arguments and self.rarely(0.25):
            options.append(f"shape={self.one(SHAPES if fmt in ('csr', 'csc', 'bsr') else SHAPES + SMALL_SHAPES)}")
        elif not wrong and self.rarely(0.3):
            options.append(f"dtype={self.one(DTYPES)}")
        if self.rarely(0.2):
            options.append(f"copy={self.one((True, False))}")
        return Case(f"sp.{fmt}_array({', '.join([arguments, *options])})", refused)

    def dense(self, fmt):
        """A dense array, and whether its number of dimensions is wrong."""
        ndim = self.one((1, 2, 2, 2)) if not self.rarely() else self.one((0, 3))
        shape = self.shape(ndim)
        return f"np.zeros({shape})" if 0 in shape else self.data(shape), ndim not in FORMATS[fmt]

    def coordinates(self, ndim, faulty=False):
        shape = tuple(self.number(1, 5) for _ in range(ndim))
        count = self.number(0, 7)
        index = self.one(INDEX)
        coords = [self.rng.integers(0, n, count) for n in shape]
        extra, fault = 0, self.number(0, 3) if faulty else -1
        if fault == 0:
            extra = self.one((-1, 1)) if count else 1
        elif fault == 1 and count:
            coords[self.number(0, ndim - 1)][self.number(0, count - 1)] = 9
        elif fault == 2 and count and index.startswith("int"):
            coords[self.number(0, ndim - 1)][self.number(0, count - 1)] = -1
        elif fault == 3:
            shape = (*shape, 2) if self.rarely(0.5) else shape[1:]
        where = ", ".join(self.array(c, index) for c in coords)
        text = f"({self.data(count + extra)}, ({where},))"
        return text if self.rarely(0.3) and count and not faulty else f"{text}, shape={shape}"

    def buffers(self, fmt):
        """(data, indices, indptr) of csr or csc; whether they have a fault, and whether SciPy would believe it."""
        major, minor = self.number(0, 5), self.number(1, 5)
        lengths = self.rng.integers(0, 4, major)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        count = int(indptr[-1])
        indices = self.rng.integers(0, minor, count)
        extra, refused, index = 0, False, self.one(("int32", "int32", "int64"))
        fault = self.number(0, 5) if self.rarely(0.4) else -1
        if fault == 0:
            extra = self.one((-1, 1)) if count else 1
        elif fault in (1, 2) and count:
            indices[self.number(0, count - 1)] = (-1, minor + self.number(0, 3))[fault - 1]
            refused = True
        elif fault == 3:
            indptr[0] = 1
            refused = major == 0
        elif fault == 4 and major > 1 and count:
            indptr[self.number(1, major - 1)] = count + 1
            refused = True
        elif fault == 5:
            indptr = indptr[:-1] if self.rarely(0.5) and major else np.append(indptr, indptr[-1])
        shape = (major, minor) if fmt == "csr" else (minor, major)
        parts = f"{self.data(count + extra)}, {self.array(indices, index)}, {self.array(indptr, index)}"
        return f"({parts}), shape={shape}", fault >= 0, refused

    def sparse(self, ndim=None):
        """A well-formed array: its text and shape."""
        fmt = self.one([f for f, dims in FORMATS.items() if ndim is None or ndim in dims])
        ndim = self.one(FORMATS[fmt]) if ndim is None else ndim
        shape = self.shape(ndim)
        count = self.number(0, 8) if all(shape) else 0
        values = self.data(count)
        where = ", ".join(self.array(self.rng.integers(0, max(n, 1), count), "int32") for n in shape)
        text = f"sp.coo_array(({values}, ({where},)), shape={shape})"
        return (text if fmt == "coo" else f"sp.{fmt}_array({text})"), shape

    # ---- index expressions ------------------------------------------------------------------------------------

    def selection(self):
        A, shape = self.sparse()
        return f"{A}[{self.key(shape)}]"

    def assignment(self):
        A, shape = self.sparse()
        value = self.one(("0", "3", "1.5", "True", "np.int8(2)", "None", "'x'", "[1, 2]", "[[1], [2]]", "[]",
                          "np.ones(3)", "np.ones((2, 2))", "np.zeros((1, 1))", "np.array(4)",
                          self.sparse()[0]))  # fmt: skip
        return f"assigned({A}, np.s_[{self.key(shape)}], {value})"

    def key(self, shape):
        if len(shape) == 2 and self.rarely(0.1):
            return self.mask(shape)
        items = [self.item(n) for n in shape]
        if self.rarely(0.25):
            items.pop()
        if self.rarely(0.05):
            items.append(self.item(3))
        # Beside an index array SciPy misplaces new axes, in each format in another way.
        plain = all(re.fullmatch(r"[-\d:]*|np\.int\d+\(-?\d+\)", i) for i in items)
        for extra, chance in (("...", 0.15), ("None", 0.15 * plain), ("None", 0.07 * plain)):
            if self.rarely(chance):
                items.insert(self.number(0, len(items)), extra)
        return ", ".join(items) if items else "..."

    def mask(self, shape):
        rows = (self.rng.random(shape) < 0.4).tolist()
        text = f"np.array({rows}, dtype=bool).reshape({shape})"
        return f"sp.{self.one(('csr', 'coo', 'csc'))}_array({text})" if self.rarely(0.4) else text

    def item(self, n):
        draw = self.rng.random()
        if draw < 0.3:
            return self.integer(n)
        if draw < 0.6:
            return self.slice(n)
        if draw < 0.8:
            return self.integers(n)
        if draw < 0.9:
            length = n if not self.rarely(0.15) else n + self.one((-1, 1))
            flags = (self.rng.random(max(length, 0)) < 0.5).tolist()
            return f"np.array({flags}, dtype=bool)" if self.rarely(0.7) else repr(flags)
        return self.one((":", ":", "1.0", "'a'", "True", "False", "np.float32(1)", "[1.5]", "[]", "[[0]]", "range(1)",
                         "np.array([], dtype=int)", "(0,)", "slice(None, None, 0)", "np.array(0)",
                         "object()", "[[0], [0]]", "np.array([True])"))  # fmt: skip

    def integer(self, n):
        k = self.number(-n, max(n - 1, 0)) if not self.rarely(0.12) else self.one((n, -n - 1, 100))
        return self.one(("{}", "{}", "np.int64({})", "np.array({})", "np.int8({})")).format(k)

    def slice(self, n):
        ends = [self.one(("", str(self.number(-n - 2, n + 2)))) for _ in range(2)]
        step = self.one(("", "", str(self.one((1, 2, 3, -1, -2, -3, 7)))))
        return ":".join([*ends, step]) if step else ":".join(ends)

    def integers(self, n):
        shape = self.one(((2,), (3,), (3,), (1,), (0,), (2, 1), (1, 2), (2, 2), (1, 1, 2)))
        values = self.rng.integers(-n, max(n, 1), shape)
        if values.size and self.rarely(0.08):
            values.flat[0] = self.one((n, -n - 1))
        text = repr(values.tolist())
        return text if self.rarely(0.4) and values.size else f"np.array({text}, dtype='{self.one(INDEX[:4])}')"

    # ---- operations -------------------------------------------------------------------------------------------

    def operation(self):
        A, shape = self.sparse(2)
        axis = self.one((None, 0, 1, -1, -2, 2, (0, 1), (0,), 1.5))
        method = self.one(("sum", "mean", "max", "min", "argmax", "argmin", "count_nonzero", "nanmax"))
        B = self.sparse(2)[0] if self.rarely(0.3) else self.sized(shape)
        return self.one((
            f"{A}.{method}(axis={axis})",
            f"{A} {self.one(('+', '-', '*', '==', '!=', '<', '>'))} {B}",
            f"{A} {self.one(('*', '/', '==', '!=', '<', '>', '**', '+'))} {self.one((0, 1, 2, -1, 0.5, True))}",
            f"{A}.T @ {B}",
            f"{A} @ np.ones({self.one((shape[1], shape[0], (shape[1], 2)))})",
            f"{A}.maximum({self.one((B, '0', '-1'))})",
            f"{A}.diagonal({self.number(-3, 3)})",
            f"{A}.reshape({self.one(((-1,), (1, -1), shape[::-1], (2, -1)))})",
            f"{A}.astype({self.one(DTYPES)})",
            f"{A}.asformat({self.one((*map(repr, FORMATS), 'None', repr('xyz'), '3'))})",
            f"{A}.power({self.one((2, 1, 0, 3))})",
            f"{A}.multiply({self.one((B, 'np.ones(' + repr(shape) + ')', 'np.ones(' + repr(shape[1]) + ')'))})",
        ))  # fmt: skip

    def sized(self, shape):
        count = self.number(0, 6) if all(shape) else 0
        where = ", ".join(self.array(self.rng.integers(0, max(n, 1), count), "int32") for n in shape)
        fmt = self.one([f for f in FORMATS if f in ("coo", "csr", "csc")])
        return f"sp.coo_array(({self.data(count, 'float64')}, ({where},)), shape={shape}).asformat('{fmt}')"


def assigned(A, key, value):
    A[key] = value
    return A


def evaluate(text, sp):
    """The value of a case's text with package `sp`."""
    return eval(text, {"sp": sp, "np": np, "assigned": assigned})


def cases(seed, count):
    """(number, case) for a run."""
    return ((k, case(seed, k)) for k in itertools.islice(itertools.count(), count))
