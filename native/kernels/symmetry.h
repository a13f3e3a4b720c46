// Whether an array is its own transpose.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "../interrupt.h"
#include "field.h"
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

// The largest |a - conj(b)| over entries a and their mirror images b, and the largest |a|, NaN where one is not finite. Both
// are left at 0 where all mirror images are exact.
template <class T>
std::pair<double, double> hermitian_error(size_t entries, const int64_t* mirror, const T* values) {
  size_t e = 0; // a - b is NaN for infinities too
  while (e < entries && (mirror[e] < static_cast<int64_t>(e) || values[e] - conj_of(values[mirror[e]]) == T(0))) ++e;
  real_t<T> off = 0, most = 0;
  if (e == entries) return {0.0, 0.0};
  for (e = 0; e < entries; ++e) {
    const T a = values[e];
    if (!is_finite(a)) return {0.0, std::numeric_limits<double>::quiet_NaN()};
    off = std::max(off, magnitude(T(a - conj_of(values[mirror[e]]))));
    most = std::max(most, magnitude(a));
  }
  return {static_cast<double>(off), static_cast<double>(most)};
}

} // namespace sp
