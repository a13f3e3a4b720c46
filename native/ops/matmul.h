// Products of two compressed arrays.
#pragma once

#include <atomic>

#include "ops/sized.h"

namespace sp {

// a @ b, both compressed along the same axis; canonical, without zeros. Traced values: zeros stay.
Compressed matmul_sparse(const Compressed& a, const Compressed& b, int64_t n_minor);

// Worker limit for it; 0 follows n_threads().
std::atomic<int>& spgemm_threads();

} // namespace sp
