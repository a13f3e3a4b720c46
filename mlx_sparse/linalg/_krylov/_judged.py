"""The loop of the methods that stop by norms which they estimate: minres, lsqr, lsmr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._info import Course, progress_bar
from .._problem import workers


class Method(NamedTuple):
    """A recurrence over spaces of `_vectors`, in the last of which is the iterate.

    Of its state, a tuple, the loop knows the beginning: the iterate, and `given` real scalars for the judges.
    """

    start: Callable[..., tuple[Any, ...]]  # (*spaces, x, residual of x) -> state
    step: Callable[..., tuple[Any, ...]]  # (*spaces, state) -> state
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


def judged(
    method: Method,
    spaces: Sequence[Any],
    x: Any,
    r: Any,
    judges: Sequence[Judge],
    callback: Callable[[Any], None] | None = None,
    progress: bool = False,
    show: bool = False,
) -> tuple[tuple[Any, ...], list[Any]]:
    """The state when every judge is done, each of which judges a column, and the norms of the residuals on the way.

    What a column then is it stays.
    """
    settle, array, numbers = spaces[-1].settle, spaces[-1].array, spaces[-1].numbers
    given = slice(1, 1 + method.given)
    with workers(), progress_bar(judges[0].last, progress) as bar:
        course = Course(bar)
        state = settle(method.start(*spaces, x, r))
        for judge, seen in zip(judges, numbers(state[given]), strict=True):
            judge.begin(seen)
        course.add(residuals(judges))
        while not _done(judges, spaces):
            state = method.step(*spaces, state)
            state = settle(state)  # by itself: MLX writes into buffers of the state before, which is gone by now
            for j, (judge, seen) in enumerate(zip(judges, numbers(state[given]), strict=True)):
                if judge.code is None:
                    judge.steps += 1
                    judge.look(seen)
                    if show and _is_shown(judge):
                        print(f"{j:4d} " * (len(judges) > 1) + f"{judge.steps:6d} {judge.line()}")
            course.add(residuals(judges))
            if callback:
                callback(array(state[0]))
    return state, course.norms


def residuals(judges: Sequence[Judge]) -> Any:
    """Their norms: a number, or one of each column."""
    found = [judge.residual for judge in judges]
    return found[0] if len(found) == 1 else np.array(found)


def _done(judges: Sequence[Judge], spaces: Sequence[Any]) -> bool:
    if len(judges) == 1:
        return judges[0].code is not None
    closed = np.array([judge.code is not None for judge in judges])
    return [space.done(closed) for space in spaces][-1]


def _is_shown(judge: Judge) -> bool:
    return judge.code is not None or judge.steps <= 10 or judge.steps % 10 == 0 or judge.steps >= judge.last - 10


def quotient(a: float, b: float) -> float:
    """a / b, where infinity stands for what is divided by 0."""
    return a / b if b else float("inf")
