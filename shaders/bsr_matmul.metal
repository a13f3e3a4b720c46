// y[b, m H + o, j] = sum of block q's value at (o, i) * x[b, indices[p] D + i, j] over the blocks p of slice m and their D
// columns i. Blocks are R x C and q = p, H = R, D = C; transposed: the structure is that of A^T, q = order[p] is a block of
// A read as its transpose, H = C, D = R. One column of x: a team of 32 threads takes a slice if blocks have at most 32
// values (each thread keeps its place in the block, so neighbours read neighbours), else a row of y. More columns: one
// thread per value of y. Any order, repeated blocks add; every row is written once. Deterministic. Cost: nnz * k products.
//! in data: T, indices: I, indptr: I, order: I, x: T
//! out y: T
//! with T: value, I: index, A: acc, transposed: bool
constexpr int GROUP = 256;
constexpr int TEAM = 32;
SP_SHARED(A, partial, GROUP);
const int64_t R = data_shape[data_ndim - 2], C = data_shape[data_ndim - 1], area = R * C;
const int64_t height = transposed ? C : R, depth = transposed ? R : C;
const int64_t slices = indptr_shape[0] - 1, rows = slices * height;
const int64_t k = x_ndim > 1 ? x_shape[x_ndim - 1] : 1;
const int64_t b = int64_t(threadgroup_position_in_grid.z);
const int64_t data_from = data_ndim > 3 ? b * data_shape[data_ndim - 3] * area : 0;
const int64_t x_from = x_ndim > 2 ? b * x_shape[x_ndim - 2] * k : 0;
const int64_t y_from = b * rows * k;
// A grid counts threads in 32 bits, so groups go on along y after 2^20 of them.
const int64_t group = (int64_t(threadgroup_position_in_grid.y) << 20) + int64_t(threadgroup_position_in_grid.x);
const int64_t team_from = group * (GROUP / TEAM);
if (k == 1 && area <= TEAM) {
  const int size = int(area), wide = int(C), at_once = TEAM / size;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int64_t m = team_from + lid / TEAM;
    const int lane = lid % TEAM, place = lane % size;
    A sum = A(0);
    if (m < slices && lane < at_once * size) {
      const int64_t at = x_from + (transposed ? place / wide : place % wide);
      const int64_t stop = int64_t(indptr[m + 1]);
      for (int64_t p = int64_t(indptr[m]) + lane / size; p < stop; p += at_once) {
        const int64_t q = transposed ? int64_t(order[p]) : p;
        sum = sp_add(sum, sp_mul(A(data[data_from + q * size + place]), A(x[at + int64_t(indices[p]) * depth])));
      }
    }
    partial[lid] = sum;
  }
  SP_BARRIER;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int64_t m = team_from + lid / TEAM;
    const int lane = lid % TEAM;
    if (m < slices && lane < int(height)) {
      A sum = A(0);
      for (int t = 0; t < at_once; ++t) {
        for (int i = 0; i < int(depth); ++i) {
          const int place = transposed ? i * wide + lane : lane * wide + i;
          sum = sp_add(sum, partial[lid - lane + t * size + place]);
        }
      }
      y[y_from + m * height + lane] = T(sum);
    }
  }
} else if (k == 1) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int64_t row = team_from + lid / TEAM;
    A sum = A(0);
    if (row < rows) {
      const int64_t m = row / height, o = row % height;
      const int64_t first = int64_t(indptr[m]), count = (int64_t(indptr[m + 1]) - first) * depth;
      for (int64_t e = lid % TEAM; e < count; e += TEAM) {
        const int64_t p = first + e / depth, i = e % depth;
        const int64_t q = transposed ? int64_t(order[p]) : p;
        const int64_t place = transposed ? i * C + o : o * C + i;
        sum = sp_add(sum, sp_mul(A(data[data_from + q * area + place]), A(x[x_from + int64_t(indices[p]) * depth + i])));
      }
    }
    partial[lid] = sum;
  }
  SP_BARRIER;
  for (int active = TEAM / 2; active > 0; active /= 2) {
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid % TEAM < active) partial[lid] = sp_add(partial[lid], partial[lid + active]);
    }
    SP_BARRIER;
  }
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int64_t row = team_from + lid / TEAM;
    if (lid % TEAM == 0 && row < rows) y[y_from + row] = T(partial[lid]);
  }
} else {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int64_t at = group * GROUP + lid;
    if (at < rows * k) {
      const int64_t row = at / k, j = at % k, m = row / height, o = row % height;
      const int64_t stop = int64_t(indptr[m + 1]);
      A sum = A(0);
      for (int64_t p = int64_t(indptr[m]); p < stop; ++p) {
        const int64_t q = transposed ? int64_t(order[p]) : p;
        const int64_t from = data_from + q * area + (transposed ? o : o * C);
        const int64_t in_from = x_from + int64_t(indices[p]) * depth * k + j;
        for (int64_t i = 0; i < depth; ++i) {
          sum = sp_add(sum, sp_mul(A(data[from + (transposed ? i * C : i)]), A(x[in_from + i * k])));
        }
      }
      y[y_from + at] = T(sum);
    }
  }
}
