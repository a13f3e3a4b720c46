// Depth-first search that follows edges in the order of the entries.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// order[0 ..] = the nodes that are reached from `start`, each path followed to its end before the next; before[v] = the node
// from which v is met (untouched for `start` and what is not reached). Returns their number. Edges are those of every one of
// `graphs`, in this order for each node. The way back is told by `before`. Cost: O(N + E), one thread.
template <class I>
size_t depth_first(const std::vector<CsPattern<I>>& graphs, size_t start, int32_t* order, int32_t* before) {
  const size_t n = graphs[0].n_major;
  std::unique_ptr<I[]> followed(new I[n * graphs.size()]); // of each node that was met, up to which entry
  std::vector<uint8_t> met(n, 0);
  auto enter = [&](int32_t v) {
    met[v] = 1;
    for (size_t g = 0; g < graphs.size(); ++g) followed[v * graphs.size() + g] = graphs[g].indptr[v];
  };
  const auto first = static_cast<int32_t>(start);
  enter(first);
  order[0] = first;
  size_t end = 1;
  Watch watch;
  for (int32_t v = first; end < n;) {
    int32_t next = -1;
    for (size_t g = 0; g < graphs.size() && next < 0; ++g) {
      const I* const indices = graphs[g].indices;
      I& at = followed[v * graphs.size() + g];
      I e = at;
      const I stop = graphs[g].indptr[v + 1];
      while (e < stop && met[indices[e]]) ++e;
      watch(static_cast<size_t>(e - at) + 8);
      if (e < stop) next = static_cast<int32_t>(indices[e++]);
      at = e;
    }
    if (next >= 0) {
      before[next] = v;
      order[end++] = next;
      enter(next);
      v = next;
    } else if (v == first) {
      break;
    } else {
      v = before[v];
    }
  }
  return end;
}

} // namespace sp
