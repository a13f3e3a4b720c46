"""Random sequences of statements about one array `A`, a second operand `B` and a copy `W` kept from earlier, run with
both packages: what every statement gives, and all three arrays after it, must agree. A sequence is text, so that a
failure can be pasted and run.
"""

import numpy as np
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import _compare, is_sparse, narrow, numpy_mode, outcome
from scipy_compat_tests.properties.fuzz import _Maker

VALUES = ("float64", "float32", "int32", "int64", "bool", "complex64", "complex128", "int8")
LARGEST = 300  # cells; a larger array is cut


class _Sequence(_Maker):
    """Statements that make sense for the array that SciPy has reached."""

    def data(self, shape, dtype=None):
        return super().data(shape, self.one(VALUES) if dtype is None else dtype)

    def statement(self, A):
        return self.one((self.changed, self.replaced, self.replaced, self.observed))(A)

    def second(self, shape):
        """Text of an operand of this shape, in any format that has it."""
        count = self.number(0, 6) if all(shape) else 0
        where = ", ".join(self.array(self.rng.integers(0, max(n, 1), count), "int32") for n in shape)
        formats = ("coo", "csr", "csc", "bsr", "dia", "lil", "dok") if len(shape) == 2 else ("coo", "csr", "dok")
        return f"sp.coo_array(({self.data(count)}, ({where},)), shape={shape}).asformat('{self.one(formats)}')"

    def value(self, shape):
        return self.one(("0", "3", "-2.5", "True", "np.int8(2)", "[1, 2]", "[[1], [2]]", "np.ones(3)", "np.array(4)",
                         "1j", self.second(shape)))  # fmt: skip

    def changed(self, A):
        """A statement that changes A in place."""
        shape, k = A.shape, self.number(-2, 2)
        return self.one((
            f"A[{self.key(shape)}] = {self.value(shape)}",
            f"A[{self.key(shape)}] = {self.value(shape)}",
            f"A *= {self.one((2, 0, -1, 0.5, True))}",
            f"A /= {self.one((2, 0.5, -1))}",
            "A += B",
            "A -= B",
            "A.sum_duplicates()",
            "A.sort_indices()",
            "A.eliminate_zeros()",
            "A.prune()",
            f"A.setdiag({self.one((1, 0, 2.5, [1, 2, 3], 'np.arange(2)'))}, {k})" if len(shape) == 2 else "A[0] = 4",
            f"A.resize({self.one((shape, tuple(n + 1 for n in shape), tuple(max(n - 1, 0) for n in shape)))})",
            "A.sum_duplicates(); A.data[...] = 1" if A.format in ("coo", "csr", "csc", "bsr") else "A *= 3",
            "A.data *= 2" if A.format not in ("lil", "dok") and A.dtype != bool else "A *= 1",
        ))  # fmt: skip

    def replaced(self, A):
        """A statement that binds A, B or W anew."""
        shape, k = A.shape, self.number(-1, 1)
        fmt = self.one(("coo", "csr", "csc", "bsr", "dia", "lil", "dok") if len(shape) == 2 else ("coo", "csr", "dok"))
        return self.one((
            f"A = A.asformat('{fmt}')",
            f"A = A.asformat('{fmt}', copy=True)",
            f"A = sp.{fmt}_array(A)",
            f"A = sp.{fmt}_array(A.toarray())",
            "A = A.copy()",
            "W = A.copy()",
            f"W = sp.{fmt}_array(A, copy=True)",
            f"B = {self.second(shape)}",
            "A = A.T",
            f"A = kept(A, A[{self.key(shape)}])",
            "A = A + B",
            "A = A - B",
            "A = A.multiply(B)",
            "A = A.maximum(B)",
            "A = A.T @ A",
            "A = abs(A)",
            "A = -A",
            f"A = A.astype('{self.one(VALUES)}')",
            f"A = A.reshape({self.one(((-1, 1), (1, -1), shape[::-1]))})",
            "A = kept(A, sp.vstack([A, B]))",
            "A = kept(A, sp.hstack([A, A]))",
            f"A = kept(A, sp.{self.one(('tril', 'triu'))}(A, {k}))" if len(shape) == 2 else "A = A + A",
            f"A = A {self.one(('*', '/'))} {self.one((2, 0.5, -3))}",
            f"A = A.power({self.one((2, 3))})",
            f"A = kept(A, A {self.one(('>', '!=', '<'))} {self.one(('B', 'B', 0))})",
        ))  # fmt: skip

    def observed(self, A):
        axis = self.one((None, 0, 1, -1))
        shape = A.shape
        return self.one((
            f"r = A.{self.one(('sum', 'mean', 'max', 'min', 'count_nonzero', 'argmax'))}(axis={axis})",
            f"r = A @ np.arange({shape[-1]})",
            f"r = np.ones({shape[0]}) @ A",
            f"r = A.diagonal({self.number(-2, 2)})",
            f"r = A.toarray(order='{self.one('CF')}')",
            f"r = A[{self.key(shape)}]",
            "r = sorted({*zip(*(c.tolist() for c in A.nonzero()))})",
            "r = A.trace()",
            "r = A.nnz >= A.count_nonzero()",
            "r = int(A.nnz >= 0)",
            "r = A.tocsr().tocoo().toarray()",
        ))  # fmt: skip


def kept(A, x):
    """x where a sequence can go on with it: a sparse array of one or two dimensions."""
    return x if is_sparse(x) and x.ndim in (1, 2) else A


class _Run:
    """A sequence in one package."""

    def __init__(self, sp):
        self.sp, self.names = sp, {"sp": sp, "np": np, "kept": kept, "W": None, "r": None}

    def step(self, statement):
        """What the statement gave: `r`, or an exception."""
        self.names["r"] = None

        def run(_):
            exec(statement, self.names)
            return self.names["r"]

        return outcome(run, self.sp)


def sequence(seed, number, length=10):
    """(statements, difference): those of sequence `number` up to the first that the packages disagree on, and how."""
    maker = _Sequence(np.random.default_rng([seed, number]))
    shape = tuple(maker.number(1, 5) for _ in range(maker.one((1, 2, 2, 2, 2))))
    ours, theirs = _Run(mlx_sparse), _Run(scipy.sparse)
    done = []
    for statement in (f"A = {maker.second(shape)}", f"B = {maker.second(shape)}", *[None] * length):
        text = maker.statement(theirs.names["A"]) if statement is None else statement
        done.append(text)
        before = {name: theirs.names[name].copy() for name in "ABW" if is_sparse(theirs.names.get(name))}
        untouched = {name: ours.names[name].copy() for name in before}
        reference, got = theirs.step(text), ours.step(text)
        difference = _difference(reference, got, ours, theirs)
        if difference and (_gives(text, _summed(before), got, ours) or _gives(text, _in_scipy(untouched), got, ours)):
            return done, None
        if difference:
            return done, f"{getattr(before.get('A'), 'format', '')}: {difference}"
        A = theirs.names["A"]
        if not is_sparse(A) or A.ndim > 2 or np.prod(A.shape) > LARGEST:
            break
        if any(_has_stray_values(theirs.names[name]) for name in "ABW" if is_sparse(theirs.names.get(name))):
            break
    return done, None


def _gives(text, arrays, got, ours):
    """Whether SciPy gives what mlx_sparse gives when it starts from these arrays, which share no memory."""
    fresh = _Run(scipy.sparse)
    fresh.names.update(arrays)
    return _difference(fresh.step(text), got, ours, fresh) is None


def _summed(arrays):
    """SciPy's arrays without duplicates: it sums those in place, in buffers that other arrays hold too."""
    for A in arrays.values():
        if hasattr(A, "sum_duplicates"):
            A.sum_duplicates()
    return arrays


def _in_scipy(arrays):
    """The arrays that mlx_sparse has: where it keeps duplicates, SciPy may have summed them only to count something."""
    with numpy_mode():
        return {name: A.to_scipy(copy=True) for name, A in arrays.items()}


def _has_stray_values(A):
    """Whether SciPy's lists or dict hold values that are none of the array's dtype, such as 0.5 among integers."""
    if A.format not in ("lil", "dok"):
        return False
    values = np.array([*A.values()] if A.format == "dok" else [v for row in A.data for v in row])
    return bool(np.any(values.astype(A.dtype) != values))


def _difference(reference, got, ours, theirs):
    try:
        with numpy_mode():
            _compare(reference, got, None, False, False, narrow())
            for name in "ABW":
                if name in theirs.names and theirs.names[name] is not None:
                    _compare(theirs.names[name], ours.names[name], None, False, False, narrow(), name)
    except Exception as error:
        return " | ".join(line.strip() for line in str(error).splitlines() if line.strip())[:240] or repr(error)
    return None


def use(device):
    """Run what follows in this process on a device of the tests' `--device` option."""
    if device == "gpu":
        mlx_sparse.use_gpu()
    elif device == "shader":
        mlx_sparse.runtime.EXECUTOR = "shader"


def differences(seed, numbers):
    """(number, statements, difference) of the sequences among `numbers` on which the packages disagree."""
    found = ((number, *sequence(seed, number)) for number in numbers)
    return [(number, statements, difference) for number, statements, difference in found if difference]
