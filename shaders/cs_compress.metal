// indptr[m] = number of entries whose major index is below m. Needs non-decreasing major indices. Cost: one binary
// search a slice.
//! in major: I, indptr_like: I
//! out indptr: I
//! with I: index
constexpr int GROUP = 256;
const int64_t nnz = major_shape[0];
const int64_t n_out = indptr_like_shape[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t m = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (m < n_out) {
    int64_t low = 0, high = nnz;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (int64_t(major[middle]) < m) low = middle + 1; else high = middle;
    }
    indptr[m] = I(low);
  }
}
