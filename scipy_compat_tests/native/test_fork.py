"""A forked child computes, or says why it cannot; it never hangs."""

import sys

import pytest

from scipy_compat_tests.native.children import run

CHILD = """
signal.alarm(100)  # ends the process of a hang

def in_child(work):
    \"\"\"Whether `work` came to its end in a forked child.\"\"\"
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(60)
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""

# Operations on a csr array of 90,000 entries: more than what the calling thread does by itself.
OPERATIONS = """
def results(A):
    x = np.random.default_rng(1).random(A.shape[1])
    i = np.arange(0, A.shape[0], 2)
    B = A.tocsc()
    yield A @ x, B @ x, A.T @ x, x @ A
    yield A @ np.stack([x, x], axis=1)
    yield A.toarray(), A.tocoo().toarray(), A.tobsr((2, 2)).toarray(), A.tolil().toarray()
    yield (A @ A).toarray(), (A + B).toarray(), A.multiply(B).toarray(), (A > B).toarray()
    yield A.sum(0), A.sum(1), A.mean(0), A.diagonal(), A.max(1).toarray()
    yield A[i].toarray(), A[:, i].toarray(), A[5:900:3].toarray(), A[i, i]
    yield sp.vstack([A, A]).toarray(), sp.kron(sp.eye_array(2), A).toarray()
    yield sp.csr_array(A.toarray()).toarray(), sp.linalg.norm(A)
    yield sp.linalg.expm_multiply(A * 0.01, x), sp.linalg.spsolve((A + 300 * sp.eye_array(A.shape[0])).tocsc(), x)

def evaluated(found):  # what is pending in the parent has no thread in the child
    return [[np.asarray(a) for a in (f if isinstance(f, tuple) else (f,))] for f in found]

def same(found, wanted):
    for f, w in zip(evaluated(found), wanted, strict=True):
        assert all(np.allclose(a, b, rtol=1e-4) for a, b in zip(f, w, strict=True))
"""


@pytest.fixture(autouse=True)
def _no_gpu(device):
    if device == "gpu":
        pytest.skip("a process cannot fork with a GPU in use")


@pytest.mark.parametrize("mode", ["mlx", "numpy"])
def test_a_child_computes_what_its_parent_does(mode, device):
    size = "900, 100" if device == "cpu" else "60, 10"
    code = f"""
A = random_csr({size})
wanted = evaluated(results(A))
in_child(lambda: same(results(A), wanted))
in_child(lambda: in_child(lambda: same(results(random_csr({size})), wanted)))
same(results(A), wanted)
"""
    run(CHILD + OPERATIONS + code, device, mode)


@pytest.mark.parametrize("mode", ["mlx", "numpy"])
def test_a_parent_that_only_imported(mode, device):
    code = """
def work():
    A = random_csr(300, 100)
    x = np.ones(300)
    assert np.allclose(A.tocsc() @ x, A.toarray() @ x)
    assert np.allclose(np.array(A @ mx.array(x, dtype=mx.float64)), A.toarray() @ x)
for _ in range(10):
    in_child(work)
"""
    run(CHILD + code, device, mode)


def test_a_value_that_was_pending_says_what_to_do(device):
    code = """
A = random_csr(300, 100)
pending = A.with_data(mx.array(A._data) * 2.0)
y = A @ mx.ones(300, dtype=mx.float64)
def work():
    for ask in (lambda: pending.toarray(), lambda: pending.tocsc().toarray(), lambda: pending @ np.ones(300),
                lambda: pending @ pending, lambda: pending[3:200].toarray(), lambda: sp._dense.view(y)):
        try:
            ask()
        except RuntimeError as error:
            assert "spawn" in str(error) and "mx.eval" in str(error)
        else:
            raise AssertionError("no RuntimeError")
    assert (A @ A).nnz
in_child(work)
assert np.allclose(pending.toarray(), 2 * A.toarray())
"""
    run(CHILD + code, device, "mlx")


def test_what_was_begun_before_the_fork_is_there(device):
    code = """
A = random_csr(2000, 100)
y = A @ mx.ones((2000, 50), dtype=mx.float64)
mx.async_eval(y)
in_child(lambda: np.testing.assert_allclose(sp._dense.view(y), A @ np.ones((2000, 50))))
"""
    run(CHILD + code, device, "mlx")


def test_a_fork_while_another_thread_holds_the_workers(device):
    code = """
sp.runtime.N_THREADS = 2
A = random_csr(4000, 60)
x = np.ones(4000)
want, going = A @ x, [True]
def busy():
    while going[0]:
        A @ A
thread = threading.Thread(target=busy)
thread.start()
time.sleep(0.2)
for _ in range(5):
    in_child(lambda: np.testing.assert_allclose((A + A).tocsc() @ x, 2 * want))
going[0] = False
thread.join()
"""
    run(CHILD + code, device)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_executors_of_processes(method, device, tmp_path):
    (tmp_path / "jobs.py").write_text(
        "import numpy as np\n"
        "def total(A, k):\n"
        "    B = A.tocsc()\n"
        "    return float((B @ np.full(A.shape[1], float(k))).sum()), A @ A\n"
    )
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
os.environ["PYTHONPATH"] = os.pathsep.join([{str(tmp_path)!r}, os.environ.get("PYTHONPATH", "")])
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import jobs
A = random_csr(300, 100)
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context({method!r})) as pool:
        for k, (total, square) in enumerate(pool.map(jobs.total, [A] * 4, range(4))):
            assert np.isclose(total, k * A.sum())
            assert np.allclose(square.toarray(), A.toarray() @ A.toarray())
"""
    run(CHILD + code, device)


def test_a_child_that_leaves_by_itself_ends(device):
    code = """
A = random_csr(300, 100)
pid = os.fork()
(A @ A).toarray()
if pid:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""
    run(CHILD + code, device)


@pytest.mark.parametrize("mode", ["mlx", "numpy"])
def test_settings_in_a_child_hold_or_are_refused(mode, device):
    code = """
runtime = sp.runtime
given = {"dense_namespace": "mlx" if runtime.dense_namespace == "numpy" else "numpy", "N_THREADS": 1,
         "SPGEMM_THREADS": 3, "SPGEMM_PARALLEL": False, "SOLVER_THREADS": 3, "SOLVER_PARALLEL": False,
         "EXECUTOR": "shader", "CACHE_LIMIT": runtime.CACHE_LIMIT // 2 + 1}
assert set(given) == set(runtime.info()["options"])
A = random_csr(300, 100)
mx.eval(mx.ones(10**6) + 1)  # something for MLX's cache, and a thread that frees it

def takes(name, value, others):
    before = getattr(runtime, name)
    for change in (lambda: setattr(runtime, name, value), lambda: runtime.context(**{name: value}).__enter__()):
        try:
            change()
        except RuntimeError as error:
            assert name == "CACHE_LIMIT" and "spawn" in str(error)
            assert getattr(runtime, name) == before
        else:
            assert name != "CACHE_LIMIT" and getattr(runtime, name) == value
    assert {n: getattr(runtime, n) for n in others} == others
    setattr(runtime, name, getattr(runtime, name))
    assert np.allclose((A @ A).toarray(), A.toarray() @ A.toarray())

for name, value in given.items():
    others = {n: getattr(runtime, n) for n in given if n != name and not n.startswith("S")}  # some inherit
    in_child(lambda: takes(name, value, others))

limit = runtime.CACHE_LIMIT
with runtime.context(cache_limit=limit // 3, n_threads=1):
    pid = os.fork()
    signal.alarm(60)
assert runtime.CACHE_LIMIT == (limit if pid else limit // 3)  # a child keeps what it was born with
if pid:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""
    run(CHILD + code, device, mode)


def test_a_fork_while_another_thread_changes_settings(device):
    code = """
going = [True]
def busy():
    while going[0]:
        with sp.runtime.context(n_threads=1, spgemm_parallel=False):
            pass
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(30):
    in_child(lambda: setattr(sp.runtime, "N_THREADS", 2))
going[0] = False
for thread in threads:
    thread.join()
"""
    run(CHILD + code, device)


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")
@pytest.mark.parametrize("n", [2**14, 2**30])
def test_a_child_is_told_that_memory_is_short(n):
    """MLX keeps freed memory, and gives it back when threads are idle that a child does not have."""
    code = f"""
import resource
mx.eval(mx.ones(10**6) + 1)
assert mx.get_cache_memory()
A = sp.coo_array(([1.0], ([0], [0])), shape=({n}, {n}))
def work():
    resource.setrlimit(resource.RLIMIT_AS, (2**30,) * 2)
    try:
        A.toarray()
    except MemoryError as error:
        assert str(8 * {n}**2) in str(error)
    else:
        raise AssertionError("no MemoryError")
in_child(work)
"""
    run(CHILD + code)
