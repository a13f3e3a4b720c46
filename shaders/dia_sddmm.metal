// values[d, c] = sum over b and j of u[b, c - offsets[d], j] * v[b, c, j], zero outside the array; with per_batch the axis b
// is kept. One thread per value. Cost: diagonals * length * k products a batch.
//! in offsets: I, u: T, v: T, values_like: T
//! out values: T
//! with T: value, I: index, A: acc, per_batch: bool
constexpr int GROUP = 256;
const int64_t length = values_like_shape[values_like_ndim - 1], n = int64_t(offsets_shape[0]) * length;
const int64_t k = u_ndim > 1 ? u_shape[u_ndim - 1] : 1;
const int64_t rows = u_ndim > 1 ? u_shape[u_ndim - 2] : u_shape[0];
const int64_t columns = v_ndim > 1 ? v_shape[v_ndim - 2] : v_shape[0];
const int64_t u_step = u_ndim > 2 ? rows * k : 0, v_step = v_ndim > 2 ? columns * k : 0;
const int64_t u_batch = u_ndim > 2 ? u_shape[0] : 1, v_batch = v_ndim > 2 ? v_shape[0] : 1;
const int64_t z = int64_t(threadgroup_position_in_grid.z);
const int64_t batch = per_batch ? z + 1 : (u_batch > v_batch ? u_batch : v_batch);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t at = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (at < n) {
    const int64_t column = at % length, row = column - int64_t(offsets[at / length]);
    A sum = A(0);
    if (column < columns && row >= 0 && row < rows) {
      for (int64_t b = per_batch ? z : 0; b < batch; ++b) {
        for (int64_t j = 0; j < k; ++j) {
          sum = sp_add(sum, sp_mul(A(u[b * u_step + row * k + j]), A(v[b * v_step + column * k + j])));
        }
      }
    }
    values[(per_batch ? z * n : 0) + at] = T(sum);
  }
}
