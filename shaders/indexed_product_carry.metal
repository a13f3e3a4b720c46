// carry[chunk, g] = the products, as in indexed_product, of the entries in `chunk` of the group that began in an earlier
// chunk, where that group goes on more than CHUNK / 8 entries past its owner; elsewhere carry is unset.
// Cost: the products of such groups past their owners, once.
//! in left: T, right: T, left_index: I, right_index: I, offsets: I, order: I, part: I
//! out carry: A
//! with T: value, I: index, A: acc, CHUNK: 128, outer: bool, transposed: bool
constexpr int GROUP = 128;
#include "indexed_shape.inc"
SP_SHARED(A, partial, ROWS * GROUP);
const int chunk = int(threadgroup_position_in_grid.x);
const int64_t from = int64_t(chunk) * CHUNK;
const int64_t i = int64_t(part[chunk]) - 1;
if (chunk == 0 || i < 0) return;
const int64_t begin = int64_t(offsets[i]), end = int64_t(offsets[i + 1]);
const int64_t owner_stop = ((begin + i) / CHUNK + 1) * CHUNK;
if (end + i + 1 - owner_stop <= CHUNK / 8) return;
const I low = I(from - i - 1 > begin ? from - i - 1 : begin);
const I high = I(from + CHUNK - i - 1 < end ? from + CHUNK - i - 1 : end);
const bool joint = true;
SP_THREADS(lid, thread_index_in_threadgroup) {
#include "indexed_thread.inc"
  const int step = teams;
  const I stop = team < teams ? high : I(0);
  I e = I(low + team);
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
  const bool owner = team == 0 && (transposed ? split == 0 : outer || lane == 0);
  SP_UNROLL for (int j = 0; j < (transposed ? 1 : ROWS); ++j) {
    const int m = transposed ? 0 : m0 + j;
    const int64_t cell = g * out_block + (outer ? int64_t(m) * C + c0 : transposed ? c0 : m);
    if (owner && m < M && (c0 < C || !(outer || transposed))) {
      carry[chunk * (G * out_block) + cell] = partial[j * GROUP + lid];
    }
  }
}
