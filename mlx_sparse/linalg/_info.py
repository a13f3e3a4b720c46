"""What an iterative solver tells besides its solution: the course of the iteration, and a bar while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._display import current_axes

# Why an iteration ended, from the best to the worst.
REASONS = ("converged", "least squares", "singular", "conlim", "maxiter", "breakdown")


def worst(reasons: Any) -> str:
    """That of several columns."""
    return max(reasons, key=REASONS.index, default="converged")


@dataclass(frozen=True)
class SolverInfo:
    """The course of an iteration, which solvers return in place of `info` with ``return_info=True``.

    ``int(info)`` is `info`.

    Attributes
    ----------
    info : int
        What the solver gives as `info`: 0 on convergence of every column; else the least code of a breakdown, if there
        was one; else `maxiter`, or what the solver says. Of `lsqr` and `lsmr`, 0 or the greatest `istop` that tells of
        no solution: 3, 6 or 7.
    codes : ndarray of int, shape () or (k,)
        The same for each column of the right-hand side.
    residual_norms : ndarray, shape (iterations + 1,) or (iterations + 1, k)
        Norms of the residuals that the method goes by: of the first guess and after each iteration, which of `gmres`,
        `lgmres` and `gcrotmk` is a cycle. That of a column that has converged stays the same. Inside `mx.grad` an
        `mx.array`, as are `estimates`: their derivative is a ValueError.
    reason : str
        Why the iteration ended, of the column that fared worst: "converged"; "least squares", where the system has no
        solution, but `minres` has that of least squares; "singular", to working precision, for `minres`, `lsqr` or
        `lsmr`; "conlim" of the latter two; "maxiter"; or "breakdown", also by numbers that are not finite.
    estimates : dict
        What `lsqr` and `lsmr` give besides x, by SciPy's names for it. Of other solvers, empty.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> x, info = sp.linalg.cg(A, np.ones(4), return_info=True)
    >>> info.reason, info.iterations, info.residual_norms.round(6)
    ('converged', 2, array([2., 2., 0.]))
    """

    info: int
    codes: np.ndarray
    residual_norms: np.ndarray
    reason: str
    estimates: dict[str, Any] = field(default_factory=dict)

    def __int__(self) -> int:
        return self.info

    @property
    def converged(self) -> bool:
        """Whether every column has."""
        return self.reason == "converged"

    @property
    def iterations(self) -> int:
        """Iterations begun after the first guess, by the column that took most."""
        return len(self.residual_norms) - 1

    def plot(self, ax: Any = None) -> Any:
        """Draw the residual norms over the iterations with matplotlib, on a logarithmic scale.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: the current axes.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        ax = current_axes("plot") if ax is None else ax
        ax.semilogy(self.residual_norms)
        ax.set_xlabel("iteration")
        ax.set_ylabel("norm of the residual")
        return ax


@contextmanager
def progress_bar(iterations: int, wanted: bool) -> Iterator[Callable[[], Any] | None]:
    """A block with tqdm's bar for so many iterations: what moves it on by one; None if none is `wanted`.

    Raises
    ------
    ImportError
        tqdm is not installed.
    """
    if not wanted:
        yield None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm, which is not installed") from error
    with tqdm(total=iterations, unit="it") as bar:
        yield bar.update


class Course:
    """The `norms` of the residuals of an iteration, of the first guess and after each step, of which a bar is told."""

    def __init__(self, tell: Callable[[], Any] | None = None) -> None:
        self.norms: list[Any] = []
        self._tell = tell

    def add(self, norm: Any) -> None:
        if self._tell and self.norms:
            self._tell()
        self.norms.append(norm)
