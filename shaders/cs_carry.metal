// carry[b, c, j] = sum of data[b, e] * x[b, indices[e], j] over the entries e in chunk c of the slice that began in an
// earlier chunk, where that slice reaches more than CHUNK / 8 positions past its owner; elsewhere carry is unset.
// Positions and chunks as in cs_partition; any order, duplicates allowed. Cost: the entries of such slices, once.
//! in data: T, indices: I, indptr: I, x: T, part: I
//! out carry: A
//! with T: value, I: index, A: acc, CHUNK: 512|2048, has_x: bool
constexpr int GROUP = 64;
SP_SHARED(A, partial, GROUP);
const int c = int(threadgroup_position_in_grid.x);
if (c == 0) return;
const int64_t from = int64_t(c) * CHUNK;
const int64_t m = int64_t(part[c]) - 1;
const int64_t owner_stop = ((int64_t(indptr[m]) + m) / CHUNK + 1) * CHUNK;
const int64_t stop = int64_t(indptr[m + 1]) + m + 1;
if (stop - owner_stop <= CHUNK / 8) return;

const int b = int(threadgroup_position_in_grid.z);
const int64_t k = has_x && x_ndim > 1 ? x_shape[x_ndim - 1] : 1;
const int64_t column = int64_t(threadgroup_position_in_grid.y) * GROUP;
const int cols = k - column < GROUP ? int(k - column) : GROUP;
const int teams = GROUP / cols;
const int64_t data_from = data_ndim > 1 ? int64_t(b) * data_shape[data_ndim - 1] : 0;
const int64_t x_from = column + (x_ndim > 2 ? int64_t(b) * x_shape[x_ndim - 2] * k : 0);
const int64_t first = from - m - 1;
const int64_t last = (from + CHUNK < stop ? from + CHUNK : stop) - m - 1;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int team = lid / cols;
  const int64_t at = x_from + lid % cols;
  A sum0 = A(0), sum1 = A(0), sum2 = A(0), sum3 = A(0);
  if (team < teams) {
    int64_t e = first + team;
    for (; e + 3 * teams < last; e += 4 * teams) {
      const int64_t e1 = e + teams, e2 = e1 + teams, e3 = e2 + teams;
      const A d0 = A(data[data_from + e]), d1 = A(data[data_from + e1]);
      const A d2 = A(data[data_from + e2]), d3 = A(data[data_from + e3]);
      if (has_x) {
        const int64_t i0 = int64_t(indices[e]), i1 = int64_t(indices[e1]);
        const int64_t i2 = int64_t(indices[e2]), i3 = int64_t(indices[e3]);
        sum0 = sp_add(sum0, sp_mul(d0, A(x[at + i0 * k])));
        sum1 = sp_add(sum1, sp_mul(d1, A(x[at + i1 * k])));
        sum2 = sp_add(sum2, sp_mul(d2, A(x[at + i2 * k])));
        sum3 = sp_add(sum3, sp_mul(d3, A(x[at + i3 * k])));
      } else {
        sum0 = sp_add(sum0, d0);
        sum1 = sp_add(sum1, d1);
        sum2 = sp_add(sum2, d2);
        sum3 = sp_add(sum3, d3);
      }
    }
    for (; e < last; e += teams) {
      const A d = A(data[data_from + e]);
      sum0 = sp_add(sum0, has_x ? sp_mul(d, A(x[at + int64_t(indices[e]) * k])) : d);
    }
  }
  partial[lid] = sp_add(sp_add(sum0, sum1), sp_add(sum2, sum3));
}
SP_BARRIER;
for (int active = teams; active > 1; active = (active + 1) / 2) {
  const int half_of = (active + 1) / 2;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int mate = lid + half_of * cols;
    if (lid < half_of * cols && mate < active * cols) partial[lid] = sp_add(partial[lid], partial[mate]);
  }
  SP_BARRIER;
}
const int64_t out_from = (int64_t(b) * (part_shape[0] - 1) + c) * k + column;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < cols) carry[out_from + lid] = partial[lid];
}
