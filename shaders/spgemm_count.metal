// count[m] = number of minor indices that slice m of a b has. offsets[e] = products before entry e of a, starts[m] = those
// before slice m, part = cs_partition of starts. Slices have at most MOST products. One threadgroup a chunk.
// Cost: of a slice with p products, p^2 / 2 comparisons in threadgroup memory.
//! in a_indices: I, a_indptr: I, b_indices: I, b_indptr: I, offsets: M, starts: M, part: M
//! out count: M
//! with I: index, M: int32, CHUNK: 512, MOST: 512
#include "spgemm_chunk.inc"
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int m = lid; m < n; m += GROUP) {
    int sum = 0;
    for (int q = edges[m]; q < edges[m + 1]; ++q) sum += firsts[q];
    count[first + m] = M(sum);
  }
}
