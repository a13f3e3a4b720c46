"""This package in SciPy's place, for scripts and packages that were written for `scipy.sparse`.

Classes become subclasses of SciPy's, and modules such as `scipy.sparse` answer by who asks: code of SciPy's and of this
package gets what SciPy has, everything else gets this package. Nothing imports this one unless it is asked for.
"""

from __future__ import annotations

from .. import runtime
from . import _classes, _modules, _profile

__all__ = ["active", "install", "report", "uninstall"]

_before: list[str] = []  # the dense namespace, while installed


def active() -> bool:
    """Whether this package stands in SciPy's place."""
    return bool(_before)


def install(profile: bool = False) -> None:
    """See `mlx_sparse.install`."""
    if profile:
        _profile.start()
    if active():
        return
    _before.append(runtime.dense_namespace)
    runtime.dense_namespace = "numpy"
    _modules.import_all()  # before names change: SciPy's modules keep what they imported
    _classes.install()
    _modules.install()


def uninstall() -> None:
    """See `mlx_sparse.uninstall`."""
    _profile.stop()
    if not active():
        return
    _modules.uninstall()
    _classes.uninstall()
    runtime.dense_namespace = _before.pop()


def report() -> str:
    """What ran here and what in SciPy since profiling began, as a table; see `mlx_sparse.install`."""
    return _profile.report()
