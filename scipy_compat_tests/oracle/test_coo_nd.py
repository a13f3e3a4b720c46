"""coo arrays of more than two dimensions, and changes of rank, against SciPy."""

import operator
import pickle

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse
from scipy_compat_tests.oracle.harness import numpy_mode, outcome, sweep, twin, values

DTYPES = ("float32", "int32", "complex64", "float64")
SHAPES = ((2, 3, 4), (3, 1, 2, 4), (1, 5, 1), (2, 0, 3))


def tensor(sp, shape, dtype="float32", seed=0, duplicates=True):
    """A coo array with unsorted entries, explicit zeros and duplicates."""
    rng = np.random.default_rng(seed)
    total = int(np.prod(shape))
    count = max(total // 2, 1) if total else 0
    flat = rng.integers(0, total, count) if duplicates and total else rng.permutation(total)[:count]
    data = values(rng.integers(-3, 4, count), dtype)
    coords = np.unravel_index(flat, shape) if total else tuple(np.zeros(0, int) for _ in shape)
    return sp.coo_array((data, coords), shape=shape)


def full(shape, dtype="float32", seed=1):
    rng = np.random.default_rng(seed)
    return values(rng.integers(-3, 4, shape), dtype)


def test_construction_and_attributes():
    sweep(lambda sp, shape, dtype: tensor(sp, shape, dtype), SHAPES, DTYPES)
    sweep(lambda sp, shape, dtype: sp.coo_array(full(shape, dtype)), SHAPES, DTYPES)
    sweep(lambda sp, shape: sp.coo_array(shape, dtype="int32"), SHAPES + ((7,), (1,) * 5))
    for what in ("ndim", "nnz", "size", "row", "col", "data", "dtype", "shape"):
        sweep(lambda sp, shape, what=what: getattr(tensor(sp, shape), what), SHAPES)
    sweep(lambda sp, shape: str(tensor(sp, shape)) + repr(tensor(sp, shape)), SHAPES)
    sweep(lambda sp, shape: tensor(sp, shape).nonzero(), SHAPES)
    twin(lambda sp: pickle.loads(pickle.dumps(tensor(sp, (2, 3, 4)))))


@pytest.mark.parametrize(
    "bad",
    [
        lambda sp: sp.coo_array(()),
        lambda sp: sp.coo_array(np.array(3.0)),
        lambda sp: sp.coo_array(np.ones((2, 2, 2)), shape=(2, 2, 3)),
        lambda sp: sp.coo_array(([1.0], ([0], [0], [5])), shape=(2, 2, 2)),
        lambda sp: sp.coo_array(([1.0], ([0], [0], [-1])), shape=(2, 2, 2)),
        lambda sp: sp.coo_array(([1.0], ([0], [0])), shape=(2, 2, 2)),
        lambda sp: sp.coo_array((2,) * 65),
        lambda sp: tensor(sp, (2, 3, 4)).tocsr(),
        lambda sp: tensor(sp, (2, 3, 4)).tocsc(),
        lambda sp: tensor(sp, (2, 3, 4)).diagonal(),
        lambda sp: tensor(sp, (2, 3, 4)).setdiag(1.0),
        lambda sp: tensor(sp, (2, 3, 4)).resize(2, 3),
        lambda sp: tensor(sp, (2, 3)).resize(2, 3, 4),
        lambda sp: tensor(sp, (2, 3, 4)).reshape(5, -1),
        lambda sp: tensor(sp, (2, 3, 4)).reshape(-1, -1),
        lambda sp: tensor(sp, (2, 3, 4)).reshape(),
        lambda sp: tensor(sp, (2, 3, 4)).transpose((0, 1)),
        lambda sp: tensor(sp, (2, 3, 4)).transpose((0, 1, 1)),
        lambda sp: tensor(sp, (2, 3, 4)).sum(3),
        lambda sp: tensor(sp, (2, 3, 4)).sum((0, 0)),
        lambda sp: tensor(sp, (2, 3, 4)) + tensor(sp, (3, 4)),
        lambda sp: tensor(sp, (2, 3, 4)) + np.ones((2, 3)),
        lambda sp: tensor(sp, (2, 3, 4)) * np.ones((1, 3, 4)),
        lambda sp: tensor(sp, (2, 3, 4)) * tensor(sp, (1, 3, 4)),
        lambda sp: tensor(sp, (2, 3, 4)) @ np.ones((3, 4)),
        lambda sp: tensor(sp, (2, 3, 4)) @ np.ones((3, 4, 2)),
        lambda sp: tensor(sp, (2, 3, 4)) @ tensor(sp, (3, 4, 2)),
        lambda sp: tensor(sp, (2, 3, 4)) @ 3,
        lambda sp: tensor(sp, (2, 3, 4)).dot(np.ones((3, 4))),
        lambda sp: tensor(sp, (2, 3, 4)).tensordot(np.ones((4, 2)), axes=3),
        lambda sp: tensor(sp, (2, 3, 4)).tensordot(np.ones((4, 2)), axes=([0, 1], [0])),
        lambda sp: tensor(sp, (2, 3, 4)).tensordot(np.ones((4, 2)), axes=([5], [0])),
        lambda sp: tensor(sp, (2, 3, 4)).tensordot(np.ones((4, 2)), axes="x"),
    ],
)
def test_errors(bad):
    assert isinstance(outcome(bad, mlx_sparse), Exception)
    twin(bad)


def test_reshape_and_axes():
    targets = ((24,), (4, 6), (6, 4), (2, 12), (4, 3, 2), (1, 2, 3, 4), (-1, 2), (2, 2, 3, 2))
    sweep(lambda sp, target, order: tensor(sp, (2, 3, 4)).reshape(target, order=order), targets, "CF")
    sweep(lambda sp, target, order: tensor(sp, (4, 6)).reshape(target, order=order), targets, "CF")
    sweep(lambda sp, fmt, order: tensor(sp, (4, 6)).asformat(fmt).reshape(8, 3, order=order), ("csr", "csc"), "CF")
    sweep(lambda sp, axes: tensor(sp, (2, 3, 4)).transpose(axes), ((0, 1, 2), (2, 0, 1), (-1, 0, 1), None))
    sweep(lambda sp, axis: sp.expand_dims(tensor(sp, (2, 3)), axis=axis), (0, 1, 2, -1, -3, 3, 1.5))
    sweep(lambda sp, a, b: sp.swapaxes(tensor(sp, (2, 3, 4)), a, b), (0, 1, -1, 3), (0, 2, -2))
    sweep(
        lambda sp, axes: sp.permute_dims(tensor(sp, (2, 3, 4)), axes), ((1, 2, 0), [2, 1, 0], None, (0, 1), (0, 0, 1))
    )


def test_reshape_of_a_long_array():
    shape, target = (70000, 70000, 3), (210000, 70000)

    def reshaped(sp):
        rng = np.random.default_rng(0)
        coords = tuple(rng.integers(0, n, 5000) for n in shape)
        return sp.coo_array((np.arange(5000.0), coords), shape=shape).reshape(target)

    reference, got = (reshaped(sp) for sp in (__import__("scipy.sparse").sparse, mlx_sparse))
    for a, b in zip(reference.coords, got.coords, strict=True):
        np.testing.assert_array_equal(a, np.asarray(b))


def test_resize():
    def resized(sp, fmt, shape):
        A = tensor(sp, (4, 6)).asformat(fmt)
        A.resize(*shape)
        return A

    shapes = ((4, 6), (2, 6), (4, 3), (2, 3), (5, 7), (6, 2), (1, 9), (0, 3), (3, 0))
    sweep(resized, ("coo", "csr", "csc"), shapes)

    def from_1d(sp, fmt, shape):
        A = tensor(sp, (12,)).asformat(fmt)
        A.resize(shape)
        return A

    sweep(from_1d, ("coo", "csr"), ((5,), (20,), 12))
    sweep(from_1d, ("coo",), ((3, 4), (4, 5)), index_dtype=False)
    sweep(resized, ("coo",), ((24,), (7,), (30,)))


def test_canonical_form():
    def summed(sp, shape, dtype):
        A = tensor(sp, shape, dtype)
        A.sum_duplicates()
        return A, A.data, A.coords, A.has_canonical_format

    sweep(summed, SHAPES, DTYPES, index_dtype=False)

    def without_zeros(sp, shape):
        A = tensor(sp, shape)
        A.eliminate_zeros()
        return A

    sweep(without_zeros, SHAPES)
    sweep(lambda sp, shape: tensor(sp, shape).count_nonzero(), SHAPES)
    for huge in ((2**33, 2**33), (2**33, 2**33, 2**33), (2**40, 5, 2**40)):

        def far(sp, huge=huge):
            coords = [np.array([n - 1, 0, n - 1, 3, 0]) for n in huge]
            A = sp.coo_array((np.array([1.0, 2.0, 3.0, 4.0, 5.0]), coords), shape=huge)
            A.sum_duplicates()
            return A.data, A.coords

        twin(far)


def test_count_along_axes():
    A = tensor(mlx_sparse, (2, 3, 4))
    dense = A.toarray()
    for axis in (0, 1, 2, -1, (0, 2), (0, 1, 2), None):
        np.testing.assert_array_equal(np.asarray(A.count_nonzero(axis)), np.count_nonzero(dense, axis=axis))


def test_sums():
    axes = (None, 0, 1, 2, -1, (0, 1), (0, 2), (2, 1), (0, 1, 2))
    for name in ("sum", "mean"):
        sweep(lambda sp, axis, dtype, name=name: getattr(tensor(sp, (2, 3, 4), dtype), name)(axis), axes, DTYPES)
    sweep(lambda sp, axis: tensor(sp, (2, 0, 3)).sum(axis), (0, 1, (0, 1)))
    twin(lambda sp: tensor(sp, (2, 3, 4)).sum(1, out=np.zeros((2, 4), "float32")))
    twin(lambda sp: tensor(sp, (2, 3, 4)).sum(1, out=np.zeros((2, 3), "float32")))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "eq", "ne", "lt", "ge"])
def test_operators(name):
    op = getattr(operator, name)
    for dtype in ("float32", "int32"):
        sweep(lambda sp, shape: op(tensor(sp, shape, dtype, 0), tensor(sp, shape, dtype, 5)), SHAPES)  # noqa: B023
        if name != "truediv":  # SciPy divides whatever duplicates stand there
            sweep(lambda sp, shape: op(tensor(sp, shape, dtype), full(shape, dtype)), SHAPES)  # noqa: B023
        # A quotient's cast sums duplicates in SciPy.
        sweep(lambda sp, shape, s: op(tensor(sp, shape, dtype), s), SHAPES, (0, 2, -1.5), nnz=False)  # noqa: B023
    if name in ("add", "sub"):
        twin(lambda sp: op(full((2, 3, 4)), tensor(sp, (2, 3, 4))))
        with numpy_mode():  # SciPy loses entries when it broadcasts here
            got = op(tensor(mlx_sparse, (2, 3, 4)), full((3, 4)))
        np.testing.assert_array_equal(got, op(tensor(mlx_sparse, (2, 3, 4)).toarray(), full((3, 4))))


def test_unary_and_extremes():
    for f in (abs, operator.neg, lambda A: A**2, lambda A: A.sqrt(), lambda A: A.astype("float64"), lambda A: A.conj()):
        sweep(lambda sp, shape, f=f: f(tensor(sp, shape)), SHAPES, nnz=False)
    for name in ("maximum", "minimum"):
        sweep(lambda sp, shape, n=name: getattr(tensor(sp, shape), n)(tensor(sp, shape, seed=7)), SHAPES)
        sweep(lambda sp, shape, n=name: getattr(tensor(sp, shape), n)(full(shape)), SHAPES)
        sweep(lambda sp, s, n=name: getattr(tensor(sp, (2, 3, 4)), n)(s), (0, 1, -1))


MATMULS = [
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((1, 3, 4), (6, 4, 2)),
    ((5, 1, 3, 4), (2, 4, 3)),
    ((6, 1, 2, 3), (1, 4, 3, 2)),
    ((3, 4), (2, 4, 5)),
    ((4,), (2, 4, 5)),
    ((2, 0, 4), (4, 3)),
    ((2, 3, 0), (0, 3)),
    ((2, 3, 0), (0,)),
]


def test_matmul():
    for a, b in MATMULS:
        for dtype in ("float32", "int32", "complex64"):
            twin(lambda sp: tensor(sp, a, dtype) @ full(b, dtype))  # noqa: B023
        twin(lambda sp: full(a) @ tensor(sp, b) if len(b) > 1 else 0)  # noqa: B023
        # SciPy's product keeps no explicit zeros' count that could be relied on.
        twin(lambda sp: tensor(sp, a) @ tensor(sp, b), index_dtype=False, nnz=False)  # noqa: B023
    twin(lambda sp: tensor(sp, (2, 3, 4)) @ [1, 2, 3, 4])


def test_dot_and_tensordot():
    pairs = [((2, 3, 4), (4,)), ((2, 3, 4), (5, 4, 2)), ((3, 4), (5, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4, 2))]
    for a, b in pairs:
        twin(lambda sp: tensor(sp, a).dot(full(b)))  # noqa: B023
        twin(lambda sp: tensor(sp, a).dot(tensor(sp, b)), index_dtype=False, nnz=False)  # noqa: B023
    cases = [
        ((2, 3, 4), (3, 4, 5), 2),
        ((2, 3, 4), (4, 5), 1),
        ((2, 3, 4), (2, 3, 4), 3),
        ((2, 3, 4), (4, 2, 5), ([0, 2], [1, 0])),
        ((2, 3, 4), (5, 3), ([1], [-1])),
        ((2, 3, 4), (4, 3, 2), ([0, 1, 2], [2, 1, 0])),
        ((4, 2), (3, 2, 4), ([0, 1], [2, 1])),
    ]
    for a, b, axes in cases:
        reference = np.tensordot(tensor(mlx_sparse, a).toarray(), full(b), axes=axes)
        got = tensor(mlx_sparse, a).tensordot(full(b), axes=axes)
        np.testing.assert_allclose(got, reference, rtol=1e-6)
        reference = np.tensordot(tensor(mlx_sparse, a).toarray(), tensor(mlx_sparse, b).toarray(), axes=axes)
        got = tensor(mlx_sparse, a).tensordot(tensor(mlx_sparse, b), axes=axes)
        np.testing.assert_allclose(got.toarray() if hasattr(got, "toarray") else np.asarray(got), reference, rtol=1e-6)


def test_mlx_namespace_stays_lazy_and_differentiable():
    A = tensor(mlx_sparse, (2, 3, 4))
    dense = mx.array(A.toarray())
    x = mx.array(full((2, 4, 3)))
    w = mx.array(full((2, 3, 3), seed=9))
    for sparse_f, dense_f in (
        (lambda B, x: B @ x, lambda B, x: B @ x),
        (lambda B, x: B.tensordot(x, axes=([0, 2], [0, 1])), lambda B, x: mx.tensordot(B, x, [[0, 2], [0, 1]])),
        (lambda B, x: (B + B).sum(1), lambda B, x: (B + B).sum(1)),
        (lambda B, x: B.multiply(dense).sum((0, 2)), lambda B, x: (B * dense).sum((0, 2))),
        (lambda B, x: B.todense(), lambda B, x: B),
    ):
        shape = dense_f(dense, x).shape
        weight = w if shape == w.shape else mx.ones(shape)

        def loss(v, x, f=sparse_f, weight=weight):
            return (f(A.with_data(v), x) * weight).sum()

        def dense_loss(B, x, f=dense_f, weight=weight):
            return (f(B, x) * weight).sum()

        y = sparse_f(A, x)
        assert isinstance(y, mx.array)
        np.testing.assert_allclose(np.array(y), np.array(dense_f(dense, x)), rtol=1e-5, atol=1e-5)
        expected = np.array(mx.grad(dense_loss)(dense, x))[tuple(np.asarray(c) for c in A.coords)]
        np.testing.assert_allclose(np.array(mx.grad(loss)(A.data, x)), expected, rtol=1e-5, atol=1e-5)
        got = np.array(mx.compile(loss)(A.data, x))
        np.testing.assert_allclose(got, np.array(dense_loss(dense, x)), rtol=1e-5, atol=1e-4)
    with pytest.raises(TypeError, match="dtype"):
        A @ mx.ones(4, dtype=mx.float16)
