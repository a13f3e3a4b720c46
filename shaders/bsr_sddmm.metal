// values[p, r, c] = sum over b and j of u[b, major[p] R + r, j] * v[b, minor[p] C + c, j] for R x C blocks; with per_batch
// the axis b is kept. One thread per value. Any order, repeated blocks allowed. Cost: nnz * k products a batch.
//! in major: I, minor: I, u: T, v: T, values_like: T
//! out values: T
//! with T: value, I: index, A: acc, per_batch: bool
constexpr int GROUP = 256;
const int64_t R = values_like_shape[values_like_ndim - 2], C = values_like_shape[values_like_ndim - 1];
const int64_t n = int64_t(major_shape[0]) * R * C;
const int64_t k = u_ndim > 1 ? u_shape[u_ndim - 1] : 1;
const int64_t u_step = u_ndim > 2 ? int64_t(u_shape[u_ndim - 2]) * k : 0;
const int64_t v_step = v_ndim > 2 ? int64_t(v_shape[v_ndim - 2]) * k : 0;
const int64_t u_batch = u_ndim > 2 ? u_shape[0] : 1, v_batch = v_ndim > 2 ? v_shape[0] : 1;
const int64_t z = int64_t(threadgroup_position_in_grid.z);
const int64_t batch = per_batch ? z + 1 : (u_batch > v_batch ? u_batch : v_batch);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t at = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (at < n) {
    const int64_t p = at / (R * C), place = at % (R * C);
    const int64_t u_row = (int64_t(major[p]) * R + place / C) * k, v_row = (int64_t(minor[p]) * C + place % C) * k;
    A sum = A(0);
    for (int64_t b = per_batch ? z : 0; b < batch; ++b) {
      for (int64_t j = 0; j < k; ++j) {
        sum = sp_add(sum, sp_mul(A(u[b * u_step + u_row + j]), A(v[b * v_step + v_row + j])));
      }
    }
    values[(per_batch ? z * n : 0) + at] = T(sum);
  }
}
