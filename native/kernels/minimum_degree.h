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
#include "kernels/elimination.h"

namespace sp {

class MinimumDegree {
 public:
  explicit MinimumDegree(const Graph& g)
      : n_(g.n()), start_(g.start.begin(), g.start.end() - 1), lists_(g.to), length_(n_), elements_(n_, 0), weight_(n_, 1),
        degree_(n_), head_(n_ + 1, -1), next_(n_, -1), last_(n_, -1), merged_(n_, -1), bucket_(n_ + 1, -1), above_(n_, -1),
        mark_(n_, 1) {
    for (int32_t i = 0; i < n_; ++i) length_[i] = static_cast<int32_t>(g.start[i + 1] - g.start[i]);
    if (merge_twins()) drop_merged();
    const double dense = std::max(16.0, 10.0 * std::sqrt(static_cast<double>(n_)));
    for (int32_t i = n_ - 1; i >= 0; --i) { // of equal degrees the first is taken first: on grids that fills least
      if (weight_[i] == 0) continue;
      degree_[i] = 0;
      for (int64_t k = start_[i], end = k + length_[i]; k < end; ++k) degree_[i] += weight_[lists_[k]];
      if (degree_[i] > dense) late_.push_back(i);
      else insert(i);
    }
    for (int32_t i : late_) {
      eliminated_ += weight_[i];
      weight_[i] = length_[i] = 0;
    }
  }

  // Nearly full nodes come last; then there are no parents and counts.
  Elimination eliminate() {
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
  // Nodes that are joined to each other and to the same others count as one from the start: several unknowns at each node
  // of a mesh. Returns whether there are any.
  bool merge_twins() {
    std::vector<uint32_t> sum(n_);
    for (int32_t i = 0; i < n_; ++i) {
      sum[i] = static_cast<uint32_t>(i);
      for (int64_t k = start_[i], end = k + length_[i]; k < end; ++k) sum[i] += static_cast<uint32_t>(lists_[k]);
    }
    bool any = false;
    for (int32_t i = 0; i < n_; ++i) {
      bool marked = false;
      for (int64_t k = start_[i], end = k + length_[i]; k < end; ++k) {
        const int32_t j = lists_[k];
        if (sum[j] != sum[i] || j < i || length_[j] != length_[i] || weight_[i] == 0 || weight_[j] == 0) continue;
        if (!marked) for (int64_t q = start_[i]; q < end; ++q) bucket_[lists_[q]] = i;
        marked = true;
        bool same = true;
        for (int64_t q = start_[j], last = q + length_[j]; same && q < last; ++q) same = bucket_[lists_[q]] == i || lists_[q] == i;
        if (!same) continue;
        merged_[j] = i;
        weight_[i] += weight_[j];
        weight_[j] = 0;
        any = true;
      }
    }
    std::fill(bucket_.begin(), bucket_.end(), -1);
    return any;
  }

  void drop_merged() {
    for (int32_t i = 0; i < n_; ++i) {
      int64_t out = start_[i];
      for (int64_t k = out, end = k + length_[i]; weight_[i] && k < end; ++k) {
        lists_[out] = lists_[k];
        out += weight_[lists_[k]] > 0;
      }
      length_[i] = static_cast<int32_t>(out - start_[i]);
    }
  }

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
      above_[e] = p;
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
          above_[e] = p;
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

  // An element that is absorbed lies within what absorbs it, so that the one is above the other in a tree of fronts.
  Elimination sequence() {
    const int32_t pivots = static_cast<int32_t>(pivots_.size());
    std::vector<int32_t> rank(n_, -1), path;
    for (int32_t k = 0; k < pivots; ++k) rank[pivots_[k]] = k;
    for (int32_t i : late_) rank[i] = pivots;
    EliminationGroups groups{pivots_, {}, {}, {}, {}};
    for (int32_t p : pivots_) {
      groups.parent.push_back(above_[p] < 0 ? -1 : rank[above_[p]]);
      groups.width.push_back(weight_[p]);
      groups.below.push_back(degree_[p]);
    }
    for (int32_t i = 0; i < n_; ++i) {
      int32_t j = i;
      for (; rank[j] < 0; j = merged_[j]) path.push_back(j);
      for (int32_t k : path) rank[k] = rank[j];
      path.clear();
    }
    groups.of = std::move(rank);
    return columns_of(groups);
  }

  int32_t n_, eliminated_ = 0, least_ = 0, size_ = 0;
  bool at_end_ = false;
  std::vector<int64_t> start_;
  std::vector<int32_t> lists_;
  std::vector<int32_t> length_, elements_; // of a list, and how many of it are elements; -1: this is an element
  std::vector<int32_t> weight_;            // how many nodes a variable stands for; 0: gone, negative: in the new element
  std::vector<int32_t> degree_, head_, next_, last_; // lists of the variables by degree, then by hash
  std::vector<int32_t> merged_, bucket_, pivots_, late_;
  std::vector<int32_t> above_;             // of an absorbed element: what absorbed it
  std::vector<int64_t> mark_; // 0: an element that is absorbed
  int64_t round_ = 1;
};

} // namespace sp
