"""Nothing that is written in place, into a result or an argument and through any attribute, reaches another array.

Every public method, operator and function is called; then everything that its result lets users write to is written
to, and the operands must be as they were; then the operands are written to, and the result must be what it was. What
changes all the same must change in SciPy too (a transpose of which a view was taken before).
"""

import operator
import types

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse as scipy_sparse

import mlx_sparse as sp
from scipy_compat_tests.native.children import run

FORMATS = ("coo", "csr", "csc", "bsr", "dia", "lil", "dok")
ATTRIBUTES = ("data", "indices", "indptr", "row", "col", "coords", "offsets")
MATRIX = np.array([[4.0, 1, 0, 0], [1, 5, 0, 2], [0, 0, 6, 1], [0, 2, 1, 7]])

ERRORS = (ValueError, TypeError, NotImplementedError, IndexError, AttributeError, KeyError)

# What a name is called with; names that are absent are called without arguments.
CALLS = {
    "asformat": [("csr",), ("coo",), ("lil",)],
    "astype": [(np.float64,), (np.float32,)],
    "check_format": [()],
    "dot": [("other",), ("vector",), (2.0,)],
    "fromkeys": [],
    "get": [((0, 0),)],
    "getcol": [(1,)],
    "getrow": [(1,)],
    "getrowview": [],  # a view, as its name says
    "matvec": [("vector",)],
    "maximum": [("other",), (-1.0,), ("dense",)],
    "minimum": [("other",), (1.0,), ("dense",)],
    "multiply": [("other",), (2.0,), ("dense",)],
    "pop": [((0, 0),)],
    "power": [(2,), (1,)],
    "reshape": [((2, 8),), ((4, 4),)],
    "resize": [(4, 4), (3, 3)],
    "rmatvec": [("vector",)],
    "set_shape": [((4, 4),)],
    "setdefault": [((0, 0), 1.0)],
    "setdiag": [("vector",), (3.0,)],
    "tensordot": [("other",)],
    "update": [],
    "with_data": [("values",)],
    "__abs__": [()],
    "__neg__": [()],
    "__round__": [(), (1,)],
    "__getitem__": [
        (slice(None),),
        (1,),
        ((slice(None), 1),),
        (slice(1, 3),),
        ([0, 2],),
        ((slice(None), slice(None)),),
    ],
    "__iter__": [()],
    "__pow__": [(2,), (1,)],
    **{f"__{name}__": [("other",), ("dense",)] for name in ("add", "sub", "radd", "rsub")},
    **{f"__{name}__": [("other",), ("dense",), (2.0,)] for name in ("mul", "rmul", "truediv", "ne", "gt", "lt")},
    **{f"__{name}__": [("other",), ("vector",)] for name in ("matmul", "rmatmul")},
    **{f"__{name}__": [(2.0,)] for name in ("imul", "itruediv")},
}
COPIED = ("asformat", "astype", "conj", "conjugate", "reshape", "tobsr", "tocoo", "tocsc", "tocsr", "todia", "todok",
          "tolil", "transpose")  # fmt: skip
SINGLE = {"__imul__", "__itruediv__", "resize", "setdiag", "set_shape"}  # change the array that they are called on


def functions(s):
    """Calls of the package's functions on a sparse array, by name."""
    calls = {
        "vstack": lambda A: s.vstack([A]),
        "hstack": lambda A: s.hstack([A]),
        "vstack of two": lambda A: s.vstack([A, A]),
        "vstack in csr": lambda A: s.vstack([A], format="csr"),
        "bmat": lambda A: s.bmat([[A]]),
        "block_array": lambda A: s.block_array([[A]]),
        "block_diag": lambda A: s.block_diag([A]),
        "kron": lambda A: s.kron([[1.0]], A),
        "kronsum": lambda A: s.kronsum(A, A),
        "tril": lambda A: s.tril(A, 9),
        "triu": lambda A: s.triu(A, -9),
        "find": s.find,
        "safely_cast_index_arrays": lambda A: (
            s.safely_cast_index_arrays(A) if A.format in ("csr", "coo", "dia") else None
        ),
        "expand_dims": lambda A: s.expand_dims(A, axis=0),
        "permute_dims": lambda A: s.permute_dims(A, (1, 0), copy=True),
        "swapaxes": lambda A: s.swapaxes(A, 0, 1),
        "linalg.norm": lambda A: s.linalg.norm(A, axis=0),
        "linalg.inv": lambda A: s.linalg.inv(A.tocsc()),
        "linalg.expm": lambda A: s.linalg.expm(A.tocsc()),
        "linalg.matrix_power": lambda A: s.linalg.matrix_power(A, 1),
    }
    for fmt in FORMATS:
        calls[f"{fmt}_array"] = lambda A, fmt=fmt: getattr(s, f"{fmt}_array")(A, copy=True)
        calls[f"{fmt}_matrix"] = lambda A, fmt=fmt: getattr(s, f"{fmt}_matrix")(A, copy=True)
    return calls


@pytest.fixture(params=("mlx", "numpy"))
def mode(request):
    before, sp.runtime.dense_namespace = sp.runtime.dense_namespace, request.param
    yield request.param
    sp.runtime.dense_namespace = before


def make(s, fmt, kind="array", dense=MATRIX):
    A = getattr(s, f"csr_{kind}")(dense)
    return A.tobsr(blocksize=(2, 2)) if fmt == "bsr" else A.asformat(fmt)


def operands(s, fmt, kind, args, arrays):
    """The array and the arguments that the names stand for; dense ones are `arrays` (of NumPy or MLX)."""
    A = make(s, fmt, kind)
    size = np.shape(A.data) if hasattr(A, "data") and fmt not in ("lil", "dok") else (1,)
    made = {
        "other": lambda: make(s, fmt, kind, MATRIX.T * 2),
        "dense": lambda: arrays(MATRIX + 1),
        "vector": lambda: arrays(np.arange(1.0, 5)),
        "values": lambda: arrays(np.full(size, 2.5)),
    }
    return A, [made[x]() if isinstance(x, str) and x in made else x for x in args]


def mlx_array(x):
    return mx.array(x, dtype=mx.float64 if sp.use_device is not None and mx.default_device() == mx.cpu else mx.float32)


def parts(x):
    """Everything of `x` that can be written to in place: arrays and lists, each with what stands there afterwards.

    Structures stay sound: what shares one must not read past its buffers before the test says so.
    """
    if isinstance(x, (np.ndarray, mx.array)):
        yield x, 77
    elif isinstance(x, (tuple, list, types.GeneratorType)):
        for y in x:
            yield from parts(y)
    elif sp.issparse(x):
        if x.format == "dok":
            yield x._dict, 77
            return
        if x.format == "lil":
            for rows, data in zip(x.rows, x.data, strict=True):
                yield rows, 0
                yield data, 77
        for name in ATTRIBUTES:
            if x.format != "lil" and hasattr(x, name):
                for y, _ in parts(getattr(x, name)):
                    first = len(x.indices) * (np.arange(len(y)) > 0) if name == "indptr" else 0  # all in one slice
                    yield y, 77 if name == "data" else first


def held(x):
    """Views of everything, as a user keeps them."""
    return [y for y, _ in parts(x)]


def views(before, *operands):
    """Those that the user still has when the call begins."""
    read = [held(x) for x in operands] if before else None
    return read if before == "views were held" else None


def spoil(x):
    """Write into all parts of `x`, then change it in place by its own methods."""
    for y, value in list(parts(x)):
        if isinstance(y, dict):
            y.update(dict.fromkeys(y, value))
        elif isinstance(y, list):
            y[:] = [value] * len(y)
        elif isinstance(y, mx.array):
            y[...] = mx.array(value, dtype=y.dtype)
            y *= 1
        elif y.flags.writeable:
            y[...] = value


def change(x):
    if not sp.issparse(x):
        return
    for f in (
        lambda: operator.imul(x, 2.0),
        lambda: x.setdiag(9.0),
        lambda: x.sum_duplicates(),
        lambda: x.resize(2, 2),
    ):
        try:
            f()
        except (TypeError, ValueError, AttributeError, NotImplementedError, IndexError):
            pass


def state(x):
    """What `x` holds, without handing any of it out; as text, in which a NaN is equal to itself."""
    return repr(values(x))


def values(x):
    if isinstance(x, (tuple, list, types.GeneratorType)):
        return [values(y) for y in x]
    if isinstance(x, mx.array):
        return np.array(x).tolist()
    if isinstance(x, np.ndarray):
        return x.tolist()
    if not sp.issparse(x):
        return repr(x)
    if x.format in ("lil", "dok"):
        return x.toarray().tolist()
    if scipy_sparse.issparse(x):  # not by its dense form: SciPy writes past it once shared coordinates left the shape
        found = [getattr(x, name) for name in ATTRIBUTES if hasattr(x, name)]
        return [x.shape, *(np.array(b).tolist() for b in found)]
    buffers = [getattr(x, name) for name in x._buffers]
    return [x.shape, x.toarray().tolist(), *(np.array(b).tolist() for b in buffers)]


def reached(s, fmt, kind, call, args, arrays, before, spoiler):
    """Which way a change went: "result" into an operand, "operand" into the result; empty: neither.

    `before`: "views were read" of the operands before the call, or "views were held".
    """
    A, rest = operands(s, fmt, kind, args, arrays)
    kept = views(before, A, *rest)
    was = state([A, *rest])
    result = call(A, *rest)
    if result is A or any(result is x for x in rest) or not changes_nothing(result):
        return set()
    found = set()
    if state([A, *rest]) != was:
        return found  # an in-place method
    spoiler(result)
    if state([A, *rest]) != was:
        found.add("result")
    A, rest = operands(s, fmt, kind, args, arrays)
    kept = views(before, A, *rest)
    expected = call(A, *rest)
    expected = list(expected) if isinstance(expected, types.GeneratorType) else expected
    expected = state(expected)
    result = call(A, *rest)
    result = list(result) if isinstance(result, types.GeneratorType) else result
    for x in (A, *rest):
        spoiler(x)
    if state(result) != expected:
        found.add("operand")
    del kept
    return found


def changes_nothing(result):
    return result is not None and result is not NotImplemented


def faults(fmt, kind, name, args, call, scipy_call, arrays):
    """What is wrong with a call; None if it raised, as SciPy's does."""
    found = []
    for before in ("", "views were read", "views were held"):
        for spoiler in (spoil, change):
            case = (fmt, kind, name, args, before, spoiler.__name__)
            try:
                ours = reached(sp, fmt, kind, call, args, arrays, before, spoiler)
            except ERRORS as error:
                excused = sp.runtime.dense_namespace == "mlx" or refused(fmt, kind, scipy_call, args)
                return None if excused else [(*case, error)]
            if ours and not ours <= in_scipy(fmt, kind, scipy_call, args, before, spoiler):
                found.append((*case, ours))
    return found


def in_scipy(fmt, kind, call, args, before, spoiler):
    try:
        return reached(scipy_sparse, fmt, kind, call, args, np.array, before, spoiler)
    except ERRORS:  # SciPy has no such method
        return set()


def refused(fmt, kind, call, args):
    """Whether SciPy raises as well."""
    A, rest = operands(scipy_sparse, fmt, kind, args, np.array)
    try:
        found = call(A, *rest)
        if isinstance(found, types.GeneratorType):
            list(found)
    except ERRORS:
        return True
    return False


def method(name, copied):
    def call(A, *args):
        found = getattr(A, name)
        if not callable(found):
            return found
        return found(*args, copy=True) if copied else found(*args)

    return call


def names(cls):
    public = [n for n in dir(cls) if not n.startswith("_") or n in CALLS]
    return [n for n in public if n not in ("maxprint", "fromkeys", "dtype", "rows", *ATTRIBUTES)]


@pytest.mark.parametrize("kind", ("array", "matrix"))
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_methods(fmt, kind, mode):
    found, called = [], 0
    for name in names(getattr(sp, f"{fmt}_{kind}")):
        for args in CALLS.get(name, [()]):
            for copied in (False, True) if name in COPIED else (False,):
                for arrays in (
                    (np.array, mlx_array) if {"dense", "vector", "values"} & {*map(str, args)} else (np.array,)
                ):
                    call = method(name, copied)
                    theirs = method("T", False) if name == "mT" else call
                    wrong = faults(fmt, kind, name, args, call, theirs, arrays)
                    called += wrong is not None
                    found += wrong or []
    assert not found, "\n".join(map(str, found))
    assert called > 60


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_functions(fmt, mode):
    theirs, found = functions(scipy_sparse), []
    for name, call in functions(sp).items():
        for kind in ("array", "matrix"):
            found += faults(fmt, kind, name, (), call, theirs[name], np.array) or []
    assert not found, "\n".join(map(str, found))


def test_operators():
    D, p = mx.ones((2, 2)), mx.ones(2)
    A, B = (
        sp.linalg.aslinearoperator(D),
        sp.linalg.LinearOperator((2, 2), lambda v, p: v * p, dtype=np.float32, params=(p,)),
    )
    D *= 5
    p *= 5
    assert (A @ mx.ones(2)).tolist() == [2, 2] and (B @ mx.ones(2)).tolist() == [1, 1]
    same = sp.linalg.LinearOperator((2, 2), lambda v: v, dtype=np.float32)
    for v in (mx.ones(2), np.ones(2, np.float32)):
        y = same @ v
        y *= 5
        assert v.tolist() == [1, 1]


@pytest.mark.parametrize("kind", ("array", "matrix"))
@pytest.mark.parametrize("fmt", ("csr", "csc", "coo", "bsr", "dia"))
def test_what_shares_values_is_reached_from_either_side(fmt, kind):
    """As in SciPy, for writers such as ``scale_rows(A.T)``, and none of what was made before or is made afterwards."""
    other = f"{fmt}_{'matrix' if kind == 'array' else 'array'}"
    ways = {
        "constructor": lambda s, A: type(A)(A),
        "other kind": lambda s, A: getattr(s, other)(A),
        "copy": lambda s, A: type(A)(A, copy=True),
        "scaled": lambda s, A: 1 * A,
    }
    if fmt not in ("bsr", "dia"):
        ways |= {"T": lambda s, A: A.T, "T.T": lambda s, A: A.T.T, "T before": lambda s, A: (A.T, A.T)[1]}

    def sums(s, way, by_made):
        A = getattr(s, f"{fmt}_{kind}")(MATRIX)
        before, made = 2 * A, way(s, A)
        values = (made if by_made else A).data
        values *= 3
        assert (2 * A).toarray().sum() == 2 * A.toarray().sum()
        return A.toarray().sum(), made.toarray().sum(), before.toarray().sum()

    mode, sp.runtime.dense_namespace = sp.runtime.dense_namespace, "numpy"
    try:
        for name, way in ways.items():
            for by_made in (False, True):
                assert sums(sp, way, by_made) == sums(scipy_sparse, way, by_made), (name, by_made)
    finally:
        sp.runtime.dense_namespace = mode


@pytest.mark.parametrize("fmt", ("csr", "csc", "coo", "bsr", "dia"))
def test_views_are_forgotten_with_their_arrays(fmt):
    """What is kept of views ends with them: an array's own, a user's, and those of arrays without entries."""
    names = {"coo": ["data", "row", "col"], "dia": ["data", "offsets"]}.get(fmt, ["data", "indices", "indptr"])
    code = f"""
def held(A):
    return [getattr(A, name) for name in {names}]
for dense in (np.array([[0, 2.0, 0, 1], [0, 0, 0, 0], [3, 0, 0, 4], [5, 0, 6, 0]]), np.zeros((4, 4))):
    assert not sp._native.any_exposed()
    A = sp.{fmt}_array(dense)
    read = held(A)
    assert all(x is y for x, y in zip(read, held(A), strict=True))  # kept
    slices, B = [v[:0] for v in read], 2 * A  # which asks who holds views
    again = held(A)
    assert all(x is y or not x.size for x, y in zip(read, again, strict=True))
    assert not any(np.shares_memory(x, y) for x, y in zip(again, held(B), strict=True))
    del read, again, B, A
    assert sp._native.any_exposed() == any(v.base is not None and v.base.size for v in slices)
    del slices
assert not sp._native.any_exposed()
"""
    run(code)  # where no other test holds views


def test_the_memory_of_a_view_outlives_it():
    """What a user may keep of a view besides itself; the next view is another one, and it reaches the array."""
    with sp.runtime.context(dense_namespace="numpy"):
        A = sp.csr_array(np.eye(4))
        view = A.data
        base = view.base
        B = A.astype(np.float32)  # gives up what A keeps
        del view
        for _ in range(3):
            again = A.data
            again[0] = 7
            assert A.toarray()[0, 0] == 7 and B.toarray()[0, 0] == 1
            del again
            A.copy()
        del base
