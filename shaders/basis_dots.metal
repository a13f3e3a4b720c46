// partial[k, c] = the sum of conj(rows[k, i]) * w[i] over the elements i of chunk c; with `own` also, behind the rows, that
// of |w[i]|^2. total[k] = the sum of partial[k, :]. A group takes ROWS rows of a chunk; those of one chunk follow each
// other, so that w stays in cache. Of those of the same rows the one that ends last adds up (PART 0), or a launch of its own
// does (PART 1: partial only; 2: total only, of `before`). tickets: zero before and after.
// Cost: the rows and w once.
//! in rows: T, w: T, before: T
//! inout tickets: C
//! out partial: T, total: T
//! with T: single, C: int32, CHUNK: 512|2048, alone: bool, own: bool, PART: 0..2
constexpr int GROUP = 256;
constexpr int ROWS = 8;
constexpr int LANES = GROUP / ROWS; // of a row's total
constexpr int AHEAD = 4;
SP_SHARED(T, sums, ROWS * GROUP);
SP_SHARED(int, ticket, 1);
const int64_t count = alone ? 0 : rows_shape[0], n = rows_shape[1], all = own ? count + 1 : count;
const int64_t chunks = (n + CHUNK - 1) / CHUNK, batches = (all + ROWS - 1) / ROWS;
const int64_t c = int64_t(threadgroup_position_in_grid.x) / batches, from = c * CHUNK;
const int64_t first = int64_t(threadgroup_position_in_grid.x) % batches * ROWS;
const int mine = all - first < ROWS ? int(all - first) : ROWS;
if (PART < 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    T v[CHUNK / GROUP];
    SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
      const int64_t i = from + j * GROUP + lid;
      v[j] = i < n ? w[i] : T(0);
    }
    for (int k = 0; k < mine; ++k) {
      const int64_t row = (first + k) * n;
      T sum = T(0);
      SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
        const int64_t i = from + j * GROUP + lid;
        if (i < n) sum = sp_add(sum, sp_mul(sp_conj(first + k == count ? v[j] : T(rows[row + i])), v[j]));
      }
      sums[k * GROUP + lid] = sum;
    }
  }
  SP_BARRIER;
  for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid < half_of) {
        for (int k = 0; k < mine; ++k) {
          sums[k * GROUP + lid] = sp_add(sums[k * GROUP + lid], sums[k * GROUP + lid + half_of]);
        }
      }
    }
    SP_BARRIER;
  }
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < mine) partial[(first + lid) * chunks + c] = sums[lid * GROUP];
  }
  SP_BARRIER;
  if (PART == 1) return;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid == 0) {
      SP_FENCE; // for all that the group has written: a barrier is behind it
      ticket[0] = SP_TICKET(tickets[first / ROWS]);
    }
  }
  SP_BARRIER;
  if (ticket[0] != chunks - 1) return;
  SP_FENCE;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  T parts[AHEAD];
  SP_UNROLL for (int u = 0; u < AHEAD; ++u) parts[u] = T(0);
  const int64_t row = (first + lid / LANES) * chunks;
  for (int64_t at = lid % LANES; at < chunks && lid / LANES < mine; at += AHEAD * LANES) {
    SP_UNROLL for (int u = 0; u < AHEAD; ++u) {
      const int64_t e = at + u * LANES;
      if (e < chunks) parts[u] = sp_add(parts[u], PART == 2 ? T(before[row + e]) : T(partial[row + e]));
    }
  }
  sums[lid] = sp_add(sp_add(parts[0], parts[1]), sp_add(parts[2], parts[3]));
  if (PART == 0 && lid == 0) SP_INPLACE(C, tickets[first / ROWS]) = 0;
}
SP_BARRIER;
for (int half_of = LANES / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid % LANES < half_of) sums[lid] = sp_add(sums[lid], sums[lid + half_of]);
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < mine) total[first + lid] = sums[lid * LANES];
}
