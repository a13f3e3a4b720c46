"""Operations whose results cannot be had: `python FILE MODE [WORD]`, in a process of its own, as a failure must not end
the tests. Prints a line for each that did not raise what it should, and "done".

Memory is limited to 1 GiB more than the process has: what is asked for here is beyond it, or beyond any machine.
"""

import faulthandler
import resource
import sys
import warnings
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np

import mlx_sparse as sp

GIB = 2**30
n = 40_000  # n * n float64 take 12 GiB
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
WIDE_FORMATS = ("coo", "dia", "dok")
huge = 2**40


def one(fmt, shape=(n, n)):
    A = sp.coo_array(([1.0, 2.0], ([0, 3], [0, 1])), shape=shape)
    return A.asformat(fmt)


def evaluated(x):
    if isinstance(x, mx.array):
        mx.eval(x)
    elif sp.issparse(x) and hasattr(x, "_data") and isinstance(x._data, mx.array):
        mx.eval(x._data)
    return x


def solvers(arrow):
    """Of functions of linalg whose results, or dense arrays on the way to them, are n x n."""
    linalg, eye = sp.linalg, sp.eye_array(n, format="csc")
    path = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csc")  # its inverse is full
    corner = path + sp.coo_array(([1.0], ([n - 1], [0])), shape=(n, n)).tocsc()
    for fmt in ("csr", "csc"):
        yield f"inv {fmt}", lambda fmt=fmt: linalg.inv(path.asformat(fmt))
        yield f"inv complex {fmt}", lambda fmt=fmt: linalg.inv((path * 1j).asformat(fmt))
        yield f"inv by SuperLU {fmt}", lambda fmt=fmt: linalg.inv(corner.asformat(fmt))
        yield f"spsolve of a sparse b {fmt}", lambda fmt=fmt: linalg.spsolve(path.asformat(fmt), eye)
        yield f"spsolve dense {fmt}", lambda fmt=fmt: linalg.spsolve(path.asformat(fmt), np.ones(n), method="dense")
        yield f"spsolve banded {fmt}", lambda fmt=fmt: linalg.spsolve(arrow.asformat(fmt), np.ones(n), method="banded")
    yield "cholesky of a sparse b", lambda: linalg.cholesky(path).solve(eye)
    yield "expm", lambda: linalg.expm(sp.random_array((n, n), density=8 / n, format="csr", rng=0))
    yield "expm of full columns", lambda: linalg.expm(arrow)
    for word in ("exp", "sqrt"):
        of = {"restart_every_m": n // 2}
        yield f"funm {word}", lambda word=word, of=of: linalg.funm_multiply_krylov(word, path, np.ones(n), **of)
    yield "eigsh", lambda: linalg.eigsh(path, n // 2)
    yield "eigs", lambda: linalg.eigs(path, n // 2)
    yield "svds", lambda: linalg.svds(path, n // 2)
    yield "gmres", lambda: linalg.gmres(path, np.ones(n), restart=n // 2)


def cases():
    """(name, a call that must raise MemoryError or OverflowError)."""
    tall, square = np.ones((n, 1)), sp.csr_array(np.ones((200, 200)))
    for fmt in FORMATS:
        A = one(fmt)
        yield f"toarray {fmt}", lambda A=A: A.toarray()
        yield f"todense {fmt}", lambda A=A: A.todense()
        yield f"toarray order {fmt}", lambda A=A: A.toarray(order="F")
        yield f"matrix {fmt}", lambda A=A: sp.csr_matrix(A).asformat(A.format).toarray()
        yield f"plus dense {fmt}", lambda A=A: A + np.broadcast_to(np.ones(1), (n, n))
        X = mx.broadcast_to(mx.ones(1, dtype=mx.float64), (n, n // 8))
        yield f"matmul {fmt}", lambda A=A, X=X: A @ X
        yield f"matmul transposed {fmt}", lambda A=A, X=X: A.T @ X
        yield f"matmul ndarray {fmt}", lambda A=A: A @ np.broadcast_to(np.ones(1), (n, n // 4))
        yield f"kron {fmt}", lambda fmt=fmt: sp.kron(square, square, fmt)
    for fmt in WIDE_FORMATS:
        W = one(fmt, (huge, huge))
        yield f"wide toarray {fmt}", lambda W=W: W.toarray()
        yield f"wide tocsr {fmt}", lambda W=W: W.tocsr()
        yield f"wide tocsc {fmt}", lambda W=W: W.tocsc()
        yield f"wide diagonal {fmt}", lambda W=W: W.diagonal()
        yield f"wide sum 0 {fmt}", lambda W=W: W.sum(axis=0)
        yield f"wide sum 1 {fmt}", lambda W=W: W.sum(axis=1)
        yield f"wide mean {fmt}", lambda W=W: W.mean(axis=1)
        yield f"wide matmul {fmt}", lambda W=W: W.tocoo() @ W.tocoo()
        T = one(fmt, (huge, 2))
        yield f"tall toarray {fmt}", lambda T=T: T.toarray()
        yield f"tall product {fmt}", lambda T=T: T @ np.ones(2)
        yield f"tall product of mx {fmt}", lambda T=T: T @ mx.ones((2, 3), dtype=mx.float64)
        yield f"tall transposed product {fmt}", lambda T=T: np.ones(2) @ T.T
        yield f"tall sum {fmt}", lambda T=T: T.sum(axis=1)
        yield f"tall tocsr {fmt}", lambda T=T: T.tocsr()
        yield f"tall columns {fmt}", lambda T=T: T.tocsc().toarray()
        yield f"tall setdiag {fmt}", lambda fmt=fmt: one(fmt, (huge, huge)).setdiag(1.0)
        yield f"tall less than zero {fmt}", lambda T=T: T != 1
    for m in (huge, 2**31 - 1, 2**31, 2**33):
        yield f"csr of shape {m}", lambda m=m: sp.csr_array((m, 2))
        yield f"csc of shape {m}", lambda m=m: sp.csc_array((2, m))
        yield f"bsr of shape {m}", lambda m=m: sp.bsr_array((m, 2), blocksize=(1, 1))
        yield f"csr matrix of shape {m}", lambda m=m: sp.csr_matrix((m, 2))
        yield f"lil of shape {m}", lambda m=m: sp.lil_array((m, 2))
        for fmt in FORMATS:
            yield f"eye {m} {fmt}", lambda m=m, fmt=fmt: sp.eye_array(m, format=fmt)
        yield f"identity {m}", lambda m=m: sp.identity(m, format="csr")
        yield f"diags {m}", lambda m=m: sp.diags_array([1.0], offsets=[0], shape=(m, m))
        yield f"diags of mx {m}", lambda m=m: sp.diags_array([mx.ones(1)], offsets=[1], shape=(m, m), dtype=mx.float32)
        yield f"diags csr {m}", lambda m=m: sp.diags_array([1.0, 2.0], offsets=[0, 1], shape=(m, m), format="csr")
        yield f"tocsr {m}", lambda m=m: sp.coo_array(([1.0], ([5], [0])), shape=(m, 3)).tocsr()
        yield f"dia to csr {m}", lambda m=m: sp.dia_array((np.ones((1, 2)), [0]), shape=(m, 3)).tocsr()
        yield f"block_diag {m}", lambda m=m: sp.block_diag([one("coo", (m // 2, 2))] * 2, format="csr")
        yield f"vstack {m}", lambda m=m: sp.vstack([one("coo", (m // 2, 2))] * 2, format="csr")
        yield f"reshape {m}", lambda m=m: one("csr", (4, m)).reshape((m, 4)).tocsr()
        yield f"resize {m}", lambda m=m: one("csr", (4, 4)).resize((m, 4))
        yield f"cube sum {m}", lambda m=m: sp.coo_array(([1.0], ([0], [0], [0])), shape=(2, m, 2)).sum(axis=0)
        yield f"cube toarray {m}", lambda m=m: sp.coo_array(([1.0], ([0], [0], [0])), shape=(2, m, 2)).toarray()
        yield f"vector {m}", lambda m=m: sp.coo_array(([1.0], ([0],)), shape=(m,)).toarray()
        yield f"argmax {m}", lambda m=m: sp.coo_array(([1.0], ([0], [0])), shape=(m, 2)).argmax(axis=1)
    for shape in ((2**63, 2), (2**70, 2), (2, 2**64)):
        for fmt in FORMATS:
            yield f"{fmt} of shape {shape}", lambda fmt=fmt, shape=shape: getattr(sp, f"{fmt}_array")(shape)
    B = sp.csr_array((np.ones(4 * n), (np.repeat(np.arange(n), 4), np.tile(np.arange(4), n))), shape=(n, n))
    yield "matmul sparse", lambda: B.T.tocsr()[:4].T.tocsr() @ sp.csr_array(np.ones((4, n // 4)))
    row = sp.csr_array(np.ones((1, 3000)))
    yield "rows taken", lambda: row[np.zeros(10**6, np.int64)]
    yield "columns taken", lambda: row.T.tocsr()[:, np.zeros(10**6, np.int64)]
    yield "element-wise", lambda: row.multiply(np.broadcast_to(np.ones(1), (300_000, 1)))
    arrow = sp.vstack([sp.csr_array(np.ones((1, n))), sp.eye_array(n, format="csr")[1:]])  # whose factor is full
    arrow = (arrow + arrow.T + n * sp.eye_array(n)).tocsc()
    for method in ("auto", "ldl"):
        yield f"cholesky, {method}", partial(sp.linalg.cholesky, arrow, ordering="natural", method=method)
    yield from solvers(arrow)
    yield "random", lambda: sp.random_array((2**20, 2**20), density=0.5)
    yield "outer sum", lambda: B.tocoo() - np.broadcast_to(np.ones(1), (n, n))
    yield "block_array", lambda: sp.block_array([[B] * 4000], format="csr")
    yield "batch", lambda: B @ mx.broadcast_to(mx.ones(1, dtype=mx.float64), (50, n, 200))
    ids, x = mx.zeros(3, dtype=mx.int32), mx.ones((3, 2))
    for rows in (x, x[:0]):
        of = {"segment_ids": ids[: rows.shape[0]], "num_segments": 2**31 - 3}
        for name in ("sum", "mean", "prod", "max", "logsumexp"):
            reduced = partial(sp.indexed.segment_reduce, rows, operation=name, **of)
            yield f"segments {name} of {rows.shape[0]}", reduced
        yield "segment lengths", lambda of=of: sp.indexed.segment_ids_to_lengths(of["segment_ids"], 2**31 - 3)
        yield "segment offsets", lambda of=of: sp.indexed.segment_ids_to_offsets(of["segment_ids"], 2**31 - 3)
    last = one("coo", (4, 2**62))
    yield "columns beyond int64", lambda: sp.hstack([last.tocsr()] * 2)
    yield "coordinates beyond int64", lambda: sp.hstack([last] * 2)
    yield "kron beyond int64", lambda: sp.kron(last, last)
    yield "blocks beyond int64", lambda: sp.block_diag([last] * 3)
    clouds = sp.indexed.PointCloudBatch(x, lengths=[1, 2])
    yield "clouds", lambda: clouds.to_dense(max_len=10**9)
    yield "no clouds", lambda: sp.indexed.PointCloudBatch(x[:0], lengths=[0, 0]).to_dense(max_len=10**9)
    yield "dia product", lambda: sp.dia_array((np.ones((1, n)), [0]), shape=(n, n)) @ np.broadcast_to(tall, (n, n // 4))


def main(word):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (have + GIB, have + GIB))
    small = sp.csr_array(np.eye(3))
    for name, call in cases():
        if word not in name:
            continue
        print("#", name, flush=True)  # the last one is what a crash belongs to
        try:
            print("NOT REFUSED:", name, repr(evaluated(call()))[:100], flush=True)
        except (MemoryError, OverflowError):
            pass
        except Exception as error:
            print("OTHER ERROR:", name, type(error).__name__, str(error)[:300], flush=True)
        assert (small @ np.ones(3)).tolist() == [1.0, 1.0, 1.0], name
    print("done", flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    sp.runtime.dense_namespace = sys.argv[1]
    main(sys.argv[2] if len(sys.argv) > 2 else "")
