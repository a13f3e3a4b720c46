"""Operators made of functions with parameters: of which solutions, products and exponentials are differentiable."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_sparse import linalg
from mlx_sparse.linalg import LinearOperator, aslinearoperator

from .systems import NAMESPACES, as_namespace, check_namespace, general, hermitian, ours, vector


def damped(v, model, scale):
    return model["weights"] * v + scale * model["mix"][0] * mx.sum(v) + 0.1 * mx.roll(v, 1)


def cubes(x):
    return mx.sum(x * x * x)


def test_parameters_of_functions(device):
    """A tree of them, against finite differences; of solutions, products and exponentials, in every combination."""
    dtype, bound, step = (mx.float32, 2e-2, 1e-2) if device == "gpu" else (mx.float64, 1e-6, 1e-5)
    n, rng = 7, np.random.default_rng(0)
    b = mx.array(rng.standard_normal(n), dtype=dtype)
    at = [mx.array(v, dtype=dtype) for v in (rng.uniform(2, 3, n), rng.uniform(0.1, 0.2, 1), np.array(0.5))]
    S = ours(general(n, "f")).astype(dtype)
    rtol = 1e-6 if device == "gpu" else 1e-13

    def operator(weights, mix, scale):
        params = ({"weights": weights, "mix": [mix, 3]}, scale)
        return LinearOperator((n, n), damped, dtype=np.asarray(b).dtype, params=params)

    functions = (
        lambda *p: linalg.bicgstab(operator(*p), b, rtol=rtol)[0],
        lambda *p: linalg.bicg(operator(*p).H, b, rtol=rtol)[0],
        lambda *p: linalg.gmres(operator(*p) + aslinearoperator(S), b, rtol=rtol)[0],
        lambda *p: linalg.lsqr(p[2] * operator(*p) @ operator(*p).T, b, 0.1, rtol, rtol, 0.0, 200)[0],
        lambda *p: linalg.expm_multiply(operator(*p), b, traceA=0.0),
        lambda *p: operator(*p) @ b,
        lambda *p: operator(*p).H @ b,
    )
    for f in functions:
        found = mx.grad(lambda *p, f=f: cubes(f(*p)), argnums=(0, 1, 2))(*at)
        for k, mine in enumerate(found):
            assert mine.shape == at[k].shape
            for i in range(at[k].size):
                change = mx.array(step * (np.arange(at[k].size) == i).reshape(at[k].shape), dtype=dtype)
                ends = [f(*(p + s * change if j == k else p for j, p in enumerate(at))) for s in (1, -1)]
                expected = sum(s * cubes(x).item() for s, x in zip((1, -1), ends, strict=True)) / (2 * step)
                assert abs(np.asarray(mine).ravel()[i] - expected) < bound * max(1, abs(expected))


def test_functions_with_parameters_take_mlx_arrays():
    def product(v, weights):
        assert type(v) is mx.array
        return weights * v

    weights = mx.array([1.0, 2.0, 4.0])
    A = LinearOperator((3, 3), product, params=(weights,))
    assert A.dtype == np.float32
    for namespace in NAMESPACES:
        b = as_namespace(np.ones(3, "f"), namespace)
        for y in (A @ b, A.H @ b, b @ A):
            check_namespace(y, namespace)
            np.testing.assert_array_equal(np.asarray(y), [1, 2, 4])
        x, info = linalg.bicg(A, b)
        check_namespace(x, namespace)
        assert info == 0
        np.testing.assert_allclose(np.asarray(x), [1, 0.5, 0.25], rtol=1e-5)
    X = A.rmatmat(mx.ones((3, 2)))
    np.testing.assert_array_equal(np.asarray(X), np.outer([1, 2, 4], [1, 1]))
    with pytest.raises(TypeError, match="params must be a tuple"):
        LinearOperator((3, 3), product, params=weights)
    with pytest.raises(ValueError, match="params"):
        LinearOperator((3, 3), product, xp=np, params=(weights,))
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda w: mx.sum(mx.array(linalg.cg(of(w), np.ones(3, "f"))[0])))(weights)
    for solve in (linalg.cg, linalg.bicg):  # what is not among them
        with pytest.raises(ValueError, match="closes over"):
            mx.grad(lambda s, solve=solve: mx.sum(solve(of(weights, s), mx.ones(3))[0]))(mx.array(2.0))


def of(weights, scale=1):
    product = lambda v, w: scale * w * v  # noqa: E731
    return LinearOperator((3, 3), product, dtype=np.float32, params=(weights,))


def test_complex_parameters():
    """In MLX's convention, against the dense matrix."""
    M = mx.array(general(6, "F").toarray())
    b = mx.array(vector(6, "F"))

    def loss(make):
        return lambda M: mx.sum(mx.sin(mx.real(linalg.bicg(make(M), b, rtol=1e-6)[0])))

    made = lambda M: LinearOperator((6, 6), lambda v, M: M @ v, dtype=np.complex64, params=(M,))  # noqa: E731
    found, expected = (mx.grad(loss(make))(M) for make in (made, lambda M: M))
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_solutions_are_differentiable_in_a_scalar_factor():
    A, b, factor = ours(hermitian(40, "f")), mx.array(vector(40, "f")), mx.array(2.0)
    found = mx.grad(lambda s: mx.sum(mx.sin(linalg.cg(s * aslinearoperator(A), b, rtol=1e-7)[0])))(factor)
    x = linalg.cg(A, b, rtol=1e-7)[0] / 2
    np.testing.assert_allclose(found.item(), mx.sum(mx.cos(x) * -x / 2).item(), rtol=1e-4)
