"""Settings of the package: dense namespace, worker counts, executor.

Attributes
----------
dense_namespace : {"mlx", "numpy"}
    Namespace of dense results that no dense operand decides. ``"numpy"`` is the drop-in mode. Environment:
    ``MLX_SPARSE_DENSE_NAMESPACE``.
N_THREADS : int
    Workers of the CPU kernels. Environment: ``MLX_SPARSE_CPU_THREADS``. Default: the cores this process may use.
SPGEMM_THREADS, SOLVER_THREADS : int
    Workers for sparse @ sparse and for solvers; follow `N_THREADS` until set. Environment:
    ``MLX_SPARSE_SPGEMM_THREADS``, ``MLX_SPARSE_SOLVER_THREADS``.
SPGEMM_PARALLEL, SOLVER_PARALLEL : bool
    Whether those run on more than one worker. Environment: ``MLX_SPARSE_SPGEMM_PARALLEL``,
    ``MLX_SPARSE_SOLVER_PARALLEL``.
EXECUTOR : {"native", "shader"}
    What runs on the CPU: the CPU kernels, or the GPU shaders' text on the host (for tests). Environment:
    ``MLX_SPARSE_EXECUTOR``.
CACHE_LIMIT : int
    Bytes of freed memory that MLX keeps for the next result, as `mlx.core.set_cache_limit` sets them. Without it most
    of the time of a large result goes to the operating system's page faults. Default: MLX's own limit, but at least a
    sixteenth of the machine's memory or 1 GiB, whichever is less. `mlx.core.clear_cache` gives the memory back.
    Environment: ``MLX_SPARSE_CACHE_LIMIT``. A forked child cannot change it (RuntimeError): the change waits for MLX's
    threads, which a fork does not copy.

The environment is read once, at import. Settings are the process's: every thread sees them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx

from . import _native

# The options live in `_values`, and those that follow no other here as well.
dense_namespace: str
N_THREADS: int
SPGEMM_THREADS: int
SPGEMM_PARALLEL: bool
SOLVER_THREADS: int
SOLVER_PARALLEL: bool
EXECUTOR: str
CACHE_LIMIT: int

__all__ = [
    "CACHE_LIMIT",
    "EXECUTOR",
    "N_THREADS",
    "SOLVER_PARALLEL",
    "SOLVER_THREADS",
    "SPGEMM_PARALLEL",
    "SPGEMM_THREADS",
    "context",
    "dense_namespace",
    "info",
]


def _choice(name: str, *allowed: str) -> Any:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
        return str(value)

    return check


def _whole(name: str, what: str, least: int, auto: Callable[[], int]) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, str) and value.strip().lower() in ("auto", ""):
            return auto()
        try:
            n = int(value)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be {what} or 'auto'; got {value!r}") from None
        if n < least or n != value and not isinstance(value, str):
            raise ValueError(f"{name} must be {what} or 'auto'; got {value!r}")
        return n

    return check


def _count(name: str) -> Any:
    return _whole(name, "a positive integer", 1, lambda: int(_native.available_cores()))


def _bytes(name: str) -> Any:
    return _whole(name, "a number of bytes", 0, lambda: max(_mlx_cache_limit, min(1 << 30, _memory() // 16)))


def _flag(name: str) -> Any:
    words = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}

    def check(value: Any) -> bool:
        if isinstance(value, (bool, int)) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.strip().lower() in words:
            return words[value.strip().lower()]
        raise ValueError(f"{name} must be a boolean; got {value!r}")

    return check


def _memory() -> int:
    """Bytes of physical memory, 0 where unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


_mlx_cache_limit = mx.set_cache_limit(1 << 62)  # the only way to read it
mx.set_cache_limit(_mlx_cache_limit)

# name -> (environment variable, check, default)
_OPTIONS: dict[str, tuple[str, Any, Any]] = {
    "dense_namespace": ("MLX_SPARSE_DENSE_NAMESPACE", _choice("dense_namespace", "mlx", "numpy"), "mlx"),
    "N_THREADS": ("MLX_SPARSE_CPU_THREADS", _count("N_THREADS"), "auto"),
    "SPGEMM_THREADS": ("MLX_SPARSE_SPGEMM_THREADS", _count("SPGEMM_THREADS"), None),
    "SPGEMM_PARALLEL": ("MLX_SPARSE_SPGEMM_PARALLEL", _flag("SPGEMM_PARALLEL"), True),
    "SOLVER_THREADS": ("MLX_SPARSE_SOLVER_THREADS", _count("SOLVER_THREADS"), None),
    "SOLVER_PARALLEL": ("MLX_SPARSE_SOLVER_PARALLEL", _flag("SOLVER_PARALLEL"), True),
    "EXECUTOR": ("MLX_SPARSE_EXECUTOR", _choice("EXECUTOR", "native", "shader"), "native"),
    "CACHE_LIMIT": ("MLX_SPARSE_CACHE_LIMIT", _bytes("CACHE_LIMIT"), "auto"),
}
_INHERIT = ("SPGEMM_THREADS", "SOLVER_THREADS")
_values: dict[str, Any] = {}
_sources: dict[str, str] = {}
# Values, and where they came from: what is set outside of `context`, and what its blocks that are open have set, of all
# threads, in the order in which they began.
_base: dict[str, tuple[Any, str]] = {}
_open: list[dict[str, tuple[Any, str]]] = []
_lock = threading.RLock()
_loaded_by = os.getpid()


def _forked() -> bool:
    """Whether MLX's threads, for which a change of its cache waits, are another process's."""
    return os.getpid() != _loaded_by


def _checked(name: str, value: Any) -> Any:
    _, check, default = _OPTIONS[name]
    if value is None or (name in _INHERIT and isinstance(value, str) and value.strip().lower() == "inherit"):
        checked = None if name in _INHERIT else check(default)
    else:
        checked = check(value)
    if name == "CACHE_LIMIT" and _forked() and checked != _values[name]:
        raise RuntimeError(
            "CACHE_LIMIT cannot change in a process that was forked: set it before the fork, or start processes with "
            'multiprocessing\'s "spawn"'
        )
    return checked


def _set(name: str, value: Any, source: str = "user") -> None:
    checked = _checked(name, value)
    with _lock:
        held = next((block for block in reversed(_open) if name in block), _base)
        held[name] = checked, source
        _apply(name)


def _apply(name: str) -> None:
    """Make the last block that has set `name`, or what was set outside of all, take effect."""
    held = next((block for block in reversed(_open) if name in block), _base)
    if name == "CACHE_LIMIT" and _forked():  # also when a block ends that began before the fork
        return
    checked, _sources[name] = held[name]
    _values[name] = checked
    if name not in _INHERIT:
        globals()[name] = checked  # read without `__getattr__`, which every dense result would pay for
    if name == "N_THREADS":
        _native.set_n_threads(checked)
    elif name == "EXECUTOR":
        _native.set_shaders_on_host(checked == "shader")
    elif name == "CACHE_LIMIT":
        mx.set_cache_limit(checked)
    elif name == "dense_namespace":
        _native.set_settles_values(checked == "numpy")
    elif name.startswith("SPGEMM") and len(_values) == len(_OPTIONS):
        threads = _values["SPGEMM_THREADS"] or 0
        _native.set_spgemm_threads(threads if _values["SPGEMM_PARALLEL"] else 1)


def _get(name: str) -> Any:
    value = _values[name]
    return _values["N_THREADS"] if value is None and name in _INHERIT else value


@contextlib.contextmanager
def context(**options: Any) -> Iterator[None]:
    """Set options for a block: ``with runtime.context(n_threads=1, spgemm_parallel=False): ...``.

    Names are those of the module's attributes, in any case. Settings are the process's: other threads see them too.
    Where blocks of several threads overlap, the one that began last decides, and after all of them everything is as it
    was before. An option that is assigned inside a block keeps that value until the block ends.

    Raises
    ------
    ValueError
        An unknown name or a value that the option does not take; nothing is changed then.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> with sp.runtime.context(dense_namespace="numpy"):
    ...     sp.eye_array(2).diagonal()
    array([1., 1.])
    """
    known = {name.lower(): name for name in _OPTIONS}
    chosen = {}
    for key, value in options.items():
        if key.lower() not in known:
            raise ValueError(f"unknown option {key!r}; the options are {', '.join(sorted(known))}")
        name = known[key.lower()]
        chosen[name] = _checked(name, value), "user"
    with _lock:
        _open.append(chosen)
        for name in chosen:
            _apply(name)
    try:
        yield
    finally:
        with _lock:
            _open[:] = [block for block in _open if block is not chosen]
            for name in chosen:
                _apply(name)


def info() -> dict[str, Any]:
    """Every option's value and where it came from, and what this installation can run on.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sorted(sp.runtime.info())
    ['cores', 'cuda', 'default_device', 'metal', 'mlx', 'options']
    """
    return {
        "options": {name: {"value": _get(name), "source": _sources[name]} for name in _OPTIONS},
        "cores": int(_native.available_cores()),
        "default_device": str(mx.default_device()),
        "metal": bool(mx.metal.is_available()),
        "cuda": bool(mx.cuda.is_available()) if hasattr(mx, "cuda") else False,
        "mlx": mx.__version__,  # type: ignore[attr-defined]
    }


class _Runtime(types.ModuleType):
    """Module whose options are checked when assigned."""

    def __getattr__(self, name: str) -> Any:
        if name in _OPTIONS:
            return _get(name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OPTIONS:
            _set(name, value)
        elif name.startswith("_"):
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"unknown option {name!r}; the options are {', '.join(_OPTIONS)}")


def _load() -> None:
    for name, (variable, _, default) in _OPTIONS.items():
        text = os.environ.get(variable)
        if text is None and name == "N_THREADS":
            text, variable = os.environ.get("MLX_SPARSE_N_THREADS"), "MLX_SPARSE_N_THREADS"
        try:
            _set(name, default if text is None else text, "default" if text is None else variable)
        except ValueError as error:
            raise ValueError(f"environment variable {variable}: {error}") from None
    _set("SPGEMM_PARALLEL", _values["SPGEMM_PARALLEL"], _sources["SPGEMM_PARALLEL"])


_load()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_native.before_fork, after_in_child=_native.after_fork_in_child)
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
sys.modules[__name__].__class__ = _Runtime
