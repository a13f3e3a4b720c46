// taken[p], minor[p] = the value and the minor index of entry p of some slices of a compressed structure, one behind the
// other: slice m of the result is indptr[m] .. indptr[m + 1], and begins at start[m] in data and indices. Needs a
// non-decreasing indptr. Cost: each entry moved once, and one short binary search an entry.
//! in data: T, indices: I, indptr: I, start: I, minor_like: I
//! out taken: T, minor: I
//! with T: value, I: index
constexpr int GROUP = 256;
constexpr int CHUNK = 2048;
SP_SHARED(I, ends, 2);
const int64_t n_major = indptr_shape[0] - 1;
const int64_t nnz = minor_like_shape[0];
const int64_t first = int64_t(threadgroup_position_in_grid.x) * CHUNK;
const int64_t last = first + CHUNK < nnz ? first + CHUNK - 1 : nnz - 1;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < 2) { // the slices of the first and the last entry, between which the others are
    const int64_t p = lid == 0 ? first : last;
    int64_t low = 0, high = n_major;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (int64_t(indptr[middle + 1]) <= p) low = middle + 1; else high = middle;
    }
    ends[lid] = I(low);
  }
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int64_t p = first + lid; p <= last; p += GROUP) {
    int64_t low = int64_t(ends[0]), high = int64_t(ends[1]);
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (int64_t(indptr[middle + 1]) <= p) low = middle + 1; else high = middle;
    }
    const int64_t from = int64_t(start[low]) + p - int64_t(indptr[low]);
    taken[p] = data[from];
    minor[p] = indices[from];
  }
}
