// Shortest paths where no edge is of negative length.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
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
// Information Processing Letters 4, 1975) in which keys decrease in place. Cost: O((E + N) log N) a search.
//
// A distance is the least over all paths of sums from the source on, so it does not depend on the order of equal keys; which
// of several shortest paths is given does. Lengths of float64 need no more memory than the result and the heap: where the
// distance of a node in the heap will stand is a NaN meanwhile, which has room for its place there.
template <class D, class I>
class Dijkstra {
 public:
  Dijkstra(const std::vector<CsView<D, I>>& graphs, bool unweighted)
      : graphs_(graphs), unweighted_(unweighted), n_(graphs[0].n_major), place_(kWithin ? nullptr : new int32_t[n_]) {}

  // From several nodes at once: to each node from the nearest of them. It ends early when it is done with `target`, and has
  // the lengths of nearer nodes only.
  void run(const int64_t* first, const int64_t* last, D limit, PathsOut<D> out, int32_t target = -1) {
    constexpr int32_t none = -9999;
    distance_ = out.distance;
    std::fill_n(distance_, n_, kFar);
    if (out.before) std::fill_n(out.before, n_, none);
    if (out.source) std::fill_n(out.source, n_, none);
    for (; first != last; ++first) {
      const auto s = static_cast<int32_t>(*first);
      if (distance_[s] != kFar) continue;
      if (out.source) out.source[s] = s;
      push(s, 0);
    }
    Watch watch;
    while (!heap_.empty()) {
      const auto [key, v] = pop();
      if (v == target) return heap_.clear();
      for (const auto& g : graphs_) {
        watch(8 * (g.end(v) - g.begin(v)) + 16);
        for (size_t e = g.begin(v), end = g.end(v); e < end; ++e) {
          if (e + kAhead < end) prefetch(distance_ + g.indices[e + kAhead]);
          const auto w = static_cast<int32_t>(g.indices[e]);
          const D next = key + (unweighted_ ? D{1} : g.data[e]), known = distance_[w];
          if (next >= known || !(next <= limit)) continue; // nor does an infinite edge lead anywhere
          if (known == kFar) {
            push(w, next);
          } else if (waits(w, next)) {
            if constexpr (!kWithin) distance_[w] = next;
            up(place(w), {next, w});
          } else {
            continue;
          }
          if (out.before) out.before[w] = v;
          if (out.source) out.source[w] = out.source[v];
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
  static constexpr bool kWithin = sizeof(D) == 8; // whether a NaN holds the place
  static constexpr size_t kAhead = 8; // edges
  static constexpr int32_t kDone = -1;
  static constexpr uint64_t kNan = 0x7ff8'0000'0000'0000;

  // Whether v, which was met, is in the heap, and further away than `key`. A negative edge may lead to what is not.
  bool waits(int32_t v, D key) const {
    if constexpr (kWithin) return std::isnan(distance_[v]) && key < heap_[place(v)].key;
    else return place_[v] != kDone;
  }
  size_t place(int32_t v) const {
    if constexpr (kWithin) return std::bit_cast<uint64_t>(distance_[v]) ^ kNan;
    else return static_cast<size_t>(place_[v]);
  }
  void put(size_t i, Entry x) {
    heap_[i] = x;
    if constexpr (kWithin) distance_[x.node] = std::bit_cast<D>(kNan | i);
    else place_[x.node] = static_cast<int32_t>(i);
  }
  void push(int32_t v, D key) {
    if constexpr (!kWithin) distance_[v] = key;
    heap_.push_back({key, v});
    up(heap_.size() - 1, {key, v});
  }
  void up(size_t i, Entry x) {
    while (i > 0 && x.key < heap_[(i - 1) / 4].key) {
      put(i, heap_[(i - 1) / 4]);
      i = (i - 1) / 4;
    }
    put(i, x);
  }
  Entry pop() {
    const Entry top = heap_[0], x = heap_.back();
    heap_.pop_back();
    if constexpr (kWithin) distance_[top.node] = top.key;
    else place_[top.node] = kDone;
    const size_t n = heap_.size();
    if (n == 0) return top;
    size_t i = 0;
    for (size_t child; (child = 4 * i + 1) < n;) {
      size_t least = child;
      for (size_t c = child + 1, end = std::min(n, child + 4); c < end; ++c) {
        if (heap_[c].key < heap_[least].key) least = c;
      }
      if (!(heap_[least].key < x.key)) break;
      put(i, heap_[least]);
      i = least;
    }
    put(i, x);
    return top;
  }

  const std::vector<CsView<D, I>>& graphs_;
  bool unweighted_;
  size_t n_;
  D* distance_ = nullptr;
  std::unique_ptr<int32_t[]> place_; // in the heap
  std::vector<Entry> heap_;
};

} // namespace sp
