// spread[t, j] = y[ids[t], j]; zero where ids[t] is no row of y. Cost: one thread an element.
//! in y: T, ids: I
//! out spread: T
//! with T: value, I: int32
constexpr int GROUP = 256;
const int64_t k = y_shape[1];
const int64_t total = int64_t(ids_shape[0]) * k;
const int64_t group = int64_t(threadgroup_position_in_grid.y) * (1 << 20) + int64_t(threadgroup_position_in_grid.x);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = group * GROUP + lid;
  if (i < total) {
    const int64_t t = i / k, m = int64_t(ids[t]);
    spread[i] = m >= 0 && m < int64_t(y_shape[0]) ? y[m * k + (i - t * k)] : T(0);
  }
}
