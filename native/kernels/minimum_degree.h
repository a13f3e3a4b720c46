// Approximate minimum degree ordering: P. R. Amestoy, T. A. Davis and I. S. Duff, An approximate minimum degree ordering
// algorithm, SIAM J. Matrix Anal. Appl. 17 (1996).
//
// The graph of what is left to eliminate is kept as a quotient graph: an eliminated node becomes an element, which stands
// for the clique of its variables. A variable's list holds its elements first, then the variables that it is joined to
// otherwise. Variables with equal lists are merged, elements within others absorbed. Nearly O(edges) in practice.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "interrupt.h"

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

// The graph of A + A^T for a square compressed structure in which no entry is repeated.
template <class I>
Graph symmetric_graph(size_t n, const int64_t* indptr, const I* indices) {
  Graph g;
  g.start.assign(n + 1, 0);
  for (size_t m = 0; m < n; ++m) {
    for (int64_t k = indptr[m]; k < indptr[m + 1]; ++k) {
      const size_t j = static_cast<size_t>(indices[k]);
      if (j != m) ++g.start[m + 1], ++g.start[j + 1];
    }
  }
  for (size_t m = 0; m < n; ++m) g.start[m + 1] += g.start[m];
  std::vector<int64_t> at(g.start.begin(), g.start.end() - 1);
  g.to.resize(static_cast<size_t>(g.start[n]));
  for (size_t m = 0; m < n; ++m) {
    for (int64_t k = indptr[m]; k < indptr[m + 1]; ++k) {
      const size_t j = static_cast<size_t>(indices[k]);
      if (j == m) continue;
      g.to[at[m]++] = static_cast<int32_t>(j);
      g.to[at[j]++] = static_cast<int32_t>(m);
    }
  }
  std::vector<int32_t> seen(n, -1); // both triangles of a symmetric structure name an edge
  int64_t out = 0, from = 0;
  for (size_t m = 0; m < n; ++m) {
    const int64_t end = g.start[m + 1];
    g.start[m] = out;
    for (; from < end; ++from) {
      const int32_t j = g.to[from];
      if (seen[j] == static_cast<int32_t>(m)) continue;
      seen[j] = static_cast<int32_t>(m);
      g.to[out++] = j;
    }
  }
  g.start[n] = out;
  g.to.resize(static_cast<size_t>(out));
  return g;
}

class MinimumDegree {
 public:
  explicit MinimumDegree(const Graph& g)
      : n_(g.n()), start_(g.start.begin(), g.start.end() - 1), lists_(g.to), length_(n_), elements_(n_, 0), weight_(n_, 1),
        degree_(n_), head_(n_ + 1, -1), next_(n_, -1), last_(n_, -1), merged_(n_, -1), bucket_(n_ + 1, -1), mark_(n_, 1) {
    const double dense = std::max(16.0, 10.0 * std::sqrt(static_cast<double>(n_)));
    for (int32_t i = n_ - 1; i >= 0; --i) { // of equal degrees the first is taken first: on grids that fills least
      length_[i] = degree_[i] = static_cast<int32_t>(g.start[i + 1] - g.start[i]);
      if (length_[i] > dense) {
        weight_[i] = 0;
        length_[i] = 0;
        late_.push_back(i);
      } else {
        insert(i);
      }
    }
    eliminated_ = static_cast<int32_t>(late_.size());
  }

  // The nodes in the order of their elimination. Nearly full ones come last.
  std::vector<int32_t> order() {
    Watch watch;
    while (eliminated_ < n_) {
      while (head_[least_] < 0) ++least_;
      const int32_t p = head_[least_];
      watch(8 * static_cast<size_t>(least_) + 32);
      eliminate(p);
    }
    return sequence();
  }

 private:
  void insert(int32_t i) {
    const int32_t d = degree_[i], first = head_[d];
    next_[i] = first;
    last_[i] = -1;
    if (first >= 0) last_[first] = i;
    head_[d] = i;
    least_ = std::min(least_, d);
  }

  void remove(int32_t i) {
    if (next_[i] >= 0) last_[next_[i]] = last_[i];
    if (last_[i] >= 0) next_[last_[i]] = next_[i]; else head_[degree_[i]] = next_[i];
  }

  void eliminate(int32_t p) {
    remove(p);
    int32_t weight = weight_[p];
    eliminated_ += weight;
    pivots_.push_back(p);
    weight_[p] = -weight;
    form_element(p);
    round_ += 2 * static_cast<int64_t>(n_) + 2; // no mark of an earlier round reaches it
    measure_elements(p);
    update_degrees(p, weight);
    merge_equal(p);
    // What is left of the element, with final degrees.
    int64_t out = start_[p];
    for (int64_t q = start_[p], end = q + length_[p]; q < end; ++q) {
      const int32_t i = lists_[q], w = -weight_[i];
      if (w <= 0) continue;
      weight_[i] = w;
      degree_[i] = std::max(0, std::min(degree_[i] + size_ - w, n_ - eliminated_ - w));
      insert(i);
      lists_[out++] = i;
    }
    weight_[p] = weight;
    length_[p] = static_cast<int32_t>(out - start_[p]);
    degree_[p] = size_;
    elements_[p] = -1;
    mark_[p] = length_[p] > 0;
    if (at_end_) lists_.resize(static_cast<size_t>(out));
  }

  // The variables that p is joined to, directly or by its elements, which it absorbs; they leave the lists of degrees, and
  // their weights turn negative. size_: their weight.
  void form_element(int32_t p) {
    size_ = 0;
    auto take = [&](int32_t i) {
      const int32_t w = weight_[i];
      if (w <= 0) return false;
      size_ += w;
      weight_[i] = -w;
      remove(i);
      return true;
    };
    at_end_ = elements_[p] > 0;
    if (!at_end_) {
      int64_t out = start_[p];
      for (int64_t q = out, end = q + length_[p]; q < end; ++q) {
        const int32_t i = lists_[q];
        if (take(i)) lists_[out++] = i;
      }
      length_[p] = static_cast<int32_t>(out - start_[p]);
      return;
    }
    size_t most = length_[p];
    for (int32_t k = 0; k < elements_[p]; ++k) most += length_[lists_[start_[p] + k]];
    reserve(most);
    const int64_t first = static_cast<int64_t>(lists_.size());
    lists_.resize(lists_.size() + most);
    int64_t out = first;
    for (int32_t k = 0; k < length_[p]; ++k) {
      const int32_t e = lists_[start_[p] + k];
      if (k >= elements_[p]) {
        if (take(e)) lists_[out++] = e;
        continue;
      }
      for (int64_t q = start_[e], end = q + length_[e]; q < end; ++q) {
        const int32_t i = lists_[q];
        if (take(i)) lists_[out++] = i;
      }
      mark_[e] = 0;
      length_[e] = 0;
    }
    start_[p] = first;
    length_[p] = static_cast<int32_t>(out - first);
    lists_.resize(static_cast<size_t>(out));
  }

  // Makes room: lists of what is gone are dropped before the memory grows.
  void reserve(size_t more) {
    if (lists_.size() + more <= lists_.capacity()) return;
    size_t used = 0;
    for (int32_t i = 0; i < n_; ++i) used += length_[i];
    std::vector<int32_t> kept;
    kept.reserve(used + more + used / 4 + n_);
    for (int32_t i = 0; i < n_; ++i) {
      const auto from = lists_.begin() + start_[i];
      start_[i] = static_cast<int64_t>(kept.size());
      kept.insert(kept.end(), from, from + length_[i]);
    }
    lists_.swap(kept);
  }

  // mark_[e] - round_: the weight of what an element has outside of the new one.
  void measure_elements(int32_t p) {
    for (int64_t q = start_[p], end = q + length_[p]; q < end; ++q) {
      const int32_t i = lists_[q], w = -weight_[i];
      for (int64_t k = start_[i], last = k + elements_[i]; k < last; ++k) {
        const int32_t e = lists_[k];
        if (mark_[e] >= round_) mark_[e] -= w;
        else if (mark_[e] != 0) mark_[e] = degree_[e] + round_ - w;
      }
    }
  }

  // Prunes the lists of the variables of p, bounds their degrees outside of it, and sorts them by a hash of their lists.
  void update_degrees(int32_t p, int32_t& weight) {
    for (int64_t q = start_[p], end = q + length_[p]; q < end; ++q) {
      const int32_t i = lists_[q], w = -weight_[i];
      const int64_t first = start_[i];
      int64_t out = first, degree = 0;
      uint64_t hash = 0;
      for (int64_t k = first, last = first + elements_[i]; k < last; ++k) {
        const int32_t e = lists_[k];
        if (mark_[e] == 0) continue;
        const int64_t outside = mark_[e] - round_;
        if (outside > 0) {
          degree += outside;
          hash += static_cast<uint64_t>(e);
          lists_[out++] = e;
        } else { // within the new element
          mark_[e] = 0;
          length_[e] = 0;
        }
      }
      const int64_t variables = out;
      for (int64_t k = first + elements_[i], last = first + length_[i]; k < last; ++k) {
        const int32_t j = lists_[k], u = weight_[j];
        if (u <= 0) continue;
        degree += u;
        hash += static_cast<uint64_t>(j);
        lists_[out++] = j;
      }
      if (out == first) { // joined to nothing else: it is eliminated with p
        merged_[i] = p;
        size_ -= w;
        weight += w;
        eliminated_ += w;
        weight_[i] = 0;
        length_[i] = elements_[i] = 0;
        continue;
      }
      degree_[i] = static_cast<int32_t>(std::min<int64_t>(degree_[i], degree));
      lists_[out] = lists_[variables]; // at least one entry has gone, so there is room
      lists_[variables] = p;
      elements_[i] = static_cast<int32_t>(variables - first) + 1;
      length_[i] = static_cast<int32_t>(out - first) + 1;
      const int32_t h = static_cast<int32_t>(hash % static_cast<uint64_t>(n_ + 1));
      last_[i] = h;
      next_[i] = bucket_[h];
      bucket_[h] = i;
    }
  }

  void merge_equal(int32_t p) {
    for (int64_t q = start_[p], end = q + length_[p]; q < end; ++q) {
      if (weight_[lists_[q]] >= 0) continue;
      const int32_t h = last_[lists_[q]];
      int32_t i = bucket_[h];
      bucket_[h] = -1;
      for (; i >= 0 && next_[i] >= 0; i = next_[i]) {
        ++round_;
        for (int64_t k = start_[i], last = k + length_[i]; k < last; ++k) mark_[lists_[k]] = round_;
        for (int32_t before = i, j = next_[i]; j >= 0; j = next_[j]) {
          bool equal = length_[j] == length_[i] && elements_[j] == elements_[i];
          for (int64_t k = start_[j], last = k + length_[j]; equal && k < last; ++k) equal = mark_[lists_[k]] == round_;
          if (!equal) {
            before = j;
            continue;
          }
          merged_[j] = i;
          weight_[i] += weight_[j];
          weight_[j] = 0;
          length_[j] = elements_[j] = 0;
          next_[before] = next_[j];
        }
      }
    }
  }

  // Pivots in turn, each followed by what was merged with it.
  std::vector<int32_t> sequence() {
    std::vector<int32_t> rank(n_, -1), count(pivots_.size() + 1, 0);
    for (size_t k = 0; k < pivots_.size(); ++k) rank[pivots_[k]] = static_cast<int32_t>(k);
    std::vector<int32_t> path;
    for (int32_t i = 0; i < n_; ++i) {
      int32_t j = i;
      for (; rank[j] < 0 && merged_[j] >= 0; j = merged_[j]) path.push_back(j);
      for (int32_t k : path) rank[k] = rank[j];
      path.clear();
      if (rank[i] >= 0) ++count[rank[i] + 1];
    }
    for (size_t k = 0; k < pivots_.size(); ++k) count[k + 1] += count[k];
    std::vector<int32_t> order(n_);
    for (int32_t i = 0; i < n_; ++i) {
      if (rank[i] >= 0) order[count[rank[i]]++] = i;
    }
    std::copy(late_.begin(), late_.end(), order.end() - static_cast<int64_t>(late_.size()));
    return order;
  }

  int32_t n_, eliminated_ = 0, least_ = 0, size_ = 0;
  bool at_end_ = false;
  std::vector<int64_t> start_;
  std::vector<int32_t> lists_;
  std::vector<int32_t> length_, elements_; // of a list, and how many of it are elements; -1: this is an element
  std::vector<int32_t> weight_;            // how many nodes a variable stands for; 0: gone, negative: in the new element
  std::vector<int32_t> degree_, head_, next_, last_; // lists of the variables by degree, then by hash
  std::vector<int32_t> merged_, bucket_, pivots_, late_;
  std::vector<int64_t> mark_; // 0: an element that is absorbed
  int64_t round_ = 1;
};

} // namespace sp
