"""Derivatives of whatever a function returns, against finite differences; and the operands that the tables speak of."""

import re
import warnings
from collections.abc import ItemsView, Iterator, KeysView, ValuesView

import mlx.core as mx
import numpy as np

import mlx_sparse as sp

STEP = 1e-3  # MLX computes some functions of float64 in single precision
REFUSALS = (ValueError, TypeError, NotImplementedError)
CLEAR = re.compile("derivative|differentiable|traced")
CLASSES = [f"{fmt}_{kind}" for kind in ("array", "matrix") for fmt in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")]

# Full 2 x 2 blocks, dominant diagonals and elements between 0 and 1: every format stores what it should, systems are
# solvable and functions smooth. Diagonals are full too in the form for dia.
BLOCKS = np.array([[0.92, 0.11, 0.12, 0.1], [0.14, 0.81, 0.16, 0.17], [0, 0, 0.72, 0.18], [0, 0, 0.19, 0.83]])
BANDS = np.array([[0.92, 0.11, 0, 0], [0.12, 0.81, 0.13, 0], [0, 0.14, 0.72, 0.16], [0, 0, 0.17, 0.83]])


def double(x):
    return mx.array(np.asarray(x), dtype=mx.float64)


class Operands:
    """Dense operands, by name; `asked` says which of them a function took."""

    def __init__(self, **replaced):
        rng = np.random.default_rng(7)
        self.given = {
            "D": double(rng.uniform(0.1, 0.95, (4, 4))),
            "X": double(rng.uniform(0.1, 0.95, (4, 3))),
            "b": double(rng.uniform(0.1, 0.95, 4)),
            "s": double(0.37),
            "v": double(rng.uniform(0.1, 0.95, 6)),
            "T": double(rng.uniform(0.1, 0.95, (2, 3, 4))),
            **replaced,
        }
        self.asked = set()

    def __getattr__(self, name):
        self.asked.add(name)
        return self.given[name]


def base(name):
    """The array that `sparse` takes its structure from, of a format that has values to set."""
    name, *special = name.split(":")
    fmt, kind = name.split("_")
    A = getattr(sp, f"csr_{kind}" if fmt in ("lil", "dok") else name)(BANDS if fmt == "dia" else BLOCKS)
    if special == ["duplicates"]:
        order = np.random.default_rng(3).permutation(2 * A.nnz)
        (row, col), v = (np.tile(np.asarray(c), 2)[order] for c in A.tocoo()._coords), np.tile(np.array(A._data), 2) / 2
        coo = sp.coo_array((v[order], (row, col)), shape=A.shape)
        return coo.asformat(fmt) if kind == "array" else getattr(sp, name)(coo)
    return (
        A.reshape({"1": (16,), "3": (2, 2, 4)}[special[0]]).asformat("csr" if fmt == "dok" else fmt) if special else A
    )


def sparse(name, values=None):
    """An array or matrix of class `name`; with these values in the order of `stored(name)`."""
    A = base(name)
    return A.with_data(stored(name) if values is None else values).asformat(name[:3])


def stored(name):
    """Values for `sparse`: those of places outside a dia array are not zero, where some functions have no slope."""
    values = np.array(base(name)._data)
    return double(np.where(values == 0, 0.47, values))


def weights(n, phase=1.0):
    return double(np.cos(phase + np.arange(n)))


def weighed(found):
    """A number that depends on all numbers in a result, within the graph that the result is part of."""
    if isinstance(found, dict) and not sp.issparse(found):
        found = list(found.values())
    if sp.issparse(found):
        if found.ndim > 2:
            found = found.reshape((-1, found.shape[-1]))
        A = found.tocsr() if hasattr(found, "_data") else sp.csr_array(found)
        A = A if A._is_complex else A.astype(np.float64)
        return weighed(A @ weights(A.shape[-1], 2.0).astype(A._data.dtype))
    if isinstance(found, (Iterator, KeysView, ValuesView, ItemsView)):
        found = list(found)
    if isinstance(found, (list, tuple)):
        return sum(((k + 1) * weighed(part) for k, part in enumerate(found)), double(0.0))
    if isinstance(found, (bool, int, float, complex, np.ndarray, np.generic)):
        if np.asarray(found).dtype == object:
            return weighed(np.asarray(found).ravel().tolist())
        found = mx.array(np.asarray(found))
    if not isinstance(found, mx.array):
        return double(0.0)  # text, classes, nothing
    if found.dtype == mx.complex64:
        return weighed(mx.real(found)) + 2 * weighed(mx.imag(found))
    found = mx.where(mx.isfinite(found), found, mx.zeros_like(found))  # quotients of what is not stored are nan
    return mx.sum(mx.reshape(found.astype(mx.float64), (-1,)) * weights(found.size))


def derivative(f, at):
    """What grad and jvp of the weighed f are: "right", its slope; "zero", where that is 0; "refused", where both raise.

    One may raise where the other is right. An exception must say why.
    """

    def number(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return weighed(f(x))

    along = double(np.sin(1.0 + np.arange(at.size))).reshape(at.shape)
    slope = (number(at + STEP * along).item() - number(at - STEP * along).item()) / (2 * STEP)
    assert np.isfinite(slope)
    found = []
    for rule in (lambda: mx.sum(mx.grad(number)(at) * along), lambda: mx.jvp(number, [at], [along])[1][0]):
        try:
            found.append(rule().item())
        except REFUSALS as error:
            assert CLEAR.search(str(error)), f"{type(error).__name__}: {error}"
    for mine in found:
        assert abs(mine - slope) < 2e-3 * (abs(slope) + 0.1), f"{mine} is not {slope}"
    if not found:
        return "refused"
    return "right" if any(found) else "zero"


def outcomes(f, name="csr_array"):
    """What becomes of the derivatives of f(A, operands): in A's values, and in each operand that it takes."""
    values, operands = stored(name), Operands()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weighed(f(sparse(name), operands))
    yield "values", lambda: derivative(lambda v: f(sparse(name, v), Operands()), values)
    for asked in sorted(operands.asked):
        at = operands.given[asked]
        yield asked, lambda asked=asked, at=at: derivative(lambda x: f(sparse(name), Operands(**{asked: x})), at)
