"""The switch behind `--device shader-reversed` turns round the order in which a group's lanes run."""

import mlx.core as mx
import pytest

import mlx_sparse as sp


@pytest.fixture
def set_reverse_lanes(request):
    yield sp._native.set_reverse_lanes
    sp._native.set_reverse_lanes(request.config.getoption("reverse_lanes", False))


def test_order_of_atomic_additions(set_reverse_lanes):
    # The one shader whose result may depend on it: each lane adds its product, and float32 sums depend on their order.
    a = mx.array([1e8, -1e8, 1.0]).reshape(3, 1, 1, 1)
    b = mx.ones((3, 1, 1))

    def total():
        y = sp.indexed.sparse_matrix_vector_multiplication_reduction(
            a, None, b, None, [0, 0, 0], 1, reduction="atomic", stream=mx.cpu
        )
        return y.item()

    with sp.runtime.context(executor="shader"):
        set_reverse_lanes(False)
        assert total() == 1.0
        set_reverse_lanes(True)
        assert total() == 0.0
