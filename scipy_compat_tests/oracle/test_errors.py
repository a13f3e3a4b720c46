"""Misuse raises what SciPy raises."""

import numpy as np
import pytest

from .harness import FORMATS, build, twin

formats = pytest.mark.parametrize("fmt", FORMATS)


def make(sp, fmt):
    return getattr(sp, f"{fmt}_array")


COMPRESSED = {
    "indptr too short": ([1, 2], [0, 1], [0, 2]),
    "indptr does not start at 0": ([1, 2], [0, 1], [1, 1, 2, 2]),
    "indptr falls": ([1, 2], [0, 1], [0, 2, 1, 2]),
    "indptr past the end": ([1, 2], [0, 1], [0, 1, 2, 5]),
    "data shorter": ([1], [0, 1], [0, 1, 2, 2]),
    "data two-dimensional": ([[1, 2]], [0, 1], [0, 1, 2, 2]),
    "index too large": ([1, 2], [0, 9], [0, 1, 2, 2]),
    "index negative": ([1, 2], [0, -1], [0, 1, 2, 2]),
}


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_parts(fmt, name):
    """SciPy finds a bad index or a falling pointer only in `check_format`; here the constructor does."""
    data, indices, indptr = (np.array(x) for x in COMPRESSED[name])

    def construct(sp):
        A = make(sp, fmt)((data, indices, indptr), shape=(3, 3))
        A.check_format(full_check=True)
        return A

    twin(construct)


COORDINATES = {
    "row too large": ([1, 2], ([0, 7], [0, 1]), (3, 3)),
    "row negative": ([1, 2], ([0, -1], [0, 1]), (3, 3)),
    "lengths differ": ([1, 2], ([0, 1, 2], [0, 1]), (3, 3)),
    "data shorter": ([1], ([0, 1], [0, 1]), (3, 3)),
    "no shape": ([], ([], []), None),
    "three coordinates for two axes": ([1], ([0], [0], [0]), (3, 3)),
    "one coordinate for two axes": ([1], ([0],), (3, 3)),
}


@formats
@pytest.mark.parametrize("name", COORDINATES)
def test_coordinates(fmt, name):
    data, coords, shape = COORDINATES[name]
    twin(lambda sp: make(sp, fmt)((data, coords), shape=shape))


MISUSE = {
    "no argument": lambda sp, A: type(A)(),
    "unknown keyword": lambda sp, A: type(A)((2, 2), nonsense=1),
    "shape mismatch +": lambda sp, A: A + build(sp, "csr", "square"),
    "shape mismatch dense +": lambda sp, A: A + np.ones((2, 2)),
    "shape mismatch *": lambda sp, A: A * build(sp, "csr", "square"),
    "shape mismatch @": lambda sp, A: A @ A,
    "shape mismatch @ dense": lambda sp, A: A @ np.ones((3, 2)),
    "dense @ shape mismatch": lambda sp, A: np.ones((2, 2)) @ A,
    "shape mismatch ==": lambda sp, A: A == build(sp, "csr", "square"),
    "shape mismatch <": lambda sp, A: A < build(sp, "csr", "square"),
    "shape mismatch maximum": lambda sp, A: A.maximum(build(sp, "csr", "square")),
    "add scalar": lambda sp, A: A + 1,
    "add zero": lambda sp, A: A + 0,
    "subtract scalar": lambda sp, A: 1 - A,
    "scalar over sparse": lambda sp, A: 1 / A,
    "divide by zero": lambda sp, A: A / 0,
    "add text": lambda sp, A: A + "x",
    "multiply text": lambda sp, A: A * "x",
    "floor divide": lambda sp, A: A // 2,
    "modulo": lambda sp, A: A % 2,
    "and": lambda sp, A: A & A,
    "truth of many": lambda sp, A: bool(A),
    "truth of one": lambda sp, A: bool(build(sp, A.format, "one")),
    "length": lambda sp, A: len(A),
    "hash": lambda sp, A: isinstance(hash(A), int),
    "int": lambda sp, A: int(A),
    "float": lambda sp, A: float(A),
    "unknown attribute": lambda sp, A: A.nonsense,
    "shape is read-only here": lambda sp, A: setattr(A, "nnz", 3),
    "power of sparse": lambda sp, A: A**A,
    "power in a modulus": lambda sp, A: pow(A, 2, 3),
    "asformat": lambda sp, A: A.asformat("nonsense"),
    "sum axis": lambda sp, A: A.sum(axis=5),
    "mean axis": lambda sp, A: A.mean(axis=-4),
    "setdiag too long": lambda sp, A: A.setdiag(np.ones((2, 2))),
    "setdiag outside": lambda sp, A: A.setdiag(1, k=50),
    "transpose axes": lambda sp, A: A.transpose((3, 4)),
    "toarray order": lambda sp, A: A.toarray(order="Q"),
    "toarray order and out": lambda sp, A: A.toarray(order="C", out=np.zeros((3, 4))),
    "toarray out shape": lambda sp, A: A.toarray(out=np.zeros((1, 1), "float32")),
    "astype": lambda sp, A: A.astype("U3"),
    "dot text": lambda sp, A: A.dot("x"),
    "vstack text": lambda sp, A: sp.vstack([A, "x"]),
    "vstack shapes": lambda sp, A: sp.vstack([A, build(sp, "csr", "empty_rows").T]),
    "hstack shapes": lambda sp, A: sp.hstack([A, build(sp, "csr", "square")]),
    "eye negative": lambda sp, A: sp.eye_array(-1),
    "random density": lambda sp, A: sp.random_array((2, 2), density=-1),
    "find text": lambda sp, A: sp.find("x"),
}


@formats
@pytest.mark.parametrize("name", MISUSE)
def test_misuse(fmt, name):
    twin(lambda sp: MISUSE[name](sp, build(sp, fmt, "plain")))
