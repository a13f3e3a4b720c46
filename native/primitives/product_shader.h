// Products and segment sums out of shaders (GPU streams, or the host executor). No atomics: what would scatter is
// sorted first, and A^T @ X runs on the transposed structure.
#pragma once

#include "product.h"

namespace sp {

mx::array shader_product(ProductKind kind, const Structure& a, const mx::array& data, const mx::array& x, mx::Stream s);

// The structure sorted by minor index, and the permutation that takes the values there; kept with the structure.
Plan::Transposed transposed(const Structure& a, mx::Stream s);

// What a segmented sum over compressed slices keeps as scratch: part, the first slice of each chunk (has_part: the plan
// has it), and carry, the sums of slices that reach across chunks (long_slices: some do). One element where not needed.
struct SegmentExtents {
  int64_t nnz, n_major, batch, k;
  bool has_part, long_slices;
};
std::vector<Output> segment_scratch(const SegmentExtents& e, mx::Dtype index, mx::Dtype values);

// Sums over major slices of data * x, or of data alone when x is null; part: the chunks of this structure when known.
struct SegmentOperands {
  const mx::array &data, &indices, &indptr;
  const mx::array *x, *part;
  bool long_slices;
};
// outputs = (y, part, carry).
void launch_segments(const SegmentOperands& in, Arrays& outputs, mx::Stream s);

} // namespace sp
