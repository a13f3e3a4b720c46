"""Other threads of Python go on while an operation runs, and cannot change what it works on."""

import pytest

from scipy_compat_tests.native.children import run
from scipy_compat_tests.native.test_interrupts import WORK

TICKER = """
def longest_pause(work):
    \"\"\"(longest time that another thread stood still, time of the work)\"\"\"
    pauses, going = [], [True]
    def tick():
        last = time.perf_counter()
        while going[0]:
            time.sleep(0.001)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now
    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.05)
    pauses.clear()
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    going[0] = False
    thread.join()
    return max(pauses), took
"""

LONG = [
    "A @ X",
    "A[rows]",
    "A[i, j]",
    "sum_duplicates",
    "csr_array(dense)",
    "spsolve_triangular",
    "dijkstra",
    "cholesky",
]


@pytest.mark.parametrize("name", LONG)
def test_other_threads_go_on(name, device):
    setup, work = WORK[name if device == "cpu" else "sum_duplicates"]
    code = TICKER + f"{setup}\nprint(*longest_pause(lambda: ({work})))"
    pause, took = map(float, run(code, device).split())
    assert pause < 0.1 + 0.4 * took


def test_other_threads_go_on_in_a_product(device):
    code = TICKER + "A = random_csr(20000, 30)\nprint(*longest_pause(lambda: A @ A))"
    pause, took = map(float, run(code, device).split())
    assert pause < 0.1 + 0.3 * took


def test_other_threads_have_turns_while_lists_are_filled():
    code = (
        TICKER
        + """
L = sp.lil_array((3000, 3000))
i, j = np.random.default_rng(0).integers(0, 3000, (2, 800_000))
x = np.ones(i.size)
print(*longest_pause(lambda: L.__setitem__((i, j), x)))
"""
    )
    pause, took = map(float, run(code).split())
    assert pause < 0.2 + 0.4 * took


def test_an_operand_that_another_thread_changes_is_kept(device):
    code = """
A = random_csr(5000, 40)
want = np.array((A @ A).data)
going, changed = [True], [0]
def change():
    while going[0]:
        A.data = A.data * 1.0  # another buffer of the same values in its place
        A.indices = np.array(A.indices)
        changed[0] += 1
thread = threading.Thread(target=change, daemon=True)
thread.start()
for _ in range(4):
    before = changed[0]
    assert np.array_equal((A @ A).data, want)
    while changed[0] == before:
        assert thread.is_alive()
going[0] = False
thread.join()
"""
    run(code, device)
