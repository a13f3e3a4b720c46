// y[i, g] = sum of left[l, g] . right[r, g] over the entries e of group i, offsets[i] <= e < offsets[i + 1], with
// t = order[e], l = left_index[t], r = right_index[t]; an index or order of rank 2 stands for the identity. The product
// is a y; a^T x if `transposed`; x y^T if `outer`; operands (n, groups, ...) with fewer groups repeat them.
// One threadgroup per chunk of cs_partition and GROUP threads' worth of block: see indexed_shape.inc. A chunk's groups
// are dealt to the teams; the last, where it goes on more than CHUNK / 2 entries past the chunk, to all of them, and the
// rest of it comes from indexed_product_carry. Entries whose indices are out of range are skipped. Deterministic.
// Cost: entries * G * M * C products; a block is read once.
//! in left: T, right: T, left_index: I, right_index: I, offsets: I, order: I, part: I, carry: A
//! out y: T
//! with T: value, I: index, A: acc, CHUNK: 64, ROWS: 4..32, LANES: 1..32, HEIGHT: 0..64, WIDTH: 0..64
//! with outer: bool, transposed: bool
constexpr int GROUP = 32;
#include "indexed_shape.inc"
SP_SHARED(A, partial, MOST * PITCH);
const int chunk = int(threadgroup_position_in_grid.x);
const I first = part[chunk], last = part[chunk + 1];
if (first >= last) return;
const int64_t end = int64_t(offsets[last]), stop_at = int64_t(chunk + 1) * CHUNK;
const bool has_tail = end + last - stop_at > CHUNK / 2;
const I border = has_tail ? I(stop_at - last) : I(0);
const int tail_stop = int((end + last - 1) / CHUNK) + 1;
const I plain = has_tail ? I(last - 1) : last;
const int rounds = int((plain - first + teams - 1) / teams);
for (int round = 0; round < rounds + (has_tail ? 1 : 0); ++round) {
  const bool joint = round == rounds;
  const bool stored = outer && !joint;
  const int outputs = (joint ? 1 : teams) * units * (transposed ? LANES : outer ? ROWS * LANES : ROWS);
  SP_THREADS(lid, thread_index_in_threadgroup) {
#include "indexed_thread.inc"
    const I i = joint ? I(last - 1) : I(first + round * teams + team);
    const bool busy = team < teams && (joint || i < plain);
    const int step = joint ? teams : 1;
    const I stop = !busy ? I(0) : joint ? border : offsets[i + 1];
    I e = !busy ? I(0) : I(offsets[i] + (joint ? team : 0));
    A sum[MOST];
    SP_UNROLL for (int j = 0; j < ROWS; ++j) sum[j] = A(0);
#include "indexed_sum.inc"
    SP_UNROLL for (int j = 0; j < (transposed ? 1 : ROWS); ++j) {
      const int m = transposed ? 0 : m0 + j;
      const int64_t cell = g * out_block + (outer ? int64_t(m) * C + c0 : transposed ? c0 : m);
      const bool inside = busy && m < M && (c0 < C || !(outer || transposed));
      if (joint && inside) {
        const int share = outer ? team : transposed ? team * splits + split : team * LANES + lane;
        const int shares = outer ? teams : transposed ? teams * splits : teams * LANES;
        for (int from = chunk + 1 + share; from < tail_stop; from += shares) {
          sum[j] = sp_add(sum[j], carry[from * (G * out_block) + cell]);
        }
      }
      if (!stored) partial[j * PITCH + lid] = sum[j];
      else if (inside) y[i * (G * out_block) + cell] = T(sum[j]);
    }
  }
  if (!stored) {
    SP_BARRIER;
    SP_THREADS(lid, thread_index_in_threadgroup) {
      for (int o = lid; o < outputs; o += GROUP) {
#include "indexed_total.inc"
        const I i = joint ? I(last - 1) : I(first + round * teams + team);
        if (inside && (joint || i < plain)) y[i * (G * out_block) + cell] = T(total);
      }
    }
    SP_BARRIER;
  }
}
