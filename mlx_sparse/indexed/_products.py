"""Sums of products of blocks that index arrays pick: matrix times vector, and outer products of vectors."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .. import _dense, _dtypes, _native
from ._checks import common_dtype, index_array, inspected, is_sorted, is_traced, to_mlx

__all__ = [
    "sparse_matrix_vector_multiplication_reduction",
    "sparse_vector_vector_outer_product_reduction",
]

_REDUCTIONS = ("auto", "sorted", "sort", "atomic")


def sparse_matrix_vector_multiplication_reduction(
    a: Any,
    a_idx: Any,
    b: Any,
    b_idx: Any,
    o_idx: Any,
    n_o: int,
    *,
    reduction: str = "auto",
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Products of matrices and vectors that index arrays pick, summed by output row (MVMR).

    ``out[o_idx[t], g] += a[a_idx[t], g] @ b[b_idx[t], g]`` for every t and g, from zeros.

    Parameters
    ----------
    a : array_like of shape (A, G, M, C)
        Matrices, in G independent groups.
    a_idx, b_idx, o_idx : array_like of integers of shape (T,), or None
        The matrix, the vector and the output row of product t; None means t. Each index may appear any number of times;
        output rows that do not appear are 0.
    b : array_like of shape (B, G, C)
        Vectors, of the same dtype.
    n_o : int
        Rows of the result.
    reduction : {"auto", "sorted", "sort", "atomic"}
        How products with the same output row are added. "sorted": `o_idx` never decreases; the result is
        unspecified if it does. "sort": through one stable sort of `o_idx`. "auto": looks which of the two it is
        (a traced `o_idx` is sorted). All of these add in the same order in every run. "atomic": by atomic additions
        on a GPU, for float32; their order, and so the last bits, vary from run to run. On the CPU and for other
        dtypes it is "sort". Derivatives are reduced in the same way, but that "sorted" speaks of `o_idx` alone.
    validate : bool
        Check that every index is in range, which reads the arrays. Unchecked, a product with an index out of range is
        left out.
    stream : mx.Stream or mx.Device, optional

    Returns
    -------
    mx.array of shape (n_o, G, M)
        Lazy. float16 and bfloat16 are summed in float32 and rounded once.

    Raises
    ------
    ValueError
        A shape, length, index or `reduction` that does not fit; the message names the argument.
    TypeError
        `a` and `b` are `mx.array` of different dtypes.

    Notes
    -----
    Synchronises on index arrays that are not traced, unless ``validate=False`` and `reduction` is not "auto".
    Cost: T G M C multiplications, each operand read where it lies: nothing is gathered first. Differentiable any number
    of times with respect to `a` (outer products, see `sparse_vector_vector_outer_product_reduction`) and `b` (products
    with the transposed matrices).

    The sparse convolution of point-cloud networks is the case of few matrices (one for each offset) and many t.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse import indexed
    >>> a = mx.array([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])  # two 1 x 2 matrices
    >>> b = mx.array([[[1.0, 1.0]], [[0.0, 1.0]]])
    >>> indexed.sparse_matrix_vector_multiplication_reduction(a, None, b, [0, 1], [1, 1], 3).tolist()
    [[[0.0]], [[7.0]], [[0.0]]]
    """
    a, b = _operands(a, b, 4, 3)
    if b.shape[2] != a.shape[3]:
        raise ValueError(f"b must hold vectors of the length {a.shape[3]} of the rows of a; got shape {b.shape}")
    n_o, indices = _indices(a, a_idx, b, b_idx, o_idx, n_o, reduction, validate)
    return _native.indexed_product(_native.IndexedKind.matvec, a, b, indices, n_o, stream)


def sparse_vector_vector_outer_product_reduction(
    a: Any,
    a_idx: Any,
    b: Any,
    b_idx: Any,
    o_idx: Any,
    n_o: int,
    *,
    reduction: str = "auto",
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Outer products of vectors that index arrays pick, summed by output row (VVOR).

    ``out[o_idx[t], g] += outer(a[a_idx[t], g], b[b_idx[t], g])`` for every t and g, from zeros.

    Parameters
    ----------
    a : array_like of shape (A, G, M)
        Vectors, in G independent groups.
    a_idx, b_idx, o_idx : array_like of integers of shape (T,), or None
        The two vectors and the output row of product t; None means t. Each index may appear any number of times; output
        rows that do not appear are 0.
    b : array_like of shape (B, G, C)
        Vectors, of the same dtype.
    n_o : int
        Rows of the result.
    reduction : {"auto", "sorted", "sort", "atomic"}
        As in `sparse_matrix_vector_multiplication_reduction`.
    validate : bool
        Check that every index is in range, which reads the arrays. Unchecked, a product with an index out of range is
        left out.
    stream : mx.Stream or mx.Device, optional

    Returns
    -------
    mx.array of shape (n_o, G, M, C)
        Lazy. float16 and bfloat16 are summed in float32 and rounded once. No element is conjugated.

    Raises
    ------
    ValueError
        A shape, length, index or `reduction` that does not fit; the message names the argument.
    TypeError
        `a` and `b` are `mx.array` of different dtypes.

    Notes
    -----
    Synchronises on index arrays that are not traced, unless ``validate=False`` and `reduction` is not "auto".
    Cost: T G M C multiplications; nothing is gathered first. Differentiable any number of times with respect to `a` and
    `b` (products of matrices and vectors, see `sparse_matrix_vector_multiplication_reduction`).

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse import indexed
    >>> a = mx.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    >>> b = mx.array([[[1.0, 10.0]]])
    >>> indexed.sparse_vector_vector_outer_product_reduction(a, None, b, [0, 0], [0, 0], 1).tolist()
    [[[[4.0, 40.0], [6.0, 60.0]]]]
    """
    a, b = _operands(a, b, 3, 3)
    n_o, indices = _indices(a, a_idx, b, b_idx, o_idx, n_o, reduction, validate)
    return _native.indexed_product(_native.IndexedKind.outer, a, b, indices, n_o, stream)


def _operands(a: Any, b: Any, a_rank: int, b_rank: int) -> tuple[mx.array, mx.array]:
    both = _dense.is_mlx(a) and _dense.is_mlx(b)
    a, b = to_mlx(a), to_mlx(b)
    if both and a.dtype != b.dtype:
        raise TypeError(f"a has dtype {a.dtype} and b has dtype {b.dtype}; cast one of them")
    for name, value, rank in (("a", a, a_rank), ("b", b, b_rank)):
        if value.ndim != rank:
            raise ValueError(f"{name} must have {rank} dimensions; got shape {value.shape}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"b must have the {a.shape[1]} groups of a; got shape {b.shape}")
    dtype = _dtypes.result_type(a.dtype, b.dtype)
    return a.astype(dtype), b.astype(dtype)


def _indices(
    a: mx.array, a_idx: Any, b: mx.array, b_idx: Any, o_idx: Any, n_o: int, reduction: str, validate: bool
) -> tuple[int, _native.Indices]:
    """`n_o`, and the checked index arrays with what is known of their order."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(map(repr, _REDUCTIONS))}; got {reduction!r}")
    if isinstance(n_o, bool) or not hasattr(n_o, "__index__"):
        raise TypeError(f"n_o must be an integer; got {type(n_o).__name__}")
    n_o = n_o.__index__()
    if not 0 <= n_o < 2**31 - 1:
        raise ValueError(f"n_o must be in [0, 2**31 - 1); got {n_o}")
    rows = {"a_idx": a.shape[0], "b_idx": b.shape[0], "o_idx": n_o}
    given = {"a_idx": a_idx, "b_idx": b_idx, "o_idx": o_idx}
    arrays = {name: None if value is None else index_array(name, value) for name, value in given.items()}
    lengths = {name: rows[name] if index is None else index.shape[0] for name, index in arrays.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(
            f"{name} has length {n}" if arrays[name] is not None else f"{name} is None, which stands for {n} rows"
            for name, n in lengths.items()
        )
        raise ValueError(f"the index arrays must have one length: {said}")
    order = dict.fromkeys(rows, False)
    for name, index in arrays.items():
        if index is None or index.shape[0] == 0:
            continue
        if validate:
            arrays[name], order[name] = inspected(name, index, rows[name])
        elif name == "o_idx" and reduction == "auto" and not is_traced(index):
            order[name] = is_sorted(index)
    if reduction == "sorted":
        index = arrays["o_idx"]
        if validate and index is not None and index.shape[0] and not is_traced(index) and not order["o_idx"]:
            raise ValueError("o_idx decreases somewhere, but reduction is 'sorted'")
        order["o_idx"] = True
    left, right, out = common_dtype(*arrays.values())
    return n_o, _native.Indices(left, right, out, sorted=tuple(order.values()), atomic=reduction == "atomic")
