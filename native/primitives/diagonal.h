// A diagonal of a sparsity pattern: the sums of the stored values on it.
#pragma once

#include "structure.h"

namespace sp {

// data of pattern.values_shape (compressed, coordinate or block) -> (length of the k-th diagonal,), which must not be
// negative. canonical: the slices of a compressed structure are known to ascend without duplicates, so that a shader can
// search; of other structures it is a graph of operations where shaders run.
mx::array diagonal(const Structure& a, const mx::array& data, int64_t k, bool canonical, mx::Stream s);

} // namespace sp
