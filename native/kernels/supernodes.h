// Supernodes: runs of columns of a Cholesky factor with about the same rows, kept as dense panels. What the structure alone
// decides about a factorisation stands here, so that new values of one structure cost only the numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/elimination_tree.h"

namespace sp {

struct Supernodes {
  std::vector<int32_t> first;                 // column where each begins; and n
  std::vector<int32_t> parent;                // in the tree of supernodes, -1 for a root
  std::vector<int64_t> row_start, panel_start; // where its rows and its panel, rows x columns, begin; and their ends
  std::vector<int32_t> rows;                  // sorted; its own columns are the first ones
  // What `join_supernodes` adds:
  std::vector<int32_t> relative;              // of each row the place among the rows of the parent; of own columns nothing
  std::vector<int32_t> child_start, children; // ascending

  int32_t count() const { return static_cast<int32_t>(first.size()) - 1; }
  int64_t width(int32_t s) const { return first[s + 1] - first[s]; }
  int64_t height(int32_t s) const { return row_start[s + 1] - row_start[s]; }
  double work(int32_t s) const { // flops, as one triangle is all that is computed
    const double k = static_cast<double>(width(s)), m = static_cast<double>(height(s));
    return k * (k * k / 3 + (m - k) * m);
  }
};

// First columns of the supernodes. Columns of one supernode form a chain of the tree and lose one row each; a supernode
// is joined with the child that ends beside it where that stores few zeros, the fewer the wider the result is.
inline std::vector<int32_t> supernode_columns(const std::vector<int32_t>& parent, const std::vector<int32_t>& count) {
  struct Group {
    int32_t first, last;
    double entries; // of the factor
  };
  const int32_t n = static_cast<int32_t>(parent.size());
  std::vector<int32_t> children(n, 0);
  for (int32_t j = 0; j < n; ++j) {
    if (parent[j] >= 0) ++children[parent[j]];
  }
  auto few_zeros = [&](const Group& child, const Group& g) {
    const double columns = g.last - child.first + 1, below = count[g.last] - 1;
    const double stored = columns * (columns + 1) / 2 + columns * below;
    const double zeros = 1 - (child.entries + g.entries) / stored;
    return columns <= 4 || (columns <= 16 && zeros < 0.4) || (columns <= 48 && zeros < 0.1) || zeros < 0.05;
  };
  std::vector<Group> groups;
  for (int32_t j = 0; j < n;) {
    Group g{j, j, static_cast<double>(count[j])};
    while (g.last + 1 < n && parent[g.last] == g.last + 1 && children[g.last + 1] == 1 && count[g.last + 1] == count[g.last] - 1) {
      ++g.last;
      g.entries += count[g.last];
    }
    j = g.last + 1;
    while (!groups.empty() && parent[groups.back().last] >= g.first && parent[groups.back().last] <= g.last &&
           few_zeros(groups.back(), g)) {
      g.first = groups.back().first;
      g.entries += groups.back().entries;
      groups.pop_back();
    }
    groups.push_back(g);
  }
  std::vector<int32_t> first;
  for (const auto& g : groups) first.push_back(g.first);
  first.push_back(n);
  return first;
}

// Whether columns are better factored one by one: dense blocks pay where there are many flops for each entry of the factor.
inline bool is_very_sparse(const std::vector<int32_t>& count) {
  constexpr double kFew = 8; // flops for an entry
  double entries = 0, work = 0;
  for (double c : count) entries += c, work += c * c;
  return work < kFew * entries;
}

// Rows of the supernodes that begin at these columns, and their parents by the tree `above` of columns.
inline Supernodes supernodes(const Graph& g, const Ordering& by, const std::vector<int32_t>& above, std::vector<int32_t> first) {
  Supernodes out;
  out.first = std::move(first);
  const int32_t n = g.n(), count = out.count();
  std::vector<int32_t> of(n), seen(n, -1), oldest(count, -1), sibling(count, -1);
  for (int32_t s = 0; s < count; ++s) std::fill(of.begin() + out.first[s], of.begin() + out.first[s + 1], s);
  out.parent.assign(count, -1);
  out.row_start.assign(1, 0);
  out.panel_start.assign(1, 0);
  Watch watch;
  for (int32_t s = 0; s < count; ++s) {
    const int32_t lo = out.first[s], hi = out.first[s + 1];
    const size_t begin = out.rows.size();
    auto add = [&](int32_t i) {
      if (i < hi || seen[i] == s) return;
      seen[i] = s;
      out.rows.push_back(i);
    };
    for (int32_t j = lo; j < hi; ++j) out.rows.push_back(j);
    for (int32_t j = lo; j < hi; ++j) {
      const int32_t v = by.order[j];
      for (int64_t k = g.start[v]; k < g.start[v + 1]; ++k) add(by.place[g.to[k]]);
    }
    for (int32_t c = oldest[s]; c >= 0; c = sibling[c]) {
      for (int64_t k = out.row_start[c] + out.width(c); k < out.row_start[c + 1]; ++k) add(out.rows[k]);
    }
    const size_t below = begin + static_cast<size_t>(hi - lo);
    std::sort(out.rows.begin() + below, out.rows.end());
    if (below < out.rows.size()) {
      const int32_t up = of[above[hi - 1]];
      out.parent[s] = up;
      sibling[s] = oldest[up];
      oldest[up] = s;
    }
    out.row_start.push_back(static_cast<int64_t>(out.rows.size()));
    out.panel_start.push_back(out.panel_start.back() + out.height(s) * (hi - lo));
    watch(32 * (out.rows.size() - begin));
  }
  return out;
}

// Adds the children, and how rows lie among those of the parents.
inline void join_supernodes(Supernodes& out) {
  const int32_t count = out.count();
  out.child_start.assign(count + 1, 0);
  for (int32_t s = 0; s < count; ++s) {
    if (out.parent[s] >= 0) ++out.child_start[out.parent[s] + 1];
  }
  for (int32_t s = 0; s < count; ++s) out.child_start[s + 1] += out.child_start[s];
  out.children.resize(out.child_start[count]);
  std::vector<int32_t> at(out.child_start.begin(), out.child_start.end() - 1);
  for (int32_t s = 0; s < count; ++s) {
    if (out.parent[s] >= 0) out.children[at[out.parent[s]]++] = s;
  }
  out.relative.resize(out.rows.size());
  for (int32_t s = 0; s < count; ++s) {
    const int32_t up = out.parent[s];
    if (up < 0) continue;
    int64_t there = out.row_start[up];
    for (int64_t k = out.row_start[s] + out.width(s); k < out.row_start[s + 1]; ++k) {
      while (out.rows[there] < out.rows[k]) ++there;
      out.relative[k] = static_cast<int32_t>(there - out.row_start[up]);
    }
  }
}

} // namespace sp
