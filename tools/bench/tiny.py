"""What clients do with arrays of under 1,000 entries, against SciPy, in numpy mode.

    python tools/bench/tiny.py [--processor] [words in the names of rows]

Prints microseconds of both sides and SciPy's over ours, for arrays of 100 rows with 5 entries in each; ! where that is
below 0.7. Nothing is evaluated afterwards: in numpy mode results are there when a call returns. With --processor the
least processor time of many samples, for machines that others use as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg
from measure import Side, paired, paired_by_processor

import mlx_sparse as sp

N = 100
LEAST = 0.7


class Operands:
    def __init__(self, lib: Any) -> None:
        rng = np.random.default_rng(0)
        at = np.arange(N).repeat(5), rng.integers(0, N, 5 * N)
        A = scipy.sparse.coo_array((rng.random(5 * N), at), shape=(N, N)).tocsr()
        self.data, self.indices, self.indptr = A.data, A.indices, A.indptr
        self.at, self.dense, self.x = at, A.toarray(), rng.random(N)
        self.X, self.rows = rng.random((N, 4)), rng.permutation(N)[:20]
        self.csr = lib.csr_array((A.data, A.indices, A.indptr), shape=A.shape)
        self.csc, self.coo, self.lil = self.csr.tocsc(), self.csr.tocoo(), self.csr.tolil()
        self.bsr = self.csr.tobsr(blocksize=(2, 2))
        self.definite = (self.csr + self.csr.T + 20 * lib.eye_array(N)).tocsc()
        self.lower = lib.tril(self.definite, format="csr")


Call = Callable[[Any, Operands], Any]
ROWS: dict[str, Call] = {
    "A.data": lambda s, o: o.csr.data,
    "A.indptr[1]": lambda s, o: o.csr.indptr[1],
    "A.shape, A.nnz, A.dtype": lambda s, o: (o.csr.shape, o.csr.nnz, o.csr.dtype),
    "issparse": lambda s, o: s.issparse(o.csr),
    "csr_array(buffers)": lambda s, o: s.csr_array((o.data, o.indices, o.indptr), shape=(N, N)),
    "coo_array(data, coords)": lambda s, o: s.coo_array((o.data[: len(o.at[0])], o.coo.coords), shape=(N, N)),
    "csr_array(coordinates)": lambda s, o: s.csr_array((np.ones(5 * N), o.at), shape=(N, N)),
    "csr_array(dense)": lambda s, o: s.csr_array(o.dense),
    "csr_array(shape)": lambda s, o: s.csr_array((N, N)),
    "eye_array": lambda s, o: s.eye_array(N, format="csr"),
    "diags_array": lambda s, o: s.diags_array([o.x], offsets=[0], format="csr"),
    "A.copy": lambda s, o: o.csr.copy(),
    "A.tocsc": lambda s, o: o.csr.tocsc(),
    "A.tocoo": lambda s, o: o.csr.tocoo(),
    "A.tobsr": lambda s, o: o.csr.tobsr(blocksize=(2, 2)),
    "coo.tocsr": lambda s, o: o.coo.tocsr(),
    "lil.tocsr": lambda s, o: o.lil.tocsr(),
    "A.toarray": lambda s, o: o.csr.toarray(),
    "A.T": lambda s, o: o.csr.T,
    "A.T.tocsr": lambda s, o: o.csr.T.tocsr(),
    "A @ x": lambda s, o: o.csr @ o.x,
    "A.T @ x": lambda s, o: o.csr.T @ o.x,
    "x @ A": lambda s, o: o.x @ o.csr,
    "A @ X": lambda s, o: o.csr @ o.X,
    "bsr @ x": lambda s, o: o.bsr @ o.x,
    "A @ A": lambda s, o: o.csr @ o.csr,
    "A + A": lambda s, o: o.csr + o.csr,
    "A.multiply(A)": lambda s, o: o.csr.multiply(o.csr),
    "2 * A": lambda s, o: 2 * o.csr,
    "abs(A)": lambda s, o: abs(o.csr),
    "A > 0.5": lambda s, o: o.csr > 0.5,
    "A.sum()": lambda s, o: o.csr.sum(),
    "A.sum(0)": lambda s, o: o.csr.sum(0),
    "A.max(1)": lambda s, o: o.csr.max(axis=1),
    "A.diagonal": lambda s, o: o.csr.diagonal(),
    "A[3, 4]": lambda s, o: o.csr[3, 4],
    "A[3]": lambda s, o: o.csr[[3]],
    "A[rows]": lambda s, o: o.csr[o.rows],
    "A[:, columns]": lambda s, o: o.csr[:, o.rows],
    "A[10:20]": lambda s, o: o.csr[10:20],
    "vstack": lambda s, o: s.vstack([o.csr, o.csr]),
    "tril": lambda s, o: s.tril(o.csr),
    "norm": lambda s, o: s.linalg.norm(o.csr),
    "spsolve": lambda s, o: s.linalg.spsolve(o.definite, o.x),
    "splu": lambda s, o: s.linalg.splu(o.definite),
    "spsolve_triangular": lambda s, o: s.linalg.spsolve_triangular(o.lower, o.x),
    "cg": lambda s, o: s.linalg.cg(o.definite, o.x),
    "connected_components": lambda s, o: s.csgraph.connected_components(o.csr),
    "bellman_ford": lambda s, o: s.csgraph.bellman_ford(o.csr, indices=0),
}


def side(call: Call, lib: Any, operands: Operands) -> Side:
    def run(_: Any) -> None:
        call(lib, operands)

    return Side(run)


def main(*words: str) -> None:
    busy, words = "--processor" in words, tuple(word for word in words if word != "--processor")
    sp.use_cpu()
    sp.runtime.dense_namespace = "numpy"
    ours, theirs = Operands(sp), Operands(scipy.sparse)
    below = 0
    for name, call in ROWS.items():
        if words and not any(word in name for word in words):
            continue
        sides = side(call, sp, ours), side(call, scipy.sparse, theirs)
        timing = paired_by_processor(*sides) if busy else paired(*sides, least=5e-3)
        below += timing.ratio < LEAST
        mark = "!" if timing.ratio < LEAST else " "
        print(f"{name:26}{1e6 * timing.ours:10.1f}{1e6 * timing.theirs:10.1f}{timing.ratio:8.2f} {mark}", flush=True)
    print(f"{below} rows below {LEAST}")


if __name__ == "__main__":
    main(*sys.argv[1:])
