// y[b, m, j] = sum of data[b, e] * x[b, indices[e], j] over the entries e of slice m, for each column j of x.
// One threadgroup per chunk of cs_partition and block of GROUP columns: neighbouring threads take neighbouring columns,
// the slices that the chunk owns are dealt to the teams that fit. Tails over CHUNK / 8 positions come from cs_carry.
// Any order, duplicates allowed; every slice is written once. Deterministic. Cost: nnz * k products.
//! in data: T, indices: I, indptr: I, x: T, part: I, carry: A
//! out y: T
//! with T: value, I: index, A: acc, CHUNK: 512
constexpr int GROUP = 256;
SP_SHARED(A, partial, GROUP);
const int c = int(threadgroup_position_in_grid.x);
const int b = int(threadgroup_position_in_grid.z);
const int64_t first = int64_t(part[c]), last = int64_t(part[c + 1]);
if (first == last) return;

const int64_t k = x_shape[x_ndim - 1];
const int64_t column = int64_t(threadgroup_position_in_grid.y) * GROUP;
const int cols = k - column < GROUP ? int(k - column) : GROUP;
const int teams = GROUP / cols;
const int64_t end = int64_t(indptr[last]);
const int64_t border = int64_t(c + 1) * CHUNK - last;
const bool has_tail = end - border > CHUNK / 8;
const int64_t data_from = data_ndim > 1 ? int64_t(b) * data_shape[data_ndim - 1] : 0;
const int64_t x_from = column + (x_ndim > 2 ? int64_t(b) * x_shape[x_ndim - 2] * k : 0);
const int64_t y_from = column + int64_t(b) * (indptr_shape[0] - 1) * k;
const int64_t plain = has_tail ? last - 1 : last;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int team = lid / cols, col = lid % cols;
  const int64_t at = x_from + col;
  for (int64_t m = first + team; team < teams && m < plain; m += teams) {
    int64_t e = int64_t(indptr[m]);
    const int64_t stop = int64_t(indptr[m + 1]);
    A sum0 = A(0), sum1 = A(0);
    for (; e + 3 < stop; e += 4) {
      const int64_t i0 = int64_t(indices[e]), i1 = int64_t(indices[e + 1]);
      const int64_t i2 = int64_t(indices[e + 2]), i3 = int64_t(indices[e + 3]);
      const A x0 = A(x[at + i0 * k]), x1 = A(x[at + i1 * k]), x2 = A(x[at + i2 * k]), x3 = A(x[at + i3 * k]);
      sum0 = sp_add(sum0, sp_mul(A(data[data_from + e]), x0));
      sum1 = sp_add(sum1, sp_mul(A(data[data_from + e + 1]), x1));
      sum0 = sp_add(sum0, sp_mul(A(data[data_from + e + 2]), x2));
      sum1 = sp_add(sum1, sp_mul(A(data[data_from + e + 3]), x3));
    }
    for (; e < stop; ++e) sum0 = sp_add(sum0, sp_mul(A(data[data_from + e]), A(x[at + int64_t(indices[e]) * k])));
    y[y_from + m * k + col] = T(sp_add(sum0, sum1));
  }
}

if (has_tail) {
  const int64_t row = int64_t(b) * (part_shape[0] - 1);
  const int64_t tail_stop = (end + last - 1) / CHUNK + 1;
  const int64_t begin = int64_t(indptr[last - 1]);
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int team = lid / cols, col = lid % cols;
    A sum = A(0);
    if (team < teams) {
      for (int64_t e = begin + team; e < border; e += teams) {
        sum = sp_add(sum, sp_mul(A(data[data_from + e]), A(x[x_from + col + int64_t(indices[e]) * k])));
      }
      for (int64_t q = int64_t(c) + 1 + team; q < tail_stop; q += teams) {
        sum = sp_add(sum, carry[(row + q) * k + column + col]);
      }
    }
    partial[lid] = sum;
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
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < cols) y[y_from + (last - 1) * k + lid] = T(partial[lid]);
  }
}
