"""scipy.sparse on MLX: the same names, signatures and results; lazy, differentiable; CPU, Metal and CUDA."""

try:
    from ._built_with import MLX_VERSION as _MLX_VERSION
    from ._built_with import __version__
except ModuleNotFoundError:
    raise ImportError(
        f"{__path__[0]} holds sources that are not built, and Python found them before an installed mlx_sparse: start "
        "Python in another directory, or build them in place as CONTRIBUTING.md says"
    ) from None


def _check_mlx() -> None:
    """Importing the extension against another MLX ends in unresolved symbols, so ask first."""
    extras = 'pip install "mlx-sparse[cpu]" (or [cuda12], [cuda13] for NVIDIA GPUs; macOS needs no extra)'
    try:
        import mlx.core as mx
    except ImportError as error:
        raise ImportError(
            f"mlx_sparse needs mlx {_MLX_VERSION} with a back end, but mlx.core cannot be imported ({error}). "
            f"Install one: {extras}."
        ) from error
    found = mx.__version__  # type: ignore[attr-defined]
    if found != _MLX_VERSION:
        raise ImportError(
            f"this mlx_sparse was built for mlx {_MLX_VERSION}, but mlx {found} is installed, and MLX's "
            f'binary interface changes between versions. Install the matching one: pip install "mlx=={_MLX_VERSION}", '
            f"or {extras}."
        )


_check_mlx()

from . import _native, csgraph, indexed, io, linalg, runtime  # noqa: E402
from ._assemble import *  # noqa: E402, F403
from ._assemble import __all__ as _assemble_names  # noqa: E402
from ._axes import *  # noqa: E402, F403
from ._axes import __all__ as _axes_names  # noqa: E402
from ._base import SparseEfficiencyWarning, SparseWarning, issparse, sparray  # noqa: E402
from ._bsr import bsr_array  # noqa: E402
from ._construct import *  # noqa: E402, F403
from ._construct import __all__ as _construct_names  # noqa: E402
from ._coo import coo_array  # noqa: E402
from ._csc import csc_array  # noqa: E402
from ._csr import csr_array  # noqa: E402
from ._device import use_cpu, use_device, use_gpu  # noqa: E402
from ._dia import dia_array  # noqa: E402
from ._dok import dok_array  # noqa: E402
from ._dtypes import get_index_dtype  # noqa: E402
from ._extract import find, safely_cast_index_arrays, tril, triu  # noqa: E402
from ._function_forms import *  # noqa: E402, F403
from ._function_forms import __all__ as _function_form_names  # noqa: E402
from ._install import *  # noqa: E402, F403
from ._install import __all__ as _install_names  # noqa: E402
from ._interop import reflecting  # noqa: E402
from ._kinds import *  # noqa: E402, F403
from ._kinds import __all__ as _kind_names  # noqa: E402
from ._lil import lil_array  # noqa: E402
from ._matrix import (  # noqa: E402
    bsr_matrix,
    coo_matrix,
    csc_matrix,
    csr_matrix,
    dia_matrix,
    dok_matrix,
    lil_matrix,
    spmatrix,
)
from ._npz import load_npz, save_npz  # noqa: E402
from ._random import *  # noqa: E402, F403
from ._random import __all__ as _random_names  # noqa: E402

_native.defer_to(reflecting)

__all__ = [
    "SparseEfficiencyWarning",
    "SparseWarning",
    "__version__",
    "bsr_array",
    "coo_array",
    "csc_array",
    "csgraph",
    "csr_array",
    "dia_array",
    "find",
    "get_index_dtype",
    "indexed",
    "io",
    "issparse",
    "linalg",
    "load_npz",
    "runtime",
    "safely_cast_index_arrays",
    "save_npz",
    "sparray",
    "tril",
    "triu",
    "use_cpu",
    "use_device",
    "use_gpu",
    # lil, dok and the matrices
    "bsr_matrix",
    "coo_matrix",
    "csc_matrix",
    "csr_matrix",
    "dia_matrix",
    "dok_array",
    "dok_matrix",
    "lil_array",
    "lil_matrix",
    "spmatrix",
    *_axes_names,
    *_assemble_names,
    *_construct_names,
    *_function_form_names,
    *_random_names,
    *_kind_names,
    *_install_names,
]
