// Breadth-first search that meets nodes in the order of the entries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "../parallel.h"
#include "tile.h"
#include "view.h"

namespace sp {

// The queue of a search: order[0 ..], and before[v] = the node from which v is met first (untouched for what is not).
//
// A level with many edges is parted among workers, each with its own list; lists are joined in the order of the parts, and
// what an earlier part has met is left out of later ones: so the order does not depend on the number of workers. Whether a
// node was met is told by a byte, more of which fit a cache than of `before`. Memory is asked for ahead in both orders: what
// nodes further down the queue have, and what stands behind the node at hand, since where numbers follow places (grids,
// roads, meshes) the next levels are its neighbours in memory, too. Cost: O(N + E), edges in parallel.
template <class I>
class BreadthFirst {
 public:
  BreadthFirst(size_t n, size_t start, int32_t* order, int32_t* before) : n_(n), order_(order), before_(before), met_(n, 0) {
    met_[start] = 1;
    order[0] = static_cast<int32_t>(start);
  }

  const uint8_t* met() const { return met_.data(); }

  // As if the queue gave v, which is not met yet, from `from`. Puts it nowhere.
  void meet(int32_t v, int32_t from) {
    met_[v] = 1;
    before_[v] = from;
  }

  // Follows the edges of order[first .. end), in every one of `graphs` in this order for each node; returns the new end.
  size_t follow(const std::vector<CsPattern<I>>& graphs, size_t first, const size_t end) {
    const size_t last = end;
    int count = 1;
    if (last - first >= kLongLevel && planned_threads() >= kWorkers) {
      sums_.assign(1, 0);
      for (size_t at = first; at < last; ++at) {
        size_t degree = 1;
        for (const auto& g : graphs) degree += g.end(order_[at]) - g.begin(order_[at]);
        sums_.push_back(sums_.back() + degree);
      }
      count = plan_parts(sums_.back() / 4, 64);
    }
    if (count > 1) return follow_in_parts(graphs, first, last, count);
    size_t tail = end;
    scan(graphs, first, last, [m = met_.data(), before = before_, order = order_, &tail](int32_t w, int32_t v) {
      if (m[w]) return;
      m[w] = 1;
      before[w] = v;
      order[tail++] = w;
    });
    return tail;
  }

 private:
  struct Found { int32_t node, from; };
  struct Part {
    std::vector<Found> found;
    std::vector<uint8_t> own;
  };
  static constexpr size_t kLongLevel = 4096; // nodes from which on it is looked how many edges there are
  static constexpr int kWorkers = 4; // fewer lose more by their lists than they win
  static constexpr size_t kAhead = 8; // nodes of the queue
  static constexpr size_t kBehind = 32; // nodes, edges: two lines of a cache

  template <class Meet>
  void scan(const std::vector<CsPattern<I>>& graphs, size_t first, size_t last, Meet&& meet) const {
    const CsPattern<I>*const all = graphs.data(), *const past = all + graphs.size();
    const int32_t* const nodes = order_; // locals: bytes that are written could alter others, to a compiler's mind
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
  }

  size_t follow_in_parts(const std::vector<CsPattern<I>>& graphs, size_t first, size_t last, int count) {
    while (parts_.size() < static_cast<size_t>(count)) parts_.push_back({{}, std::vector<uint8_t>(n_, 0)});
    auto bound = [&](int p) {
      return first + static_cast<size_t>(std::lower_bound(sums_.begin(), sums_.end(), sums_.back() * p / count) - sums_.begin());
    };
    run_parts(count, [&](int p) {
      Part& part = parts_[p];
      scan(graphs, p ? bound(p) : first, p + 1 < count ? bound(p + 1) : last,
           [&, m = met_.data(), own = part.own.data()](int32_t w, int32_t v) {
             if (m[w] | own[w]) return;
             own[w] = 1;
             part.found.push_back({w, v});
           });
    });
    size_t end = last;
    for (int p = 0; p < count; ++p) {
      for (const auto& [w, v] : parts_[p].found) {
        parts_[p].own[w] = 0;
        if (met_[w]) continue;
        meet(w, v);
        order_[end++] = w;
      }
      parts_[p].found.clear();
    }
    return end;
  }

  size_t n_;
  int32_t *order_, *before_;
  std::vector<uint8_t> met_;
  std::vector<Part> parts_;
  std::vector<size_t> sums_;
};

// order[0 ..] = the nodes that are reached from `start`, in the order in which a queue gives them. Returns their number.
template <class I>
size_t breadth_first(const CsPattern<I>& a, size_t start, int32_t* order, int32_t* before) {
  BreadthFirst<I> search(a.n_major, start, order, before);
  const std::vector<CsPattern<I>> graphs{a};
  size_t end = 1;
  for (size_t first = 0; first < end;) first = std::exchange(end, search.follow(graphs, first, end));
  return end;
}

} // namespace sp
