// v[i] = the sum of y[k] * rows[k, i]. Cost: the rows once.
//! in rows: T, y: T
//! out v: T
//! with T: single
constexpr int GROUP = 256;
constexpr int EACH = 4;
const int64_t count = rows_shape[0], n = rows_shape[1];
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t from = int64_t(threadgroup_position_in_grid.x) * GROUP * EACH + lid;
  T sum[EACH];
  SP_UNROLL for (int j = 0; j < EACH; ++j) sum[j] = T(0);
  for (int64_t k = 0; k < count; ++k) {
    const T weight = y[k];
    SP_UNROLL for (int j = 0; j < EACH; ++j) {
      const int64_t i = from + j * GROUP;
      if (i < n) sum[j] = sp_add(sum[j], sp_mul(weight, rows[k * n + i]));
    }
  }
  SP_UNROLL for (int j = 0; j < EACH; ++j) if (from + j * GROUP < n) v[from + j * GROUP] = sum[j];
}
