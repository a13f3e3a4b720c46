// y[out_index[t], g] += left[l, g] . right[r, g] for every t, with l = left_index[t], r = right_index[t], as in
// indexed_product; y begins as zeros. One threadgroup per CHUNK entries and GROUP threads' worth of block. Every product
// is added by an atomic: the order of the additions, and so the last bits, vary. Entries with an index out of range are
// skipped; a left or right index of rank 2 stands for the identity.
// Cost: entries * G * M * C products and an atomic for each element that an entry adds to.
//! in left: A, right: A, left_index: I, right_index: I, out_index: I, order: I, y_like: A
//! out y: A
//! with A: float32, I: index, CHUNK: 64, ROWS: 4..32, LANES: 1..32, HEIGHT: 0..64, WIDTH: 0..64
//! with outer: bool, transposed: bool
constexpr int GROUP = 32;
#include "indexed_shape.inc"
SP_SHARED(A, partial, MOST * PITCH);
const int64_t first = int64_t(threadgroup_position_in_grid.x) * CHUNK;
const int64_t count = out_index_shape[0];
const int64_t last = first + CHUNK < count ? first + CHUNK : count;
const bool joint = false;
const int outputs = teams * units * (transposed ? LANES : outer ? ROWS * LANES : ROWS);
for (int64_t base = first; base < last; base += teams) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
#include "indexed_thread.inc"
    const int step = 1;
    const bool busy = team < teams && base + team < last;
    I e = busy ? I(base + team) : I(0);
    const I stop = busy ? I(e + 1) : I(0);
    A sum[MOST];
    SP_UNROLL for (int j = 0; j < ROWS; ++j) sum[j] = A(0);
#include "indexed_sum.inc"
    SP_UNROLL for (int j = 0; j < ROWS; ++j) partial[j * PITCH + lid] = sum[j];
  }
  SP_BARRIER;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int o = lid; o < outputs; o += GROUP) {
#include "indexed_total.inc"
      const int64_t i = base + team < last ? int64_t(out_index[base + team]) : -1;
      if (inside && i >= 0 && i < y_like_shape[0]) SP_ATOMIC_ADD(y[i * (G * out_block) + cell], total);
    }
  }
  SP_BARRIER;
}
