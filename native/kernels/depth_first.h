// Depth-first search that follows edges in the order of the entries.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// order[0 ..] = the nodes that are reached from `start`, each path followed to its end before the next; before[v] = the node
// from which v is met, -9999, which it is to hold everywhere, for `start` and what is not reached. Returns their number.
// Edges are those of every one of `graphs`, in this order for each node. What is done once a node decides the time of long
// paths: so `before` is also the mark of the nodes that are met, and tells the way back. Cost: O(N + E), one thread.
template <size_t G, class I>
class DepthFirst {
 public:
  DepthFirst(const CsPattern<I>* graphs, size_t start, int32_t* order, int32_t* before)
      : n_(graphs[0].n_major), start_(start), order_(order), before_(before), path_(new Entries[n_ + 1]) {
    std::copy_n(graphs, G, graphs_);
  }

  size_t run() {
    before_[start_] = 0;
    order_[0] = static_cast<int32_t>(start_);
    for (size_t g = 0; g < G; ++g) path_[0][g] = {graphs_[g].indptr[start_], graphs_[g].indptr[start_ + 1]};
    State at{start_, 1, path_.get()};
    while (search(at)) check_interrupt();
    before_[start_] = -9999;
    return at.count;
  }

 private:
  struct Range {
    I next, stop;
  };
  using Entries = std::array<Range, G>; // those of a node that are still to be followed
  struct State {
    size_t v, count; // the end of the path; how many nodes are met
    Entries* left;   // of v, after those of the nodes before it
  };

  // What is not negative, which the processor widens for nothing when it is told so.
  template <class N>
  static size_t number(N x) { return static_cast<std::make_unsigned_t<N>>(x); }

  // Searches on, for microseconds rather than more; returns whether there is more to do. A function of its own, and copies
  // of what the members hold, so that the compiler keeps all that changes with every node in registers.
  [[gnu::noinline]] bool search(State& at) const {
    constexpr size_t most_nodes = 1024, most_back = 1 << 15;
    const I *indptr[G], *indices[G];
    for (size_t g = 0; g < G; ++g) {
      indptr[g] = graphs_[g].indptr;
      indices[g] = graphs_[g].indices;
    }
    int32_t *const order = order_, *const before = before_;
    size_t v = at.v, count = at.count, next[G], stop[G];
    Entries* left = at.left;
    auto load = [&] {
      for (size_t g = 0; g < G; ++g) {
        next[g] = number((*left)[g].next);
        stop[g] = number((*left)[g].stop);
      }
    };
    auto store = [&] {
      for (size_t g = 0; g < G; ++g) (*left)[g] = {static_cast<I>(next[g]), static_cast<I>(stop[g])};
    };
    load();
    const size_t pause = std::min(n_, count + most_nodes);
    size_t back = 0; // entries and nodes gone back to
    while (back < most_back) {
      while (count < pause) {
        size_t w = 0;
        bool found = false;
        for (size_t g = 0; g < G && !found; ++g) {
          for (; !found && next[g] < stop[g]; ++next[g]) found = before[w = number(indices[g][next[g]])] < 0;
        }
        if (!found) break;
        store();
        ++left;
        before[w] = static_cast<int32_t>(v);
        order[count++] = static_cast<int32_t>(v = w);
        for (size_t g = 0; g < G; ++g) {
          next[g] = number(indptr[g][w]);
          stop[g] = number(indptr[g][w + 1]);
        }
      }
      if (count == pause) break;
      if (v == start_) {
        at.count = count;
        return false;
      }
      v = number(before[v]);
      --left;
      load();
      for (size_t g = 0; g < G; ++g) back += stop[g] - next[g] + 1;
    }
    store();
    at = {v, count, left};
    return count < n_;
  }

  CsPattern<I> graphs_[G];
  size_t n_, start_;
  int32_t *order_, *before_;
  std::unique_ptr<Entries[]> path_;
};

// The same for one graph, or two.
template <class I>
size_t depth_first(const std::vector<CsPattern<I>>& graphs, size_t start, int32_t* order, int32_t* before) {
  return graphs.size() == 1 ? DepthFirst<1, I>(graphs.data(), start, order, before).run()
                            : DepthFirst<2, I>(graphs.data(), start, order, before).run();
}

} // namespace sp
