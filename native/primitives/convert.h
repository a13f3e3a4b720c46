// Lazy changes of layout: outputs whose sizes follow from the inputs' shapes. Entries are moved, never summed.
#pragma once

#include "structure.h"

namespace sp {

// indptr -> major index of each of the nnz entries.
mx::array expand(const mx::array& indptr, int64_t nnz, mx::Stream s);
// The same slices in other arrays, where slice m begins at start[m]: the place there of each of the nnz entries.
mx::array places(const mx::array& indptr, const mx::array& start, int64_t nnz, mx::Stream s);

// These entries themselves, in one pass; of values that are traced or pending, which stay so, in two. With shaders only.
Compressed take_entries(const Compressed& a, const mx::array& indptr, const mx::array& start, int64_t nnz, mx::Stream s);

// x[..., order] for a permutation; its gradient gathers too, where MLX's take would scatter (GPUs cannot for complex64).
mx::array permute(const mx::array& x, const mx::array& order, mx::Stream s);

// x[at] for a vector and positions in it. Its gradient sums by place; by sorting them where a GPU cannot scatter.
mx::array gathered(const mx::array& x, const mx::array& at, mx::Stream s);

// The same entries, compressed along the other axis; stable, so slices of the result are sorted. Differentiable in data;
// the index arrays of the result depend on index arrays alone.
Compressed transpose(const Compressed& a, int64_t n_minor, mx::Stream s);
// The same of a structure; with shaders its transposed form is made once and kept with it.
Compressed transpose_of(const Structure& a, const mx::array& data, mx::Stream s);
// Coordinates in any order -> compressed along `major`; stable within a slice; duplicates stay. As above.
Compressed coo_to_cs(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major, mx::Stream s);

// First slice that each chunk owns (shaders only: see cs_partition). Length chunks + 1.
mx::array partition(const mx::array& indptr, int64_t chunks, int chunk, mx::Stream s);

} // namespace sp
