// A masked sparse product: the values of sparse @ sparse at the places of a structure that is known.
#pragma once

#include "structure.h"

namespace sp {

// (a @ b)[i, j] for the places (i, j) that (indices, indptr) name, all compressed along the same axis. Any order;
// duplicates add. Lazy, and of both operands' values differentiable: each derivative is such a product. On the CPU only,
// where it is made for a stream of it.
mx::array sampled_matmul(const Compressed& a, const Compressed& b, const mx::array& indices, const mx::array& indptr,
                         int64_t n_minor, mx::Stream s);

} // namespace sp
