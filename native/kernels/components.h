// Connected components of a graph whose entries are edges from the slice they stand in to their minor index.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "../parallel.h"
#include "view.h"

namespace sp {

// Disjoint sets of nodes as trees: above[v] is a node of the set of v, v itself in a root, and never greater than v. Several
// threads may join sets at once, since only roots are joined, and to smaller nodes.
class Sets {
 public:
  explicit Sets(int32_t* above) : above_(above) {}

  int32_t find(int32_t v) const {
    for (int32_t p = at(v);;) {
      const int32_t q = at(p);
      if (p == q) return p;
      __atomic_store_n(above_ + v, q, __ATOMIC_RELAXED); // half as long the next time
      v = q;
      p = at(v);
    }
  }

  // The root, which then stands right above v.
  int32_t flatten(int32_t v) const {
    const int32_t root = find(v);
    __atomic_store_n(above_ + v, root, __ATOMIC_RELAXED);
    return root;
  }

  // Whether they are seen to be in one set at the first look.
  bool touch(int32_t u, int32_t v) const { return at(u) == at(v); }

  // Whether they were apart.
  bool join(int32_t u, int32_t v) const {
    if (touch(u, v)) return false;
    for (;;) {
      u = find(u);
      v = find(v);
      if (u == v) return false;
      if (u < v) std::swap(u, v);
      int32_t root = u;
      if (__atomic_compare_exchange_n(above_ + u, &root, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return true;
    }
  }

 private:
  int32_t at(int32_t v) const { return __atomic_load_n(above_ + v, __ATOMIC_RELAXED); }
  int32_t* above_;
};

// Edges that connect their ends, all of them: see `joined_components`.
struct EveryEdge {
  void prepare(int) {}
  bool connects(int, int32_t, int32_t) { return true; }
  bool given_up() const { return false; }
};

// label[v] = number of the component of v, by its least node, where those edges lead both ways that `edges` says connect
// their ends; returns how many components there are, or -1 if `edges` gives up. It is asked once for each edge at the
// most, by several threads, and not for those that lie within a set already. The first edges of all nodes are joined
// before the rest, as in Afforest (M. Sutton, T. Ben-Nun, A. Barak, IPDPS 2018): most other edges then lie within a set.
// Cost: O(E) in parallel, nearly.
template <class I, class Edges>
int64_t joined_components(CsPattern<I> a, int32_t* label, Edges&& edges) {
  const size_t n = a.n_major;
  const int parts = plan_parts(a.nnz() + n);
  const auto bounds = balance(a.indptr, n, parts);
  const Sets sets(label);
  edges.prepare(parts);
  auto slices = [&](size_t steps, auto&& f) { // f(part, first slice, last slice)
    run_parts(parts, [&](int p) {
      in_pieces(a.indptr, bounds[p], bounds[p + 1], steps, [&](size_t lo, size_t hi) {
        if (!edges.given_up()) f(p, lo, hi);
      });
    });
  };
  std::atomic<size_t> roots;
  auto flatten = [&] {
    roots.store(0, std::memory_order_relaxed);
    slices(0, [&](int, size_t lo, size_t hi) {
      size_t found = 0;
      for (size_t v = lo; v < hi; ++v) found += sets.flatten(static_cast<int32_t>(v)) == static_cast<int32_t>(v);
      roots.fetch_add(found, std::memory_order_relaxed);
    });
  };
  std::atomic<bool> joined{false};
  auto join = [&](size_t from, size_t to) { // edges number from .. to of each node
    slices(4, [&](int p, size_t lo, size_t hi) {
      bool any = false;
      for (size_t v = lo; v < hi; ++v) {
        const auto u = static_cast<int32_t>(v);
        const size_t end = std::min(a.begin(v) + to, a.end(v));
        for (size_t e = a.begin(v) + from; e < end; ++e) {
          const auto w = static_cast<int32_t>(a.indices[e]);
          any |= !sets.touch(u, w) && edges.connects(p, u, w) && sets.join(u, w);
        }
      }
      if (any) joined.store(true, std::memory_order_relaxed);
    });
  };
  // A node is put into the set of its first neighbour where that is smaller: nobody else writes there yet.
  slices(0, [&](int p, size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) {
      const size_t w = a.begin(v) < a.end(v) ? static_cast<size_t>(a.indices[a.begin(v)]) : v;
      const bool alone = w >= v || !edges.connects(p, static_cast<int32_t>(v), static_cast<int32_t>(w));
      label[v] = alone ? static_cast<int32_t>(v) : w >= bounds[p] ? label[w] : static_cast<int32_t>(w);
    }
  });
  constexpr size_t first = 2;
  flatten();
  if (!edges.given_up() && roots == 1) return 1; // whose number is that of its root
  join(0, first);
  if (joined) flatten();
  join(first, a.nnz());
  std::vector<std::vector<int32_t>> own(parts);
  slices(0, [&](int p, size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) {
      if (sets.flatten(static_cast<int32_t>(v)) == static_cast<int32_t>(v)) own[p].push_back(static_cast<int32_t>(v));
    }
  });
  if (edges.given_up()) return -1;
  int32_t count = 0;
  for (const auto& some : own) {
    for (int32_t v : some) label[v] = -1 - count++;
  }
  // A root has its number already, or still minus that: whoever asks it can tell.
  slices(0, [&](int, size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) {
      const int32_t before = __atomic_load_n(label + v, __ATOMIC_RELAXED);
      const int32_t number = before < 0 ? before : __atomic_load_n(label + before, __ATOMIC_RELAXED);
      __atomic_store_n(label + v, number < 0 ? -1 - number : number, __ATOMIC_RELAXED);
    }
  });
  return count;
}

// The components of a graph whose edges lead both ways, all of them.
template <class I>
int64_t weak_components(CsPattern<I> a, int32_t* label) { return joined_components(a, label, EveryEdge{}); }

} // namespace sp
