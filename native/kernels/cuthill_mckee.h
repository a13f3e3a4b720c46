// Orders of nodes for the sake of a narrow band.
#pragma once

#include <algorithm>
#include <memory>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// degree[v] = number of entries of slice v, one on the diagonal twice. O(E).
template <class I>
void node_degrees(CsPattern<I> a, I* degree) {
  Watch watch;
  for (size_t v = 0; v < a.n_major; ++v) {
    const I *const begin = a.indices + a.begin(v), *const end = a.indices + a.end(v);
    watch(static_cast<size_t>(end - begin) + 1);
    degree[v] = static_cast<I>(end - begin) + (std::find(begin, end, static_cast<I>(v)) != end ? 1 : 0);
  }
}

// order[0 .. n) = the nodes as searches breadth first meet them, from the last to the first: each begins at the first of
// `seeds` that was not met before, and takes the neighbours of a node by degree, those of equal degree as they are stored.
// E. Cuthill, J. McKee, Proceedings of the 24th National Conference of the ACM (1969). Cost: O(N + E log(degree)).
template <class I>
void reverse_cuthill_mckee(CsPattern<I> a, const I* degree, const int64_t* seeds, I* order) {
  const size_t n = a.n_major;
  std::unique_ptr<bool[]> met(new bool[n]);
  std::fill_n(met.get(), n, false);
  Watch watch;
  size_t end = 0;
  for (size_t s = 0; s < n && end < n; ++s) {
    if (met[seeds[s]]) continue;
    met[seeds[s]] = true;
    order[end] = static_cast<I>(seeds[s]);
    for (size_t at = end++; at < end && end < n; ++at) {
      const auto v = static_cast<size_t>(order[at]);
      watch(4 * (a.end(v) - a.begin(v)) + 8);
      const size_t first = end;
      for (size_t e = a.begin(v); e < a.end(v); ++e) {
        const I w = a.indices[e];
        if (met[w]) continue;
        met[w] = true;
        order[end++] = w;
      }
      auto less = [degree](I u, I w) { return degree[u] < degree[w]; };
      if (end - first > 16) {
        std::stable_sort(order + first, order + end, less);
        continue;
      }
      for (size_t i = first + 1; i < end; ++i) {
        const I w = order[i];
        size_t j = i;
        for (; j > first && less(w, order[j - 1]); --j) order[j] = order[j - 1];
        order[j] = w;
      }
    }
  }
  std::reverse(order, order + n);
}

} // namespace sp
