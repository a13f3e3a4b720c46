// data[begins[m] + j] = entry j of slice m of a b, in indices its minor index; sorted, sums in the order of the products,
// zeros stay. begins: the running sums of spgemm_count, whose other inputs these are. Deterministic.
// Cost: of a slice with p products, p^2 comparisons in threadgroup memory.
//! in a_data: T, a_indices: I, a_indptr: I, b_data: T, b_indices: I, b_indptr: I, offsets: M, starts: M, part: M, begins: M
//! out indices: I, data: T
//! with T: value, I: index, A: acc, M: int32, CHUNK: 512, MOST: 512
#include "spgemm_chunk.inc"
SP_SHARED(A, products, ROOM);
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int64_t e = int64_t(a_indptr[first]) + lid; e < int64_t(a_indptr[last]); e += GROUP) {
    const int64_t row = int64_t(a_indices[e]), stop = int64_t(b_indptr[row + 1]);
    const A x = A(a_data[e]);
    int at = int(int64_t(offsets[e]) - base);
    for (int64_t p = int64_t(b_indptr[row]); p < stop; ++p, ++at) products[at] = sp_mul(x, A(b_data[p]));
  }
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int q = lid; q < total; q += GROUP) {
    if (firsts[q] != 0) {
      int m = 0, high = n - 1;
      while (m < high) {
        const int middle = (m + high + 1) / 2;
        if (edges[middle] <= q) m = middle; else high = middle - 1;
      }
      const I minor = minors[q];
      int before = 0;
      A sum = A(0);
      for (int p = edges[m]; p < edges[m + 1]; ++p) {
        before += int(firsts[p] != 0 && minors[p] < minor);
        if (minors[p] == minor) sum = sp_add(sum, products[p]);
      }
      const int64_t to = int64_t(begins[first + m]) + before;
      indices[to] = minor;
      data[to] = T(sum);
    }
  }
}
