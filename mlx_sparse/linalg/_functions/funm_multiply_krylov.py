"""The action of a function of a matrix, without forming it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.linalg

from ... import _dense, _dtypes
from .._eigen._basis import Basis, LazyBasis
from .._operator import Operator, as_operator, constant, is_traced
from .._problem import check_dtype, inexact, refuse_traced, require_square, workers
from .._products import following, plain
from .._solve import check_atol

_STRUCTURES = {"general": False, "gen": False, "hermitian": True, "her": True}


def _inverse_root(X: np.ndarray) -> np.ndarray:
    return scipy.linalg.inv(scipy.linalg.sqrtm(X))


_PRESETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": scipy.linalg.expm,
    "log": scipy.linalg.logm,
    "sqrt": scipy.linalg.sqrtm,
    "invsqrt": _inverse_root,
    "sign": scipy.linalg.signm,
}


def funm_multiply_krylov(
    f: Any,
    A: Any,
    b: Any,
    *,
    assume_a: str = "general",
    t: Any = 1.0,
    atol: float = 0.0,
    rtol: float = 1e-6,
    restart_every_m: int | None = None,
    max_restarts: int = 20,
) -> Any:
    """``f(t A) @ b`` for a function of matrices, by a restarted Krylov method.

    Parameters
    ----------
    f : callable or {"exp", "log", "sqrt", "invsqrt", "sign"}
        Takes and gives a small square ndarray, as `scipy.linalg.expm` does.
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
    b : ndarray or mx.array, shape (n,)
    assume_a : {"general", "hermitian", "gen", "her"}
        Whether `A` is Hermitian, which costs less.
    t : number
        Factor of `A`.
    atol, rtol : float
        Stop once the norm of a change is at most ``max(rtol * norm(b), atol)``.
    restart_every_m : int, optional
        Vectors in the basis. Default: ``min(20, n)``.
    max_restarts : int
        Most rounds of that many products.

    Returns
    -------
    array, shape (n,), in the namespace of `b`
        Complex only if f is, on the matrices that it gets; complex128, which MLX lacks, is an ndarray.

    Raises
    ------
    TypeError
        An `mx.array` `b` whose dtype differs from that of `A`.
    ValueError
        `A` is traced: there is no derivative with respect to its values here, but `expm_multiply` has it; or other
        arguments are wrong.

    Notes
    -----
    M. Afanasjew, M. Eiermann, O. G. Ernst and S. Guettel, Implementation of a restarted Krylov subspace method for the
    evaluation of matrix functions, Linear Algebra Appl. 429 (2008). Each round costs m products with `A`, about
    ``2 n m^2`` operations and one f of a matrix of order m times the number of rounds. Convergence is assured for
    functions such as exp; for log, sqrt and sign `A` must have no eigenvalues near the cut or the jump. It is not
    reported whether the tolerance was reached. For an `mx.array` `b` the result has derivatives with respect to `b`, by
    the same method with the adjoint and to the same tolerance, which reads values (synchronises).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]])
    >>> sp.linalg.funm_multiply_krylov("exp", A, np.array([2.0, 4.0, -1.0]), t=0.1).round(8)
    array([3.6164913 , 3.88421511, 0.96073457])

    Differences from SciPy
    ----------------------
    `f` may be a name. A vector that vanishes ends the method with the right result in every round.
    """
    if assume_a not in _STRUCTURES:
        raise ValueError(
            f"funm_multiply_krylov: {assume_a} is not a recognized matrix structure; assume_a is one of "
            f"{', '.join(map(repr, _STRUCTURES))}"
        )
    if isinstance(f, str):
        if f not in _PRESETS:
            raise ValueError(f"f must be callable or one of {', '.join(_PRESETS)}; got {f!r}")
        f = _PRESETS[f]
    operator, b = as_operator(A), plain(b)
    if b.ndim != 1:
        raise ValueError(f"funm_multiply_krylov: argument 'b' must be a 1D array. Got shape {tuple(b.shape)}")
    n = require_square(operator)
    if b.shape[0] != n:
        raise ValueError(f"shapes of A {operator.shape} and b {tuple(b.shape)} are incompatible")
    m = min(20, n) if restart_every_m is None else int(restart_every_m)
    if m <= 0:
        raise ValueError(f"funm_multiply_krylov: argument 'restart_every_m' must be positive. Got {m}")
    rounds = int(max_restarts)
    if rounds <= 0:
        raise ValueError(f"funm_multiply_krylov: argument 'max_restarts' must be positive. Got {rounds}")
    refuse_traced(operator, "funm_multiply_krylov")
    refuse_traced(t, "funm_multiply_krylov with respect to t")
    lazy = _dense.is_mlx(b)
    if lazy and operator.required is not None:
        check_dtype(b, operator.required)
    hermitian, turns, tolerance = _STRUCTURES[assume_a], min(rounds, n // m + 1), max(check_atol(atol), 0.0)

    def action(f: Any, A: Operator, t: Any, x: Any) -> Any:
        with workers():
            y = _rounds(f, _basis(A, x, m, hermitian), x, t, m, turns, tolerance, float(rtol))
        return following(y, b)

    return _linear(action, f, operator, t, b) if is_traced(b) else action(f, operator, t, b)


def _linear(action: Any, f: Any, A: Operator, t: Any, b: mx.array) -> mx.array:
    """f(t A) b, differentiable with respect to `b`: the adjoint is h(t^* A^H) for h(X) = f(X^H)^H."""
    y = action(f, A, t, constant(b))
    if not _dense.is_mlx(y):
        raise ValueError("a complex result of a float64 b is an ndarray, and has no derivative; give a complex64 one")

    def adjoint(X: np.ndarray) -> np.ndarray:
        return np.asarray(f(X.conj().T)).conj().T

    def pull(primals: Any, cotangent: Any, output: Any) -> tuple[mx.array, mx.array]:
        g = _linear(action, adjoint, A.H, np.conj(t), cotangent)
        return primals[0], (g if b.dtype == mx.complex64 else mx.real(g)).astype(b.dtype)

    def push(primals: Any, tangents: Any) -> mx.array:
        return _linear(action, f, A, t, tangents[1])

    known: Any = mx.custom_function(lambda nothing, x: y)
    known.vjp(pull)
    known.jvp(push)
    return known(mx.zeros(0), b)


def _basis(operator: Any, b: Any, m: int, hermitian: bool) -> Basis:
    known = operator.dtype if operator.dtype is not None else np.asarray(operator.host()(np.zeros(len(b)))).dtype
    dtype = np.result_type(inexact(known), inexact(_dtypes.numpy_dtype(b.dtype)))
    if operator.sparse:
        dtype = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
    on_gpu = operator.sparse and mx.default_device().type != mx.DeviceType.cpu
    lazy = (_dense.is_mlx(b) or on_gpu) and not operator.on_host and not _dtypes.is_wide(_dtypes.mlx_dtype(dtype))
    product = operator.constant().device(_dtypes.mlx_dtype(dtype)) if lazy else operator.constant().host(dtype)
    kind = LazyBasis if lazy else Basis
    return kind(len(b), m, dtype, lambda v, bv: product(v), None, np.random.default_rng(0), hermitian)


def _rounds(f: Any, basis: Basis, b: Any, t: Any, m: int, rounds: int, atol: float, rtol: float) -> Any:
    start = basis.array(_dense.view(b) if _dense.is_mlx(b) else b)
    size = float(np.linalg.norm(basis.host(start).astype(np.promote_types(basis.dtype, np.float64))))
    tolerance = max(atol, rtol * size)
    y = start * 0
    if size == 0 or not math.isfinite(size):
        if size:
            raise ValueError("b has values that are not finite")
        return y
    H, coupling = np.zeros((0, 0), basis.H.dtype), 0.0
    basis.V[0] = start / size
    for turn in range(rounds):
        before = len(H)
        if turn:
            basis.V[0] = basis.V[m] + 0
        basis.H[:] = 0
        made = basis.expand(0, m)
        last = abs(basis.H[made, made - 1])
        H = _grown(H, basis, made, coupling)
        coupling = last
        column = np.asarray(f(t * H.astype(np.promote_types(H.dtype, basis.dtype))))[before:, 0]
        change = _sum(basis, size * column)
        if isinstance(change, np.ndarray) and not isinstance(y, np.ndarray):  # complex, of a real basis
            y = basis.host(y)
        elif isinstance(y, np.ndarray) and not isinstance(change, np.ndarray):
            change = basis.host(change)
        y = y + change
        if last == 0 or float(np.linalg.norm(size * column)) <= tolerance:
            break
    return y


def _grown(H: np.ndarray, basis: Basis, made: int, coupling: float) -> np.ndarray:
    """H with the block of this round below, to which a single entry leads."""
    block = basis.H[:made, :made]
    if basis.hermitian:
        low = np.diag(np.diag(block, -1).real, -1) if made > 1 else np.zeros_like(block)
        block = np.diag(np.diag(block).real) + low + low.T
    before = len(H)
    _dense.expect_on_host(4 * (before + made) ** 2 * H.dtype.itemsize)  # f takes some, too
    grown = np.zeros((before + made, before + made), basis.H.dtype)
    grown[:before, :before] = H
    grown[before:, before:] = block
    if before:
        grown[before, before - 1] = coupling
    return grown


def _sum(basis: Basis, y: np.ndarray) -> Any:
    """The vectors of the basis times `y`, which is complex for a complex function only."""
    if y.dtype.kind == "c" and basis.dtype.kind != "c" and not y.imag.any():
        y = y.real
    dtype = np.promote_types(basis.dtype, np.complex64) if y.dtype.kind == "c" else basis.dtype
    return basis.combine(0, y.astype(dtype)[:, None])[0]
