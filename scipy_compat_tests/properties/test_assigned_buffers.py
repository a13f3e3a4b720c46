"""Buffers that users assign, and those of SciPy arrays, are checked before anything reads them.

A bad one is a ValueError from whatever is done next, the array stays as it was, and a good one in its place mends it.
"""

import copy
import os
import pickle
import subprocess
import sys
import textwrap

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse as scipy_sparse

import mlx_sparse as sp

EYE = np.diag(np.arange(1.0, 7))
BAD = {
    "csr": {
        "data": [np.ones(1), np.ones(0), np.ones(50)],
        "indices": [np.zeros(1, int), np.full(6, 6), np.full(6, -1), np.full(6, 2**40), np.zeros(9, int)],
        "indptr": [np.zeros(1, int), np.array([0] + [10**8] * 6), np.array([0, 3, 2, 4, 5, 6, 6]), np.ones(7, int),
                   np.array([-3, 0, 1, 2, 3, 4, 6])],
    },
    "coo": {
        "data": [np.ones(1), np.ones(5000)],
        "row": [np.zeros(1, int), np.full(6, 6), np.full(6, -1)],
        "col": [np.zeros(1, int), np.full(6, 2**33)],
        "coords": [(np.zeros(3, int), np.zeros(6, int)), (np.full(6, 9), np.zeros(6, int))],
    },
    "dia": {
        "data": [np.ones((2, 6)), np.ones((0, 6))],
        "offsets": [np.array([0, 1]), np.zeros(0, int)],
    },
}  # fmt: skip
BAD["csc"] = BAD["csr"]
BAD["bsr"] = {
    "data": [np.ones((1, 2, 2)), np.ones((3, 1, 1)), np.ones((3, 4, 4))],
    "indices": [np.zeros(1, int), np.full(3, 3), np.full(3, -1)],
    "indptr": [np.zeros(2, int), np.array([0, 10**6, 3, 3]), np.array([0, 2, 1, 3])],
}
CASES = [(fmt, name, n) for fmt in BAD for name in BAD[fmt] for n in range(len(BAD[fmt][name]))]
USES = {
    "A @ x": lambda A: A @ np.ones(6),
    "A @ mx": lambda A: A @ mx.ones(6, dtype=mx.float32),
    "A.T @ x": lambda A: A.T @ np.ones(6),
    "x @ A": lambda A: np.ones(6) @ A,
    "A @ X": lambda A: A @ np.ones((6, 3)),
    "A + A": lambda A: A + A,
    "A @ A": lambda A: A @ A,
    "2 * A": lambda A: 2 * A,
    "toarray": lambda A: A.toarray(),
    "todense": lambda A: A.todense(),
    "sum": lambda A: A.sum(axis=0),
    "diagonal": lambda A: A.diagonal(),
    "A[1]": lambda A: A.tocsr()[1],
    "A > 2": lambda A: A > 2,
    "abs": abs,
    "copy": lambda A: A.copy(),
    "pickle": pickle.dumps,
    "deepcopy": copy.deepcopy,
    "vstack": lambda A: sp.vstack([A, A]),
    "constructor": lambda A: type(A)(A),
    "nnz": lambda A: A.nnz,
    "count_nonzero": lambda A: A.count_nonzero(),
    "eliminate_zeros": lambda A: A.tocoo().eliminate_zeros(),
    "setdiag": lambda A: A.setdiag(1.0),
    "A *= 2": lambda A: A.__imul__(2.0),
    "resize": lambda A: A.resize(3, 3),
    **{f"to{f}": lambda A, f=f: getattr(A, f"to{f}")() for f in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")},
}


@pytest.fixture(params=("mlx", "numpy"))
def mode(request):
    before, sp.runtime.dense_namespace = sp.runtime.dense_namespace, request.param
    yield request.param
    sp.runtime.dense_namespace = before


def make(fmt, kind="array", s=sp):
    A = getattr(s, f"csr_{kind}")(EYE)
    return A.tobsr(blocksize=(2, 2)) if fmt == "bsr" else A.asformat(fmt)


@pytest.mark.parametrize(("fmt", "name", "n"), CASES)
def test_next_use_raises(fmt, name, n, mode):
    bad = BAD[fmt][name][n]
    for kind in ("array", "matrix"):
        for use, f in USES.items():
            A = make(fmt, kind)
            good = getattr(A, name)
            setattr(A, name, bad)
            if use in ("toarray", "A @ x"):  # what is read of it is what was assigned
                got = getattr(A, name)
                assert np.array_equal(np.array(got) if name != "coords" else [len(c) for c in got],
                                      bad if name != "coords" else [len(c) for c in bad])  # fmt: skip
            if use != f"to{fmt}":  # which is the array itself
                with pytest.raises(ValueError, match=f"assigned to this {fmt} array"):
                    f(A)
            with pytest.raises(ValueError, match=f"assigned to this {fmt} array"):
                A.tocsr() @ np.ones(6)
            setattr(A, name, good)
            np.testing.assert_array_equal(A.toarray(), EYE)
            assert type(A) is type(make(fmt, kind))


@pytest.mark.parametrize("fmt", BAD)
def test_one_after_another(fmt, mode):
    """Buffers of another structure, in any order, with uses of the attributes in between."""
    names = {"coo": ("data", "row", "col"), "dia": ("data", "offsets")}.get(fmt, ("data", "indices", "indptr"))
    other = make(fmt) @ make(fmt)
    other = (make(fmt) + sp.csr_array(np.triu(np.ones((6, 6))))).asformat(fmt)
    expected = other.toarray()
    for order in (names, names[::-1]):
        A = make(fmt)
        for name in order:
            new = np.array(getattr(other, name))
            setattr(A, name, new if mode == "numpy" else mx.array(new, dtype=getattr(other, name).dtype))
            assert getattr(A, name).size == new.size
            assert A.dtype == other.dtype and A.shape == (6, 6)
        np.testing.assert_array_equal(A.toarray(), expected)
        assert type(A) is type(other)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(A)).toarray(), expected)


@pytest.mark.parametrize("fmt", BAD)
def test_rank_and_dtype_are_refused_at_once(fmt):
    A = make(fmt)
    for name in BAD[fmt]:
        if name == "coords":
            continue
        with pytest.raises(ValueError, match=name if name not in ("row", "col") else "coordinates|coords"):
            setattr(A, name, np.ones((2, 2, 2, 2), int))
        if name != "data":
            with pytest.raises(ValueError, match="integers"):
                setattr(A, name, np.full(6, 0.5))
    np.testing.assert_array_equal(A.toarray(), EYE)


def test_values_alone_keep_what_is_known(mode):
    for fmt in ("csr", "csc"):
        A = make(fmt)
        assert A.has_canonical_format
        structure = A._structure
        A.data = np.arange(6.0)
        assert A._structure is structure and A._canonical_format
        A.indices = A.indices
        assert A._canonical_format is None
        A.data = np.ones(9)
        A.indices, A.data = np.array([0, 1, 2, 3, 4, 5, 0, 0, 0]), np.arange(9.0)
        np.testing.assert_array_equal(A.toarray(), np.diag(np.arange(6.0)))  # the rest is beyond indptr
        assert A.nnz == 6


def test_pickle_after_assignment(mode):
    for fmt in BAD:
        A = make(fmt)
        for name in BAD[fmt]:
            x = getattr(A, name)
            wide = mx.int64 if mode == "mlx" else np.int64
            setattr(A, name, x if name in ("data", "coords") else x.astype(wide))
            assert type(A) is type(make(fmt))  # clients ask for the very class
        for B in (pickle.loads(pickle.dumps(A)), copy.deepcopy(A), copy.copy(A)):
            assert type(B) is type(make(fmt))
            np.testing.assert_array_equal(B.toarray(), EYE)


def test_values_that_are_traced():
    A = make("csr", s=sp).astype(mx.float32)

    def total(v):
        B = A.copy()
        B.data = v
        C = sp.csr_array((2, 6), dtype=mx.float32)
        C.data, C.indices, C.indptr = v * 2, mx.arange(6), mx.array([0, 3, 6])
        return (B @ mx.ones(6)).sum() + (C @ mx.ones(6)).sum()

    np.testing.assert_array_equal(np.array(mx.grad(total)(mx.ones(6))), np.full(6, 3.0))


def test_a_caller_keeps_arrays_of_their_own(mode):
    """What the caller does to arrays that were given, to constructors and by assignment, stays with the caller."""
    d, i, p = mx.ones(6), mx.arange(6), mx.arange(7)
    o = mx.array([0])
    made = {
        "csr": lambda: sp.csr_array((d, i, p), shape=(6, 6)),
        "csc": lambda: sp.csc_array((d, i, p), shape=(6, 6)),
        "bsr": lambda: sp.bsr_array((mx.reshape(d, (6, 1, 1)), i, p), shape=(6, 6)),
        "coo": lambda: sp.coo_array((d, (i, i)), shape=(6, 6)),
        "3-D": lambda: sp.coo_array((d, (i, i, i)), shape=(6, 6, 6)),
        "1-D": lambda: sp.coo_array((d, (i,)), shape=(6,)),
        "dia": lambda: sp.dia_array((mx.reshape(d, (1, 6)), o), shape=(6, 6)),
        "diags": lambda: sp.diags_array([d], offsets=[0], dtype=mx.float32),
        "with_data": lambda: sp.csr_array((mx.zeros(6), mx.arange(6), mx.arange(7))).with_data(d),
    }
    arrays = [make() for make in made.values()]
    A = sp.csr_array((mx.zeros(6), mx.arange(6), mx.arange(7)))
    A.data, A.indices, A.indptr = d, i, p
    C = sp.coo_array((mx.zeros(6), (mx.arange(6), mx.arange(6))))
    C.data, C.row, C.col = d, i, i
    before = [B.toarray() for B in (*arrays, A, C)]
    for x in (d, i, p, o):
        x += 1000
    for B, dense in zip((*arrays, A, C), before, strict=True):
        np.testing.assert_array_equal(B.toarray(), dense)


def test_negative_strides_of_one():
    one = np.ones(1)[::-1]
    assert sp.csr_array((one, [0], [0, 1]), shape=(1, 1)).toarray().tolist() == [[1.0]]
    assert sp.csr_array((one, np.zeros(1, int)[::-1], [0, 1]), shape=(1, 1)).toarray().tolist() == [[1.0]]
    assert sp.dia_array((np.ones((1, 3))[::-1], [0]), shape=(3, 3)).toarray().tolist() == np.eye(3).tolist()
    assert sp.csr_array(np.ones((1, 1))[::-1, ::-1]).toarray().tolist() == [[1.0]]
    assert sp.bsr_array((np.ones((1, 1, 1))[::-1], [0], [0, 1])).toarray().tolist() == [[1.0]]
    for fmt in ("csr", "coo", "dia", "lil", "dok"):
        A = sp.csr_array([[2.0]]).asformat(fmt)
        A.setdiag(one)
        assert A.multiply(one).toarray().tolist() == (A @ np.ones((1, 1))[::-1]).tolist() == [[1.0]]
    A = sp.csr_array([[2.0]])
    A.data = one
    A[0, 0] = one[::-1]
    assert A.with_data(one).toarray().tolist() == A.toarray().tolist() == [[1.0]]


BROKEN = {
    "indptr far": ("csr", {"indptr": np.array([0, 10**8] + [6] * 5, np.int32)}),
    "indptr negative": ("csc", {"indptr": np.array([-9, 0, 1, 2, 3, 4, 5], np.int32)}),
    "indptr short": ("csr", {"indptr": np.array([0], np.int32)}),
    "indptr empty": ("csr", {"indptr": np.array([], np.int32)}),
    "indptr end far": ("csr", {"indptr": np.array([0, 1, 2, 3, 4, 5, 10**6], np.int32)}),
    "indices": ("csr", {"indices": np.full(6, 10**6, np.int32)}),
    "data short": ("csr", {"data": np.ones(1)}),
    "blocks": ("bsr", {"indices": np.full(3, 10**6, np.int32)}),
    "rows": ("coo", {"row": np.full(6, 10**6, np.int32)}),
    "lengths": ("coo", {"data": np.ones(2)}),
    "offsets": ("dia", {"offsets": np.array([0, 1, 2], np.int32)}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_scipy_arrays(name):
    fmt, changes = BROKEN[name]
    for kind in ("array", "matrix"):
        B = make(fmt, kind, scipy_sparse)
        for attribute, value in changes.items():
            setattr(B, attribute, value)
        A = make(fmt)
        for take in (
            sp.from_scipy, getattr(sp, f"{fmt}_array"), sp.coo_array, sp.csr_array, A.__add__, A.__matmul__, A.multiply,
            A.maximum, lambda B: sp.vstack([B, B]), lambda B: sp.kron(B, B),
        ):  # fmt: skip
            with pytest.raises(ValueError):  # noqa: PT011 - of any check
                take(B)


def test_longer_scipy_buffers_are_fine():
    B = scipy_sparse.csr_array(EYE)
    B.data, B.indices = np.append(B.data, [7.0, 7.0]), np.append(B.indices, [99, -1]).astype(np.int32)
    np.testing.assert_array_equal(sp.csr_array(B).toarray(), EYE)


FUZZ = """
    import sys, warnings
    import numpy as np, mlx.core as mx, mlx_sparse as sp, scipy.sparse as ss
    warnings.simplefilter("ignore")
    seed, cases, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sp.runtime.dense_namespace = mode
    rng = np.random.default_rng([seed, mode == "numpy"])
    NAMES = {"coo": ("data", "row", "col"), "dia": ("data", "offsets")}
    USES = [lambda A: A @ np.ones(A.shape[1]), lambda A: A.T @ np.ones(A.shape[0]), lambda A: A + A, lambda A: A @ A.T,
            lambda A: A.tocoo(), lambda A: A.toarray(), lambda A: A.sum(axis=0), lambda A: A.tocsr()[1],
            lambda A: A.copy(), lambda A: A.tocsc(), lambda A: A.diagonal(), lambda A: A.todok(), abs,
            lambda A: A.tobsr(blocksize=(1, 1)), lambda A: A.todia(), lambda A: A.sum_duplicates(), lambda A: A.max(),
            lambda A: A.eliminate_zeros(), lambda A: A.resize(3, 3), lambda A: A.setdiag(2.0), lambda A: A.nnz]

    def make(s, fmt, dense):
        A = s.csr_array(dense)
        A = A.tobsr(blocksize=(2, 2)) if fmt == "bsr" else A.asformat(fmt)
        if fmt == "bsr": A.sort_indices()  # SciPy leaves blocks in the order of its search
        return A

    def other(x, rng):
        how = rng.integers(9)
        if how == 0: x = x[: rng.integers(len(x) + 1)]
        elif how == 1: x = np.concatenate([x, x])
        elif how == 2 and x.dtype.kind == "i": x = x + rng.choice([-1, 1, 7, 10**6, 2**31])
        elif how == 3 and x.dtype.kind == "i": x = rng.integers(-2, 9, x.shape)
        elif how == 4: x = x[::-1]
        elif how == 5: x = np.zeros((rng.integers(40), *x.shape[1:]), x.dtype)
        elif how == 6: x = x.astype(rng.choice(["int64", "float32", "int8"]))
        elif how == 7: x = np.sort(x, axis=0)
        return x

    def sound(A):  # whether SciPy may touch it
        if A.format == "dia":
            k = A.offsets
            return len(k) == len(A.data) == len(set(k.tolist())) and not (abs(k.astype("int64")) >= 2**31).any()
        if A.format == "coo":
            return len(A.row) == len(A.col) == len(A.data) and all(
                not c.size or (c.min() >= 0 and c.max() < n) for c, n in zip(A.coords, A.shape))
        n = (A.shape[0] if A.format != "csc" else A.shape[1]) // (2 if A.format == "bsr" else 1)
        m = (A.shape[1] if A.format != "csc" else A.shape[0]) // (2 if A.format == "bsr" else 1)
        p = A.indptr
        return bool(len(p) == n + 1 and p[0] == 0 and (np.diff(p) >= 0).all() and p[-1] <= len(A.indices) == len(A.data)
                    and (not p[-1] or (A.indices.min() >= 0 and A.indices.max() < m)))

    for number in range(cases):
        fmt = ("csr", "csc", "coo", "bsr", "dia")[rng.integers(5)]
        dense = np.where(rng.random((6, 6)) < 0.4, rng.integers(1, 9, (6, 6)), 0.0)
        A, B, log = make(sp, fmt, dense), make(ss, fmt, dense), []
        for _ in range(rng.integers(1, 4)):
            name = rng.choice(NAMES.get(fmt, ("data", "indices", "indptr")))
            new = other(np.array(getattr(B, name)), rng)
            log.append((name, new))
            try:
                setattr(A, name, new)
            except (ValueError, OverflowError):
                break
            try:
                setattr(B, name, new)
            except ValueError:  # as A when it is next used
                good = False
                break
        else:
            good = sound(B)
            for k in rng.integers(len(USES), size=3):
                try:
                    USES[k](A)
                except (ValueError, OverflowError, AttributeError, NotImplementedError, IndexError):
                    pass
            try:
                got = A.toarray()
            except ValueError:
                got = None
            if not good:
                assert got is None, (number, fmt, log, "was not refused")
            else:
                C = make(sp, fmt, dense)
                for name, new in log:
                    setattr(C, name, new)
                if fmt == "bsr":
                    B.prune()  # SciPy trips over blocks beyond what indptr says
                want = B.toarray()
                assert np.array_equal(C.toarray(), want), (number, fmt, log, "differs")
    print("done")
"""


@pytest.mark.parametrize("mode", ("mlx", "numpy"))
def test_fuzz(mode):
    """Random assignments and uses in a process of its own: bad buffers are refused, good ones mean what SciPy means."""
    seed = int(os.environ.get("MLX_SPARSE_FUZZ_SEED", np.random.SeedSequence().entropy % 2**31))
    cases = os.environ.get("MLX_SPARSE_FUZZ_CASES", "1500")
    print(f"MLX_SPARSE_FUZZ_SEED={seed}")
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(FUZZ), str(seed), cases, mode],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and done.stdout == "done\n", (done.returncode, done.stderr[-2000:])
