"""Values stay differentiable, with the structure fixed, through operations that find the structure of their result."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

M, N = 6, 8
FORMATS = ("csr", "csc", "coo")
CASES = ("canonical", "unsorted", "duplicates")
S = np.s_


def make(fmt, case="canonical", dtype=mx.float32, seed=1, shape=(M, N)):
    """An array whose entries stand as `case` says."""
    rng = np.random.default_rng(seed)
    m, n = shape
    where = np.flatnonzero(rng.random(m * n) < 0.4)
    if case != "canonical":
        rng.shuffle(where)
    if case == "duplicates":
        where = np.concatenate([where, where[::2], where[:3]])
    values = rng.standard_normal(where.size) * (1 + 0.5j if dtype == mx.complex64 else 1)
    row, col = np.divmod(where, n)
    if fmt == "coo":
        return sp.coo_array((values, (row, col)), shape=shape, dtype=dtype)
    major, minor, count = (row, col, m) if fmt == "csr" else (col, row, n)
    order = np.argsort(major, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=count))])
    return getattr(sp, f"{fmt}_array")((values[order], minor[order], indptr), shape=shape, dtype=dtype)


def dense_of(A, v):
    """Dense MLX form of A with values v, duplicates summed: plain MLX matmuls with one-hot rows and columns."""
    if A.format == "dia":
        k, length = np.asarray(A.offsets), v.shape[1]
        col = np.broadcast_to(np.arange(length), (len(k), length)).ravel()
        row = (np.arange(length) - k[:, None]).ravel()
    else:
        coo = A.tocoo()
        row, col = np.asarray(coo.row), np.asarray(coo.col)
    inside = np.flatnonzero((row >= 0) & (row < A.shape[0]) & (col < A.shape[1]))
    R, C = (np.zeros((row.size, n), np.float32) for n in A.shape)
    R[inside, row[inside]] = C[inside, col[inside]] = 1
    R, C = (mx.array(x).astype(v.dtype) for x in (R, C))
    return R.T @ (mx.reshape(v, (-1, 1)) * C)


def draw(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    x = x + 1j * rng.standard_normal(shape) if dtype == mx.complex64 else x
    return mx.array(x.astype(np.complex64 if dtype == mx.complex64 else np.float64), dtype=dtype)


def close(a, b, tol=1e-4):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def in_place(method):
    def apply(A):
        getattr(A, method)()
        return A

    return apply


def block_diagonal(X, Y):
    return mx.concatenate([mx.pad(X, [(0, 0), (0, N)]), mx.pad(Y, [(0, 0), (N, 0)])])


ROWS, COLUMNS = [3, 0, 3, 5], [7, 2, 2, 0]
MASK = np.arange(N) % 3 == 0
# name -> (of sparse arrays, the same of dense ones)
ONE = {
    "rows": (lambda A: A[1:4], lambda X: X[1:4]),
    "every second row, backward": (lambda A: A[::-2], lambda X: X[::-2]),
    "list of rows": (lambda A: A[ROWS], lambda X: X[mx.array(ROWS)]),
    "columns": (lambda A: A[:, 2:7], lambda X: X[:, 2:7]),
    "every third column, backward": (lambda A: A[:, ::-3], lambda X: X[:, ::-3]),
    "list of columns": (lambda A: A[:, COLUMNS], lambda X: X[:, mx.array(COLUMNS)]),
    "mask of columns": (lambda A: A[:, MASK], lambda X: X[:, mx.array(np.flatnonzero(MASK))]),
    "pairs": (lambda A: A[ROWS, COLUMNS], lambda X: X[mx.array(ROWS), mx.array(COLUMNS)]),
    "grid of pairs": (
        lambda A: A[[ROWS, ROWS], [COLUMNS, COLUMNS[::-1]]],
        lambda X: X[mx.array([ROWS, ROWS]), mx.array([COLUMNS, COLUMNS[::-1]])],
    ),
    "row": (lambda A: A[2], lambda X: X[2]),
    "column": (lambda A: A[:, 3], lambda X: X[:, 3]),
    "element": (lambda A: A[2, 3], lambda X: X[2, 3]),
    "no columns": (lambda A: A[:, 4:4], lambda X: X[:, 4:4]),
    "no rows": (lambda A: A[[]], lambda X: X[:0]),
    "sum_duplicates": (in_place("sum_duplicates"), lambda X: X),
    "tocsr": (lambda A: A.tocsr(), lambda X: X),
    "tocsc": (lambda A: A.tocsc(), lambda X: X),
    "tocoo": (lambda A: A.tocoo(), lambda X: X),
    "tobsr": (lambda A: A.tobsr(blocksize=(2, 4)), lambda X: X),
    "todia": (lambda A: A.todia(), lambda X: X),
    "tolil": (lambda A: A.tolil().tocsr(), lambda X: X),
    "todok": (lambda A: A.todok().tocoo(), lambda X: X),
    "scaled lists": (lambda A: (-(A.tolil().T / 4) * 2).tocsc(), lambda X: -X.T / 2),
    "scaled dictionary": (lambda A: (-(A.todok().T / 4) * 2).tocsc(), lambda X: -X.T / 2),
    "transpose": (lambda A: A.T, lambda X: X.T),
    "tril": (lambda A: sp.tril(A, 1), lambda X: mx.tril(X, 1)),
    "triu": (lambda A: sp.triu(A, -1), lambda X: mx.triu(X, -1)),
    "reshape": (lambda A: A.reshape((4, 12)), lambda X: X.reshape(4, 12)),
    "maximum with a number": (lambda A: A.maximum(-0.3), lambda X: mx.maximum(X, -0.3)),
    "minimum with a number": (lambda A: A.minimum(0.3), lambda X: mx.minimum(X, 0.3)),
    "maximum that is dense": (lambda A: A.maximum(0.3), lambda X: mx.maximum(X, 0.3)),
    "minimum that is dense": (lambda A: A.minimum(-0.3), lambda X: mx.minimum(X, -0.3)),
    "square of the array": (lambda A: A.T @ A, lambda X: X.T @ X),
}
TWO = {
    "plus": (lambda A, B: A + B, lambda X, Y: X + Y),
    "minus": (lambda A, B: A - B, lambda X, Y: X - Y),
    "multiply": (lambda A, B: A.multiply(B), lambda X, Y: X * Y),
    "maximum": (lambda A, B: A.maximum(B), mx.maximum),
    "minimum": (lambda A, B: A.minimum(B), mx.minimum),
    "matmul": (lambda A, B: A @ B.T, lambda X, Y: X @ Y.T),
    "multiply by a row": (lambda A, B: A.multiply(B[1:2]), lambda X, Y: X * Y[1:2]),
    "multiply by a column": (lambda A, B: A.multiply(B[:, 2:3]), lambda X, Y: X * Y[:, 2:3]),
    "multiply by one element": (lambda A, B: A.multiply(B[1:2, 1:2]), lambda X, Y: X * Y[1:2, 1:2]),
    "vstack": (lambda A, B: sp.vstack([A, B]), lambda X, Y: mx.concatenate([X, Y])),
    "hstack": (lambda A, B: sp.hstack([A, B]), lambda X, Y: mx.concatenate([X, Y], axis=1)),
    "block_array": (lambda A, B: sp.block_array([[A, None], [None, B]]), block_diagonal),
    "block_diag": (lambda A, B: sp.block_diag([A, B]), block_diagonal),
    "kron": (lambda A, B: sp.kron(A[:2], B[:, :3]), lambda X, Y: mx.kron(X[:2], Y[:, :3])),
    "chain": (
        lambda A, B: ((A + B)[:, ::2] @ A.T[::2]).multiply(sp.vstack([B, A])[3:9, :6]),
        lambda X, Y: ((X + Y)[:, ::2] @ X.T[::2]) * mx.concatenate([Y, X])[3:9, :6],
    ),
}
UNORDERED = {name for name in (*ONE, *TWO) if name.startswith(("maximum", "minimum"))}  # not of complex numbers


def dense(found):
    return found.todense() if isinstance(found, sp.sparray) else found


def compare(ours, theirs, values, dtype):
    """Values, vjp and jvp of two functions of the same arrays."""
    y = theirs(*values)
    close(ours(*values), y)
    g = draw(y.shape, dtype, 5)
    for a, b in zip(mx.vjp(ours, values, [g])[1], mx.vjp(theirs, values, [g])[1], strict=True):
        close(a, b)
    rates = [draw(v.shape, dtype, 6 + k) for k, v in enumerate(values)]
    close(mx.jvp(ours, values, rates)[1][0], mx.jvp(theirs, values, rates)[1][0])


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_of_one_array(name, fmt, case):
    sparse, plain = ONE[name]
    A = make(fmt, case)
    compare(lambda v: dense(sparse(A.with_data(v))), lambda v: plain(dense_of(A, v)), [A.data], mx.float32)


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_of_two_arrays(name, fmt, case):
    sparse, plain = TWO[name]
    A, B = make(fmt, case), make(fmt, case, seed=2)
    compare(
        lambda v, w: dense(sparse(A.with_data(v), B.with_data(w))),
        lambda v, w: plain(dense_of(A, v), dense_of(B, w)),
        [A.data, B.data],
        mx.float32,
    )


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, mx.float64) for n in (*ONE, *TWO)] + [(n, mx.complex64) for n in (*ONE, *TWO) if n not in UNORDERED],
    ids=str,
)
def test_other_dtypes(name, dtype, device):
    if dtype == mx.float64 and device == "gpu":
        pytest.skip("float64 exists on the CPU alone")
    formats = ("csr", "coo") if name in TWO else ("csc",)
    arrays = [make(fmt, "duplicates", dtype, seed) for seed, fmt in enumerate(formats, 1)]
    sparse, plain = {**ONE, **TWO}[name]
    compare(
        lambda *v: dense(sparse(*(A.with_data(x) for A, x in zip(arrays, v, strict=True)))),
        lambda *v: plain(*(dense_of(A, x) for A, x in zip(arrays, v, strict=True))),
        [A.data for A in arrays],
        dtype,
    )


def blocks(seed):
    rng = np.random.default_rng(seed)
    indices = np.array([1, 0, 1, 3, 1, 1]) if seed == 1 else np.array([0, 2, 3, 3, 1, 0])
    return sp.bsr_array((rng.standard_normal((6, 2, 2)), indices, [0, 3, 4, 6]), shape=(M, N), dtype=mx.float32)


def diagonals(seed):
    offsets = [0, 3, -2] if seed == 1 else [-2, 1, 0, 7]
    data = np.random.default_rng(seed).standard_normal((len(offsets), N))
    return sp.dia_array((data, offsets), shape=(M, N), dtype=mx.float32)


OF_BOTH = ("tocsr", "tocsc", "tocoo", "todia", "transpose", "tril", "square of the array", "plus", "minus", "multiply",
           "maximum", "matmul", "vstack", "kron")  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [(blocks, "sum_duplicates"), *((kind, name) for kind in (blocks, diagonals) for name in OF_BOTH)]
)
def test_blocks_and_diagonals(kind, name):
    arrays = [kind(k) for k in range(1, 3 if name in TWO else 2)]
    sparse, plain = {**ONE, **TWO}[name]
    if name == "kron":
        sparse, plain = sp.kron, mx.kron
    compare(
        lambda *v: dense(sparse(*(A.with_data(x) for A, x in zip(arrays, v, strict=True)))),
        lambda *v: plain(*(dense_of(A, x) for A, x in zip(arrays, v, strict=True))),
        [A.data for A in arrays],
        mx.float32,
    )


def test_sums_of_duplicates_above_two_dimensions():
    places = ([0, 1, 0, 1], [2, 0, 2, 1], [1, 1, 1, 0])
    A = sp.coo_array((np.arange(1.0, 5.0), places), shape=(2, 3, 2), dtype=mx.float32)
    flat = sp.coo_array((A.data, (np.zeros(4, np.int32), np.ravel_multi_index(places, A.shape))), shape=(1, 12))
    compare(
        lambda v: dense(in_place("sum_duplicates")(A.with_data(v))).reshape(-1),
        lambda v: dense_of(flat, v).reshape(-1),
        [A.data],
        mx.float32,
    )


def test_results_may_be_empty():
    A = sp.csr_array((mx.array([1.0, 2.0]), [0, 1], [0, 2, 2]), shape=(2, 3))
    B = sp.csr_array((mx.array([3.0]), [2], [0, 0, 1]), shape=(2, 3))
    for sparse in (lambda A, B: A.multiply(B), lambda A, B: A @ B.T, lambda A, B: A[1:] + B[:1]):
        found = mx.grad(lambda v, w, f=sparse: f(A.with_data(v), B.with_data(w)).todense().sum(), argnums=(0, 1))
        for gradient in found(A.data, B.data):
            assert not np.any(np.asarray(gradient))


@pytest.mark.parametrize("name", ["multiply", "matmul", "chain", "hstack"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_second_derivatives(name, fmt):
    sparse, plain = TWO[name]
    A, B = make(fmt, "duplicates"), make(fmt, "unsorted", seed=2)

    def second(f):
        def loss(v, w):
            return mx.sum(f(v, w) ** 3)

        def along(v, w):
            dv, dw = mx.grad(loss, argnums=(0, 1))(v, w)
            return mx.sum(dv * draw(dv.shape, mx.float32, 8)) + mx.sum(dw * draw(dw.shape, mx.float32, 9))

        return mx.grad(along, argnums=(0, 1))(A.data, B.data)

    ours = second(lambda v, w: dense(sparse(A.with_data(v), B.with_data(w))))
    theirs = second(lambda v, w: plain(dense_of(A, v), dense_of(B, w)))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-3, atol=1e-3 * np.abs(b).max())


@pytest.mark.parametrize("name", [*ONE, *TWO])
@pytest.mark.parametrize("fmt", FORMATS)
def test_compile_and_vmap(name, fmt):
    arrays = [make(fmt, "duplicates", seed=k) for k in range(1, 3 if name in TWO else 2)]
    sparse = {**ONE, **TWO}[name][0]

    def f(*v):
        return dense(sparse(*(A.with_data(x) for A, x in zip(arrays, v, strict=True))))

    values = [A.data for A in arrays]
    close(mx.compile(f)(*values), f(*values))
    batch = [mx.stack([v, 2 * v - 1, -v]) for v in values]
    close(mx.vmap(f)(*batch), mx.stack([f(*(b[k] for b in batch)) for k in range(3)]))
    close(mx.vmap(f, in_axes=1)(*(mx.swapaxes(b, 0, 1) for b in batch)), mx.vmap(f)(*batch))


@pytest.mark.parametrize("fmt", FORMATS)
def test_vmap_of_a_gradient(fmt):
    A, B = make(fmt), make(fmt, seed=2)

    def gradient(v, w):
        return mx.grad(lambda v: mx.sum(mx.sin((A.with_data(v) @ B.with_data(w).T).todense())))(v)

    batch = [mx.stack([x, 2 * x, -x]) for x in (A.data, B.data)]
    close(mx.vmap(gradient)(*batch), mx.stack([gradient(*(b[k] for b in batch)) for k in range(3)]))


REFUSED = {
    "eliminate_zeros": in_place("eliminate_zeros"),
    "comparison": lambda A: A > A.T.T,
    "comparison with a number": lambda A: A > 1,
    "maximum along an axis": lambda A: A.max(axis=0),
    "position of the maximum": lambda A: A.argmax(axis=0),
    "ndarray": lambda A: sp.csr_array(A.toarray()),
    "quotient": lambda A: A / A,
    "entries": sp.find,
    "count_nonzero": lambda A: A.count_nonzero(),
    "element of a dictionary": lambda A: A.todok()[0, 0],
    "items of a dictionary": lambda A: A.todok().items(),
    "lists": lambda A: A.tolil().data,
    "assignment": lambda A: A.__setitem__((0, 0), 1.0),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("fmt", FORMATS)
def test_what_has_no_derivative_raises(name, fmt):
    A = make(fmt)

    def loss(v):
        found = REFUSED[name](A.with_data(v))
        return mx.sum(A.with_data(v).data) if found is None else dense(found).sum()

    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(loss)(A.data)


def test_numbers_that_are_read_have_no_derivative():
    A = make("csr")
    for read in (lambda s: A.maximum(s), lambda s: A.power(s), lambda s: A > s):
        with pytest.raises(ValueError, match="no derivative"):
            mx.grad(lambda s, f=read: mx.sum(f(s).todense()))(mx.array(-2.0))


@pytest.mark.parametrize("fmt", FORMATS)
def test_constants_are_marked_by_stop_gradient(fmt):
    A = make(fmt)

    def loss(v):
        scale = 1.0 / np.abs(A.with_data(mx.stop_gradient(v)).toarray()).max()
        return mx.sum(A.with_data(v).data) * scale

    scale = 1.0 / np.abs(A.toarray()).max()
    close(mx.grad(loss)(A.data), np.full(A.data.size, scale, np.float32))
