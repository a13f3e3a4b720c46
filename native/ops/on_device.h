// What must find its size where shaders run: graphs of nodes, and one wait for the number of entries. The results are
// lazy, and differentiable in values where those of the CPU kernels are.
#pragma once

#include "kernels/extrema.h"
#include "kernels/merge.h"
#include "ops/sized.h"

namespace sp {

// The default stream where shaders serve values of this dtype; none where CPU kernels do.
std::optional<mx::Stream> shader_stream(mx::Dtype values);

// The positions, of dtype `index`, where a mask is true; none where it is true everywhere.
std::optional<mx::array> true_positions(const mx::array& mask, mx::Dtype index, mx::Stream s);
// The entries that are not zero; none where all are.
std::optional<Compressed> nonzero_entries(const Compressed& a, mx::Stream s);

// Slices start .. start + n, over the same buffers.
Compressed slices_between(const Compressed& a, int64_t start, int64_t n, mx::Stream s);
// Slices `rows` of a, in any order and number.
Compressed take_slices(const Compressed& a, const mx::array& rows, mx::Stream s);
// The n slices from start on, step apart, which is not 0.
Compressed stepped_slices(const Compressed& a, int64_t start, int64_t n, int64_t step, mx::Stream s);
// The same of a mask with one element for each slice, or of positions in -n .. n - 1; others are std::out_of_range.
Compressed masked_slices(const Compressed& a, const mx::array& mask, mx::Stream s);
Compressed listed_slices(const Compressed& a, const mx::array& list, mx::Stream s);

// Whether the minor indices of every slice ascend; strictly: without duplicates.
bool ascends(const mx::array& indices, const mx::array& indptr, bool strictly, mx::Stream s);

bool is_traced(const mx::array& x, const mx::array& y);
// op(x, y), elementwise and lazy, of traced values too; whether an operation on such values is one of MLX's.
mx::array combined(MergeOp op, const mx::array& x, const mx::array& y, mx::Stream s);
bool is_combined(MergeOp op, mx::Dtype values);
// merge() of canonical operands.
Compressed merge_on_device(MergeOp op, const Compressed& a, const Compressed& b, mx::Stream s);

// matmul_sparse() of values that are not traced; none where a slice has too many products. Three waits: for the numbers of
// products and of entries, and for zeros among these.
std::optional<Compressed> matmul_on_device(const Compressed& a, const Compressed& b, mx::Stream s);

// See extrema.h; values have an order.
mx::array major_extreme_on_device(const Compressed& a, int64_t length, bool max, bool ignore_nan, bool explicit_only,
                                  mx::Stream s);
mx::array major_where_on_device(MajorWhere kernel, const Compressed& a, int64_t length, mx::Stream s);

} // namespace sp
