"""Runs the tests that packages bring along on SciPy, and by `python -m mlx_sparse` on this package, and compares.

    python scipy_compat_tests/clients/report.py                     every package of `CLIENTS` that is installed
    python scipy_compat_tests/clients/report.py pyamg [arguments]   one of them; pytest gets the arguments
    python scipy_compat_tests/clients/report.py path/to/tests       tests that a package does not install

Counted is what passes on SciPy; the share of it that passes here is printed, and each test that does not. Seconds are
processor time of all threads, start and imports included.
"""

import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# What of a package has to do with sparse arrays, as pytest is to find it.
CLIENTS = {
    "networkx": ["networkx"],
    "pyamg": ["pyamg"],
    "scikit-network": ["sknetwork"],
    "pandas": ["pandas.tests.arrays.sparse"],
    "scikit-learn": [
        "sklearn.feature_extraction",
        "sklearn.preprocessing",
        "sklearn.cluster.tests.test_spectral",
        "sklearn.manifold.tests.test_spectral_embedding",
    ],
    "cvxpy": ["cvxpy.tests"],
}
LEAST, MOST = 0.98, 1.1  # share of the tests, and of SciPy's seconds


def outcomes(tests, arguments, runner):
    """Mapping of a test to the first line of its failure, None where it passed; and the seconds that all took."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.xml"
        command = [sys.executable, *runner, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"]
        command += ["--pyargs", *tests, "--junitxml", str(result), *arguments]
        begin = _seconds()
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        seconds = _seconds() - begin
        found = {}
        for case in ElementTree.parse(result).getroot().iter("testcase"):
            failed = [part for part in case if part.tag in ("failure", "error")]
            if not any(part.tag == "skipped" for part in case):
                name = f"{case.get('classname')}::{case.get('name')}"
                found[name] = ((failed[0].get("message") or "").splitlines() or [""])[0] if failed else None
    return found, seconds


def _seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(client, tests, arguments):
    """Print what was lost, and a row of the table; whether that is as it should be."""
    (reference, there), (got, here) = (outcomes(tests, arguments, runner) for runner in ([], ["-m", "mlx_sparse"]))
    passing = [name for name, failure in reference.items() if failure is None]
    lost = {name: got.get(name, "not collected") for name in passing if got.get(name, "") is not None}
    for name, failure in lost.items():
        print(f"    {name}: {failure[:200]}")
    kept = len(passing) - len(lost)
    share, cost = kept / max(1, len(passing)), here / there
    print(f"{client:<16}{len(passing):>7}{kept:>7}{share:>8.1%}{there:>9.1f}{here:>9.1f}{cost:>7.2f}", flush=True)
    return bool(passing) and share >= LEAST and cost <= MOST


def main(*words):
    tests = {name: found for name, found in CLIENTS.items() if importlib.util.find_spec(found[0].partition(".")[0])}
    if words:
        here = words[0] if not os.path.exists(words[0]) else os.path.abspath(words[0])
        tests = {os.path.basename(here): CLIENTS.get(here, [here])}
    print(f"{'client':<16}{'SciPy':>7}{'here':>7}{'share':>8}{'s SciPy':>9}{'s here':>9}{'ratio':>7}")
    return int(not all([compare(name, found, words[1:]) for name, found in tests.items()]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
