// Whether an array is its own transpose.
#pragma once

#include <algorithm>
#include <memory>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// Whether every entry has its like on the other side of the diagonal: `same(e, f)` is asked for entries that mirror each
// other. Slices that are not sorted may be taken for asymmetric. Cost: O(E), and what was looked at until the first that
// has none; one thread.
template <class I, class Same>
bool is_symmetric(CsPattern<I> a, Same&& same) {
  const size_t n = a.n_major;
  std::unique_ptr<I[]> next(new I[n]); // mirrors of the entries of earlier slices stand before
  std::copy_n(a.indptr, n, next.get());
  Watch watch;
  for (size_t u = 0; u < n; ++u) {
    watch(4 * (a.end(u) - a.begin(u)) + 1);
    for (size_t e = a.begin(u); e < a.end(u); ++e) {
      const auto v = static_cast<size_t>(a.indices[e]);
      const auto f = static_cast<size_t>(next[v]++);
      if (f >= a.end(v) || static_cast<size_t>(a.indices[f]) != u || !same(e, f)) return false;
    }
  }
  return true;
}

} // namespace sp
