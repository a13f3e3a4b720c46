// part[c] = first slice owned by chunk c. The head of slice m has position indptr[m] + m, its entry e has e + m + 1;
// chunk c is the positions [c * CHUNK, (c + 1) * CHUNK) and owns the slices whose heads lie in it, so chunks balance
// entries plus slices. Needs a non-decreasing indptr. Cost: one search a chunk, eight probes a step.
//! in indptr: I, part_like: I
//! out part: I
//! with I: index, CHUNK: 64|512|2048
constexpr int GROUP = 64;
constexpr int PROBES = 8;
const int64_t n_out = part_like_shape[0];
const int64_t n_major = indptr_shape[0] - 1;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t c = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (c < n_out) {
    int64_t low = 0, high = n_major;
    while (low < high) {
      const int64_t step = (high - low) / PROBES + 1;
      int below = 0;
      SP_UNROLL for (int r = 1; r <= PROBES; ++r) {
        const int64_t probe = low + r * step - 1;
        if (probe < high && int64_t(indptr[probe]) + probe < c * CHUNK) below += 1;
      }
      high = low + (below + 1) * step - 1 < high ? low + (below + 1) * step - 1 : high;
      low += below * step;
    }
    part[c] = I(low);
  }
}
