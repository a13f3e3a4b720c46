"""Ordinary calls on every format compared with SciPy, each at 1e6 entries and at 100: name -> the call."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import matrices
import mlx.core as mx
import numpy as np
from structure import LARGE, LOOSE, TINY, Row, Run, csr

import mlx_sparse as sp

_LIST_ROWS = 10  # lil arrays are a tenth as large: they are made of Python objects


class Operands:
    """What the calls are given, of either library, about 5 n entries each, made on first use and then evaluated."""

    def __init__(self, n: int, lib: Any) -> None:
        self.n, self.lib = n, lib

    def ready(self, A: Any) -> Any:
        if self.lib is sp and A.format not in ("lil", "dok"):
            mx.eval(*(x for x in vars(A).values() if isinstance(x, mx.array)), *getattr(A, "_coords", ()))
        return A

    @cached_property
    def csr(self) -> Any:
        return csr(self.n, self.lib)

    @cached_property
    def other(self) -> Any:
        return csr(self.n, self.lib, 1)

    @cached_property
    def csc(self) -> Any:
        return self.ready(self.csr.tocsc())

    @cached_property
    def coo(self) -> Any:
        return self.ready(self.csr.tocoo())

    def _blocks(self, seed: int) -> Any:
        rows = max(self.n // 9, 5)
        _, indices, indptr, _ = matrices.random_rows(rows, 5, "float64", seed)
        data = np.random.default_rng(seed).standard_normal((indices.size, 3, 3))
        return self.ready(self.lib.bsr_array((data, indices, indptr), shape=(3 * rows, 3 * rows)))

    @cached_property
    def bsr(self) -> Any:
        return self._blocks(0)

    @cached_property
    def other_bsr(self) -> Any:
        return self._blocks(1)

    @cached_property
    def blocked(self) -> Any:
        return self.ready(self.bsr.tocsr())

    def _diagonals(self, offsets: list[int]) -> Any:
        data = np.random.default_rng(0).standard_normal((5, self.n))
        return self.ready(self.lib.dia_array((data, offsets), shape=(self.n, self.n)))

    @cached_property
    def dia(self) -> Any:
        return self._diagonals([-self.n // 4, -1, 0, 1, self.n // 4])

    @cached_property
    def other_dia(self) -> Any:
        return self._diagonals([-self.n // 4, -1, 0, 2, self.n // 4 + 1])

    @cached_property
    def banded(self) -> Any:
        return self.ready(self.dia.tocsr())

    @cached_property
    def line(self) -> np.ndarray:
        return np.random.default_rng(1).standard_normal(self.n)

    @cached_property
    def stored(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places of some stored entries, and values for them."""
        row, col = (np.asarray(c)[::2] for c in self.coo.coords)
        return row, col, np.ones(row.size)

    @cached_property
    def lil(self) -> Any:
        return csr(max(self.n // _LIST_ROWS, TINY), self.lib).tolil()

    @cached_property
    def parts(self) -> list[Any]:
        return [csr(max(self.n // 4, TINY), self.lib, seed) for seed in range(4)]


def _set_existing(x: Operands) -> None:
    row, col, values = x.stored
    x.csr[row, col] = values


CALLS: dict[str, Any] = {
    "bsr-plus-bsr": lambda x: x.bsr + x.other_bsr,
    "bsr-times-bsr": lambda x: x.bsr * x.other_bsr,
    "bsr-matmul-bsr": lambda x: x.bsr @ x.other_bsr,
    "bsr-from-csr": lambda x: x.blocked.tobsr(blocksize=(3, 3)),
    "bsr-tocsr": lambda x: x.bsr.tocsr(),
    "bsr-tocoo": lambda x: x.bsr.tocoo(),
    "bsr-diagonal": lambda x: x.bsr.diagonal(),
    "bsr-sum-0": lambda x: x.bsr.sum(axis=0),
    "bsr-sum-1": lambda x: x.bsr.sum(axis=1),
    "dia-tocsr": lambda x: x.dia.tocsr(),
    "dia-plus-dia": lambda x: x.dia + x.other_dia,
    "dia-times-dia": lambda x: x.dia.multiply(x.other_dia),
    "dia-matmul-dia": lambda x: x.dia @ x.other_dia,
    "dia-transpose": lambda x: x.dia.T,
    "dia-sum-0": lambda x: x.dia.sum(axis=0),
    "dia-from-csr": lambda x: x.banded.todia(),
    "csc-tocsr": lambda x: x.csc.tocsr(),
    "coo-tocsc": lambda x: x.coo.tocsc(),
    "coo-diagonal": lambda x: x.coo.diagonal(),
    "csr-diagonal": lambda x: x.csr.diagonal(),
    "csr-trace": lambda x: x.csr.trace(),
    "csr-setdiag": lambda x: x.banded.setdiag(x.line),
    "csr-set-existing": _set_existing,
    "csr-sum": lambda x: x.csr.sum(),
    "csr-sum-0": lambda x: x.csr.sum(axis=0),
    "csr-sum-1": lambda x: x.csr.sum(axis=1),
    "csr-mean": lambda x: x.csr.mean(),
    "csr-min": lambda x: x.csr.min(),
    "csr-abs": lambda x: abs(x.csr),
    "csr-scaled": lambda x: x.csr * 2.0,
    "csr-multiply": lambda x: x.csr.multiply(x.other),
    "csr-multiply-row": lambda x: x.csr.multiply(x.line),
    "csr-positive": lambda x: x.csr > 0,
    "csr-differs": lambda x: x.csr != x.other,
    "csr-maximum": lambda x: x.csr.maximum(x.other),
    "csr-square": lambda x: x.csr.power(2),
    "csr-transposed": lambda x: x.csr.T.tocsr(),
    "csr-row": lambda x: x.csr[x.n // 3],
    "csr-column": lambda x: x.csr[:, x.n // 3],
    "tril": lambda x: x.lib.tril(x.csr),
    "eye": lambda x: x.lib.eye_array(5 * x.n),
    "eye-csr": lambda x: x.lib.eye_array(5 * x.n, format="csr"),
    "block-diag": lambda x: x.lib.block_diag(x.parts),
    "block-array": lambda x: x.lib.block_array([[x.parts[0], None], [x.parts[1], x.parts[2]]]),
    "lil-rows": lambda x: x.lil[x.lil.shape[0] // 4 : x.lil.shape[0] // 2],
    "lil-column-slice": lambda x: x.lil[:, x.lil.shape[0] // 4 : x.lil.shape[0] // 2],
    "lil-column-list": lambda x: x.lil[:, np.arange(0, x.lil.shape[0], max(1, x.lil.shape[0] // 400))],
    "lil-row-mask": lambda x: x.lil[np.arange(x.lil.shape[0]) % 2 == 0],
    "lil-tocsr": lambda x: x.lil.tocsr(),
}


def _made(call: Any, n: int, lib: Any) -> Operands:
    """Operands of n rows, with those made that `call` uses: it runs once on few rows to tell, and is then loaded."""
    first, operands = Operands(TINY, lib), Operands(n, lib)
    call(first)
    for name in vars(first):
        getattr(operands, name)
    return operands


def _run(call: Any) -> Run:
    return lambda lib, operands: call(operands)


TABLE: dict[str, Row] = {
    **{name: Row(partial(_made, call, LARGE), _run(call), 1.0) for name, call in CALLS.items()},
    **{f"tiny-{name}": Row(partial(_made, call, TINY), _run(call), LOOSE) for name, call in CALLS.items()},
}
