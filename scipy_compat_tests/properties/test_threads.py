"""Arrays between Python threads: every operation on shared arrays in eight threads at once, what a thread made used in
another, and that nothing but values of mlx mode is ever left for the thread that made it to evaluate.

Values are small whole numbers, so that sums are exact in any order.
"""

import contextlib
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse import _native, indexed, linalg, runtime

THREADS = 8
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
MODES = ("mlx", "numpy")
FLOAT = np.float32


@pytest.fixture(params=MODES)
def mode(request):
    with runtime.context(dense_namespace=request.param):
        yield request.param


@pytest.fixture(scope="module")
def size(device):
    """Rows and columns: enough entries that nothing is done at once, but few where shaders run on the host."""
    return (240, 160) if device == "cpu" else (24, 16)


def few(fmt, shape):
    """Python's containers take their time."""
    return (shape[0] // 4, shape[1] // 4) if fmt in ("lil", "dok") and shape[0] > 100 else shape


def dense(shape, seed=0, dtype=FLOAT):
    rng = np.random.default_rng(seed)
    return (rng.integers(-3, 4, shape) * (rng.random(shape) < 0.8)).astype(dtype)


def made(fmt, shape, seed=0):
    x = dense(shape, seed)
    if fmt == "bsr":
        return sp.csr_array(x).tobsr((2, 2))
    return sp.coo_array(x) if fmt == "coo" else sp.csr_array(x).asformat(fmt)


class Operands:
    """What the operations share."""

    def __init__(self, fmt, shape):
        m, n = shape
        self.A, self.B, self.S = made(fmt, shape), made(fmt, shape, 1), made(fmt, (n, n), 2)
        self.x, self.X, self.y = dense(n, 3), dense((n, 3), 4), dense(m, 5)
        self.rows = np.arange(0, m, 3)
        self.where = [p[:5] for p in np.nonzero(np.ones(shape))]


# name -> what is done with shared operands; nothing here changes them
OPERATIONS = {
    "tocsr": lambda o: o.A.tocsr(),
    "tocsc": lambda o: o.A.tocsc(),
    "tocoo": lambda o: o.A.tocoo(),
    "tobsr": lambda o: o.A.tobsr((2, 2)),
    "todia": lambda o: o.A.todia(),
    "tolil": lambda o: o.A.tolil(),
    "todok": lambda o: o.A.todok(),
    "csr(csc)": lambda o: o.A.tocsc().tocsr(),
    "T": lambda o: o.A.T,
    "T.tocsr": lambda o: o.A.T.tocsr(),
    "transpose(copy)": lambda o: o.A.transpose(copy=True),
    "copy": lambda o: o.A.copy(),
    "astype": lambda o: o.A.astype("int32"),
    "reshape": lambda o: o.A.reshape((o.A.shape[1], o.A.shape[0])),
    "A @ x": lambda o: o.A @ o.x,
    "A @ X": lambda o: o.A @ o.X,
    "A @ mx": lambda o: o.A @ mx.array(o.x),
    "A.T @ y": lambda o: o.A.T @ o.y,
    "A.T @ mx": lambda o: o.A.T @ mx.array(o.y),
    "y @ A": lambda o: o.y @ o.A,
    "A @ S": lambda o: o.A @ o.S,
    "A + B": lambda o: o.A + o.B,
    "A - B": lambda o: o.A - o.B,
    "A * 2": lambda o: o.A * 2,
    "A / 2": lambda o: o.A / 2,
    "-A": lambda o: -o.A,
    "abs": lambda o: abs(o.A),
    "multiply": lambda o: o.A.multiply(o.B),
    "multiply(row)": lambda o: o.A.multiply(o.x),
    "maximum": lambda o: o.A.maximum(o.B),
    "A != B": lambda o: o.A != o.B,
    "A > 1": lambda o: o.A > 1,
    "power": lambda o: o.A.power(2),
    "sqrt": lambda o: abs(o.A.tocsr()).sqrt(),
    "sign": lambda o: o.A.tocsc().sign(),
    "sum": lambda o: o.A.sum(),
    "sum(0)": lambda o: o.A.sum(axis=0),
    "sum(1)": lambda o: o.A.sum(axis=1),
    "mean": lambda o: o.A.mean(axis=0),
    "max(1)": lambda o: o.A.tocsr().max(axis=1),
    "argmax": lambda o: o.A.tocsr().argmax(axis=0),
    "diagonal": lambda o: o.A.diagonal(),
    "trace": lambda o: o.A.trace(),
    "toarray": lambda o: o.A.toarray(),
    "todense": lambda o: o.A.todense(),
    "nonzero": lambda o: o.A.nonzero(),
    "count_nonzero": lambda o: o.A.count_nonzero(),
    "A[3, 5]": lambda o: o.A.tocsr()[3, 5],
    "A[2]": lambda o: o.A.tocsr()[2],
    "A[:, 1:9]": lambda o: o.A.tocsc()[:, 1:9],
    "A[rows]": lambda o: o.A.tocsr()[o.rows],
    "A[rows, :][:, rows]": lambda o: o.A.tolil()[o.rows, :],
    "A[where]": lambda o: o.A.tocsr()[tuple(o.where)],
    "A[mask]": lambda o: o.A.tocsr()[np.arange(o.A.shape[0]) % 2 == 0],
    "vstack": lambda o: sp.vstack([o.A, o.B]),
    "hstack": lambda o: sp.hstack([o.A, o.B]),
    "block_diag": lambda o: sp.block_diag([o.S, o.S]),
    "kron": lambda o: sp.kron(o.A, sp.eye_array(2)),
    "kronsum": lambda o: sp.kronsum(sp.eye_array(2), o.S),
    "tril": lambda o: sp.tril(o.A),
    "triu": lambda o: sp.triu(o.A, format="csr"),
    "find": lambda o: sp.find(o.A),
    "norm": lambda o: linalg.norm(o.A),
    "norm(1)": lambda o: linalg.norm(o.A, 1),
    "csr_array(dense)": lambda o: sp.csr_array(o.X),
    "coo_array(dense)": lambda o: sp.coo_array(o.X).tocsr(),
    "dia_array(dense)": lambda o: sp.dia_array(o.X),
    "coo_array(triplets)": lambda o: sp.coo_array((o.x, (np.arange(len(o.x)), np.arange(len(o.x))[::-1]))).tocsr(),
    "csr_matrix": lambda o: sp.csr_matrix(o.A) * o.x,
    "coo 1-D": lambda o: sp.coo_array(o.x) + sp.coo_array(o.x),
    "coo 3-D": lambda o: sp.coo_array(o.X.reshape(2, -1, 3)).sum(axis=1),
    "coo 3-D.reshape": lambda o: sp.coo_array(o.X.reshape(2, -1, 3)).reshape((-1, 6)),
    "eye": lambda o: sp.eye_array(50, format="csr"),
    "diags": lambda o: sp.diags_array([o.x, o.x[1:]], offsets=[0, 1]),
    "random": lambda o: sp.random_array((20, 20), density=0.2, rng=1),
    "setdiag": lambda o: changed(o.A.copy(), lambda C: C.setdiag(7)),
    "A[i, j] = v": lambda o: changed(o.A.tolil(copy=True), lambda C: C.__setitem__((3, 4), 5)),
    "A[rows] = v": lambda o: changed(o.A.tocsr(copy=True), lambda C: C.__setitem__(slice(0, 3), 5)),
    "A *= 2": lambda o: changed(o.A.tocsr(copy=True), lambda C: C.__imul__(2)),
    "resize": lambda o: changed(o.A.tocoo(copy=True), lambda C: C.resize((9, 7))),
    "sum_duplicates": lambda o: changed(twice(o.A), lambda C: C.sum_duplicates()),
    "eliminate_zeros": lambda o: changed(o.A.tocsr(copy=True), lambda C: C.eliminate_zeros()),
    "spsolve": lambda o: linalg.spsolve(dominant(o.S), o.x),
    "cg": lambda o: linalg.cg(sp.eye_array(len(o.x), dtype=FLOAT) * 2, o.x)[0],
    "onenormest": lambda o: linalg.onenormest(o.S),
}


def changed(C, change):
    change(C)
    return C


def twice(A):
    row, col = (np.asarray(c) for c in A.tocoo().coords)
    data = np.asarray(A.tocoo().data)
    return sp.coo_array((np.tile(data, 2), (np.tile(row, 2), np.tile(col, 2))), shape=A.shape)


def dominant(S):
    return (S + sp.eye_array(S.shape[0], dtype=FLOAT) * 1024).tocsc()


def leaves(x):
    """The arrays of MLX that `x` is made of, with the name of the attribute."""
    if isinstance(x, (tuple, list)):
        return [leaf for y in x for leaf in leaves(y)]
    if isinstance(x, mx.array):
        return [("", x)]
    if not hasattr(x, "__dict__"):
        return []
    return [(name or k, a) for k, v in vars(x).items() if isinstance(v, (tuple, mx.array)) for name, a in leaves(v)]


def pending(x):
    return [name for name, a in leaves(x) if not _native.is_available(a)]


def evaluated(x):
    """`x`, with what mlx mode leaves pending evaluated, as the thread that made it must."""
    mx.eval([a for _, a in leaves(x)])
    return x


def finished(x):
    """What a thread does before it hands `x` on: nothing with sparse arrays of numpy mode."""
    return x if sp.issparse(x) and runtime.dense_namespace == "numpy" else evaluated(x)


def host(x):
    """Something that can be compared."""
    if isinstance(x, (tuple, list)):
        return [host(y) for y in x]
    return x.toarray() if sp.issparse(x) else np.asarray(x)


def assert_same(found, expected):
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    elif expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@contextlib.contextmanager
def workers(n=THREADS):
    with ThreadPoolExecutor(n) as pool:
        yield pool


def at_once(f, n=THREADS):
    """[f(0), ..., f(n - 1)], each in a thread of its own, all of which begin together."""
    barrier = threading.Barrier(n)

    def run(k):
        barrier.wait()
        return f(k)

    with workers(n) as pool:
        return list(pool.map(run, range(n)))


def in_a_thread(f):
    return at_once(lambda _: f(), 1)[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fmt", FORMATS)
def test_only_values_of_mlx_mode_are_pending(fmt, mode, size):
    o = Operands(fmt, few(fmt, size))
    for name, f in OPERATIONS.items():
        result = f(o)
        left = pending(result) if sp.issparse(result) else []
        assert set(left) <= ({"_data"} if mode == "mlx" else set()), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_operation_in_eight_threads(fmt, mode, size):
    o = Operands(fmt, few(fmt, size))
    expected = {name: host(f(o)) for name, f in OPERATIONS.items()}
    shared = Operands(fmt, few(fmt, size))  # about which nothing is known yet
    for A in (shared.A, shared.B, shared.S):
        finished(A)

    def work(k):
        names = list(OPERATIONS)
        random.Random(k).shuffle(names)
        made = {name: OPERATIONS[name](shared) for name in names}
        for name in names[::2]:
            assert_same(host(made[name]), expected[name])
        return {name: finished(x) for name, x in made.items()}

    for made_there in at_once(work):  # and here
        for name, result in made_there.items():
            assert_same(host(result), expected[name])
            if sp.issparse(result) and result.ndim == 2:
                assert_same(host(result @ np.ones(result.shape[1], FLOAT)), host(result).astype(FLOAT).sum(axis=1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fmt", FORMATS)
def test_from_thread_to_thread(fmt, mode, size):
    """Made in one thread, combined in a second, converted in a third, read here."""
    A = in_a_thread(lambda: finished(made(fmt, size)))
    B = finished(made(fmt, size, 1))
    C = in_a_thread(lambda: finished(A + B))
    D = in_a_thread(lambda: finished(C.T.tocsr()))
    np.testing.assert_array_equal(D.toarray(), (dense(size) + dense(size, 1)).T)


def test_pending_values_say_what_to_do(size):
    A = made("csr", size)
    V = A.with_data(A.data * 2)
    uses = {
        "toarray": lambda: V.toarray(),
        "A @ x": lambda: V @ np.ones(size[1], FLOAT),
        "A @ A": lambda: V @ V.T,
        "A + A": lambda: V + V,
        "A[2, 3]": lambda: V[2, 3],
        "tolil": lambda: V.tolil(),
        "setdiag": lambda: V.copy().setdiag(1),
        "with numpy": lambda: sp.csr_array((V.data, A.indices, A.indptr), shape=A.shape).toarray(),
        "cg": lambda: linalg.cg(V @ V.T, np.ones(size[0], FLOAT)),
    }
    for use in uses.values():
        with pytest.raises(RuntimeError, match=r"mx\.eval\(A\.data\)"):
            in_a_thread(use)
    evaluated(V)
    for use in uses.values():
        in_a_thread(use)


def test_index_arrays_that_another_thread_left_pending(size):
    n = size[0]
    indptr, indices = mx.arange(n + 1) * 1, mx.arange(n) * 1
    with pytest.raises(RuntimeError, match="mx.eval"):
        in_a_thread(lambda: sp.csr_array((np.ones(n, FLOAT), indices, indptr), shape=(n, n), validate=False))


def test_views_are_shared(size):
    with runtime.context(dense_namespace="numpy"):
        A = made("csr", size)
        views = at_once(lambda _: A.data)
        assert all(v.base is not None and np.shares_memory(v, views[0]) for v in views)
        views[0][0] = 99
        assert all(v[0] == 99 for v in views) and A.toarray().ravel()[np.flatnonzero(A.toarray())[0]] == 99


def test_what_is_found_out_on_first_use(mode, size):
    """Flags and derived structures of one array, asked for by eight threads at once."""
    x, y = dense(size[1], 3), dense(size[0], 5)
    want = dense(size)
    for _ in range(4):
        A = evaluated(made("csr", size))
        A = evaluated(sp.csr_array((A.data, A.indices, A.indptr), shape=A.shape))

        def work(k, A=A):
            jobs = [
                lambda: A.has_canonical_format and A.has_sorted_indices,
                lambda: np.array_equal(np.asarray(A.T @ mx.array(y)), want.T @ y),
                lambda: np.array_equal(np.asarray(A @ mx.array(x)), want @ x),
                lambda: np.array_equal(A.T @ y, want.T @ y),
                lambda: A.max() == want.max(),
            ]
            return all(jobs[(k + j) % len(jobs)]() for j in range(2 * len(jobs)))

        assert all(at_once(work))


def test_gradients_in_threads(size):
    A, x = evaluated(made("csr", size)), mx.array(dense(size[1], 3))

    def work(_):
        values, vector = mx.grad(lambda v, u: ((A.with_data(v) @ u) ** 2).sum(), argnums=(0, 1))(A.data, x)
        return [np.array(values), np.array(vector)]

    first, *others = at_once(work)
    for found in others:
        assert_same(found, first)


def test_solvers_and_factors_are_shared(mode, size):
    n = size[1]
    S = finished(dominant(made("csr", (n, n), 2)))
    D, M = (finished(sp.diags_array(d)) for d in (np.arange(1, n + 1, dtype=FLOAT), np.full(n, 2, FLOAT)))
    b = dense(n, 3)
    lu, solve = linalg.splu(S), linalg.factorized(S)
    jobs = (
        lambda: lu.solve(b),
        lambda: solve(b),
        lambda: lu.L.toarray(),
        lambda: linalg.spsolve(S, b),
        lambda: linalg.spsolve_triangular(sp.tril(S, format="csr"), b),
        lambda: linalg.cg(D, b, M=M)[0],
        lambda: linalg.expm_multiply(D * 0.001, b),
    )
    expected = [host(job()) for job in jobs]
    for found in at_once(lambda k: [(j % len(jobs), jobs[j % len(jobs)]()) for j in range(k, k + len(jobs))]):
        for j, y in found:
            assert_same(host(y), expected[j])


def test_point_clouds(mode):
    points = np.random.default_rng(0).integers(0, 9, (60, 3)).astype(FLOAT)

    def make():
        batches = [
            indexed.PointCloudBatch(points, lengths=[10, 20, 30]),
            indexed.PointCloudBatch(points, lengths=mx.array([10, 20, 30]), validate=False),
            indexed.PointCloudBatch(points, indices=np.arange(60) % 3),
            indexed.OffsetPointCloudBatch(points, offsets=mx.array([0, 10, 30, 60]) + 0),
        ]
        evaluated([(b.positions, b.features) for b in batches])
        return batches

    for batch in in_a_thread(make):
        assert np.asarray(batch.lengths).sum() == 60
        assert np.asarray(batch.as_lengths()).sum() == 60
        np.testing.assert_array_equal(np.asarray(batch[1].positions).shape[1], 3)


def test_blocks_of_settings_overlap():
    """Whichever block ends first, afterwards everything is as it was."""
    before = runtime.info()["options"]
    inside = threading.Barrier(2)

    def work(k):
        with runtime.context(dense_namespace=MODES[1 - k], n_threads=3 + k):
            inside.wait()
            if k:
                inside.wait()  # until the first has left
        if not k:
            inside.wait()

    at_once(work, 2)
    assert runtime.info()["options"] == before
    with runtime.context(n_threads=3):
        runtime.N_THREADS = 5
        assert runtime.N_THREADS == 5
    assert runtime.info()["options"] == before


def test_settings_while_others_compute(size):
    """What is set is read where the interpreter's lock is not held."""
    A = evaluated(made("csr", size))

    def work(k):
        for _ in range(20):
            with runtime.context(executor=runtime.EXECUTOR, n_threads=2 + k):
                assert_same(host(A.tocsc()), dense(size))

    at_once(work)


def test_settings_are_the_process_s():
    with runtime.context(dense_namespace="numpy"):
        assert in_a_thread(lambda: type(sp.eye_array(3).diagonal())) is np.ndarray


@pytest.mark.filterwarnings("ignore")
def test_joblib(mode, size):
    joblib = pytest.importorskip("joblib")
    o = Operands("csr", size)
    for A in (o.A, o.B, o.S):
        finished(A)
    names = ["tocsc", "A + B", "A @ S", "T.tocsr", "A @ x", "kron"] * 3
    run = joblib.delayed(lambda name: finished(OPERATIONS[name](o)))
    found = joblib.Parallel(n_jobs=4, backend="threading")(run(name) for name in names)
    for name, result in zip(names, found, strict=True):
        assert_same(host(result), host(OPERATIONS[name](o)))


def test_many_threads_come_and_go(mode, size):
    """Results outlive the threads that made them, and MLX's streams with them."""
    b = dense(size[1], 3)
    results = []
    for seed in range(12):
        t = threading.Thread(target=lambda s=seed: results.append((s, evaluated(made("csr", size, s).tocsc()))))
        t.start()
        t.join()
    for seed, A in itertools.chain(results, reversed(results)):
        np.testing.assert_array_equal(np.asarray(A @ b), dense(size, seed) @ b)
