"""Random arrays: the same draws as SciPy, a uniform distribution, and no memory for what is not drawn."""

import resource

import numpy as np
import pytest
import scipy.stats

import mlx_sparse
from scipy_compat_tests.oracle.harness import sweep, twin

SHAPES = ((5,), (7, 3), (0, 4), (3, 4, 5), (1, 2, 3, 4))
DTYPES = (None, "float32", "complex64", "int32", "int8", "uint16", "bool")


def test_same_draws_as_scipy():
    sweep(lambda sp, s, t: sp.random_array(s, density=0.3, dtype=t, rng=5), SHAPES, DTYPES)
    sweep(lambda sp, s, t: sp.random_array(s, density=0.3, dtype=t, random_state=5), SHAPES, DTYPES)
    sweep(lambda sp, f: sp.random_array((6, 5), density=0.5, format=f, rng=np.random.default_rng(3)), ("coo", "csr"))
    sweep(lambda sp, d: sp.random_array((6, 5), density=d, random_state=np.random.RandomState(1)), (0, 0.5, 1, 1.5, -1))

    def sampled(sp):
        rng = np.random.default_rng(8)
        return sp.random_array((6, 5), density=0.4, rng=rng, data_sampler=lambda size: rng.poisson(3, size))

    twin(sampled)
    twin(lambda sp: sp.random(6, 5, 0.4, random_state=2, data_rvs=np.ones).toarray())
    twin(lambda sp: sp.rand(6, 5, 0.4, rng=2).toarray())

    def from_the_global_state(sp):
        np.random.seed(11)  # noqa: NPY002
        return sp.random_array((6, 5), density=0.4)

    twin(from_the_global_state)
    twin(lambda sp: sp.random_array((6, 5), rng=1, random_state=1))
    twin(lambda sp: sp.random_array((6, 5), random_state="seed"))


@pytest.mark.parametrize("shape", [(6, 7), (3, 4, 5), (50,)])
def test_positions_are_uniform(shape):
    counts = np.zeros(shape)
    rng = np.random.default_rng(42)
    for _ in range(1500):
        A = mlx_sparse.random_array(shape, density=0.2, rng=rng)
        found = np.zeros(shape)
        np.add.at(found, tuple(np.asarray(c) for c in A.coords), 1)
        assert found.max() == 1
        counts += found
    # Draws without replacement spread less than independent ones: the statistic has (1 - density) times the variance.
    expected = counts.sum() / counts.size
    statistic = ((counts - expected) ** 2 / expected).sum() / (1 - 0.2)
    assert 1e-4 < scipy.stats.chi2.sf(statistic, counts.size - 1) < 1 - 1e-4


@pytest.mark.parametrize("state", [{"rng": 1}, {"random_state": 1}, {"random_state": np.random.RandomState(4)}])
def test_a_large_shape_costs_what_is_drawn(state):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    A = mlx_sparse.random_array((200_000, 200_000), density=2.5e-7, **state)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB: the shape has 4e10 cells
    row, col = (np.asarray(c).astype(np.int64) for c in A.coords)
    assert A.nnz == 10_000 and np.unique(row * 200_000 + col).size == 10_000
    assert abs(row.mean() / 200_000 - 0.5) < 0.02 and abs(col.mean() / 200_000 - 0.5) < 0.02
