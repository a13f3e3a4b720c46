"""Executes test modules of the installed SciPy against mlx_sparse. Their text is read from SciPy and never copied."""

import ast
import functools
import importlib.util
import sys
import types
from pathlib import Path

import scipy
from _pytest.fixtures import FixtureFunctionDefinition

import mlx_sparse

from .narrow import Narrow
from .view import PACKAGE, SparseView, builtins_over

# The ledgers hold ids of the tests of these releases (written from 1.17.1 and 1.18.1).
RELEASES = ("1.17", "1.18")
_HOOKS = ("setup_module", "teardown_module", "setup_function", "teardown_function", "pytestmark")
_modules = {}


def supported():
    """Whether the installed SciPy is one that the ledgers describe."""
    return scipy.__version__.rpartition(".")[0] in RELEASES


def on_gpu():
    import mlx.core as mx

    return mx.default_device().type == mx.DeviceType.gpu


@functools.cache
def _world():
    narrow = Narrow(gpu=on_gpu())
    return narrow, SparseView(PACKAGE, mlx_sparse, narrow)


class numpy_mode:
    """Context in which dense results are ndarrays, as the upstream tests expect."""

    def __enter__(self):
        self.before = mlx_sparse.runtime.dense_namespace
        mlx_sparse.runtime.dense_namespace = "numpy"

    def __exit__(self, *exc):
        mlx_sparse.runtime.dense_namespace = self.before


def load(name):
    """Module `scipy.sparse.tests.<name>` executed over views of NumPy and SciPy; under a private name, once.

    A name with dots is the path of a module of another folder of tests, from `scipy.sparse`.
    """
    if name in _modules:
        return _modules[name]
    path = f"{PACKAGE}.{name}" if "." in name else f"{PACKAGE}.tests.{name}"
    spec = importlib.util.find_spec(path)
    if spec is None:
        raise ImportError(f"this installation of SciPy has no {path}")
    narrow, sparse = _world()
    module = types.ModuleType(f"upstream_{name}".replace(".", "_"))
    module.__file__, module.__package__ = spec.origin, path.rpartition(".")[0]
    module.__builtins__ = builtins_over(sparse, narrow, load)
    module._init_class, module._module_value = _init_class, _module_value
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"), spec.origin)
    code = compile(ast.fix_missing_locations(_Rewrite(narrow.words).visit(tree)), spec.origin, "exec")
    sys.modules[module.__name__] = module  # pickle looks classes up by name
    with numpy_mode():
        exec(code, vars(module))
    _modules[name] = module
    return module


class _Rewrite(ast.NodeTransformer):
    """Rewrites a module's text.

    Wide dtype words become narrow. What a module computes for its tests when it is imported must fail those tests, not
    the whole module: `Class.init_class()` becomes `_init_class(Class)` and, at the module's level, `name = call()`
    becomes `name = _module_value(lambda: call())`.
    """

    def __init__(self, words):
        self.words = words

    def visit_Module(self, node):
        for statement in node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
                later = ast.Lambda(nothing, statement.value)
                made = ast.Call(ast.Name("_module_value", ast.Load()), [later], [])
                statement.value = ast.copy_location(made, statement.value)
        return self.generic_visit(node)

    def visit_Constant(self, node):
        if isinstance(node.value, str) and node.value in self.words:
            return ast.copy_location(ast.Constant(self.words[node.value]), node)
        return node

    def visit_Expr(self, node):
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "init_class":
            called = ast.Call(ast.Name("_init_class", ast.Load()), [call.func.value], [])
            return ast.copy_location(ast.Expr(called), node)
        return self.generic_visit(node)


class _Unbuilt:
    """Stands for a value that could not be made; using it raises why."""

    def __init__(self, error):
        self.__dict__["error"] = error

    def _fail(self, *args):
        raise self.__dict__["error"]

    def __getattr__(self, name):
        if name.startswith("__"):  # pytest and copy ask for these
            raise AttributeError(name)
        self._fail()

    __setattr__ = __getitem__ = __setitem__ = __call__ = __iter__ = __len__ = _fail


def _module_value(make):
    try:
        return make()
    except Exception as error:
        return _Unbuilt(error)


def _init_class(cls):
    try:
        cls.init_class()
    except Exception as error:
        cls.upstream_init_error = error


def collect(name, classes=None):
    """What a stub module exports to pytest.

    Parameters
    ----------
    name : str
        Name of the upstream module, as for `load`.
    classes : sequence of str, optional
        Test classes to collect; all by default. Functions are always collected.
    """
    module = load(name)
    missing = set(classes or ()) - set(vars(module))
    if missing:
        raise ImportError(f"upstream module {name} has no {', '.join(sorted(missing))}")
    found = {}
    for key, value in vars(module).items():
        is_test = key.startswith(("test", "Test")) and getattr(value, "__module__", None) == module.__name__
        if isinstance(value, type) and classes is not None:
            is_test = key in classes
        if is_test or key in _HOOKS or isinstance(value, FixtureFunctionDefinition):
            found[key] = value
    return found
