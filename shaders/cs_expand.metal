// major[p] = the slice that holds entry p; with has_start the place of that entry in other arrays, where slice m begins
// at start[m]. Needs a non-decreasing indptr. Cost: one short binary search an entry.
//! in indptr: I, start: I, major_like: I
//! out major: I
//! with I: index, has_start: bool
constexpr int GROUP = 256;
constexpr int CHUNK = 2048;
const int64_t n_major = indptr_shape[0] - 1;
const int64_t nnz = major_like_shape[0];
#include "cs_chunk.inc"
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int64_t p = first + lid; p <= last; p += GROUP) {
    int64_t low = int64_t(ends[0]), high = int64_t(ends[1]);
#include "cs_slice.inc"
    major[p] = has_start ? I(int64_t(start[low]) + p - int64_t(indptr[low])) : I(low);
  }
}
