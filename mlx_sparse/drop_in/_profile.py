"""Which functions and methods ran here, how long, from which lines, and which went to SciPy and why."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
from collections import Counter, defaultdict
from typing import Any

from . import _classes

_PACKAGE = __name__.partition(".")[0]
_SPECIAL = {"__init__", "__getitem__", "__setitem__", "__len__", "__iter__", "__contains__", "__delitem__", "__abs__"}
_SPECIAL |= {f"__{side}{op}__" for side in ("", "r", "i") for op in ("add", "sub", "mul", "truediv", "matmul", "pow")}
_SPECIAL |= {f"__{op}__" for op in ("neg", "eq", "ne", "lt", "le", "gt", "ge")}


class _Entry:
    """What is known of one function."""

    def __init__(self) -> None:
        self.calls, self.seconds, self.fallbacks, self.scipy_seconds = 0, 0.0, 0, 0.0
        self.reasons: Counter[str] = Counter()
        self.lines: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0, 0.0])


_entries: dict[str, _Entry] = {}
_replaced: list[tuple[type, str, Any]] = []  # None: the class had none of its own
_state = threading.local()
_lock = threading.Lock()
_on: list[bool] = []


class _Call:
    """One call; inside another one it is a part of that and not counted. What falls back always is."""

    __slots__ = ("path", "frame", "reason", "begin", "outer")

    def __init__(self, path: str, frame: Any) -> None:
        self.path, self.frame, self.reason = path, frame, ""

    def fell_back(self, reason: str) -> None:
        self.reason = reason

    def __enter__(self) -> _Call:
        self.outer = getattr(_state, "busy", False)
        _state.busy, self.begin = True, time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        seconds = time.perf_counter() - self.begin
        _state.busy = self.outer
        if self.outer and not self.reason:
            return
        line = _users(self.frame)
        with _lock:
            entry = _entries.setdefault(self.path, _Entry())
            if self.reason:
                entry.fallbacks += 1
                entry.scipy_seconds += seconds
                entry.reasons[self.reason] += 1
            else:
                entry.calls += 1
                entry.seconds += seconds
            where = entry.lines[line]
            where[0], where[1] = where[0] + 1, where[1] + seconds


class _Unwatched:
    """Of calls while nothing is profiled."""

    def fell_back(self, reason: str) -> None:
        pass


_UNWATCHED = contextlib.nullcontext(_Unwatched())


def here(path: str, frame: Any) -> Any:
    """A context that times one call of the function `path`, made in `frame`."""
    return _Call(path, frame) if _on else _UNWATCHED


def _users(frame: Any) -> tuple[str, int]:
    """The nearest line that is neither SciPy's nor this package's."""
    while frame.f_back is not None:
        if (frame.f_globals.get("__name__") or "").partition(".")[0] not in ("scipy", "numpy", _PACKAGE):
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def start() -> None:
    """Begin anew; methods of this package's classes are counted until `stop`."""
    if _on:
        return
    _entries.clear()
    _on.append(True)
    for ours, theirs in _classes.pairs():
        own = [c for c in ours.__mro__ if not _is_scipys(c)]
        for name in {n for c in own for n in vars(c) if c is not object}:
            if name in _SPECIAL or not name.startswith("_"):
                _watch(ours, name, "")
        for name in {n for c in theirs.__mro__ if _is_scipys(c) for n in vars(c)}:
            if not name.startswith("__") and not any(name in vars(c) for c in own):
                _watch(ours, name, "SciPy's private method, inherited", theirs)


def _is_scipys(cls: type) -> bool:
    return cls.__module__.startswith("scipy.") and not any(cls is ours for ours, _ in _classes.pairs())


def _watch(cls: type, name: str, reason: str, source: Any = None) -> None:
    f: Any = getattr(source or cls, name, None)
    if not hasattr(f, "__code__") or isinstance(f, type) or isinstance(_static(source or cls, name), staticmethod):
        return  # no plain function
    path = f"{cls.__name__}.{name}"

    @functools.wraps(f)
    def method(*args: Any, **kwargs: Any) -> Any:
        with here(path, sys._getframe(1)) as record:
            if reason:
                record.fell_back(reason)
            return f(*args, **kwargs)

    if isinstance(_static(source or cls, name), classmethod):
        return
    _replaced.append((cls, name, vars(cls).get(name)))
    setattr(cls, name, method)


def _static(cls: Any, name: str) -> Any:
    return next(vars(c)[name] for c in cls.__mro__ if name in vars(c))


def stop() -> None:
    """Count no more; what was counted can still be reported."""
    _on.clear()
    for cls, name, before in reversed(_replaced):
        if before is None:
            delattr(cls, name)
        else:
            setattr(cls, name, before)
    _replaced.clear()


def report(lines: int = 3) -> str:
    """A table of functions, those that took longest first; below each one the `lines` that spent most in it."""
    width = max(map(len, ("function", *_entries)))
    rows = [f"{'function':<{width}}{'calls':>9}{'seconds':>11}{'SciPy calls':>13}{'seconds':>11}  reason"]
    for path, e in sorted(_entries.items(), key=lambda item: -(item[1].seconds + item[1].scipy_seconds)):
        reason = "; ".join(r for r, _ in e.reasons.most_common(2))
        row = f"{path:<{width}}{e.calls:>9}{e.seconds:>11.4f}{e.fallbacks:>13}{e.scipy_seconds:>11.4f}  {reason}"
        rows.append(row.rstrip())
        for (file, line), (n, seconds) in sorted(e.lines.items(), key=lambda item: -item[1][1])[:lines]:
            rows.append(f"    {file}:{line}: {n} calls, {seconds:.4f} s")
    return "\n".join(rows)
