// Shortest paths where edges may be of negative length, over NumPy's memory: lengths are float64 on every device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/view.h"

namespace sp {

struct Sources {
  size_t count;
  const int64_t* nodes;
};

// A row of lengths for each source, and of predecessors, which may be null.
struct Paths {
  double* distance;
  int32_t* before;
};

// Gives the first source from which a cycle of negative length is met, or -1.
int64_t bellman_ford(CsView<double, int32_t> graph, bool directed, bool unweighted, Sources sources, Paths found);

// R. W. Floyd, Communications of the ACM 5 (1962): O(N^3), from all n nodes. The distances are the lengths of edges, infinite
// where there is none, and then those of paths. A negative number on the diagonal tells of a cycle.
void floyd_warshall(size_t n, bool directed, Paths paths);

// out (n x n) = the shortest of parallel edges, and no_edge where there is none. As in SciPy a NaN counts as infinite.
void dense_edges(CsView<double, int32_t> graph, double no_edge, double* out);

// distance = sums of the weights of edges along the paths that `before` tells of, from their ends on, which is how SciPy rounds
// them; no_path where there is none. All are n x n. Gives source * n + target of a path that is a circle, or -1.
int64_t path_lengths(size_t n, const double* weights, const int32_t* before, double no_path, double* distance);

} // namespace sp
