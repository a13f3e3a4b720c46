"""Every public name under mx.grad and mx.jvp: the right derivative, or an exception that says why; no silent zero."""

import pytest

import mlx_sparse as sp

from .functions import EXEMPT, FUNCTIONS, ZERO_FUNCTIONS, names
from .methods import MACHINERY, METHODS, ZERO
from .walk import CLASSES, outcomes, sparse

# Duplicates in any order, one dimension and three.
SPECIAL = ["csr_array:duplicates", "coo_array:duplicates", "csr_array:1", "coo_array:1", "dok_array:1", "coo_array:3"]


@pytest.fixture(autouse=True, params=["mlx", "numpy"])
def mode(request, device):
    """Both namespaces, in float64, which no GPU has."""
    if device == "gpu":
        pytest.skip("finite differences need float64")
    before, sp.runtime.dense_namespace = sp.runtime.dense_namespace, request.param
    yield request.param
    sp.runtime.dense_namespace = before


def public(cls):
    """Names of its own: methods, operators and attributes."""
    for name in dir(cls):
        hidden = name.startswith("_") and not name.startswith("__")
        if not hidden and getattr(cls, name, None) is not getattr(object, name, cls):
            yield name


def faults(calls, name, allowed):
    """What is wrong with derivatives of these calls, in lines; calls that do not work at all are passed over."""
    wrong, worked = [], 0
    for k, call in enumerate(calls):
        try:
            found = list(outcomes(call, name))
        except Exception:  # noqa: BLE001 - no such operation of this class
            continue
        worked += 1
        for of, look in found:
            try:
                outcome = look()
            except Exception as error:  # noqa: BLE001 - all faults of a class are shown at once
                wrong.append(f"call {k} in {of}: {type(error).__name__}: {str(error)[:200]}")
                continue
            if outcome == "zero" and not allowed and of != "values":
                wrong.append(f"call {k} in {of}: zero")
            if outcome == "zero" and not allowed and of == "values" and len(found) == 1:
                wrong.append(f"call {k}: zero")
    return wrong, worked


def works(call, name):
    try:
        for _ in outcomes(call, name):
            return True
    except Exception:  # noqa: BLE001 - no such operation of this class
        return False


@pytest.mark.parametrize("name", [*CLASSES, *SPECIAL])
def test_methods(name):
    wrong = []
    for method in sorted(set(public(type(sparse(name)))) - MACHINERY):
        assert method in METHODS, f"{method} has no entry in methods.py"
        wrong += [f"{method}: {x}" for x in faults(METHODS[method], name, method in ZERO)[0]]
    assert not wrong, "\n".join(wrong)


def test_functions():
    missing = names() - set(FUNCTIONS) - EXEMPT
    assert not missing, f"no entry in functions.py for {sorted(missing)}"
    wrong = []
    for name, calls in FUNCTIONS.items():
        if name not in names():  # of another release of SciPy
            continue
        found, worked = faults(calls, "csr_array", name in ZERO_FUNCTIONS)
        wrong += [f"{name}: {x}" for x in found]
        if worked < len(calls):
            wrong.append(f"{name}: {len(calls) - worked} calls do not work")
    assert not wrong, "\n".join(wrong)


def test_table_of_methods_works():
    """An entry of which no call works for any class is a mistake in the table."""
    exist = {method for name in CLASSES for method in public(type(sparse(name)))} & METHODS.keys()
    dead = {m for m in exist if not any(works(call, name) for name in CLASSES for call in METHODS[m])}
    assert dead == {"__rtruediv__"}  # which SciPy does not have either
