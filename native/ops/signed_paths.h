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

} // namespace sp
