// Depth-first search that follows edges in the order of the entries.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// order[0 ..] = the nodes that are reached from `start`, each path followed to its end before the next; before[v] = the node
// from which v is met (untouched for `start` and what is not reached). Returns their number. Edges are those of every one of
// `graphs`, in this order for each node. The way back is told by `before`. Cost: O(N + E), one thread.
template <size_t G, class I>
size_t depth_first(const CsPattern<I>* graphs, size_t start, int32_t* order, int32_t* before) {
  const size_t n = graphs[0].n_major;
  using Places = std::array<I, G>;
  std::unique_ptr<Places[]> left_at(new Places[n]); // of each node on the path, the entries that are next
  std::unique_ptr<bool[]> met(new bool[n]);
  std::fill_n(met.get(), n, false);
  auto v = static_cast<int32_t>(start);
  Places at; // of the node at the end of the path
  auto enter = [&] {
    met[v] = true;
    for (size_t g = 0; g < G; ++g) at[g] = graphs[g].indptr[v];
  };
  enter();
  order[0] = v;
  size_t end = 1;
  Watch watch;
  while (end < n) {
    int32_t next = -1;
    for (size_t g = 0; g < G && next < 0; ++g) {
      const I* const indices = graphs[g].indices;
      const I begin = at[g], stop = graphs[g].indptr[v + 1];
      I e = begin;
      while (e < stop && met[indices[e]]) ++e;
      watch(static_cast<size_t>(e - begin) + 8);
      if (e < stop) next = static_cast<int32_t>(indices[e++]);
      at[g] = e;
    }
    if (next >= 0) {
      left_at[v] = at;
      before[next] = v;
      order[end++] = v = next;
      enter();
    } else if (v == static_cast<int32_t>(start)) {
      break;
    } else {
      v = before[v];
      at = left_at[v];
    }
  }
  return end;
}

// The same for one graph, or two.
template <class I>
size_t depth_first(const std::vector<CsPattern<I>>& graphs, size_t start, int32_t* order, int32_t* before) {
  return graphs.size() == 1 ? depth_first<1>(graphs.data(), start, order, before)
                            : depth_first<2>(graphs.data(), start, order, before);
}

} // namespace sp
