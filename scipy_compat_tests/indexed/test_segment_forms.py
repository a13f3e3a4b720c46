"""Segments of any lengths, offsets and ids, also of wrong ones that nobody checked."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_sparse.indexed import (
    lengths_to_offsets,
    lengths_to_segment_ids,
    offsets_to_segment_ids,
    segment_ids_to_lengths,
    segment_ids_to_offsets,
    segment_reduce,
)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("n", [0, 1, 2047, 2048, 2049, 20_000])
def test_any_lengths_and_offsets_become_offsets(n, dtype):
    rng = np.random.default_rng(n)
    given = rng.integers(-3, 9, n + 1).astype(dtype)  # a shader's group adds up 2048 of them
    want = np.concatenate([[0], np.cumsum(np.maximum(given[1:], 0))])
    np.testing.assert_array_equal(np.array(lengths_to_offsets(mx.array(given[1:]))), want)
    x = mx.ones((want[-1] // 2, 1))  # the lengths reach past the rows
    held = segment_reduce(x, mx.array(given[1:]), validate=False)
    np.testing.assert_array_equal(np.array(held)[:, 0], np.diff(np.minimum(want, x.shape[0])))

    falling = rng.integers(-5, 3 * n + 5, n + 1).astype(dtype)
    kept = np.minimum(np.maximum.accumulate(np.concatenate([[0], falling[1:]])), 2 * n)
    held = segment_reduce(mx.ones((2 * n, 1)), offsets=mx.array(falling), validate=False)
    np.testing.assert_array_equal(np.array(held)[:, 0], np.diff(kept))


def test_lengths_past_the_greatest_int32_stop_there():
    n = mx.array([2**30, 2**30, 2**31 - 1, 2**62, 5], dtype=mx.int64)
    np.testing.assert_array_equal(np.array(lengths_to_offsets(n)), [0, 2**30] + [2**31 - 1] * 4)


def test_offsets_of_lengths_are_mapped_and_compiled():
    lengths = np.random.default_rng(0).integers(0, 4, (3, 5)).astype(np.int32)
    want = np.concatenate([np.zeros((3, 1), int), np.cumsum(lengths, 1)], 1)
    for f in (lengths_to_offsets, mx.compile(lengths_to_offsets)):
        np.testing.assert_array_equal(np.array(mx.vmap(f)(mx.array(lengths))), want)
        np.testing.assert_array_equal(np.array(mx.vmap(f, in_axes=1)(mx.array(lengths.T))), want)


def test_converters_with_too_little_or_too_much():
    np.testing.assert_array_equal(np.array(lengths_to_segment_ids([2, 1], total=5)), [0, 0, 1, 2, 2])
    np.testing.assert_array_equal(np.array(lengths_to_segment_ids([2, 9], total=3)), [0, 0, 1])
    np.testing.assert_array_equal(np.array(segment_ids_to_lengths([4, -1, 0, 0], 2)), [2, 0])
    with pytest.raises(ValueError, match="lengths"):
        lengths_to_segment_ids([2, -1])
    with pytest.raises(ValueError, match="offsets"):
        offsets_to_segment_ids([])
    with pytest.raises(ValueError, match="num_segments"):
        segment_ids_to_offsets([0], -1)
