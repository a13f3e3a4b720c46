// values[p] = sum over b and j of u[b, major[p], j] * v[b, minor[p], j]; with per_batch the axis b is kept.
// Eight threads an entry once rows of u and v have 16 elements, else one. Any order, duplicates allowed. Deterministic.
// Cost: nnz * k products a batch.
//! in major: I, minor: I, u: T, v: T
//! out values: T
//! with T: value, I: index, A: acc, per_batch: bool
constexpr int GROUP = 256;
SP_SHARED(A, partial, GROUP);
const int64_t nnz = major_shape[0];
const int64_t k = u_ndim > 1 ? u_shape[u_ndim - 1] : 1;
const int lanes = k < 16 ? 1 : 8;
const int64_t first = int64_t(threadgroup_position_in_grid.x) * (GROUP / lanes);
const int64_t u_step = u_ndim > 2 ? int64_t(u_shape[u_ndim - 2]) * k : 0;
const int64_t v_step = v_ndim > 2 ? int64_t(v_shape[v_ndim - 2]) * k : 0;
int64_t u_batch = 1, v_batch = 1;
for (int d = 0; d + 2 < u_ndim; ++d) u_batch *= u_shape[d];
for (int d = 0; d + 2 < v_ndim; ++d) v_batch *= v_shape[d];
const int64_t batch = per_batch ? int64_t(threadgroup_position_in_grid.z) + 1 : (u_batch > v_batch ? u_batch : v_batch);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t p = first + lid / lanes;
  A sum = A(0);
  if (p < nnz) {
    for (int64_t b = per_batch ? batch - 1 : 0; b < batch; ++b) {
      const int64_t u_from = b * u_step + int64_t(major[p]) * k;
      const int64_t v_from = b * v_step + int64_t(minor[p]) * k;
      for (int64_t j = lid % lanes; j < k; j += lanes) {
        sum = sp_add(sum, sp_mul(A(u[u_from + j]), A(v[v_from + j])));
      }
    }
  }
  partial[lid] = sum;
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t p = first + lid;
  if (lid < GROUP / lanes && p < nnz) {
    A sum = A(0);
    for (int lane = 0; lane < lanes; ++lane) sum = sp_add(sum, partial[lid * lanes + lane]);
    values[(per_batch ? (batch - 1) * nnz : 0) + p] = T(sum);
  }
}
