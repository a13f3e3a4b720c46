// Shortest paths where edges may be of negative length, over NumPy's memory: lengths are float64 on every device.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sp {

// From `count` sources to n nodes: distance and before, which may be null, have n numbers for each. Gives the first source
// from which a cycle of negative length is met, or -1.
int64_t bellman_ford(size_t n, const double* data, const int32_t* indices, const int32_t* indptr, const int64_t* sources,
                     size_t count, bool directed, bool unweighted, double* distance, int32_t* before);

void all_paths(size_t n, bool directed, double* distance, int32_t* before);

} // namespace sp
