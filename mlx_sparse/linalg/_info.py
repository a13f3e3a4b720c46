"""What an iterative solver tells besides its solution: the course of the iteration, and a bar while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class SolverInfo:
    """The course of an iteration, which solvers return in place of `info` with ``return_info=True``.

    ``int(info)`` is `info`.

    Attributes
    ----------
    info : int
        0 on convergence of every column; else the least code of a breakdown, if there was one; else `maxiter`.
    codes : ndarray of int, shape () or (k,)
        The same for each column of the right-hand side.
    residual_norms : ndarray, shape (iterations + 1,) or (iterations + 1, k)
        Norms of the residuals that the method goes by: of the first guess and after each iteration. That of a column
        that has converged stays the same.

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

    def __int__(self) -> int:
        return self.info

    @property
    def converged(self) -> bool:
        """Whether every column has."""
        return self.info == 0

    @property
    def iterations(self) -> int:
        """Iterations begun after the first guess, by the column that took most."""
        return len(self.residual_norms) - 1

    @property
    def reason(self) -> str:
        """Why the iteration ended: "converged", "breakdown" or "maxiter"."""
        return "converged" if self.converged else "breakdown" if self.info < 0 else "maxiter"

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
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError as error:
                raise ImportError("plot needs matplotlib, which is not installed") from error
            ax = plt.gca()
        ax.semilogy(self.residual_norms)
        ax.set_xlabel("iteration")
        ax.set_ylabel("norm of the residual")
        return ax


def progress_bar(iterations: int) -> Any:
    """tqdm's bar for so many iterations.

    Raises
    ------
    ImportError
        tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm, which is not installed") from error
    return tqdm(total=iterations, unit="it")
