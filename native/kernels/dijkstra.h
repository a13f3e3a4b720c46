// Shortest paths where no edge is of negative length.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "../interrupt.h"
#include "tile.h"
#include "view.h"

namespace sp {

// What a search writes: distance, previous node and source of every node. before and source may be null. What is not reached
// is infinite, and -9999.
template <class D>
struct PathsOut {
  D* distance;
  int32_t *before, *source;
};

// One worker's searches. E. W. Dijkstra, Numerische Mathematik 1 (1959), with a heap of four children a node (D. B. Johnson,
// Information Processing Letters 4, 1975). A node stands in it once for every time that its key became less, and the first
// time counts: moving a key up would write down the place of every entry that it passes. Cost: O((E + N) log N) a search.
//
// A distance is the least over all paths of sums from the source on, so it does not depend on the order of equal keys; which
// of several shortest paths is given does.
template <class D, class I>
class Dijkstra {
 public:
  Dijkstra(const std::vector<CsView<D, I>>& graphs, bool unweighted)
      : graphs_(graphs), unweighted_(unweighted), n_(graphs[0].n_major), done_(n_) {}

  // From several nodes at once: to each node from the nearest of them. It ends early when it is done with `target`, and has
  // the lengths of nearer nodes only.
  void run(const int64_t* first, const int64_t* last, D limit, PathsOut<D> out, int32_t target = -1) {
    constexpr int32_t none = -9999;
    D* const distance = out.distance;
    std::fill_n(distance, n_, kFar);
    if (out.before) std::fill_n(out.before, n_, none);
    if (out.source) std::fill_n(out.source, n_, none);
    std::fill(done_.begin(), done_.end(), 0);
    heap_.clear();
    for (; first != last; ++first) {
      const auto s = static_cast<int32_t>(*first);
      if (distance[s] != kFar) continue;
      distance[s] = 0;
      if (out.source) out.source[s] = s;
      push({0, s});
    }
    Watch watch;
    while (!heap_.empty()) {
      const auto [key, v] = pop();
      if (done_[v]) continue;
      done_[v] = 1;
      if (v == target) return;
      for (const auto& g : graphs_) {
        watch(8 * (g.end(v) - g.begin(v)) + 16);
        for (size_t e = g.begin(v), end = g.end(v); e < end; ++e) {
          if (e + kAhead < end) prefetch(distance + g.indices[e + kAhead]);
          const auto w = static_cast<int32_t>(g.indices[e]);
          const D next = key + (unweighted_ ? D{1} : g.data[e]);
          if (next >= distance[w] || !(next <= limit)) continue; // nor does an infinite edge lead anywhere
          if (done_[w]) continue; // which is further away where an edge of negative length led here
          distance[w] = next;
          if (out.before) out.before[w] = v;
          if (out.source) out.source[w] = out.source[v];
          push({next, w});
        }
      }
    }
  }

 private:
  struct Entry {
    D key;
    int32_t node;
  };
  static constexpr D kFar = std::numeric_limits<D>::infinity();
  static constexpr size_t kAhead = 8; // edges

  void push(Entry x) {
    heap_.push_back(x);
    up(heap_.size() - 1, x);
  }
  void up(size_t i, Entry x) {
    for (size_t parent; i > 0 && x.key < heap_[parent = (i - 1) / 4].key; i = parent) heap_[i] = heap_[parent];
    heap_[i] = x;
  }
  // The hole goes down to a leaf, where what came from the last leaf most often belongs (I. Wegener, Theoretical Computer
  // Science 118, 1993).
  Entry pop() {
    const Entry top = heap_[0], x = heap_.back();
    heap_.pop_back();
    const size_t n = heap_.size();
    if (n == 0) return top;
    const Entry* const h = heap_.data();
    size_t i = 0, child = 1;
    for (; child + 3 < n; child = 4 * i + 1) { // sums, not branches, which nothing could foretell
      const size_t left = child + (h[child + 1].key < h[child].key), right = child + 2 + (h[child + 3].key < h[child + 2].key);
      const size_t least = left + (right - left) * (h[right].key < h[left].key);
      heap_[i] = heap_[least];
      i = least;
    }
    if (child < n) {
      size_t least = child;
      for (size_t c = child + 1; c < n; ++c) least = h[c].key < h[least].key ? c : least;
      heap_[i] = heap_[least];
      i = least;
    }
    up(i, x);
    return top;
  }

  const std::vector<CsView<D, I>>& graphs_;
  bool unweighted_;
  size_t n_;
  std::vector<uint8_t> done_;
  std::vector<Entry> heap_;
};

} // namespace sp
