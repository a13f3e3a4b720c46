// y[out_index[t], g] += left[l, g] . right[r, g] for every t, with l = left_index[t], r = right_index[t], as in
// indexed_product; y begins as zeros. One threadgroup per CHUNK entries and GROUP threads' worth of block. Every product
// is added by an atomic: the order of the additions, and so the last bits, vary. Entries with an index out of range are
// skipped; a left or right index of rank 2 stands for the identity.
// Cost: entries * G * M * C products and an atomic for each element that an entry adds to.
//! in left: A, right: A, left_index: I, right_index: I, out_index: I, order: I, y_like: A
//! out y: A
//! with A: float32, I: index, CHUNK: 128, outer: bool, transposed: bool
constexpr int GROUP = 128;
#include "indexed_shape.inc"
SP_SHARED(A, partial, ROWS * GROUP);
const int64_t first = int64_t(threadgroup_position_in_grid.x) * CHUNK;
const int64_t count = out_index_shape[0];
const int64_t last = first + CHUNK < count ? first + CHUNK : count;
const bool joint = false;
for (int64_t base = first; base < last; base += teams) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
#include "indexed_thread.inc"
    const int step = 1;
    I e = I(base + team);
    const I stop = team < teams && e < last ? I(e + 1) : I(0);
    A sum[ROWS];
    SP_UNROLL for (int j = 0; j < ROWS; ++j) sum[j] = A(0);
#include "indexed_sum.inc"
    if (transposed) {
      sum[0] = sp_add(sp_add(sum[0], sum[1]), sp_add(sum[2], sum[3]));
    }
    SP_UNROLL for (int j = 0; j < ROWS; ++j) partial[j * GROUP + lid] = sum[j];
  }
#include "indexed_reduce.inc"
  SP_THREADS(lid, thread_index_in_threadgroup) {
#include "indexed_thread.inc"
    const bool owner = team < teams && base + team < last && (transposed ? split == 0 : outer || lane == 0);
    const int64_t i = owner ? int64_t(out_index[base + team]) : -1;
    SP_UNROLL for (int j = 0; j < (transposed ? 1 : ROWS); ++j) {
      const int m = transposed ? 0 : m0 + j;
      const int64_t cell = g * out_block + (outer ? int64_t(m) * C + c0 : transposed ? c0 : m);
      if (i >= 0 && i < y_like_shape[0] && m < M && (c0 < C || !(outer || transposed))) {
        SP_ATOMIC_ADD(y[i * (G * out_block) + cell], partial[j * GROUP + lid]);
      }
    }
  }
  SP_BARRIER;
}
