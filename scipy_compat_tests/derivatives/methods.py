"""What the walk calls on arrays: by name, functions of an array A and of dense operands o. See `walk.Operands`."""

import copy
import pickle

import numpy as np
from matplotlib.figure import Figure

import mlx_sparse as sp

# Python's own, and what constructors (see `functions.py`) stand for.
MACHINERY = {
    *("__annotations__", "__array_priority__", "__class_getitem__", "__dict__", "__doc__", "__getattr__"),
    *("__getattribute__", "__hash__", "__init__", "__init_subclass__", "__module__", "__new__", "__sizeof__"),
    *("__slots__", "__subclasshook__", "__weakref__"),
}


def in_place(method, *arguments, **options):
    """Call it, then look at the array; operands are asked for by functions among the arguments."""

    def call(A, o):
        found = getattr(A, method)(*(a(o) if callable(a) else a for a in arguments), **options)
        return A if found is None or found is NotImplemented else found

    return call


def unary(method):
    return [lambda A, o: getattr(A, method)()]


def attribute(name):
    return [lambda A, o: getattr(A, name)]


def operator(name):
    """An operator with every kind of operand: numbers, dense arrays, sparse ones, and itself."""

    def call(other):
        def apply(A, o):
            found = getattr(type(A), name)(A, other(A, o))
            if found is NotImplemented:
                raise TypeError("unsupported operand")
            return found

        return apply

    return [call(other) for other in OTHERS]


def assigned(name):
    """Assignment to an attribute: of what it is, and of a traced array in its place."""

    def again(A, o):
        setattr(A, name, getattr(A, name))
        return A

    return [*attribute(name), again]


CONSTANT_CSR = sp.csr_array(np.array([[0.2, 0, 0.3, 0], [0, 0.4, 0, 0.1], [0.6, 0, 0.66, 0], [0.1, 0.2, 0, 0.3]]))
OTHERS = [
    lambda A, o: 0.3,
    lambda A, o: -0.3,
    lambda A, o: np.float64(2.0),
    lambda A, o: o.s,
    lambda A, o: o.D,
    lambda A, o: o.b,
    lambda A, o: o.b.reshape(1, 4),
    lambda A, o: np.full((4, 4), 0.3),
    lambda A, o: CONSTANT_CSR,
    lambda A, o: A.copy() * 0.6,
    lambda A, o: A.T * 0.7,
    lambda A, o: CONSTANT_CSR.with_data(CONSTANT_CSR._data * o.s),
]
PRODUCTS = [
    lambda A, o: o.b,
    lambda A, o: o.D,
    lambda A, o: o.D[None],
    lambda A, o: np.full(4, 0.3),
    lambda A, o: [0.1, 0.2, 0.3, 0.4],
    lambda A, o: CONSTANT_CSR,
    lambda A, o: A.T,
    lambda A, o: CONSTANT_CSR.with_data(CONSTANT_CSR._data * o.s),
]


def products(name):
    return [lambda A, o, other=other: getattr(A, name)(other(A, o)) for other in PRODUCTS]


KEYS = [(0, 1), (-1, 3), 1, slice(0, 3, 2), (slice(None), 2), ([0, 1], [1, 1]), ([0, 1],), (slice(None), [1, 2])]
READS = [lambda A, o, key=key: A[key] for key in KEYS]
WRITES = [
    *(in_place("__setitem__", key, 0.5) for key in KEYS),
    in_place("__setitem__", (0, 1), lambda o: o.s),
    in_place("__setitem__", (slice(0, 1), slice(None)), lambda o: o.b.reshape(1, 4)),
    in_place("__setitem__", (slice(None), slice(None)), lambda o: o.D),
    in_place("__setitem__", (slice(None), slice(None)), lambda o: CONSTANT_CSR.with_data(CONSTANT_CSR._data * o.s)),
    in_place("__setitem__", (slice(0, 2), slice(None)), lambda o: CONSTANT_CSR[:2]),
    lambda A, o: in_place("__setitem__", (0, [0, 1]), [o.s, o.s])(A, o),
]


def reductions(name):
    return [lambda A, o, axis=axis: getattr(A, name)(axis=axis) for axis in (None, 0, 1)]


def with_explicit(name):
    return [*reductions(name), lambda A, o: getattr(A, name)(axis=1, explicit=True)]


def conversion(name):
    return [lambda A, o: getattr(A, name)(), lambda A, o: getattr(A, name)(copy=True)]


def set_shape(A, o):
    A.set_shape((2, 8))
    return A


def unpickled(A, o):
    return pickle.loads(pickle.dumps(A))


ELEMENTWISE = (
    "arcsin arcsinh arctan arctanh ceil deg2rad expm1 floor log1p rad2deg rint sign sin sinh sqrt tan tanh trunc"
).split()
METHODS = {
    **{name: unary(name) for name in ELEMENTWISE},
    **{name: unary(name) for name in ("conj", "conjugate", "conjtransp", "getH", "asfptype", "copy", "sorted_indices")},
    **{name: unary(name) for name in ("get_shape", "getformat", "getmaxprint", "getnnz", "nonzero", "items", "keys")},
    **{name: unary(name) for name in ("values", "check_format", "popitem", "__neg__", "__abs__", "__repr__")},
    **{
        name: unary(name)
        for name in (
            "to_scipy",
            "__array__",
            "__str__",
            "__len__",
            "__iter__",
            "__reversed__",
            "__getstate__",
            "__reduce__",
        )
    },
    **{name: attribute(name) for name in ("H", "T", "mT", "real", "imag", "shape", "ndim", "nnz", "size", "dtype")},
    **{
        name: attribute(name) for name in ("format", "blocksize", "maxprint", "indices", "indptr", "row", "rows", "col")
    },
    **{name: attribute(name) for name in ("coords", "offsets", "has_canonical_format", "has_sorted_indices")},
    **{name: [in_place(name)] for name in ("clear", "eliminate_zeros", "prune", "sort_indices", "sum_duplicates")},
    **{f"__{name}__": operator(f"__{name}__") for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv")},
    **{f"__{name}__": operator(f"__{name}__") for name in ("rtruediv", "eq", "ne", "lt", "le", "gt", "ge")},
    **{f"__{name}__": operator(f"__{name}__") for name in ("iadd", "isub", "imul", "itruediv", "or", "ror", "ior")},
    **{name: operator(name) for name in ("multiply", "maximum", "minimum")},
    **{name: products(name) for name in ("__matmul__", "__rmatmul__", "dot")},
    **{name: products(name) for name in ("matvec", "rmatvec", "matmat", "rmatmat")},
    **{name: with_explicit(name) for name in ("max", "min", "nanmax", "nanmin", "argmax", "argmin")},
    **{name: reductions(name) for name in ("sum", "mean", "count_nonzero")},
    **{name: conversion(name) for name in ("tobsr", "tocoo", "tocsc", "tocsr", "todia", "todok", "tolil", "transpose")},
    "__bool__": [lambda A, o: bool(A.tocsr()[:1, :1].asformat(A.format))],
    "__contains__": [lambda A, o: (0, 0) in A],
    "__delitem__": [in_place("__delitem__", (0, 0))],
    "__getitem__": READS,
    "__pow__": [lambda A, o: A**2, lambda A, o: A**3, lambda A, o: A**o.s],
    "__deepcopy__": [lambda A, o: copy.deepcopy(A)],
    "__reduce_ex__": [unpickled, lambda A, o: copy.deepcopy(A), lambda A, o: copy.copy(A)],
    "__round__": [lambda A, o: round(A), lambda A, o: round(A, 1)],
    "__setitem__": WRITES,
    "__setstate__": [unpickled],
    "asformat": [lambda A, o, f=f: A.asformat(f) for f in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok", "array")],
    "astype": [lambda A, o, dt=dt: A.astype(dt) for dt in (np.float64, np.float32, np.complex64)],
    "data": [
        lambda A, o: A.data,
        lambda A, o: in_place("__setattr__", "data", lambda o: o.s * np.ones(A._data.shape))(A, o),
    ],
    "diagonal": [lambda A, o, k=k: A.diagonal(k) for k in (0, 1, -1)],
    "fromkeys": [lambda A, o: type(A).fromkeys([(1, 1)], 0.5)],
    "get": [lambda A, o: A.get((0, 0)), lambda A, o: A.get((-1, 0)), lambda A, o: A.get((3, 0), o.s)],
    "getcol": [lambda A, o: A.getcol(1)],
    "getrow": [lambda A, o: A.getrow(1)],
    "getrowview": [lambda A, o: A.getrowview(1)],
    "pop": [lambda A, o: A.pop((0, 0))],
    "power": [lambda A, o, n=n: A.power(n) for n in (1, 2, 2.5, 3)] + [lambda A, o: A.power(o.s)],
    "reshape": [lambda A, o: A.reshape((2, 8)), lambda A, o: A.reshape(8, 2, order="F"), lambda A, o: A.reshape(4, 4)],
    "resize": [in_place("resize", (3, 3)), in_place("resize", 5, 6)],
    "set_shape": [set_shape],
    "setdefault": [in_place("setdefault", (3, 0), lambda o: o.s), lambda A, o: A.setdefault((0, 0), 0.5)],
    "setdiag": [
        in_place("setdiag", 0.5),
        in_place("setdiag", [0.5, 0.25], 1),
        in_place("setdiag", lambda o: o.b),
        in_place("setdiag", lambda o: o.s, -1),
        in_place("setdiag", lambda o: [o.s, o.s]),
    ],
    "spy": [lambda A, o: len(A.spy(Figure().subplots()).images)],
    "tensordot": [lambda A, o: A.tensordot(A, 1), lambda A, o: A.tensordot(o.D, 1), lambda A, o: A.tensordot(A)],
    "toarray": [lambda A, o, k=k: A.toarray(**k) for k in ({}, {"order": "F"}, {"out": np.zeros((4, 4))})],
    "todense": [lambda A, o: A.todense(), lambda A, o: A.todense(order="F")],
    "trace": [lambda A, o, k=k: A.trace(k) for k in (0, 1)],
    "update": [in_place("update", lambda o: {(0, 0): o.s}), in_place("update", {(0, 0): 0.5})],
    "with_data": [lambda A, o: A.with_data(A._data), lambda A, o: A.with_data(o.s * np.ones(A._data.shape))],
}

# Zero derivatives that are true: what they are made of does not change with the values, or only in steps.
STRUCTURE = {
    *("shape", "ndim", "nnz", "size", "dtype", "format", "blocksize", "maxprint", "indices", "indptr", "row", "col"),
    *("coords", "offsets", "has_canonical_format", "has_sorted_indices", "get_shape", "getformat", "getmaxprint"),
    *("getnnz", "check_format", "__repr__", "__bool__", "spy"),
}
STEPS = set("ceil floor rint sign trunc __round__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__".split())
# Of some arguments only: the imaginary part of real values; a least element that is not stored; what the other operand
# decides everywhere; what is not made of the array.
SOME = {"imag", "min", "nanmin", "minimum", "maximum", "fromkeys"}
ZERO = STRUCTURE | STEPS | SOME
