// Products and segment sums out of shaders (GPU streams, or the host executor). No atomics: what would scatter is
// sorted first, and A^T @ X runs on the transposed structure.
#pragma once

#include "product.h"

namespace sp {

mx::array shader_product(ProductKind kind, const Pattern& p, const mx::array& data, const mx::array& s0,
                         const mx::array& s1, const mx::array& x, mx::Stream s);
mx::array shader_major_sum(const mx::array& data, const mx::array& indptr, mx::Stream s);

// Shapes of the scratch that a segmented sum keeps as extra outputs of its primitive (MLX holds those until the GPU is
// done): part and carry, a single element each where they are not needed.
std::vector<mx::Shape> segment_scratch(int64_t nnz, int64_t n_major, int64_t batch, int64_t k, bool has_part,
                                       bool long_slices);

// outputs = (y, part, carry): sums over major slices of data * x, or of data alone when x is null. part: the chunks of
// this structure when known; without long_slices no slice needs carries.
void launch_segments(const mx::array& data, const mx::array& indices, const mx::array& indptr, const mx::array* x,
                     const mx::array* part, bool long_slices, std::vector<mx::array>& outputs, mx::Stream s);

} // namespace sp
