// Products of two compressed arrays, of slices with few products each. With shaders only; not differentiable.
#pragma once

#include "structure.h"

namespace sp {

constexpr int kSliceProducts = 512; // at most of a slice

// a b, what stands before the entries and slices of a among the products, and which slices each chunk has: int32.
struct SpgemmPlan { mx::array offsets, starts, part; };
SpgemmPlan spgemm_plan(const mx::array& offsets, const mx::array& starts, int64_t products, mx::Stream s);

// The number of entries of each slice; and, from its running sums, the n entries, sorted: (indices, data). Zeros stay.
mx::array spgemm_count(const Compressed& a, const Compressed& b, const SpgemmPlan& plan, mx::Stream s);
std::pair<mx::array, mx::array> spgemm_fill(const Compressed& a, const Compressed& b, const SpgemmPlan& plan,
                                            const mx::array& begins, int64_t n, mx::Stream s);

} // namespace sp
