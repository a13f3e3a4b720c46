// Minimum spanning forests.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <vector>

#include "../parallel.h"
#include "components.h"
#include "view.h"

namespace sp {

// kept[e] = whether entry e, an edge between its slice and its minor index, is in the minimum spanning forest. Of equal
// weights the entry that stands first comes first, so that there is one such forest. No weight is nan.
//
// O. Boruvka (1926), in the form of M. Sollin: every component is joined by its lightest edge to another one, until none
// has any. Edges within a component are left out as they are met: of the first round those of the graph itself, later ones
// of a list for each worker. Cost: O(E log N), in parallel; usually few edges are left after two rounds.
template <class T, class I>
class SpanningForest {
 public:
  explicit SpanningForest(CsView<T, I> a)
      : a_(a), above_(new int32_t[a.n_major]), least_(new I[a.n_major]), sets_(above_.get()) {}

  void run(bool* kept) {
    const size_t n = a_.n_major;
    const int parts = plan_parts(8 * (a_.nnz() + n));
    std::iota(above_.get(), above_.get() + n, 0);
    std::fill_n(least_.get(), n, kNone);
    std::fill_n(kept, a_.nnz(), false);
    const auto bounds = balance(a_.indptr, n, parts);
    auto slices = [&](auto&& f) { // f(part, edge)
      run_parts(parts, [&](int p) {
        in_pieces(a_.indptr, bounds[p], bounds[p + 1], 8, [&](size_t lo, size_t hi) {
          for (size_t u = lo; u < hi; ++u) {
            for (size_t e = a_.begin(u); e < a_.end(u); ++e) {
              f(p, Edge{static_cast<int32_t>(u), static_cast<int32_t>(a_.indices[e]), static_cast<I>(e)});
            }
          }
        });
      });
    };
    slices([&](int, Edge x) { offer(x); });
    choose(parts, kept);
    slices([&](int, Edge x) {
      if (kept[x.entry]) sets_.join(x.u, x.v);
    });
    std::vector<std::vector<Edge>> left(parts);
    for (int p = 0; p < parts; ++p) left[p].reserve(a_.begin(bounds[p + 1]) - a_.begin(bounds[p])); // used as far as written
    flatten(parts);
    slices([&](int p, Edge x) {
      if (outward(x)) left[p].push_back(x);
    });
    while (choose(parts, kept)) {
      auto edges = [&](auto&& f) { // keeps those for which f(edge) is true
        run_parts(parts, [&](int p) {
          size_t count = 0;
          for (size_t i = 0; i < left[p].size(); ++i) {
            if (i % 16384 == 0) check_interrupt();
            Edge x = left[p][i];
            if (f(x)) left[p][count++] = x;
          }
          left[p].resize(count);
        });
      };
      edges([&](Edge x) { return !(kept[x.entry] && (sets_.join(x.u, x.v), true)); });
      flatten(parts);
      edges([&](Edge& x) { return outward(x); });
    }
  }

 private:
  struct Edge {
    int32_t u, v; // the nodes, or components, that it lies between
    I entry;
  };
  static constexpr I kNone = -1;

  bool is_less(I e, I than) const {
    if (than == kNone) return true;
    const T a = a_.data[e], b = a_.data[than];
    return a < b || (a == b && e < than);
  }

  // The edge is a candidate at both ends.
  void offer(Edge x) const {
    if (x.u == x.v) return;
    for (int32_t c : {x.u, x.v}) {
      I known = __atomic_load_n(least_.get() + c, __ATOMIC_RELAXED);
      while (is_less(x.entry, known) &&
             !__atomic_compare_exchange_n(least_.get() + c, &known, x.entry, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
  }

  // Whether the edge leads from one component to another: then it is named by these, and offered.
  bool outward(Edge& x) const {
    x.u = above_[x.u];
    x.v = above_[x.v];
    if (x.u == x.v) return false;
    offer(x);
    return true;
  }

  // Keeps the edges that were offered last; whether there are any.
  bool choose(int parts, bool* kept) const {
    std::atomic<bool> any{false};
    parallel_for(a_.n_major, parts, [&](size_t lo, size_t hi) {
      bool found = false;
      for (size_t v = lo; v < hi; ++v) {
        if (least_[v] == kNone) continue;
        __atomic_store_n(kept + least_[v], true, __ATOMIC_RELAXED); // by the component at its other end, too
        least_[v] = kNone;
        found = true;
      }
      if (found) any.store(true, std::memory_order_relaxed);
    });
    return any;
  }

  void flatten(int parts) const {
    parallel_for(a_.n_major, parts, [&](size_t lo, size_t hi) {
      for (size_t v = lo; v < hi; ++v) sets_.flatten(static_cast<int32_t>(v));
    });
  }

  CsView<T, I> a_;
  std::unique_ptr<int32_t[]> above_;
  std::unique_ptr<I[]> least_; // of each component's edges to others, the lightest
  Sets sets_;
};

} // namespace sp
