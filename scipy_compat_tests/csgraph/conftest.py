import pytest

import mlx_sparse as sp


@pytest.fixture(params=["mlx", "numpy"])
def namespace(request):
    with sp.runtime.context(dense_namespace=request.param):
        yield request.param
