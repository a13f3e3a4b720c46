// Breadth-first search that meets nodes in the order of the entries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../parallel.h"
#include "view.h"

namespace sp {

class Bits {
 public:
  explicit Bits(size_t n) : words_((n + 63) / 64, 0) {}
  bool operator[](size_t i) const { return words_[i / 64] >> (i % 64) & 1; }
  void set(size_t i) { words_[i / 64] |= uint64_t{1} << (i % 64); }
  void clear(size_t i) { words_[i / 64] &= ~(uint64_t{1} << (i % 64)); }

 private:
  std::vector<uint64_t> words_;
};

// order[0 ..] = the nodes that are reached from `start`, in the order in which a queue gives them; before[v] = the node from
// which v is met first (untouched for `start` and what is not reached). Returns their number. Edges are those of every one of
// `graphs`, in this order for each node.
//
// A level with many edges is parted among workers, each with its own list; lists are joined in the order of the parts, and
// what an earlier part has met is left out of later ones: so the order does not depend on the number of workers. Whether a
// node was met is told by bits, which fit a cache. Cost: O(N + E), edges in parallel.
template <class I>
size_t breadth_first(const std::vector<CsPattern<I>>& graphs, size_t start, int32_t* order, int32_t* before) {
  struct Found { int32_t node, from; };
  struct Part {
    std::vector<Found> found;
    Bits own;
  };
  const size_t n = graphs[0].n_major;
  Bits met(n);
  std::vector<Part> parts;
  size_t end = 0, edges = 0; // edges of the nodes of the next level
  auto put = [&](int32_t v) {
    met.set(v);
    order[end++] = v;
    for (const auto& g : graphs) edges += g.end(v) - g.begin(v) + 1;
  };
  auto scan = [&](size_t at, auto&& meet) {
    const int32_t v = order[at];
    for (const auto& g : graphs) {
      for (size_t e = g.begin(v), last = g.end(v); e < last; ++e) meet(static_cast<int32_t>(g.indices[e]), v);
    }
  };
  put(static_cast<int32_t>(start));
  for (size_t level = 0; level < end;) {
    check_interrupt();
    const size_t first = level, last = end;
    const int count = plan_parts(edges / 4, static_cast<int>(std::min<size_t>(last - first, 64)));
    level = last;
    edges = 0;
    if (count == 1) {
      Watch watch;
      for (size_t at = first; at < last; ++at) {
        watch(8);
        scan(at, [&](int32_t w, int32_t v) {
          if (met[w]) return;
          before[w] = v;
          put(w);
        });
      }
      continue;
    }
    while (parts.size() < static_cast<size_t>(count)) parts.push_back({{}, Bits(n)});
    std::vector<size_t> sums(last - first + 1, 0), bounds(count + 1, last);
    for (size_t at = first; at < last; ++at) {
      size_t degree = 1;
      for (const auto& g : graphs) degree += g.end(order[at]) - g.begin(order[at]);
      sums[at - first + 1] = sums[at - first] + degree;
    }
    for (int p = 0; p < count; ++p) {
      bounds[p] = first + (std::lower_bound(sums.begin(), sums.end(), sums.back() * p / count) - sums.begin());
    }
    run_parts(count, [&](int p) {
      Part& part = parts[p];
      Watch watch;
      for (size_t at = bounds[p]; at < bounds[p + 1]; ++at) {
        watch(8);
        scan(at, [&](int32_t w, int32_t v) {
          if (met[w] || part.own[w]) return;
          part.own.set(w);
          part.found.push_back({w, v});
        });
      }
    });
    for (int p = 0; p < count; ++p) {
      for (const auto& [w, v] : parts[p].found) {
        parts[p].own.clear(w);
        if (met[w]) continue;
        before[w] = v;
        put(w);
      }
      parts[p].found.clear();
    }
  }
  return end;
}

} // namespace sp
