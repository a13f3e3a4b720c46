// Shortest paths where edges may be of negative length. The order of the steps decides which of several shortest paths is
// given, and where a sum is rounded: it is SciPy's.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "../interrupt.h"
#include "../parallel.h"
#include "view.h"

namespace sp {

constexpr int32_t kNoNode = -9999;

// One worker's searches. R. Bellman, Quarterly of Applied Mathematics 16 (1958): n - 1 sweeps over all edges at the most,
// O(N E). What cannot change anything is left out: nodes that have not moved since their edges were last looked at, and
// sweeps after one in which nothing moved.
template <class I>
class BellmanFord {
 public:
  BellmanFord(const CsView<double, I>& graph, bool directed, bool unweighted)
      : graph_(graph), directed_(directed), unweighted_(unweighted), moved_(new bool[graph.n_major]) {}

  // distance and before, which may be null: of n nodes each. False where a cycle of negative length is met.
  bool run(size_t source, double* distance, int32_t* before) {
    const size_t n = graph_.n_major;
    std::fill_n(distance, n, std::numeric_limits<double>::infinity());
    if (before) std::fill_n(before, n, kNoNode);
    std::fill_n(moved_.get(), n, false);
    distance[source] = 0;
    moved_[source] = true;
    bool any = true;
    for (size_t sweep = 1; sweep < n && any; ++sweep) any = directed_ ? outwards(distance, before) : both_ways(distance, before);
    return (directed_ && !any) || !may_improve(distance);
  }

 private:
  static constexpr double kSlack = 1e-15;

  double weight(size_t e) const { return unweighted_ ? 1.0 : graph_.data[e]; }

  bool outwards(double* distance, int32_t* before) {
    bool any = false;
    for (size_t u = 0; u < graph_.n_major; ++u) {
      watch_(1);
      if (!moved_[u]) continue;
      moved_[u] = false;
      const double from = distance[u];
      watch_(2 * (graph_.end(u) - graph_.begin(u)));
      for (size_t e = graph_.begin(u), end = graph_.end(u); e < end; ++e) {
        const auto v = static_cast<size_t>(graph_.indices[e]);
        const double next = from + weight(e);
        if (!(next < distance[v])) continue;
        distance[v] = next;
        if (before) before[v] = static_cast<int32_t>(u);
        moved_[v] = any = true;
      }
    }
    return any;
  }

  bool both_ways(double* distance, int32_t* before) {
    bool any = false;
    for (size_t u = 0; u < graph_.n_major; ++u) {
      double here = distance[u];
      watch_(1 + 3 * (graph_.end(u) - graph_.begin(u)));
      for (size_t e = graph_.begin(u), end = graph_.end(u); e < end; ++e) {
        const auto v = static_cast<size_t>(graph_.indices[e]);
        const double w = weight(e);
        double there = distance[v];
        if (here + w < there) {
          distance[v] = there = here + w;
          if (before) before[v] = static_cast<int32_t>(u);
          any = true;
        }
        if (there + w < here) {
          distance[u] = here = there + w;
          if (before) before[u] = static_cast<int32_t>(v);
          any = true;
        }
      }
    }
    return any;
  }

  // Whether an edge leads further down after all sweeps.
  bool may_improve(const double* distance) const {
    for (size_t u = 0; u < graph_.n_major; ++u) {
      for (size_t e = graph_.begin(u), end = graph_.end(u); e < end; ++e) {
        const double here = distance[u], there = distance[graph_.indices[e]], w = weight(e);
        if (directed_ ? here + w + kSlack < there : std::abs(there - here) > w + kSlack) return true;
      }
    }
    return false;
  }

  const CsView<double, I>& graph_;
  bool directed_, unweighted_;
  std::unique_ptr<bool[]> moved_;
  Watch watch_;
};

// One step of the method below for a row: paths by the node k, where k's own row stays as it is.
inline void by_node(size_t n, double to_k, const double* from_k, const int32_t* before_k, double* row, int32_t* before) {
  if (!before) {
    for (size_t j = 0; j < n; ++j) {
      const double next = to_k + from_k[j];
      row[j] = next < row[j] ? next : row[j];
    }
    return;
  }
  for (size_t j = 0; j < n; ++j) {
    const double next = to_k + from_k[j];
    const bool nearer = next < row[j];
    row[j] = nearer ? next : row[j];
    before[j] = nearer ? before_k[j] : before[j];
  }
}

} // namespace sp
