// taken[p], minor[p] = the value and the minor index of entry p of some slices of a compressed structure, one behind the
// other: slice m of the result is indptr[m] .. indptr[m + 1], and begins at start[m] in data and indices. Needs a
// non-decreasing indptr. Cost: each entry moved once, and one short binary search an entry.
//! in data: T, indices: I, indptr: I, start: I, minor_like: I
//! out taken: T, minor: I
//! with T: value, I: index
constexpr int GROUP = 256;
constexpr int CHUNK = 2048;
const int64_t n_major = indptr_shape[0] - 1;
const int64_t nnz = minor_like_shape[0];
#include "cs_chunk.inc"
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int64_t p = first + lid; p <= last; p += GROUP) {
    int64_t low = int64_t(ends[0]), high = int64_t(ends[1]);
#include "cs_slice.inc"
    const int64_t from = int64_t(start[low]) + p - int64_t(indptr[low]);
    taken[p] = data[from];
    minor[p] = indices[from];
  }
}
