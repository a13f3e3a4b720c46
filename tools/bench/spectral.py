"""Eigenvalues and singular values compared with SciPy's, residuals printed beside times.

    python tools/bench/spectral.py [--only NAME] [--side 316] [--rounds 3] [--lazy]

Each row: medians of interleaved rounds in one process, and the largest residual of each side: of eigenpairs
``norm(A v - w v)``, of singular triplets ``norm(A^H u - s v)``, of `expm_multiply` the distance of both results.
`--lazy` runs this package's side over `mx.array`.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp


def laplacian(side: int) -> Any:
    """SciPy csr array of order side^2: the 5-point Laplacian of a square."""
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = scipy.sparse.eye_array(side)
    return (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)).tocsr()


def residual(S: Any, found: Any) -> float:
    w, v = (np.asarray(x) for x in found[:2])
    return float(np.linalg.norm(S @ v - v * w, axis=0).max())


def of_triplets(S: Any, found: Any) -> float:
    u, s, vh = (np.asarray(x) for x in found)
    return float(np.linalg.norm(S.conj().T @ u - vh.conj().T * s, axis=0).max())


class Case:
    """One function of both libraries, on the same data."""

    def __init__(self, S: Any, measure: Callable[[Any, Any], float], call: Callable[[Any, Any, Any], Any]) -> None:
        self.S, self.measure, self.call = S, measure, call

    def ours(self, A: Any, given: Callable[[Any], Any]) -> Any:
        found = self.call(sp.linalg, A, given)
        parts = found if isinstance(found, tuple) else (found,)
        mx.eval([x for x in parts if isinstance(x, mx.array)])
        return found

    def theirs(self) -> Any:
        return self.call(scipy.sparse.linalg, self.S, lambda x: x)


def cases(side: int) -> dict[str, Callable[[], Case]]:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(side * side)

    def pairs(**options: Any) -> Callable[[], Case]:
        return lambda: Case(
            laplacian(side), residual, lambda lib, A, given: lib.eigsh(A, 6, v0=given(start.copy()), **options)
        )

    def triplets() -> Case:
        m, n = side * side, side * side // 2
        S = scipy.sparse.random_array((m, n), density=10 / n, rng=rng, format="csr")
        return Case(S, of_triplets, lambda lib, A, given: lib.svds(A, 6, v0=given(start[:n].copy())))

    def blocks() -> Case:
        # Conductivities over two orders of magnitude, and Jacobi's preconditioner by each side's own products.
        D = scipy.sparse.diags_array(rng.uniform(1, 100, side * side) ** 0.5)
        S = (D @ laplacian(side) @ D).tocsr()
        X = rng.standard_normal((side * side, 10))
        M = scipy.sparse.diags_array(1 / S.diagonal())
        ours = sp.from_scipy(M)

        def call(lib: Any, A: Any, given: Any) -> Any:
            jacobi = ours if lib is sp.linalg else M
            return lib.lobpcg(A, given(X.copy()), M=jacobi, largest=False, tol=1e-6, maxiter=60)

        return Case(S, residual, call)

    def exponential() -> Case:
        S = -laplacian(side) * 5.0
        expected = scipy.sparse.linalg.expm_multiply(S, start)
        distance = lambda S, y: float(np.linalg.norm(np.asarray(y) - expected) / np.linalg.norm(expected))  # noqa: E731
        return Case(S, distance, lambda lib, A, given: lib.expm_multiply(A, given(start)))

    return {
        "eigsh LA": pairs(which="LA"),
        "eigsh SA": pairs(which="SA"),
        "eigsh sigma=0": pairs(sigma=0.0),
        "svds": triplets,
        "lobpcg": blocks,
        "expm_multiply": exponential,
    }


def seconds(f: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = f()
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--side", type=int, default=316)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lazy", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    def given(x: Any) -> Any:
        return mx.array(x, dtype=mx.float64) if options.lazy else x

    print(f"{'':16}{'ours s':>9}{'scipy s':>9}{'ratio':>7}{'residual':>11}{'scipy':>11}")
    for name, make in cases(options.side).items():
        if options.only not in name:
            continue
        case = make()
        A = sp.from_scipy(case.S)
        rounds = []
        for _ in range(options.rounds):
            mine, found = seconds(lambda case=case, A=A: case.ours(A, given))
            other, theirs = seconds(case.theirs)
            rounds.append((mine, other))
        a, b = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(y / x for x, y in rounds)
        left, right = case.measure(case.S, found), case.measure(case.S, theirs)
        print(f"{name:16}{a:9.2f}{b:9.2f}{ratio:7.2f}{left:11.1e}{right:11.1e}", flush=True)


if __name__ == "__main__":
    main()
