// Graphs of symmetric structures, and what an order of elimination makes of them.
#pragma once

#include <cstdint>
#include <vector>

namespace sp {

// An undirected graph without loops: both directions of each edge are stored.
struct Graph {
  std::vector<int64_t> start; // n + 1
  std::vector<int32_t> to;
  int32_t n() const { return static_cast<int32_t>(start.size()) - 1; }
};

// Where the entry (j, i) stands for each entry (i, j) of a square compressed structure, sorted and without repeated entries;
// false if there is none for some.
template <class I>
bool mirror_entries(size_t n, const int64_t* indptr, const I* indices, int64_t* mirror) {
  std::vector<int64_t> next(indptr, indptr + n);
  for (size_t m = 0; m < n; ++m) {
    for (int64_t k = indptr[m]; k < indptr[m + 1]; ++k) {
      const size_t j = static_cast<size_t>(indices[k]);
      if (next[j] == indptr[j + 1] || static_cast<size_t>(indices[next[j]]) != m) return false;
      mirror[k] = next[j]++;
    }
  }
  return true;
}

// The graph of a symmetric square compressed structure in which no entry is repeated.
template <class I>
Graph graph_of(size_t n, const int64_t* indptr, const I* indices) {
  Graph g;
  g.start.resize(n + 1);
  g.to.resize(static_cast<size_t>(indptr[n]));
  int64_t out = 0;
  for (size_t m = 0; m < n; ++m) {
    g.start[m] = out;
    for (int64_t k = indptr[m]; k < indptr[m + 1]; ++k) {
      g.to[out] = static_cast<int32_t>(indices[k]);
      out += static_cast<size_t>(indices[k]) != m;
    }
  }
  g.start[n] = out;
  g.to.resize(static_cast<size_t>(out));
  return g;
}

// Columns of a Cholesky factor in the order of their elimination, which is a postorder of their tree. Each parent is a column
// whose rows hold those of the column below it; -1: a root. count: entries of each column, the diagonal among them.
struct Elimination {
  std::vector<int32_t> order, parent, count;
};

// Nodes so that each subtree is a run that ends with its root, whose largest child by `size` comes just before it. Parents
// have larger numbers than their children.
inline std::vector<int32_t> postorder(const std::vector<int32_t>& parent, const std::vector<int32_t>& size) {
  const int32_t n = static_cast<int32_t>(parent.size());
  std::vector<int32_t> largest(n + 1, -1), first(n + 1, -1), next(n, -1), out(n);
  auto above = [&](int32_t i) { return parent[i] < 0 ? n : parent[i]; };
  for (int32_t i = 0; i < n; ++i) {
    int32_t& big = largest[above(i)];
    if (big < 0 || size[i] >= size[big]) big = i;
  }
  auto push = [&](int32_t i) {
    next[i] = first[above(i)];
    first[above(i)] = i;
  };
  for (int32_t up = 0; up <= n; ++up) {
    if (largest[up] >= 0) push(largest[up]);
  }
  for (int32_t i = n - 1; i >= 0; --i) {
    if (largest[above(i)] != i) push(i);
  }
  int32_t done = 0;
  for (int32_t root = first[n]; root >= 0; root = next[root]) {
    for (int32_t i = root;;) {
      while (first[i] >= 0) { // down to a leaf; lists are taken apart on the way
        const int32_t down = first[i];
        first[i] = next[down];
        i = down;
      }
      out[done++] = i;
      if (i == root) break;
      i = parent[i];
    }
  }
  return out;
}

// Columns with the same rows, eliminated one after another, in the order of elimination.
struct EliminationGroups {
  std::vector<int32_t> first;  // node of each that is eliminated first
  std::vector<int32_t> parent; // a later group whose columns and rows hold the rows below this one; -1: a root
  std::vector<int32_t> width, below; // its columns, and their rows below them
  std::vector<int32_t> of;     // the group of each node; as many as there are groups: none, eliminated at the end
};

// Parents and counts are left out where there are nodes without a group.
inline Elimination columns_of(const EliminationGroups& groups) {
  const size_t count = groups.first.size(), n = groups.of.size();
  std::vector<int32_t> size(count), place(count), begin(count + 1, 0); // in postorder: of groups, and of their first columns
  for (size_t k = 0; k < count; ++k) size[k] = groups.width[k] + groups.below[k];
  const auto post = postorder(groups.parent, size);
  for (size_t k = 0; k < count; ++k) {
    place[post[k]] = static_cast<int32_t>(k);
    begin[k + 1] = begin[k] + groups.width[post[k]];
  }
  Elimination out;
  out.order.resize(n);
  if (begin[count] == static_cast<int32_t>(n)) {
    out.parent.resize(n);
    out.count.resize(n);
    for (size_t k = 0; k < count; ++k) {
      for (int32_t j = begin[k]; j < begin[k + 1]; ++j) {
        out.parent[j] = j + 1;
        out.count[j] = size[post[k]] - (j - begin[k]);
      }
      const int32_t up = groups.parent[post[k]];
      out.parent[begin[k + 1] - 1] = up < 0 ? -1 : begin[place[up]];
    }
  }
  // The others of a group are joined to nothing but what its first node was joined to, so they follow in any order.
  int32_t end = begin[count];
  for (size_t k = 0; k < count; ++k) out.order[begin[k]++] = groups.first[post[k]];
  for (size_t i = 0; i < n; ++i) {
    const auto g = static_cast<size_t>(groups.of[i]);
    if (g == count) out.order[end++] = static_cast<int32_t>(i);
    else if (groups.first[g] != static_cast<int32_t>(i)) out.order[begin[place[g]]++] = static_cast<int32_t>(i);
  }
  return out;
}

} // namespace sp
