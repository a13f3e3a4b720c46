"""In SciPy's place and back again: the front of `drop_in`, which is imported when it is asked for."""

from __future__ import annotations

from typing import Any

__all__ = ["install", "load_ipython_extension", "uninstall", "unload_ipython_extension"]


def install(profile: bool = False) -> None:
    """Put this package in SciPy's place: what is imported from `scipy.sparse` from now on is this package's.

    Call it before importing what uses `scipy.sparse`. `python -m mlx_sparse script.py` runs a whole program so. Dense
    results are ndarrays, as ``runtime.dense_namespace = "numpy"`` has them. Classes become subclasses of SciPy's, SciPy
    itself keeps its own, and `uninstall` undoes it all. Installing twice is the same as once. Takes about a second for
    importing all of `scipy.sparse`.

    Parameters
    ----------
    profile : bool
        Count calls and time of functions and methods, and what went to SciPy; ``mlx_sparse.drop_in.report()`` is the
        table. Costs microseconds a call.

    Examples
    --------
    >>> import mlx_sparse
    >>> mlx_sparse.install()
    >>> import scipy.sparse
    >>> scipy.sparse.csr_array is mlx_sparse.csr_array, isinstance(mlx_sparse.eye_array(2), scipy.sparse.sparray)
    (True, True)
    >>> mlx_sparse.uninstall()
    >>> import scipy.sparse
    >>> scipy.sparse.csr_array is mlx_sparse.csr_array
    False
    """
    from . import drop_in

    drop_in.install(profile)


def uninstall() -> None:
    """Undo `install`. Names that were imported meanwhile stay this package's.

    Examples
    --------
    >>> import mlx_sparse
    >>> mlx_sparse.install()
    >>> mlx_sparse.uninstall()
    """
    from . import drop_in

    drop_in.uninstall()


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext mlx_sparse``: `install`, in a notebook.

    Examples
    --------
    >>> import mlx_sparse
    >>> mlx_sparse.load_ipython_extension(None)
    >>> mlx_sparse.unload_ipython_extension(None)
    """
    install()


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext mlx_sparse``: `uninstall`.

    Examples
    --------
    >>> import mlx_sparse
    >>> mlx_sparse.load_ipython_extension(None)
    >>> mlx_sparse.unload_ipython_extension(None)
    """
    uninstall()
