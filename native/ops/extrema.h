// Minima and maxima along an axis: they read evaluated buffers, since what they give is then searched for zeros.
#pragma once

#include "kernels/extrema.h"
#include "ops/sized.h"

namespace sp {

// Of each slice, from the values and indptr.
mx::array major_extreme(const mx::array& data, const mx::array& indptr, int64_t n_minor, bool max, bool ignore_nan,
                        bool explicit_only);
// Of each of n_minor minor indices, which stand for `length` positions.
mx::array minor_extreme(const mx::array& data, const mx::array& indices, int64_t n_minor, int64_t length, bool max,
                        bool ignore_nan, bool explicit_only);

// Positions of the first extremes of slices of a canonical array, int64. See cs_major_where.
mx::array major_where(MajorWhere kernel, const Structure& a, const mx::array& data, mx::Stream s);

} // namespace sp
