"""Indexed products and segment sums, on the CPU against MLX's own operations, on a CUDA device against PyTorch.

    python tools/bench/indexed.py [--device cpu|gpu] [--only NAME] [--scale S] [--out FILE]

The composition that a row is compared with: gather the operands (take), multiply (matmul), add (`.at[].add`,
`index_add_`); for segments `.at[].add` and `torch.segment_reduce`. On the CPU both sides run in turn in one process; on
CUDA ours is up to 32 results in one eval over their number, PyTorch (optional) as many between two events. Medians.
"share" is the bytes that must move at least once over our time, against the bandwidth (bytes read plus bytes written)
of a large copy on CUDA, of a triad on the same threads on the CPU. The timed calls do not validate index arrays;
`o_idx` is sorted, `b_idx` random.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import gpu  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
from measure import Side, paired  # noqa: E402

import mlx_sparse as sp  # noqa: E402
from mlx_sparse import indexed  # noqa: E402

PER_ROW = 10  # products of one output row, on average
KERNEL = 27  # matrices, where a_idx picks few: a 3 x 3 x 3 convolution's
AT_ONCE = 20 * 10**9  # bytes of results in one eval
UNCHECKED = {"reduction": "sorted", "validate": False}


@dataclass
class Row:
    """Operands as ndarrays, and the operation in three forms."""

    name: str
    arrays: dict[str, np.ndarray]
    ours: Callable[..., Any]
    composed: Callable[..., Any]
    torch: Callable[..., Any]
    least: int  # bytes
    kept: int  # bytes of the results


def problem(t: int, g: int, m: int, c: int, matrices: int | None) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    n = max(1, t // PER_ROW)
    normal = lambda *shape: rng.standard_normal(shape, dtype=np.float32)  # noqa: E731
    picks = {
        "b_idx": rng.integers(0, n, t, dtype=np.int32),
        "o_idx": np.sort(rng.integers(0, n, t, dtype=np.int32)),
    }
    if matrices is not None:
        picks["a_idx"] = rng.integers(0, matrices, t, dtype=np.int32)
    return {"a": normal(matrices or t, g, m, c), "b": normal(n, g, c), "x": normal(n, g, m), **picks}


def product_rows(t: int, g: int, m: int, c: int, matrices: int | None) -> list[Row]:
    """With `matrices` of them picked at random; None: one for each t."""
    p = problem(t, g, m, c, matrices)
    n, rows = p["b"].shape[0], matrices or t
    label = f"T={t:.0e} G={g} {m}x{c} " + ("a_idx None" if matrices is None else f"a_idx in {matrices:g}")
    index = sum(v.nbytes for k, v in p.items() if k.endswith("idx"))
    operands = {k: p[k] for k in p if k != "x"}
    forward = p["a"].nbytes + p["b"].nbytes + n * g * m * 4 + index

    def ours(a, b, b_idx, o_idx, a_idx=None):
        return indexed.sparse_matrix_vector_multiplication_reduction(a, a_idx, b, b_idx, o_idx, n, **UNCHECKED)

    def composed(a, b, b_idx, o_idx, a_idx=None):
        picked = a if a_idx is None else mx.take(a, a_idx, 0)
        terms = mx.matmul(picked, mx.take(b, b_idx, 0)[..., None])[..., 0]
        return mx.zeros((n, g, m)).at[o_idx].add(terms)

    def in_torch(a, b, b_idx, o_idx, a_idx=None):
        import torch

        picked = a if a_idx is None else a[a_idx]
        return a.new_zeros((n, g, m)).index_add_(0, o_idx, torch.einsum("tgmc,tgc->tgm", picked, b[b_idx]))

    def gradient(f):
        def run(a, b, **picks):
            return mx.grad(lambda a, b: 0.5 * f(a, b, **picks).square().sum(), argnums=(0, 1))(a, b)

        return run

    def torch_gradient(a, b, **picks):
        import torch

        a, b = a.detach().requires_grad_(), b.detach().requires_grad_()
        return torch.autograd.grad(0.5 * in_torch(a, b, **picks).square().sum(), (a, b))

    def outer(x, b, b_idx, o_idx, a_idx=None):
        call = indexed.sparse_vector_vector_outer_product_reduction
        return call(x, o_idx, b, b_idx, a_idx, rows, reduction="sort", validate=False)

    def composed_outer(x, b, b_idx, o_idx, a_idx=None):
        terms = mx.take(x, o_idx, 0)[..., None] * mx.take(b, b_idx, 0)[..., None, :]
        return terms if a_idx is None else mx.zeros((rows, g, m, c)).at[a_idx].add(terms)

    def torch_outer(x, b, b_idx, o_idx, a_idx=None):
        terms = x[o_idx][..., None] * b[b_idx][..., None, :]
        return terms if a_idx is None else terms.new_zeros((rows, g, m, c)).index_add_(0, a_idx, terms)

    vectors = {k: p[k] for k in p if k != "a"}
    written = rows * g * m * c * 4
    forwards = Row(f"MVMR {label}", operands, ours, composed, in_torch, forward, n * g * m * 4)
    if matrices == t:
        return [forwards]
    return [
        forwards,
        Row(
            f"VVOR {label}",
            vectors,
            outer,
            composed_outer,
            torch_outer,
            written + p["b"].nbytes + p["x"].nbytes + index,
            written,
        ),
        Row(
            f"MVMR gradients {label}",
            operands,
            gradient(ours),
            gradient(composed),
            torch_gradient,
            2 * forward + written,
            written + p["b"].nbytes,
        ),
    ]


def segment_row(t: int, columns: int, segments: int) -> Row:
    rng = np.random.default_rng(1)
    ends = np.sort(rng.integers(0, t + 1, segments - 1))
    lengths = np.diff(np.concatenate(([0], ends, [t]))).astype(np.int32)
    x = rng.standard_normal((t, columns), dtype=np.float32)

    def ours(x, lengths):
        return indexed.segment_reduce(x, lengths, "sum", validate=False)

    ids = mx.array(np.repeat(np.arange(segments, dtype=np.int32), lengths))

    def composed(x, lengths):  # the ids come for free
        return mx.zeros((segments, columns)).at[ids].add(x)

    def in_torch(x, lengths):
        import torch

        return torch.segment_reduce(x, "sum", lengths=lengths, unsafe=True)

    name = f"segment sum {t:.0e} x {columns} -> {segments:.0e}"
    arrays = {"x": x, "lengths": lengths}
    written = segments * columns * 4
    return Row(name, arrays, ours, composed, in_torch, x.nbytes + lengths.nbytes + written, written)


def cases(on_gpu: bool, scale: float) -> list[tuple[str, Callable[[], list[Row]]]]:
    size = (1.0 if on_gpu else 0.1) * scale
    found: list[tuple[str, Callable[[], list[Row]]]] = []
    for t, g, m, c in ((int(1e6 * size), 1, 32, 32), (int(2e5 * size), 8, 16, 16)):
        for matrices in (None, t, KERNEL):
            found.append(("product", lambda p=(t, g, m, c, matrices): product_rows(*p)))
    t, segments = (int(1e7 * scale), int(1e5 * scale)) if on_gpu else (int(1e6 * scale), int(1e4 * scale))
    found.append(("segment", lambda: [segment_row(t, 64, segments)]))
    return found


def on_cpu(row: Row) -> dict[str, float | None]:
    arrays = {k: mx.array(v) for k, v in row.arrays.items()}
    mx.eval(arrays)

    def side(f: Callable[..., Any]) -> Side:
        def run(_: Any) -> None:
            mx.eval(f(**arrays))

        return Side(run)

    timing = paired(side(row.ours), side(row.composed))
    difference = _difference(row.ours(**arrays), row.composed(**arrays))
    return {"ours": timing.ours, "theirs": timing.theirs, "faster": timing.ratio, "difference": difference}


def on_cuda(row: Row) -> dict[str, float | None]:
    count = max(1, min(32, AT_ONCE // row.kept))
    ours, mine = _ours_on_cuda(row, count)
    mx.clear_cache()
    try:
        theirs, other = _torch_on_cuda(row, count)
    except ImportError:
        return {"ours": ours, "theirs": None, "faster": None, "difference": None}
    return {"ours": ours, "theirs": theirs, "faster": theirs / ours, "difference": _difference(mine, other)}


def _ours_on_cuda(row: Row, count: int) -> tuple[float, list[np.ndarray]]:
    arrays = {k: mx.array(v) for k, v in row.arrays.items()}
    mx.eval(arrays)
    seconds = gpu.time_mlx(lambda: row.ours(**arrays), count)
    return seconds, [np.array(r) for r in _flat(row.ours(**arrays))]


def _torch_on_cuda(row: Row, count: int) -> tuple[float, list[np.ndarray]]:
    import torch

    torch.cuda.empty_cache()  # of the row before
    arrays = {k: torch.from_numpy(v).cuda() for k, v in row.arrays.items()}
    arrays = {k: v if v.is_floating_point() else v.long() for k, v in arrays.items()}  # what PyTorch indexes with
    seconds = time_torch(lambda: row.torch(**arrays), count)
    return seconds, [r.cpu().numpy() for r in _flat(row.torch(**arrays))]


def time_torch(make: Callable[[], Any], count: int) -> float:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    make()
    found = []
    for _ in range(gpu.ROUNDS):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        for _ in range(count):
            make()
        stop.record()
        stop.synchronize()
        found.append(start.elapsed_time(stop) / 1e3 / count)
    return statistics.median(found)


def _flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _difference(ours: Any, theirs: Any) -> float:
    """The greatest relative difference in norm of the results."""
    pairs = zip(_flat(ours), _flat(theirs), strict=True)
    return max(float(np.linalg.norm(np.array(a) - np.array(b)) / np.linalg.norm(np.array(b))) for a, b in pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--only", metavar="NAME", default="", help="product or segment")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of entries")
    parser.add_argument("--out", metavar="FILE", type=Path, help="also write the table there")
    options = parser.parse_args()
    on_gpu = options.device == "gpu"
    sp.use_device(options.device)

    copy = gpu.copy_bandwidth() if on_gpu else statistics.median(sp._native.triad(20_000_000) for _ in range(5))
    lines = [
        f"{mx.default_device()}, mlx {mx.__version__}, {'copy' if on_gpu else 'triad'} {copy / 1e9:.1f} GB/s",  # type: ignore[attr-defined]
        f"{'':<44}{'ours ms':>10}{'PyTorch ms' if on_gpu else 'MLX ms':>12}{'faster':>8}{'share':>7}  difference",
    ]
    print("\n".join(lines), flush=True)
    for kind, make in cases(on_gpu, options.scale):
        if options.only not in kind:
            continue
        for row in make():
            mx.clear_cache()
            found = on_cuda(row) if on_gpu else on_cpu(row)
            line = f"{row.name:<44}{1e3 * found['ours']:>10.2f}"
            if found["theirs"] is None:
                line += f"{'':>12}{'':>8}{row.least / found['ours'] / copy:>7.0%}"
            else:
                line += f"{1e3 * found['theirs']:>12.2f}{found['faster']:>8.2f}{row.least / found['ours'] / copy:>7.0%}"
                line += f"  {found['difference']:.1e}"
            lines.append(line)
            print(line, flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
