"""Applies the ledgers to SciPy's own tests. See `ledger` for their format."""

import pytest

from scipy_compat_tests.upstream import ledger, loader, reach

# Marks that SciPy's configuration defines.
_MARKS = (
    *("slow", "xslow", "fail_slow", "thread_unsafe", "xfail_on_32bit", "parallel_threads_limit", "timeout"),
    *("skip_xp_backends", "xfail_xp_backends"),
)

if not loader.supported():
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config):
    for name in _MARKS:
        config.addinivalue_line("markers", f"{name}: SciPy's own mark")


def _upstream(item):
    return getattr(getattr(item, "function", None), "__module__", "").startswith("upstream_")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    kept, foreign = [], []
    for item in items:
        (kept if not _upstream(item) or reach.item_reaches(item) else foreign).append(item)
    if foreign:
        config.hook.pytest_deselected(items=foreign)
    items[:] = kept
    failing = ledger.for_device(config.getoption("--device"))
    inapplicable = ledger.Ledger("not_applicable")
    config.stash[ledger.COLLECTED] = ids = [ledger.short_id(item.nodeid) for item in kept if _upstream(item)]
    by_id = dict(zip(ids, (item for item in kept if _upstream(item)), strict=True))
    for test, item in by_id.items():
        if (reason := inapplicable.reason(test)) is not None:
            item.add_marker(pytest.mark.skip(reason=f"not applicable: {reason}"))
        elif item.get_closest_marker("xslow"):
            item.add_marker(pytest.mark.skip(reason="extremely slow, as SciPy marks it"))
        elif (reason := failing.reason(test)) is not None:
            runs = not reason.startswith(ledger.CRASH)
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason, run=runs))


@pytest.fixture
def xp():
    """The array library of tests that SciPy runs over several."""
    from scipy._lib._array_api import np_compat

    return np_compat


@pytest.fixture
def num_parallel_threads():
    """What SciPy's plugin for tests in several threads says where it is not asked for any."""
    return 1


@pytest.fixture(autouse=True)
def _numpy_mode(request):
    error = getattr(request.cls, "upstream_init_error", None)
    if error is not None:
        raise error
    with loader.numpy_mode():
        yield
