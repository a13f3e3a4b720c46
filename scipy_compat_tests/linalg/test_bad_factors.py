"""What every factorisation refuses, with SciPy's exceptions where SciPy has the factorisation."""

from functools import partial

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse.linalg
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse.linalg import cholesky, factorized, ichol0, ilu0, sparse_lu, spilu, splu

OWN = {"cholesky": cholesky, "ldl": partial(cholesky, method="ldl"), "ilu0": ilu0, "ichol0": ichol0}
SUPERLU = {"splu": splu, "spilu": spilu, "sparse_lu": sparse_lu, "factorized": factorized}
FACTORS = OWN | SUPERLU
SINGULAR = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 2.0]])


def solver(name, A):
    made = FACTORS[name](A)
    return made if name == "factorized" else made.solve


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (0, 1)])
def test_not_square(name, shape):
    with pytest.raises(ValueError, match="square"):
        FACTORS[name](sp.csc_array(shape))


@pytest.mark.parametrize("name", FACTORS)
def test_structurally_singular(name, dtype):
    A = sp.csc_array(SINGULAR.astype(dtype))
    error = LinAlgError if name in OWN else RuntimeError
    with pytest.raises(error, match="singular|not positive definite|row 1"):
        solver(name, A)(np.ones(3, dtype))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 1)])
def test_values_that_are_not_finite(name, value, place):
    dense = np.array([[4.0, 1.0], [1.0, 3.0]])
    dense[place] = value
    with pytest.raises((ValueError, LinAlgError), match="infs or NaNs|not finite|not positive"):
        FACTORS[name](sp.csc_array(dense))


@pytest.mark.parametrize("name", ["splu", "spilu"])
def test_superlu_takes_nan_as_scipys(name):
    dense = np.array([[np.nan, 0.0], [0.0, 1.0]])
    for make, A in ((FACTORS[name], sp.csc_array), (getattr(scipy.sparse.linalg, name), scipy.sparse.csc_array)):
        with pytest.raises(RuntimeError, match="singular"):
            make(A(dense))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("columns", [None, 0, 2])
def test_empty(name, columns, dtype):
    shape = (0,) if columns is None else (0, columns)
    x = solver(name, sp.csc_array((0, 0), dtype=dtype))(np.ones(shape, dtype))
    assert x.shape == shape and x.dtype == np.dtype(dtype)


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("shape", [(), (2,), (4,), (2, 3), (4, 1), (3, 2, 2)])
@pytest.mark.parametrize("ones", [np.ones, mx.ones])
def test_right_hand_sides_of_other_shapes(name, shape, ones):
    solve = solver(name, sp.eye_array(3, format="csc", dtype=np.float32))
    with pytest.raises(ValueError, match="."):
        solve(ones(shape, dtype=np.float32 if ones is np.ones else mx.float32))


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("other", [mx.int32, mx.bool_, mx.float16, mx.complex64])
def test_right_hand_sides_of_other_dtypes(name, other):
    solve = solver(name, sp.eye_array(3, format="csc", dtype=np.float32))
    with pytest.raises(TypeError, match="dtype"):
        solve(mx.ones(3).astype(other))


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("given", [bool, np.int64])
def test_integers_are_factored_as_numbers(name, given):
    A = sp.csc_array(np.diag([1, 1, 1]).astype(given))
    x = solver(name, A)(np.array([1, 2, 3], np.float32 if given is bool else np.float64))
    np.testing.assert_allclose(x, [1, 2, 3], rtol=1e-6)
