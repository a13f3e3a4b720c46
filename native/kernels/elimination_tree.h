// The elimination tree of a symmetric structure and the column counts of its Cholesky factor, found without the factor:
// T. A. Davis, Direct Methods for Sparse Linear Systems, SIAM 2006, chapter 4; J. R. Gilbert, E. G. Ng and B. W. Peyton, An
// efficient algorithm to compute row and column counts for sparse Cholesky factorization, SIAM J. Matrix Anal. Appl. 15
// (1994). Nearly O(edges).
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/minimum_degree.h"

namespace sp {

// What is eliminated when: order[k] is the k-th node, place[order[k]] = k.
struct Ordering {
  std::vector<int32_t> order, place;

  explicit Ordering(std::vector<int32_t> given) : order(std::move(given)), place(order.size()) {
    for (size_t k = 0; k < order.size(); ++k) place[order[k]] = static_cast<int32_t>(k);
  }
};

// Columns that a row of the factor first reaches from column j below the diagonal; -1 for a root.
inline std::vector<int32_t> elimination_tree(const Graph& g, const Ordering& by) {
  const int32_t n = g.n();
  std::vector<int32_t> parent(n, -1), shortcut(n, -1);
  for (int32_t j = 0; j < n; ++j) {
    const int32_t v = by.order[j];
    for (int64_t k = g.start[v]; k < g.start[v + 1]; ++k) {
      for (int32_t i = by.place[g.to[k]]; i >= 0 && i < j;) {
        const int32_t up = shortcut[i];
        shortcut[i] = j;
        if (up < 0) parent[i] = j;
        i = up;
      }
    }
  }
  return parent;
}

// Entries of each column of the factor, that on the diagonal included; of a tree in postorder. A row's columns form a
// subtree: its leaves are found by first descendants, and paths that two leaves share are taken off where they meet.
inline std::vector<int32_t> column_counts(const Graph& g, const Ordering& by, const std::vector<int32_t>& parent) {
  const int32_t n = g.n();
  std::vector<int32_t> count(n, 0), first(n, -1), deepest(n, -1), last_leaf(n, -1), joined(n);
  std::iota(joined.begin(), joined.end(), 0);
  for (int32_t j = 0; j < n; ++j) {
    count[j] = first[j] < 0;
    for (int32_t i = j; i >= 0 && first[i] < 0; i = parent[i]) first[i] = j;
  }
  for (int32_t j = 0; j < n; ++j) {
    if (parent[j] >= 0) --count[parent[j]];
    const int32_t v = by.order[j];
    for (int64_t k = g.start[v]; k < g.start[v + 1]; ++k) {
      const int32_t i = by.place[g.to[k]];
      if (i <= j || first[j] <= deepest[i]) continue;
      deepest[i] = first[j];
      ++count[j];
      const int32_t before = last_leaf[i];
      last_leaf[i] = j;
      if (before < 0) continue;
      int32_t meet = before;
      while (meet != joined[meet]) meet = joined[meet];
      for (int32_t q = before; q != meet;) {
        const int32_t up = joined[q];
        joined[q] = meet;
        q = up;
      }
      --count[meet];
    }
    if (parent[j] >= 0) joined[j] = parent[j];
  }
  for (int32_t j = 0; j < n; ++j) {
    if (parent[j] >= 0) count[parent[j]] += count[j];
  }
  return count;
}

// What an order of elimination amounts to: the tree, brought into postorder.
inline Elimination elimination(const Graph& g, std::vector<int32_t> order) {
  Elimination out{std::move(order), {}, {}};
  auto reorder = [&](const std::vector<int32_t>& post) {
    const size_t n = post.size();
    Elimination old = std::exchange(out, {std::vector<int32_t>(n), std::vector<int32_t>(n), std::vector<int32_t>(n)});
    std::vector<int32_t> place(n);
    for (size_t k = 0; k < n; ++k) place[post[k]] = static_cast<int32_t>(k);
    for (size_t k = 0; k < n; ++k) {
      const int32_t up = old.parent[post[k]];
      out.order[k] = old.order[post[k]];
      out.parent[k] = up < 0 ? -1 : place[up];
      out.count[k] = old.count[post[k]];
    }
  };
  out.parent = elimination_tree(g, Ordering(out.order));
  out.count.assign(out.parent.size(), 0);
  reorder(postorder(out.parent, out.count));
  out.count = column_counts(g, Ordering(out.order), out.parent);
  reorder(postorder(out.parent, out.count));
  return out;
}

} // namespace sp
