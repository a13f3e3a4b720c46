// Connected components of a graph whose entries are edges from the slice they stand in to their minor index.
#pragma once

#include <algorithm>
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
  auto join = [&](size_t from, size_t to) { // edges number from .. to of each node
    run_parts(parts, [&](int p) {
      in_pieces(a.indptr, bounds[p], bounds[p + 1], 4, [&](size_t lo, size_t hi) {
        for (size_t v = lo; v < hi; ++v) {
          const size_t degree = a.end(v) - a.begin(v);
          for (size_t e = std::min(from, degree); e < std::min(to, degree); ++e) {
            sets.join(static_cast<int32_t>(v), static_cast<int32_t>(a.indices[a.begin(v) + e]));
          }
        }
      });
    });
  };
  parallel_for(n, parts, [&](size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) label[v] = static_cast<int32_t>(v);
  });
  constexpr size_t first = 2;
  join(0, first);
  parallel_for(n, parts, [&](size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) sets.flatten(static_cast<int32_t>(v));
  });
  join(first, a.nnz());
  std::vector<int64_t> roots(parts + 1, 0);
  std::unique_ptr<int32_t[]> number(new int32_t[n]);
  run_parts(parts, [&](int p) {
    int64_t count = 0;
    for (size_t v = n * p / parts; v < n * (p + 1) / parts; ++v) {
      count += sets.flatten(static_cast<int32_t>(v)) == static_cast<int32_t>(v);
    }
    roots[p + 1] = count;
  });
  for (int p = 0; p < parts; ++p) roots[p + 1] += roots[p];
  run_parts(parts, [&](int p) {
    auto next = static_cast<int32_t>(roots[p]);
    for (size_t v = n * p / parts; v < n * (p + 1) / parts; ++v) {
      if (label[v] == static_cast<int32_t>(v)) number[v] = next++;
    }
  });
  parallel_for(n, parts, [&](size_t lo, size_t hi) {
    for (size_t v = lo; v < hi; ++v) label[v] = number[label[v]];
  });
  return roots[parts];
}

// The same where nodes are connected by paths both ways. Components are numbered in the order in which a depth-first search
// completes them that starts at the least node and goes to the first neighbour first, or unless `forward` to the last.
// R. Tarjan, SIAM Journal on Computing 1 (1972), with the single array of D. J. Pearce (Information Processing Letters 116,
// 2016). O(N + E), one thread.
template <class I>
int64_t strong_components(CsPattern<I> a, bool forward, int32_t* low) {
  struct Frame {
    int32_t node, index;
    I left; // so many edges are still to be followed
  };
  const auto n = static_cast<int32_t>(a.n_major);
  constexpr int32_t unseen = -1;
  std::fill_n(low, n, unseen);
  std::vector<Frame> path;
  std::vector<int32_t> waiting; // nodes that are left but belong to no component yet
  int32_t index = 0, label = n - 1; // labels count down, so that they are above all indices
  Watch watch;
  auto enter = [&](int32_t v) {
    low[v] = index;
    path.push_back({v, index++, a.indptr[v + 1] - a.indptr[v]});
  };
  for (int32_t start = 0; start < n; ++start) {
    if (low[start] != unseen) continue;
    enter(start);
    while (!path.empty()) {
      const size_t top = path.size() - 1;
      const int32_t v = path[top].node;
      const I begin = a.indptr[v], end = a.indptr[v + 1];
      I left = path[top].left;
      watch(static_cast<size_t>(left) + 8);
      int32_t least = low[v], next = unseen;
      for (; left && next == unseen; --left) {
        const auto w = static_cast<int32_t>(a.indices[forward ? end - left : begin + left - 1]);
        if (low[w] == unseen) next = w;
        else least = std::min(least, low[w]);
      }
      low[v] = least;
      if (next != unseen) {
        path[top].left = left;
        enter(next);
        continue;
      }
      if (least == path[top].index) {
        --index;
        while (!waiting.empty() && least <= low[waiting.back()]) {
          low[waiting.back()] = label;
          waiting.pop_back();
          --index;
        }
        low[v] = label--;
      } else {
        waiting.push_back(v);
      }
      path.pop_back();
      if (!path.empty()) low[path.back().node] = std::min(low[path.back().node], low[v]);
    }
  }
  for (int32_t v = 0; v < n; ++v) low[v] = n - 1 - low[v];
  return n - 1 - label;
}

} // namespace sp
