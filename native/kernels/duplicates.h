// Whether slices hold an index twice, found without sorting the structure itself.
#pragma once

#include "canonical.h"

namespace sp {

// Whether two of x[0 .. n) are equal. Cost: O(n^2).
template <class I>
bool any_equal(const I* x, size_t n) {
  bool found = false;
  for (size_t e = 1; e < n; ++e) {
    for (size_t j = 0; j < e; ++j) found |= x[j] == x[e];
  }
  return found;
}

// Whether an index occurs twice in a slice of any order. Cost: O(nnz log slice).
template <class I>
bool cs_has_duplicates(CsPattern<I> a) {
  std::atomic<bool> found{false};
  const int parts = plan_parts(4 * a.nnz() + a.n_major);
  const auto bounds = balance(a.indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    std::vector<I> x;
    for (size_t i = bounds[p]; i < bounds[p + 1] && !found.load(std::memory_order_relaxed); ++i) {
      const I *first = a.indices + a.begin(i), *last = a.indices + a.end(i);
      if (slice_in_order(first, last, true)) continue;
      const size_t n = last - first;
      if (n > kCountedSlice) {
        x.assign(first, last);
        std::sort(x.begin(), x.end());
      }
      const bool twice = n > kCountedSlice ? !slice_in_order<I>(x.data(), x.data() + n, true) : any_equal(first, n);
      if (twice) found.store(true, std::memory_order_relaxed);
    }
  });
  return found.load();
}

} // namespace sp
