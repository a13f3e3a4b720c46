// Positions of an index array by group: group i holds the positions e with index[e] == i. Elements outside [0, n) belong
// to no group.
#pragma once

#include "convert.h"

namespace sp {

// offsets[i] = first position of group i in a nondecreasing index, offsets[n] = end of the last group. One pass. An index
// that is not sorted gives offsets that are still nondecreasing and at most `count`, but not its groups.
template <class I>
void offsets_of_sorted(size_t count, size_t n, const I* index, I* offsets) {
  size_t row = 0;
  for (size_t e = 0; e < count; ++e) {
    if (index[e] < 0) continue;
    for (const size_t stop = std::min(static_cast<size_t>(index[e]), n); row <= stop; ++row) {
      offsets[row] = static_cast<I>(e);
    }
  }
  for (; row <= n; ++row) offsets[row] = static_cast<I>(count);
}

// order[offsets[i] .. offsets[i + 1]) = the positions of group i, ascending; order is 0 behind the last group.
// A counting sort: O(count + parts * n).
template <class I>
void order_by_key(size_t count, size_t n, const I* index, I* order, I* offsets) {
  offsets[0] = 0;
  const int parts = n ? plan_sort<I>(count, n, count * 2 * sizeof(I)) : 1;
  auto each = [=](int p, auto&& f) {
    for (size_t e = count * p / parts; e < count * (p + 1) / parts; ++e) {
      if (index[e] >= 0 && static_cast<size_t>(index[e]) < n) f(e, static_cast<size_t>(index[e]));
    }
  };
  if (n) {
    counting_sort(
        n, parts, offsets, [&](int p, I* slots) { each(p, [&](size_t, size_t i) { ++slots[i]; }); },
        [&](int p, I* next) { each(p, [&](size_t e, size_t i) { order[next[i]++] = static_cast<I>(e); }); });
  }
  std::fill(order + offsets[n], order + count, I{0});
}

} // namespace sp
