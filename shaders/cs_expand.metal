// major[p] = the slice that holds entry p. Needs a non-decreasing indptr. Cost: one binary search an entry.
//! in indptr: I, major_like: I
//! out major: I
//! with I: index
constexpr int GROUP = 256;
const int64_t n_major = indptr_shape[0] - 1;
const int64_t nnz = major_like_shape[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t p = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (p < nnz) {
    int64_t low = 0, high = n_major;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (int64_t(indptr[middle + 1]) <= p) low = middle + 1; else high = middle;
    }
    major[p] = I(low);
  }
}
