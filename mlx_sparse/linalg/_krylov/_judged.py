"""The loop of the methods that stop by norms which they estimate: minres, lsqr, lsmr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ... import _dense, _native
from .._info import Course, progress_bar
from .._recorded import Recorded, on_device
from .._solve import Recurrence


class Method(NamedTuple):
    """A recurrence. Of its state, a tuple, the loop knows the beginning: the iterate, and `given` real scalars for the
    judges.
    """

    recurrence: Recurrence
    given: int


class Judge:
    """Decides from numbers when one column is done.

    Attributes
    ----------
    residual : float
        Estimate of the norm of the residual.
    code : int or None
        Why the column is done; None while it is not.
    broke : bool
        Whether it is because of numbers that are not finite.
    steps : int
        How many steps it took.
    """

    residual = 0.0
    broke = False
    code: int | None = None
    steps = 0
    last = 0  # most steps; further ones are not asked for

    def begin(self, given: list[float]) -> None:
        """Look at what `start` gives."""
        raise NotImplementedError

    def look(self, given: list[float]) -> None:
        """Look at what a step gives; also at the `steps`, which count it."""
        raise NotImplementedError

    def line(self) -> str:
        """What `show` prints after a step."""
        raise NotImplementedError


class InSpaces:
    """The recurrence step by step in spaces of `_vectors`, in the last of which is the iterate."""

    def __init__(self, method: Method, spaces: Sequence[Any], x: Any, r: Any) -> None:
        self._method, self._spaces, self._state = method, spaces, (x, r)  # type: Any, Any, tuple[Any, ...]

    def start(self) -> list[list[float]]:
        self._state = self._method.recurrence.start(*self._spaces, *self._state)
        return self._settled()

    def step(self) -> list[list[float]]:
        self._state = self._method.recurrence.step(*self._spaces, self._state)
        return self._settled()

    def _settled(self) -> list[list[float]]:
        """By itself: MLX writes into buffers of the state before, which is gone by now."""
        last = self._spaces[-1]
        self._state = last.settle(self._state)
        return last.numbers(self._state[1 : 1 + self._method.given])

    def freeze(self, closed: np.ndarray) -> None:
        for space in self._spaces:
            space.done(closed)

    def vector(self, i: int) -> Any:
        """Element i of the state."""
        return self._spaces[-1].array(self._state[i])


class Stepped:
    """The recurrence step by step, `most` of them, by its native program. A device runs ahead of the judges."""

    def __init__(self, method: Method, program: Recorded, x: Any, r: Any, most: int) -> None:
        self._given, self._places, self._lazy = method.given, program.places, _dense.is_mlx(r)
        self._x: Any = None  # a device's own
        self._steps: Any
        if on_device():
            stream = mx.default_stream(mx.default_device())
            given = x, r, method.given, max(0, most), stream
            self._steps = _native.KrylovDeviceSteps(program.recording, program.operators, *given)
            return
        if self._lazy:
            x, r = _dense.view(x), _dense.view(r)
        self._x = np.array(x, order="C")
        r = np.ascontiguousarray(r)
        self._steps = _native.KrylovSteps(program.recording, program.operators, self._x, r)

    def start(self) -> list[list[float]]:
        return self._steps.start(self._given)

    def step(self) -> list[list[float]]:
        return self._steps.step(self._given)

    def freeze(self, closed: np.ndarray) -> None:
        self._steps.freeze(closed.tolist())

    def vector(self, i: int) -> Any:
        v = self._steps.vector(self._places[i]) if i or self._x is None else self._x
        return _dense.to_mlx(v) if self._lazy else v


def judged(
    run: InSpaces | Stepped,
    judges: Sequence[Judge],
    callback: Callable[[Any], None] | None = None,
    progress: bool = False,
    show: bool = False,
) -> list[Any]:
    """Run until every judge is done, each of which judges a column: the norms of the residuals on the way.

    What a column then is it stays.
    """
    with progress_bar(judges[0].last, progress) as bar:
        course = Course(bar)
        for judge, seen in zip(judges, run.start(), strict=True):
            judge.begin(seen)
        course.add(residuals(judges))
        while not _done(judges, run):
            for j, (judge, seen) in enumerate(zip(judges, run.step(), strict=True)):
                if judge.code is None:
                    judge.steps += 1
                    judge.look(seen)
                    if show and _is_shown(judge):
                        print(f"{j:4d} " * (len(judges) > 1) + f"{judge.steps:6d} {judge.line()}")
            course.add(residuals(judges))
            if callback:
                callback(run.vector(0))
    return course.norms


def residuals(judges: Sequence[Judge]) -> Any:
    """Their norms: a number, or one of each column."""
    found = [judge.residual for judge in judges]
    return found[0] if len(found) == 1 else np.array(found)


def _done(judges: Sequence[Judge], run: InSpaces | Stepped) -> bool:
    if len(judges) == 1:
        return judges[0].code is not None
    closed = np.array([judge.code is not None for judge in judges])
    run.freeze(closed)
    return bool(closed.all())


def _is_shown(judge: Judge) -> bool:
    return judge.code is not None or judge.steps <= 10 or judge.steps % 10 == 0 or judge.steps >= judge.last - 10


def quotient(a: float, b: float) -> float:
    """a / b, where infinity stands for what is divided by 0."""
    return a / b if b else float("inf")
