#include "ops/signed_paths.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/signed_paths.h"

namespace sp {

int64_t bellman_ford(CsView<double, int32_t> graph, bool directed, bool unweighted, Sources sources, Paths found) {
  const size_t n = graph.n_major, count = sources.count;
  if (n == 0 || count == 0) return -1;
  // A worker takes the next source when it is done with one; those after one with a cycle do not matter.
  std::atomic<size_t> next{0}, met{count};
  const int parts = plan_parts(16 * count * (graph.nnz() + n), static_cast<int>(std::min<size_t>(count, 1024)));
  run_parts(parts, [&](int) {
    BellmanFord<int32_t> search(graph, directed, unweighted);
    for (size_t row; (row = next.fetch_add(1)) < met.load();) {
      check_interrupt();
      if (search.run(static_cast<size_t>(sources.nodes[row]), found.distance + row * n, found.before ? found.before + row * n : nullptr)) continue;
      for (size_t first = met.load(); row < first && !met.compare_exchange_weak(first, row);) {}
    }
  });
  return met == count ? -1 : sources.nodes[met];
}

void floyd_warshall(size_t n, bool directed, Paths paths) {
  double* const distance = paths.distance;
  int32_t* const before = paths.before;
  constexpr double far = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < n; ++i) {
    distance[i * n + i] = 0;
    for (size_t j = i + 1; j < n && !directed; ++j) {
      double &up = distance[i * n + j], &low = distance[j * n + i];
      if (low <= up) up = low; else low = up;
    }
  }
  if (before) {
    for (size_t at = 0; at < n * n; ++at) before[at] = std::isinf(distance[at]) ? kNoNode : static_cast<int32_t>(at / n);
    for (size_t i = 0; i < n; ++i) before[i * n + i] = kNoNode;
  }
  const int parts = plan_parts(n * n / 2);
  for (size_t k = 0; k < n; ++k) {
    check_interrupt();
    const double* const from_k = distance + k * n;
    const int32_t* const before_k = before ? before + k * n : nullptr;
    if (from_k[k] < 0) { // a cycle: k's own row changes on the way
      for (size_t i = 0; i < n; ++i) {
        if (distance[i * n + k] == far) continue;
        for (size_t j = 0; j < n; ++j) {
          const double next = distance[i * n + k] + from_k[j];
          if (!(next < distance[i * n + j])) continue;
          distance[i * n + j] = next;
          if (before) before[i * n + j] = before_k[j];
        }
      }
      continue;
    }
    auto no_way = [](double x) { return x == far; };
    if (std::all_of(from_k, from_k + k, no_way) && std::all_of(from_k + k + 1, from_k + n, no_way)) continue;
    run_parts(parts, [&](int part) {
      const size_t p = static_cast<size_t>(part), all = static_cast<size_t>(parts);
      for (size_t i = n * p / all, end = n * (p + 1) / all; i < end; ++i) {
        const double to_k = distance[i * n + k];
        if (to_k == far || i == k) continue;
        by_node(n, to_k, from_k, before_k, distance + i * n, before ? before + i * n : nullptr);
      }
    });
  }
}

void dense_edges(CsView<double, int32_t> graph, double no_edge, double* out) {
  const size_t n = graph.n_major;
  parallel_for(n, plan_parts(n * n / 2 + graph.nnz()), [&](size_t lo, size_t hi) {
    for (size_t i = lo; i < hi; ++i) {
      if (i % 64 == 0) check_interrupt();
      double* const row = out + i * n;
      std::fill_n(row, n, no_edge);
      for (size_t e = graph.begin(i); e < graph.end(i); ++e) row[graph.indices[e]] = std::numeric_limits<double>::infinity();
      for (size_t e = graph.begin(i); e < graph.end(i); ++e) {
        if (graph.data[e] < row[graph.indices[e]]) row[graph.indices[e]] = graph.data[e];
      }
    }
  });
}

int64_t path_lengths(size_t n, const double* weights, const int32_t* before, double no_path, double* distance) {
  std::atomic<int64_t> circle{-1};
  parallel_for(n, plan_parts(8 * n * n), [&](size_t lo, size_t hi) {
    for (size_t i = lo; i < hi && circle < 0; ++i) {
      check_interrupt();
      const int32_t* const above = before + i * n;
      for (size_t j = 0; j < n; ++j) {
        double sum = 0;
        size_t at = j, steps = 0;
        for (; at != i && above[at] >= 0 && steps <= n; ++steps) {
          const auto previous = static_cast<size_t>(above[at]);
          sum += weights[previous * n + at];
          at = previous;
        }
        if (steps > n) return circle.store(static_cast<int64_t>(i * n + j));
        distance[i * n + j] = steps || i == j ? sum : no_path;
      }
    }
  });
  return circle;
}

} // namespace sp
