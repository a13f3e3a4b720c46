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

  // Whether they were apart.
  bool join(int32_t u, int32_t v) const {
    if (at(u) == at(v)) return false;
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

// label[v] = number of the component of v, by its least node, where edges lead both ways; returns how many there are. The
// first edges of all nodes are joined before the rest, as in Afforest (M. Sutton, T. Ben-Nun, A. Barak, IPDPS 2018): most
// other edges then lie within a set. Cost: O(E) in parallel, nearly.
template <class I>
int64_t weak_components(CsPattern<I> a, int32_t* label) {
  const size_t n = a.n_major;
  const int parts = plan_parts(a.nnz() + n);
  const auto bounds = balance(a.indptr, n, parts);
  const Sets sets(label);
  auto slices = [&](size_t steps, auto&& f) { // f(part, first slice, last slice)
    run_parts(parts, [&](int p) {
      in_pieces(a.indptr, bounds[p], bounds[p + 1], steps, [&](size_t lo, size_t hi) { f(p, lo, hi); });
    });
  };
  auto flatten = [&] {
    slices(0, [&](int, size_t lo, size_t hi) {
      for (size_t v = lo; v < hi; ++v) sets.flatten(static_cast<int32_t>(v));
    });
  };
  std::atomic<bool> joined{false};
  auto join = [&](size_t from, size_t to) { // edges number from .. to of each node
    slices(4, [&](int, size_t lo, size_t hi) {
      bool any = false;
      for (size_t v = lo; v < hi; ++v) {
        const size_t end = std::min(a.begin(v) + to, a.end(v));
        for (size_t e = a.begin(v) + from; e < end; ++e) {
          any |= sets.join(static_cast<int32_t>(v), static_cast<int32_t>(a.indices[e]));
        }
      }
      if (any) joined.store(true, std::memory_order_relaxed);
    });
  };
  // A node is put into the set of its first neighbour where that is smaller: nobody else writes there yet.
  slices(0, [&](int p, size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) {
      const size_t w = a.begin(v) < a.end(v) ? static_cast<size_t>(a.indices[a.begin(v)]) : v;
      label[v] = w >= v ? static_cast<int32_t>(v) : w >= bounds[p] ? label[w] : static_cast<int32_t>(w);
    }
  });
  constexpr size_t first = 2;
  flatten();
  join(0, first);
  if (joined) flatten();
  join(first, a.nnz());
  std::vector<std::vector<int32_t>> roots(parts);
  slices(0, [&](int p, size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) {
      if (sets.flatten(static_cast<int32_t>(v)) == static_cast<int32_t>(v)) roots[p].push_back(static_cast<int32_t>(v));
    }
  });
  int32_t count = 0;
  for (const auto& some : roots) {
    for (int32_t v : some) label[v] = -1 - count++;
  }
  // A root has its number already, or still minus that: whoever asks it can tell.
  slices(0, [&](int, size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) {
      const int32_t own = __atomic_load_n(label + v, __ATOMIC_RELAXED);
      const int32_t number = own < 0 ? own : __atomic_load_n(label + own, __ATOMIC_RELAXED);
      __atomic_store_n(label + v, number < 0 ? -1 - number : number, __ATOMIC_RELAXED);
    }
  });
  return count;
}

// The same where nodes are connected by paths both ways. Components are numbered in the order in which a depth-first search
// completes them that starts at the least node and goes to the first neighbour first, or unless `forward` to the last.
// R. Tarjan, SIAM Journal on Computing 1 (1972), with the single array of D. J. Pearce (Information Processing Letters 116,
// 2016). O(N + E), one thread.
template <class I>
int64_t strong_components(CsPattern<I> a, bool forward, int32_t* low) {
  const auto n = static_cast<int32_t>(a.n_major);
  constexpr int32_t unseen = -1;
  std::fill_n(low, n, unseen);
  // The path that led here, ~v for nodes that lead to earlier ones, with the edges that are still to be followed; and from
  // the other end of the same array nodes that are left but belong to no component yet: n of both together at most.
  std::unique_ptr<int32_t[]> stack(new int32_t[n]);
  std::unique_ptr<I[]> edges(new I[n]);
  int32_t depth = 0, waiting = n;
  int32_t index = 0, label = n - 1; // labels count down, so that they are above all indices
  Watch watch;
  for (int32_t start = 0; start < n; ++start) {
    if (low[start] != unseen) continue;
    int32_t v = start, least = low[start] = index++;
    I left = a.indptr[v + 1] - a.indptr[v]; // so many of its edges are still to be followed
    bool root = true; // nothing earlier can be reached from v
    for (;;) {
      const I begin = a.indptr[v], end = a.indptr[v + 1];
      watch(static_cast<size_t>(left) + 8);
      int32_t next = unseen;
      const int32_t before = least;
      while (left > 0) {
        const auto w = static_cast<int32_t>(a.indices[forward ? end - left : begin + left - 1]);
        --left;
        const int32_t seen = low[w];
        if (seen == unseen) {
          next = w;
          break;
        }
        least = std::min(least, seen);
      }
      low[v] = least;
      root &= least == before;
      if (next != unseen) {
        stack[depth] = root ? v : ~v;
        edges[depth++] = left;
        v = next;
        least = low[v] = index++;
        left = a.indptr[v + 1] - a.indptr[v];
        root = true;
        continue;
      }
      if (root) {
        --index;
        for (; waiting < n && least <= low[stack[waiting]]; ++waiting, --index) low[stack[waiting]] = label;
        low[v] = label--;
      } else {
        stack[--waiting] = v;
      }
      if (depth == 0) break;
      const int32_t child = low[v];
      const int32_t above = stack[--depth];
      v = above < 0 ? ~above : above;
      left = edges[depth];
      root = above >= 0 && low[v] <= child;
      least = std::min(low[v], child);
    }
  }
  for (int32_t v = 0; v < n; ++v) low[v] = n - 1 - low[v];
  return n - 1 - label;
}

} // namespace sp
