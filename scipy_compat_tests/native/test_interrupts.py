"""Ctrl-C ends long operations soon, and leaves operands, workers and the process as they should be."""

import pytest

from scipy_compat_tests.native.children import run

# Where the signal comes from the system's clock, so that nothing of Python is needed to send it.
HARNESS = """
signal.signal(signal.SIGALRM, signal.default_int_handler)

def again_and_again(work):
    while True:  # in a function, as Python 3.11 lets a signal in its backward jump escape a try statement around it
        work()

def interrupted(work, after=0.4):
    \"\"\"Seconds from the signal to its KeyboardInterrupt.\"\"\"
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        again_and_again(work)
    except KeyboardInterrupt:
        return time.perf_counter() - start - after

def digest(A):
    return [hash(np.asarray(x).tobytes()) for x in (A.data, A.indices, A.indptr)]
"""

# The Laplacian of a cube.
GRID = (
    "L = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(26, 26)); I = sp.eye_array(26)\n"
    "A = sp.csc_array(sp.kron(sp.kron(L, I), I) + sp.kron(sp.kron(I, L), I) + sp.kron(sp.kron(I, I), L))"
)

# name -> (what it works on, the work). Each takes several seconds when nobody stops it, or is repeated until then.
WORK = {
    "A @ A": ("A = random_csr(60000, 40)", "A @ A"),
    "A @ A in float32": ("A = random_csr(60000, 40, np.float32)", "A @ A"),
    "A @ X": ("A = random_csr(60000, 40); X = np.ones((60000, 300))", "A @ X"),
    "A.T @ X": ("A = random_csr(60000, 40); X = np.ones((60000, 300))", "A.T @ X"),
    "A.tocoo() @ X": ("A = random_csr(60000, 40); B = A.tocoo(); X = np.ones((60000, 300))", "B @ X"),
    "A[rows]": ("A = random_csr(60000, 40); i = np.random.default_rng(1).integers(0, 60000, 2_000_000)", "A[i]"),
    "A[:, columns]": ("A = random_csr(60000, 40); i = np.arange(1_800_000) % 60000", "A[:, i]"),
    "A[i, j]": (
        "A = random_csr(60000, 40); i, j = np.random.default_rng(1).integers(0, 60000, (2, 6_000_000))",
        "A[i, j]",
    ),
    "A + B": ("A = random_csr(60000, 40); B = A.T.tocsr()", "A + B"),
    "A.sum": ("A = random_csr(60000, 40)", "A.sum(0), A.sum(1), A.sum()"),
    "A.tocsc": ("A = random_csr(60000, 40)", "A.tocsc()"),
    "sort_indices": (
        "i = np.random.default_rng(1).permutation(8_000_000).astype(np.int32); A = random_csr(9, 3)\n"
        "B = sp.csr_array((np.ones(i.size), i, np.array([0, i.size], np.int32)), shape=(1, i.size))",
        "B.sorted_indices()",
    ),
    "sum_duplicates": (
        "A = random_csr(9, 3); i = np.random.default_rng(1).integers(0, 3000, (2, 6_000_000))\n"
        "B = sp.coo_array((np.ones(6_000_000), tuple(i)), shape=(3000, 3000))",
        "B.copy().sum_duplicates()",
    ),
    "csr_array(dense)": ("A = random_csr(9, 3); X = np.ones((3000, 20000), np.float32)", "sp.csr_array(X)"),
    "bsr @ bsr": ("A = random_csr(4000, 40); B = A.tobsr((4, 4))", "B @ B"),
    "dia @ dia": (
        "A = random_csr(9, 3); B = sp.dia_array((np.ones((300, 9000)), np.arange(300) * 7 - 1000), shape=(9000, 9000))",
        "B @ B",
    ),
    "kron": ("A = random_csr(9, 3); B = random_csr(1500, 4)", "sp.kron(B, B, format='csr')"),
    "ilu0": ("A = random_csr(60000, 40) + 99 * sp.eye_array(60000)", "sp.linalg.ilu0(A)"),
    "spsolve_triangular": (
        "A = sp.tril(random_csr(60000, 40) + 99 * sp.eye_array(60000), format='csr'); X = np.ones((60000, 100))",
        "sp.linalg.spsolve_triangular(A, X)",
    ),
    "dijkstra": ("A = abs(random_csr(60000, 40))", "sp.csgraph.dijkstra(A, indices=np.arange(300))"),
    "bellman_ford": ("A = abs(random_csr(60000, 40))", "sp.csgraph.bellman_ford(A, indices=np.arange(300))"),
    "johnson": ("A = abs(random_csr(60000, 40))", "sp.csgraph.johnson(A, indices=np.arange(300))"),
    "floyd_warshall": ("A = abs(random_csr(3000, 40))", "sp.csgraph.floyd_warshall(A, return_predecessors=True)"),
    "yen": ("A = abs(random_csr(60000, 8))", "sp.csgraph.yen(A, 0, 1, 300)"),
    "maximum_flow": ("A = (9 * abs(random_csr(60000, 20))).astype(np.int32)", "sp.csgraph.maximum_flow(A, 0, 1)"),
    "maximum_bipartite_matching": ("A = random_csr(300000, 3)", "sp.csgraph.maximum_bipartite_matching(A)"),
    "min_weight_full_bipartite_matching": (
        "A = abs(random_csr(20000, 9)) + sp.eye_array(20000)",
        "sp.csgraph.min_weight_full_bipartite_matching(A)",
    ),
    "minimum_spanning_tree": ("A = random_csr(200000, 40)", "sp.csgraph.minimum_spanning_tree(A)"),
    "connected_components": (
        "A = random_csr(200000, 40); f = sp.csgraph.connected_components",
        "f(A), f(A, connection='strong')",
    ),
    "cg": (
        "A = random_csr(60000, 40); B = A + A.T; b = np.ones(60000)",
        "sp.linalg.cg(B, b, rtol=1e-300, maxiter=100_000)",
    ),
    "bicgstab with ilu0": (
        f"{GRID}; M = sp.linalg.preconditioners.ilu0(A); b = np.ones((A.shape[0], 3))",
        "sp.linalg.bicgstab(A, b, M=M, rtol=0, maxiter=10**9)",
    ),
    "cg with chebyshev": (
        f"{GRID}; M = sp.linalg.preconditioners.chebyshev(A); b = np.random.default_rng(0).random(A.shape[0])",
        "sp.linalg.cg(A, b, M=M, rtol=0, maxiter=10**9)",
    ),
    "lsqr": (
        "A = random_csr(60000, 40); b = np.ones(60000)",
        "sp.linalg.lsqr(A, b, atol=0, btol=0, conlim=0, iter_lim=10**9)",
    ),
    "gmres": (
        "A = random_csr(60000, 40); b = np.ones(60000)",
        "sp.linalg.gmres(A, b, restart=300, rtol=1e-300, maxiter=100_000)",
    ),
    "cholesky": (f"{GRID}", "sp.linalg.cholesky(A)"),
    "cholesky(A).solve": (f"{GRID}; f = sp.linalg.cholesky(A); b = np.ones((A.shape[0], 48))", "f.solve(b)"),
    "selected_inverse": (f"{GRID}; f = sp.linalg.cholesky(A)", "f.selected_inverse()"),
    "cholesky by ldl": (f"{GRID}", "sp.linalg.cholesky(A, method='ldl')"),
    "eigsh": ("A = random_csr(60000, 40); B = A + A.T", "sp.linalg.eigsh(B, 40, rng=0, tol=1e-30, maxiter=1000)"),
    "ichol0": ("A = random_csr(60000, 40); B = A + A.T + 999 * sp.eye_array(60000)", "sp.linalg.ichol0(B)"),
    "expm_multiply": ("A = random_csr(60000, 10); X = np.ones((60000, 20))", "sp.linalg.expm_multiply(A * -0.9, X)"),
}
HEAVY = (
    "A @ A in float32",
    "A.T @ X",
    "A.tocoo() @ X",
    "A[:, columns]",
    "A + B",
    "A.sum",
    "bsr @ bsr",
    "minimum_spanning_tree",
    "connected_components",
    "eigsh",
    "ichol0",
    "expm_multiply",
)
QUICK_AS_SHADERS = ("A @ A", "A[rows]", "A + B", "sum_duplicates")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.heavy) if name in HEAVY else name for name in WORK]
)
def test_an_operation_ends_within_a_second(name, device):
    if device != "cpu" and name not in QUICK_AS_SHADERS:
        name = QUICK_AS_SHADERS[0]  # the others would run for minutes as shaders
    setup, work = WORK[name]
    code = f"""
{setup}
before = digest(A)
late = interrupted(lambda: ({work}))
assert digest(A) == before
B, x = random_csr(400, 30), np.random.default_rng(3).random((400, 50))  # the workers and the lock are there again
dense = B.toarray()
assert np.allclose((B @ B).toarray(), dense @ dense) and np.allclose(B @ x, dense @ x)
print(late)
"""
    assert float(run(HARNESS + code, device)) < 1.5


@pytest.mark.parametrize(
    "work", ["L[i, j] = x", "L[:, 7:2000] = block", "L[i, j]", "L[r]", "L[r][:, ::3]", "L.tocsr()"]
)
def test_lists_of_lists_are_as_they_were(work, device):
    code = f"""
rng = np.random.default_rng(0)
L = sp.lil_array((3000, 3000))
L[:, 5] = np.arange(3000.0)[:, None]
i, j = rng.integers(0, 3000, (2, 2_000_000 if "=" in {work!r} else 300_000))
x, r = rng.random(i.size), rng.integers(0, 3000, 300_000)
block = np.ones((3000, 1993))
if "=" not in {work!r}:
    L[i, j] = x
def lists():
    return [list(row) for row in L.rows], [list(row) for row in L.data]
before = lists()
def work():
    {work}
late = interrupted(work, 0.8)
after = lists()
if "=" not in {work!r} or {work!r} == "L[i, j] = x" and L.nnz == 3000:
    assert after == before
assert all(len(a) == len(b) for a, b in zip(*after))
L[0, 0] = 3.0
assert L[0, 0] == 3.0
print(late)
"""
    assert float(run(HARNESS + code, device)) < 1.5


def test_an_assignment_that_is_stopped_changes_nothing():
    code = """
rng = np.random.default_rng(0)
A = random_csr(60000, 40)
i, j = rng.integers(0, 60000, (2, 12_000_000))
before = digest(A)
start = time.perf_counter()
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    A[i, j] = 1.0
except KeyboardInterrupt:
    print(time.perf_counter() - start - 0.3)
    assert digest(A) == before
"""
    assert float(run(HARNESS + code) or 0) < 1.5


def test_the_work_of_another_thread_goes_on(device):
    code = """
A = random_csr(10000, 40)
want = (A @ A).data
found = []
other = threading.Thread(target=lambda: [found.append(np.array((A @ A).data)) for _ in range(4)])
other.start()
print(interrupted(lambda: A @ A))
other.join()
assert len(found) == 4 and all(np.array_equal(x, want) for x in found)
"""
    assert float(run(HARNESS + code, device)) < 1.5


def test_a_handler_may_use_the_package_while_an_operation_waits(device):
    code = """
A, B = random_csr(15000, 40), random_csr(300, 20)
want, seen = (B @ B).toarray(), []
def handler(*_):
    seen.append((B @ B).toarray())  # as a node it may have to wait until A @ A is done
    signal.setitimer(signal.ITIMER_REAL, 0.1)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
C = A @ A
signal.setitimer(signal.ITIMER_REAL, 0)
assert seen and all(np.array_equal(x, want) for x in seen)
assert C.nnz == (A @ A).nnz
"""
    run(code, device)


@pytest.mark.parametrize("work", ["k_nearest_neighbors(X, k=20)", "radius_neighbors(X, radius=0.03)"])
def test_neighbours_can_be_stopped(work):
    code = f"""
sp.runtime.N_THREADS = 2
X = np.random.default_rng(0).random((150_000, 3))
late = interrupted(lambda: sp.indexed.{work}, 0.8)
for _ in range(50):  # memory that a thread left behind would write to
    np.ones(10**5).sum(), [np.random.random(3000) for _ in range(300)]
few = sp.indexed.k_nearest_neighbors(X[:9000], k=3)
from scipy.spatial import cKDTree
assert np.array_equal(few.indices.reshape(-1, 3), np.sort(cKDTree(X[:9000]).query(X[:9000], k=3)[1], axis=1))
print(late)
"""
    assert float(run(HARNESS + code)) < 2.5


def test_a_signal_between_the_products_of_propack_reaches_the_caller():
    """Most of the time passes outside of the products, in SciPy's code, where a signal is not looked for.

    That code cannot be stopped: on products that give zeros it ends its restart, which takes up to some seconds.
    """
    code = """
A = random_csr(2000, 4)
before = digest(A)
def work():
    while True:
        sp.linalg.svds(A, 30, rng=0, solver="propack", tol=1e-30)
late = []
for i in range(30):
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, 0.05 + 0.003 * i)
    try:
        work()
    except KeyboardInterrupt:
        late.append(time.perf_counter() - start - 0.05 - 0.003 * i)
assert len(late) == 30 and signal.getsignal(signal.SIGALRM) is signal.default_int_handler
assert digest(A) == before
assert np.allclose(A @ np.ones(2000), A.sum(1))
print(sorted(late)[15], max(late))
"""
    median, longest = map(float, run(HARNESS + code).split())
    assert median < 1.5
    assert longest < 30


def test_a_wait_for_the_graph_ends_and_the_value_comes_later():
    code = """
A = random_csr(60000, 40)
x = mx.ones((60000, 60), dtype=mx.float64)
y = x
for _ in range(5):
    y = A @ y * 0.01
start = time.perf_counter()
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    sp._dense.view(y)
    signal.setitimer(signal.ITIMER_REAL, 0)  # it was quicker
except KeyboardInterrupt:
    print(time.perf_counter() - start - 0.3)
z = np.array(x)
for _ in range(5):
    z = A @ z * 0.01
assert np.allclose(sp._dense.view(y), z)
"""
    assert float(run(HARNESS + code) or 0) < 1
