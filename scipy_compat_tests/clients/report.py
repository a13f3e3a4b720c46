"""Runs the tests that a package brings along on SciPy, and by `python -m mlx_sparse` on this package, and compares.

    python scipy_compat_tests/clients/report.py pyamg [pytest arguments]

Counted is what passes on SciPy; the share of it that passes here is printed, and each test that does not.
"""

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def outcomes(client, arguments, runner):
    """Mapping of a test to the first line of its failure, None where it passed; and the seconds that all took."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.xml"
        command = [sys.executable, *runner, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"]
        command += ["--pyargs", client, "--junitxml", str(result), *arguments]
        begin = time.perf_counter()
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        seconds = time.perf_counter() - begin
        found = {}
        for case in ElementTree.parse(result).getroot().iter("testcase"):
            failed = [part for part in case if part.tag in ("failure", "error")]
            if not any(part.tag == "skipped" for part in case):
                name = f"{case.get('classname')}::{case.get('name')}"
                found[name] = (failed[0].get("message") or "").splitlines()[0] if failed else None
    return found, seconds


def main(client, *arguments):
    (reference, there), (got, here) = (outcomes(client, arguments, runner) for runner in ([], ["-m", "mlx_sparse"]))
    passing = [name for name, failure in reference.items() if failure is None]
    lost = {name: got.get(name, "not collected") for name in passing if got.get(name, "") is not None}
    for name, failure in lost.items():
        print(f"{name}: {failure[:200]}")
    kept = len(passing) - len(lost)
    share = f"{kept / len(passing):.1%}"
    print(f"{client}: {len(reference)} tests, {len(passing)} pass on SciPy, {kept} of these here ({share})")
    print(f"{there:.1f} s on SciPy, {here:.1f} s here")
    return int(kept < 0.98 * len(passing))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
