"""Whether a test uses mlx_sparse at all, found from its bytecode before it runs.

SciPy's classes stand in for those that mlx_sparse lacks, so a test of such a class alone would only test SciPy.
"""

import dis
import types

import scipy.sparse

from .view import SparseView

_FORMATS = (scipy.sparse.sparray, scipy.sparse.spmatrix)


def is_ours(x):
    """True for an object of mlx_sparse or an instance of its classes."""
    module = getattr(x, "__module__", None) if isinstance(x, (type, types.FunctionType)) else type(x).__module__
    return isinstance(module, str) and module.split(".")[0] == "mlx_sparse"


def item_reaches(item):
    """True when a pytest item can touch an object of mlx_sparse.

    Sparse classes among its parameters decide; otherwise the names that the test, its fixtures and what they call load.
    """
    params = list(getattr(item, "callspec", None).params.values()) if hasattr(item, "callspec") else []
    classes = [p for p in params if isinstance(p, type) and (is_ours(p) or issubclass(p, _FORMATS))]
    if classes:
        return any(map(is_ours, classes))
    seen = set()
    functions = [item.function]
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        functions += [d.func for d in definitions if getattr(d.func, "__module__", "").startswith("upstream_")]
    return any(map(is_ours, params)) or any(_reaches(f, item.cls, seen) for f in functions)


def _reaches(x, cls, seen):
    if id(x) in seen:
        return False
    seen.add(id(x))
    if is_ours(x):
        return True
    if isinstance(x, (list, tuple, set)):
        return any(_reaches(e, cls, seen) for e in x)
    if isinstance(x, dict):
        return any(_reaches(e, cls, seen) for pair in x.items() for e in pair)
    if isinstance(x, (staticmethod, classmethod)):
        x = x.__func__
    x = getattr(x, "__wrapped__", getattr(x, "__func__", x))
    if not isinstance(x, types.FunctionType) or not (x.__module__ or "").startswith("upstream_"):
        return False
    return _code_reaches(x, cls, seen)


def _code_reaches(function, cls, seen):
    globals_, attributes, used = function.__globals__, set(), []
    for code in _codes(function.__code__):
        for op in dis.get_instructions(code):
            if op.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                used.append(globals_.get(op.argval))
            elif op.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
                attributes.add(op.argval)
    views = [x for x in used if isinstance(x, SparseView)]
    if any(is_ours(view.own(name)) for view in views for name in attributes):
        return True
    cells = [c.cell_contents for c in function.__closure__ or ()]
    members = [vars(c)[name] for c in (cls.__mro__ if cls else ()) for name in attributes if name in vars(c)]
    return any(_reaches(x, cls, seen) for x in used + cells + members)


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
