// Flows: what edges of given capacities carry from one node to another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// Edges both ways, in order: f(u, v, place of the entry (u, v) of `a`, or -1 where there is only one back). a, and its
// transpose: sorted, without duplicates. O(E).
template <class I, class F>
void edges_both_ways(CsPattern<I> a, CsPattern<I> transpose, F&& f) {
  for (size_t u = 0; u < a.n_major; ++u) {
    size_t e = a.begin(u), t = transpose.begin(u);
    const size_t end = a.end(u), last = transpose.end(u);
    while (e < end || t < last) {
      const bool own = e < end && (t == last || a.indices[e] <= transpose.indices[t]);
      const I v = own ? a.indices[e] : transpose.indices[t];
      if (t < last && transpose.indices[t] == v) ++t;
      f(u, v, own ? static_cast<ptrdiff_t>(e) : -1);
      e += own;
    }
  }
}

// back[e] = the place of the edge (v, u) for the edge (u, v) at e. Sorted, and an edge back for each edge. O(E).
template <class I>
void edges_back(CsPattern<I> a, I* back) {
  std::unique_ptr<I[]> next(new I[a.n_major]);
  std::copy_n(a.indptr, a.n_major, next.get());
  for (size_t e = 0, nnz = a.nnz(); e < nnz; ++e) back[e] = next[a.indices[e]]++;
}

// E. A. Dinic, Soviet Mathematics Doklady 11 (1970): in rounds, as much as goes by shortest ways only. O(N^2 E). With one way
// a round it is the algorithm of J. Edmonds and R. M. Karp, Journal of the ACM 19 (1972), O(N E^2). Levels are counted from
// the sink, so that no search goes where none leads there at the beginning of its round.
template <class I>
class MaximumFlow {
 public:
  // flow: zeros, and then what flows; against an edge, negative.
  MaximumFlow(CsPattern<I> a, const I* back, const int32_t* capacity, int32_t* flow)
      : a_(a), back_(back), capacity_(capacity), flow_(flow), level_(a.n_major), queue_(a.n_major), at_(a.n_major) {}

  void run(int32_t source, int32_t sink, bool one_way) {
    while (find_levels(source, sink)) {
      std::copy_n(a_.indptr, a_.n_major, at_.begin());
      while (push(source, sink) && !one_way) {}
      way_.clear();
    }
  }

 private:
  static constexpr int32_t kFar = std::numeric_limits<int32_t>::max();

  int64_t left(size_t e) const { return int64_t{capacity_[e]} - flow_[e]; }

  bool find_levels(int32_t source, int32_t sink) {
    std::fill(level_.begin(), level_.end(), kFar);
    level_[sink] = 0;
    queue_[0] = sink;
    for (size_t first = 0, end = 1; first < end; ++first) {
      const int32_t v = queue_[first];
      watch_(8 * (a_.end(v) - a_.begin(v)) + 8);
      for (size_t e = a_.begin(v); e < a_.end(v); ++e) {
        const auto u = static_cast<int32_t>(a_.indices[e]);
        if (level_[u] != kFar || int64_t{capacity_[back_[e]]} + flow_[e] <= 0) continue; // the flow back is -flow
        level_[u] = level_[v] + 1;
        if (u == source) return true;
        queue_[end++] = u;
      }
    }
    return false;
  }

  // One more way to the sink, which begins as the last one did, up to the edge that was full first.
  bool push(int32_t source, int32_t sink) {
    int32_t v = way_.empty() ? source : static_cast<int32_t>(a_.indices[way_.back()]);
    while (v != sink) {
      I e = at_[v];
      const I end = a_.indptr[v + 1];
      while (e < end && (level_[a_.indices[e]] != level_[v] - 1 || left(e) <= 0)) ++e;
      watch_(static_cast<size_t>(e - at_[v]) + 8);
      at_[v] = e;
      if (e < end) {
        way_.push_back(e);
        v = static_cast<int32_t>(a_.indices[e]);
      } else {
        if (way_.empty()) return false;
        v = tail(way_.back());
        way_.pop_back();
        ++at_[v];
      }
    }
    int64_t most = std::numeric_limits<int64_t>::max();
    for (I e : way_) most = std::min(most, left(e));
    size_t full = way_.size();
    for (size_t k = way_.size(); k-- > 0;) {
      flow_[way_[k]] += static_cast<int32_t>(most);
      flow_[back_[way_[k]]] -= static_cast<int32_t>(most);
      if (left(way_[k]) == 0) full = k;
    }
    way_.resize(full);
    return true;
  }

  int32_t tail(I e) const { return static_cast<int32_t>(a_.indices[back_[e]]); }

  CsPattern<I> a_;
  const I* back_;
  const int32_t* capacity_;
  int32_t* flow_;
  std::vector<int32_t> level_, queue_;
  std::vector<I> at_, way_; // of each node the edge that is next; the edges of a way
  Watch watch_;
};

} // namespace sp
