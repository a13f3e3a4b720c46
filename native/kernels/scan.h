// Running sums: from how many to where.
#pragma once

#include <cstddef>

namespace sp {

// indptr[m + 1] holds the length of slice m -> indptr. Returns the sum, which may exceed what I holds: check it. O(n).
template <class I>
size_t lengths_to_indptr(size_t n, I* indptr) {
  size_t total = 0;
  indptr[0] = 0;
  for (size_t m = 1; m <= n; ++m) indptr[m] = static_cast<I>(total += static_cast<size_t>(indptr[m]));
  return total;
}

} // namespace sp
