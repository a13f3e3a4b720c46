// elements[i] = the sum of the entries of slice at[0] + i whose minor index is that slice plus at[1]. 8 threads a slice
// share its entries: sums of BLOCK of them, added up in order. Any order of entries. Deterministic. Cost: the indices of the slices.
//! in data: T, indices: I, indptr: I, at: I, elements_like: T
//! out elements: T
//! with T: value, I: index, A: acc
constexpr int GROUP = 256;
constexpr int TEAM = 8;
constexpr int BLOCK = 64;
SP_SHARED(A, sums, GROUP);
const int64_t n = elements_like_shape[0];
const int64_t from = int64_t(threadgroup_position_in_grid.x) * (GROUP / TEAM);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = from + lid / TEAM;
  A sum = A(0);
  if (i < n) {
    const int64_t m = int64_t(at[0]) + i;
    const I wanted = I(m + int64_t(at[1]));
    const int64_t stop = int64_t(indptr[m + 1]);
    A part = A(0);
    int count = 0;
    for (int64_t e = int64_t(indptr[m]) + lid % TEAM; e < stop; e += TEAM) {
      if (indices[e] == wanted) {
        part = sp_add(part, A(data[e]));
        if (++count == BLOCK) {
          sum = sp_add(sum, part);
          part = A(0);
          count = 0;
        }
      }
    }
    sum = sp_add(sum, part);
  }
  sums[lid] = sum;
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = from + lid / TEAM;
  if (lid % TEAM == 0 && i < n) {
    A sum = sums[lid];
    SP_UNROLL for (int j = 1; j < TEAM; ++j) sum = sp_add(sum, sums[lid + j]);
    elements[i] = T(sum);
  }
}
