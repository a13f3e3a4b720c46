// A diagonal of a sparsity pattern: the sums of the stored values on it.
#pragma once

#include "structure.h"

namespace sp {

// data of pattern.values_shape (compressed, coordinate or block) -> (length of the k-th diagonal,), which must not be
// negative. With shaders it is a graph of other operations.
mx::array diagonal(const Structure& a, const mx::array& data, int64_t k, mx::Stream s);

} // namespace sp
