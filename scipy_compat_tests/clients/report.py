"""Runs the tests that a package brings along on SciPy's sparse arrays and on this package's, and compares.

    python scipy_compat_tests/clients/report.py pyamg [pytest arguments]

Counted is what passes on SciPy; the share of it that passes here is printed, and each test that does not.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent


def outcomes(client, arguments, stand_in):
    """Mapping of a test to the first line of its failure; None where it passed."""
    environment = {**os.environ, "MLX_SPARSE_CLIENT": client, "MLX_SPARSE_DENSE_NAMESPACE": "numpy"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [environment.get("PYTHONPATH")])])
    plugin = ["-p", "stand_in"] if stand_in else []
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", *plugin]
        command += ["--pyargs", client, "--junitxml", str(result), *arguments]
        subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        found = {}
        for case in ElementTree.parse(result).getroot().iter("testcase"):
            failed = [part for part in case if part.tag in ("failure", "error")]
            if not any(part.tag == "skipped" for part in case):
                name = f"{case.get('classname')}::{case.get('name')}"
                found[name] = (failed[0].get("message") or "").splitlines()[0] if failed else None
    return found


def main(client, *arguments):
    reference, got = (outcomes(client, arguments, stand_in) for stand_in in (False, True))
    passing = [name for name, failure in reference.items() if failure is None]
    lost = {name: got.get(name, "not collected") for name in passing if got.get(name, "") is not None}
    for name, failure in lost.items():
        print(f"{name}: {failure[:200]}")
    kept = len(passing) - len(lost)
    share = f"{kept / len(passing):.1%}"
    print(f"{client}: {len(reference)} tests, {len(passing)} pass on SciPy, {kept} of these here ({share})")
    return int(kept < 0.98 * len(passing))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
