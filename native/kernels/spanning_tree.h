// Minimum spanning forests.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "../parallel.h"
#include "components.h"
#include "sort.h"
#include "view.h"

namespace sp {

// kept[e] = whether entry e, an edge between its slice and its minor index, is in the minimum spanning forest. Of equal
// weights the entry that stands first comes first. No weight is nan.
//
// Kruskal with a filter (V. Osipov, P. Sanders, J. Singler, ALENEX 2009): the lightest edges, some for each node, are sorted
// and joined; of the others, those within a component by then are left out in one parallel pass, and the rest is treated in
// the same way. Cost: O(E + N log N) expected for weights in no particular order, O(E log E) at most.
template <class T, class I>
class SpanningForest {
 public:
  explicit SpanningForest(CsView<T, I> a) : a_(a), above_(new int32_t[a.n_major]), sets_(above_.get()) {
    std::iota(above_.get(), above_.get() + a.n_major, 0);
  }

  void run(bool* kept) {
    const size_t nnz = a_.nnz();
    std::fill_n(kept, nnz, false);
    T low{};
    bool bounded = false; // edges up to `low` are dealt with
    size_t left = nnz;
    while (left > 0) {
      bool all = left <= 3 * a_.n_major / 2 + 1024;
      T high{};
      if (!all) all = !threshold(low, bounded, left, high);
      auto edges = gather([&](T w) { return (!bounded || w > low) && (all || w <= high); }, bounded);
      sort(edges);
      for (const auto& x : edges) {
        if (sets_.join(x.u, x.v)) kept[x.entry] = true;
      }
      if (all) break;
      low = high;
      bounded = true;
      left = count_beyond(low);
    }
  }

 private:
  struct Edge {
    T weight;
    int32_t u, v;
    I entry;
  };

  // f(entry, node) for each entry that does not lie within a component, in parts of the nodes.
  template <class F>
  void each(int parts, bool filter, F&& f) const {
    const auto bounds = balance(a_.indptr, a_.n_major, parts);
    run_parts(parts, [&](int p) {
      in_pieces(a_.indptr, bounds[p], bounds[p + 1], 4, [&](size_t lo, size_t hi) {
        for (size_t u = lo; u < hi; ++u) {
          const int32_t root = filter ? sets_.find(static_cast<int32_t>(u)) : -1;
          for (size_t e = a_.begin(u); e < a_.end(u); ++e) f(p, e, static_cast<int32_t>(u), root);
        }
      });
    });
  }
  int parts() const { return plan_parts(a_.nnz() + a_.n_major); }

  // How many edges are heavier than `low` and lie between components.
  size_t count_beyond(T low) const {
    const int n = parts();
    std::vector<size_t> counts(n * 16, 0);
    each(n, true, [&](int p, size_t e, int32_t, int32_t root) {
      counts[p * 16] += a_.data[e] > low && sets_.find(static_cast<int32_t>(a_.indices[e])) != root;
    });
    return std::accumulate(counts.begin(), counts.end(), size_t{0});
  }

  // Sets `high` to a weight below which lies about one edge for each node, of the `left` ones: from a sample. False where
  // that shows none of them.
  bool threshold(T low, bool bounded, size_t left, T& high) const {
    std::vector<T> sample;
    const size_t nnz = a_.nnz(), step = std::max<size_t>(1, nnz / 65536);
    for (size_t e = 0; e < nnz; e += step) {
      if (!bounded || a_.data[e] > low) sample.push_back(a_.data[e]);
    }
    if (sample.empty()) return false;
    const double share = std::min(1.0, static_cast<double>(a_.n_major) / static_cast<double>(left));
    const auto k = std::min(sample.size() - 1, static_cast<size_t>(share * static_cast<double>(sample.size())));
    std::nth_element(sample.begin(), sample.begin() + k, sample.end());
    high = sample[k];
    return true;
  }

  template <class Wanted>
  std::vector<Edge> gather(Wanted&& wanted, bool filter) const {
    const int n = parts();
    std::vector<std::vector<Edge>> found(n);
    each(n, filter, [&](int p, size_t e, int32_t u, int32_t root) {
      const auto v = static_cast<int32_t>(a_.indices[e]);
      if (!wanted(a_.data[e]) || u == v || (filter && sets_.find(v) == root)) return;
      found[p].push_back({a_.data[e], u, v, static_cast<I>(e)});
    });
    std::vector<Edge> all = std::move(found[0]);
    for (int p = 1; p < n; ++p) {
      all.insert(all.end(), found[p].begin(), found[p].end());
      found[p] = {};
    }
    return all;
  }

  static void sort(std::vector<Edge>& edges) {
    auto less = [](const Edge& a, const Edge& b) { return a.weight < b.weight || (a.weight == b.weight && a.entry < b.entry); };
    const size_t n = edges.size();
    const int parts = plan_parts(16 * n);
    auto at = [&](int p) { return edges.begin() + static_cast<std::ptrdiff_t>(n * p / parts); };
    run_parts(parts, [&](int p) { watched_sort(at(p), at(p + 1), less); });
    for (int step = 1; step < parts; step *= 2) {
      check_interrupt();
      for (int p = 0; p + step < parts; p += 2 * step) {
        std::inplace_merge(at(p), at(p + step), at(std::min(parts, p + 2 * step)), less);
      }
    }
  }

  CsView<T, I> a_;
  std::unique_ptr<int32_t[]> above_;
  Sets sets_;
};

} // namespace sp
