// Breadth-first search where edges go both ways, and stand once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "breadth_first.h"
#include "node_set.h"
#include "sort.h"

namespace sp {

// As `breadth_first` with two graphs, `a` and its transpose: a node's edges in the order of the entries, then those that
// lead to it, by where they come from. Cost: O(N + E), most of it in parallel.
//
// A level's edges in their direction are followed as ever. Against it, every node that was not met before the level looks
// among its own edges for the node that stands first in the queue (S. Beamer, K. Asanovic, D. Patterson, SC 2012): so no
// transpose is needed, and while levels grow fast this is less work than making one. Then the edges of the nodes that are
// left are transposed.
template <class I>
class BreadthFirstBothWays {
 public:
  BreadthFirstBothWays(CsPattern<I> a, size_t start, int32_t* order, int32_t* before)
      : a_(a), search_(a.n_major, start, order, before), order_(order), before_(before), frontier_(a.n_major) {}

  // The number of nodes that are reached.
  size_t run() {
    const size_t n = a_.n_major;
    std::vector<CsPattern<I>> graphs{a_};
    size_t first = 0, end = 1;
    place_.reset(new int32_t[n]);
    std::fill_n(place_.get(), n, -1);
    place_[order_[0]] = 0;
    size_t left = a_.nnz(), before = 0; // edges of nodes that are not met, and of the last level
    while (first < end) {
      size_t edges = 0;
      for (size_t at = first; at < end; ++at) edges += degree(order_[at]);
      left -= edges;
      if (left <= n || edges < kGrowth * before) break;
      before = edges;
      first = std::exchange(end, level(graphs, first, end));
    }
    place_.reset();
    if (first < end) graphs.push_back(transposed_rest());
    while (first < end) first = std::exchange(end, search_.follow(graphs, first, end));
    return end;
  }

 private:
  struct Found { int32_t node, place; };
  static constexpr size_t kGrowth = 8; // of levels, from which on few are expected

  size_t degree(int32_t v) const { return a_.end(v) - a_.begin(v); }

  size_t level(const std::vector<CsPattern<I>>& graphs, size_t first, size_t last) {
    const size_t end = search_.follow(graphs, first, last);
    for (size_t at = first; at < last; ++at) frontier_.add(static_cast<size_t>(order_[at]));
    const int parts = plan_parts(a_.nnz() + a_.n_major);
    const auto bounds = balance(a_.indptr, a_.n_major, parts);
    std::vector<std::vector<Found>> found(parts);
    run_parts(parts, [&](int p) {
      in_pieces(a_.indptr, bounds[p], bounds[p + 1], 1, [&](size_t lo, size_t hi) { look_back(lo, hi, last, found[p]); });
    });
    for (size_t at = first; at < last; ++at) frontier_.remove(static_cast<size_t>(order_[at]));
    return merge(found, first, last, end);
  }

  // Nodes lo .. hi that an edge of theirs leads to earlier in the queue than it was met from.
  void look_back(size_t lo, size_t hi, size_t last, std::vector<Found>& found) const {
    const uint8_t* const met = search_.met();
    const int32_t* const place = place_.get();
    const I* const indices = a_.indices;
    for (size_t u = lo; u < hi; ++u) {
      if (place[u] >= 0) continue;
      int32_t least = met[u] ? place[before_[u]] : static_cast<int32_t>(last);
      const int32_t known = least;
      for (size_t e = a_.begin(u), end = a_.end(u); e < end; ++e) {
        const auto w = static_cast<size_t>(indices[e]);
        if (frontier_.has(w)) least = std::min(least, place[w]);
      }
      if (least < known) found.push_back({static_cast<int32_t>(u), least});
    }
  }

  // Puts what was found against the direction of edges among order[last .. end), what was found along it. Of one node of
  // the level the former come later, by their numbers.
  size_t merge(const std::vector<std::vector<Found>>& found, size_t first, size_t last, size_t end) {
    std::vector<size_t> slots(last - first + 1, 0);
    size_t more = 0;
    for (const auto& some : found) {
      more += some.size();
      for (const auto& x : some) {
        ++slots[static_cast<size_t>(x.place) - first + 1];
        if (search_.met()[x.node]) before_[x.node] = -1; // found again: the first time does not count
      }
    }
    const size_t along = static_cast<size_t>(
        std::remove_if(order_ + last, order_ + end, [&](int32_t v) { return before_[v] < 0; }) - order_);
    for (size_t i = 1; i < slots.size(); ++i) slots[i] += slots[i - 1];
    std::unique_ptr<Found[]> sorted(new Found[more]);
    for (const auto& some : found) {
      for (const auto& x : some) sorted[slots[static_cast<size_t>(x.place) - first]++] = x;
    }
    size_t to = end = along + more;
    for (size_t i = along, k = more; to > last;) { // from behind, in place
      const bool back = k > 0 && (i == last || sorted[k - 1].place >= place_[before_[order_[i - 1]]]);
      const int32_t v = back ? sorted[--k].node : order_[--i];
      if (back) search_.meet(v, order_[sorted[k].place]);
      place_[v] = static_cast<int32_t>(--to);
      order_[to] = v;
    }
    return end;
  }

  // Of nodes that are not met, the edges by where they lead.
  CsPattern<I> transposed_rest() {
    const size_t n = a_.n_major;
    const uint8_t* const met = search_.met();
    const int parts = plan_sort<I>(a_.nnz(), n, a_.nnz() * sizeof(I));
    const auto bounds = balance(a_.indptr, n, parts);
    auto each = [&](int p, auto&& f) {
      for (size_t u = bounds[p]; u < bounds[p + 1]; ++u) {
        if (met[u]) continue;
        for (size_t e = a_.begin(u), end = a_.end(u); e < end; ++e) f(u, a_.indices[e]);
      }
    };
    size_t left = 0;
    for (size_t u = 0; u < n; ++u) left += met[u] ? 0 : degree(static_cast<int32_t>(u));
    indptr_.reset(new I[n + 1]);
    indices_.reset(new I[left]);
    counting_sort(
        n, parts, indptr_.get(), [&](int p, I* count) { each(p, [&](size_t, I w) { ++count[w]; }); },
        [&](int p, I* next) { each(p, [&](size_t u, I w) { indices_[next[w]++] = static_cast<I>(u); }); });
    return {n, n, indptr_.get(), indices_.get()};
  }

  CsPattern<I> a_;
  BreadthFirst<I> search_;
  int32_t *order_, *before_;
  std::unique_ptr<int32_t[]> place_; // in the queue, -1 elsewhere
  NodeSet frontier_; // the nodes of this level
  std::unique_ptr<I[]> indptr_, indices_; // of the transpose
};

template <class I>
size_t breadth_first_both_ways(CsPattern<I> a, size_t start, int32_t* order, int32_t* before) {
  return BreadthFirstBothWays<I>(a, start, order, before).run();
}

} // namespace sp
