// Sums of stored values over one axis: one output per major slice (segments) or per minor index (scatter).
#pragma once

#include "structure.h"

namespace sp {

// data (nnz,) or (b, nnz) -> (n_major,) or (b, n_major).
mx::array major_sum(const mx::array& data, const mx::array& indptr, mx::Stream s);
// data (nnz,) or (b, nnz) -> (n_minor,) or (b, n_minor).
mx::array minor_sum(const mx::array& data, const mx::array& indices, int64_t n_minor, mx::Stream s);
// The same of a compressed structure; where shaders add, by its transposed form, which is kept with it.
mx::array inner_sum(const Structure& a, const mx::array& data, mx::Stream s);

// The sum of all values, of any shape.
mx::array total(const mx::array& data, mx::Stream s);

} // namespace sp
