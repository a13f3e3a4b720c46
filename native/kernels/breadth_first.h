// Breadth-first search that meets nodes in the order of the entries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../parallel.h"
#include "tile.h"
#include "view.h"

namespace sp {

// order[0 ..] = the nodes that are reached from `start`, in the order in which a queue gives them; before[v] = the node from
// which v is met first (untouched for `start` and what is not reached). Returns their number. Edges are those of every one of
// `graphs`, in this order for each node.
//
// A level with many edges is parted among workers, each with its own list; lists are joined in the order of the parts, and
// what an earlier part has met is left out of later ones: so the order does not depend on the number of workers. Whether a
// node was met is told by a byte, more of which fit a cache than of `before`. Memory is asked for ahead in both orders: what
// nodes further down the queue have, and what stands behind the node at hand, since where numbers follow places (grids,
// roads, meshes) the next levels are its neighbours in memory, too. Cost: O(N + E), edges in parallel.
template <class I>
size_t breadth_first(const std::vector<CsPattern<I>>& graphs, size_t start, int32_t* order, int32_t* before) {
  struct Found { int32_t node, from; };
  struct Part {
    std::vector<Found> found;
    std::vector<uint8_t> own;
  };
  constexpr size_t kLongLevel = 4096; // nodes from which on it is looked how many edges there are
  constexpr int kWorkers = 4; // fewer lose more by their lists than they win
  constexpr size_t kAhead = 8; // nodes of the queue
  constexpr size_t kBehind = 32; // nodes, edges: two lines of a cache
  const size_t n = graphs[0].n_major;
  std::vector<uint8_t> met(n, 0);
  std::vector<Part> parts;
  std::vector<size_t> sums;
  met[start] = 1;
  order[0] = static_cast<int32_t>(start);
  size_t end = 1;
  auto scan = [&](size_t first, size_t last, auto&& meet) {
    const CsPattern<I>*const all = graphs.data(), *const past = all + graphs.size();
    const int32_t* const nodes = order; // locals: bytes that are written could alter others, to a compiler's mind
    for (size_t at = first; at < last; ++at) {
      if (at % 4096 == 0) check_interrupt();
      const int32_t v = nodes[at];
      for (const auto* g = all; g < past; ++g) {
        const I *const indptr = g->indptr, *const indices = g->indices;
        if (at + 2 * kAhead < last) prefetch(indptr + nodes[at + 2 * kAhead]);
        if (at + kAhead < last) prefetch(indices + indptr[nodes[at + kAhead]]);
        const auto begin = static_cast<size_t>(indptr[v]), stop = static_cast<size_t>(indptr[v + 1]);
        prefetch(indptr + v + kBehind);
        prefetch(indices + begin + kBehind);
        for (size_t e = begin; e < stop; ++e) meet(static_cast<int32_t>(indices[e]), v);
      }
    }
  };
  auto degree = [&](size_t at) {
    size_t total = 1;
    for (const auto& g : graphs) total += g.end(order[at]) - g.begin(order[at]);
    return total;
  };
  for (size_t first = 0, last = end; first < last; first = last, last = end) {
    int count = 1;
    if (last - first >= kLongLevel && planned_threads() >= kWorkers) {
      sums.assign(1, 0);
      for (size_t at = first; at < last; ++at) sums.push_back(sums.back() + degree(at));
      count = plan_parts(sums.back() / 4, 64);
    }
    if (count == 1) {
      size_t tail = end;
      scan(first, last, [m = met.data(), before, order, &tail](int32_t w, int32_t v) {
        if (m[w]) return;
        m[w] = 1;
        before[w] = v;
        order[tail++] = w;
      });
      end = tail;
      continue;
    }
    while (parts.size() < static_cast<size_t>(count)) parts.push_back({{}, std::vector<uint8_t>(n, 0)});
    auto bound = [&](int p) {
      return first + static_cast<size_t>(std::lower_bound(sums.begin(), sums.end(), sums.back() * p / count) - sums.begin());
    };
    run_parts(count, [&](int p) {
      Part& part = parts[p];
      scan(p ? bound(p) : first, p + 1 < count ? bound(p + 1) : last, [&, m = met.data(), own = part.own.data()](int32_t w, int32_t v) {
        if (m[w] | own[w]) return;
        own[w] = 1;
        part.found.push_back({w, v});
      });
    });
    for (int p = 0; p < count; ++p) {
      for (const auto& [w, v] : parts[p].found) {
        parts[p].own[w] = 0;
        if (met[w]) continue;
        met[w] = 1;
        before[w] = v;
        order[end++] = w;
      }
      parts[p].found.clear();
    }
  }
  return end;
}

} // namespace sp
