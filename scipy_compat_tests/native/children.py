"""Programs in a process of their own: what hangs or ends the process is a failure there, not the end of the run."""

import os
import subprocess
import sys
import tempfile

PREAMBLE = """
import os, signal, sys, threading, time
import mlx.core as mx
import numpy as np
import mlx_sparse as sp

def random_csr(n, per_row, dtype=np.float64):
    rng = np.random.default_rng(0)
    columns = np.sort(rng.integers(0, n, (n, per_row), dtype=np.int32), axis=1).ravel()
    values = rng.random(n * per_row).astype(dtype)
    return sp.csr_array((values, columns, np.arange(0, n * per_row + 1, per_row, dtype=np.int32)), shape=(n, n))
"""


def run(code, device="cpu", mode="numpy", timeout=120):
    """What the program printed; fails unless it came to its end."""
    executor = "shader" if device == "shader" else "native"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PREAMBLE + code],
            env={**os.environ, "MLX_SPARSE_DENSE_NAMESPACE": mode, "MLX_SPARSE_EXECUTOR": executor},
            cwd=tempfile.gettempdir(),  # not the checkout, whose package has no compiled module
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"no end after {timeout} s; it printed {error.stdout!r}") from None
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-2000:])
    return done.stdout
