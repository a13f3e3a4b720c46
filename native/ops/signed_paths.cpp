#include "ops/signed_paths.h"

#include <atomic>

#include "kernels/signed_paths.h"

namespace sp {

int64_t bellman_ford(size_t n, const double* data, const int32_t* indices, const int32_t* indptr, const int64_t* sources,
                     size_t count, bool directed, bool unweighted, double* distance, int32_t* before) {
  const CsView<double, int32_t> graph{{n, n, indptr, indices}, data};
  if (n == 0 || count == 0) return -1;
  // A worker takes the next source when it is done with one; those after one with a cycle do not matter.
  std::atomic<size_t> next{0}, met{count};
  const int parts = plan_parts(16 * count * (graph.nnz() + n), static_cast<int>(std::min<size_t>(count, 1024)));
  run_parts(parts, [&](int) {
    BellmanFord<int32_t> search(graph, directed, unweighted);
    for (size_t row; (row = next.fetch_add(1)) < met.load();) {
      check_interrupt();
      if (search.run(static_cast<size_t>(sources[row]), distance + row * n, before ? before + row * n : nullptr)) continue;
      for (size_t first = met.load(); row < first && !met.compare_exchange_weak(first, row);) {}
    }
  });
  return met == count ? -1 : sources[met];
}

void all_paths(size_t n, bool directed, double* distance, int32_t* before) { floyd_warshall(n, directed, distance, before); }

} // namespace sp
