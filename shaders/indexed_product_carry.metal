// carry[chunk, g] = the products, as in indexed_product, of the entries in `chunk` of the group that began in an earlier
// chunk, where that group goes on more than CHUNK / 2 entries past its owner; elsewhere carry is unset.
// Cost: the products of such groups past their owners, once.
//! in left: T, right: T, left_index: I, right_index: I, offsets: I, order: I, part: I
//! out carry: A
//! with T: value, I: index, A: acc, CHUNK: 64, ROWS: 4..32, LANES: 1..32, HEIGHT: 0..64, WIDTH: 0..64
//! with outer: bool, transposed: bool
constexpr int GROUP = 32;
#include "indexed_shape.inc"
SP_SHARED(A, partial, MOST * PITCH);
const int chunk = int(threadgroup_position_in_grid.x);
const int64_t from = int64_t(chunk) * CHUNK;
const int64_t i = int64_t(part[chunk]) - 1;
if (chunk == 0 || i < 0) return;
const int64_t begin = int64_t(offsets[i]), end = int64_t(offsets[i + 1]);
const int64_t owner_stop = ((begin + i) / CHUNK + 1) * CHUNK;
if (end + i + 1 - owner_stop <= CHUNK / 2) return;
const I low = I(from - i - 1 > begin ? from - i - 1 : begin);
const I high = I(from + CHUNK - i - 1 < end ? from + CHUNK - i - 1 : end);
const bool joint = true;
const int outputs = units * (transposed ? LANES : outer ? ROWS * LANES : ROWS);
SP_THREADS(lid, thread_index_in_threadgroup) {
#include "indexed_thread.inc"
  const int step = teams;
  const I stop = team < teams ? high : I(0);
  I e = team < teams ? I(low + team) : I(0);
  A sum[MOST];
  SP_UNROLL for (int j = 0; j < ROWS; ++j) sum[j] = A(0);
#include "indexed_sum.inc"
  SP_UNROLL for (int j = 0; j < ROWS; ++j) partial[j * PITCH + lid] = sum[j];
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int o = lid; o < outputs; o += GROUP) {
#include "indexed_total.inc"
    if (inside) carry[chunk * (G * out_block) + cell] = total;
  }
}
