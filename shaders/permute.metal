// moved[b, p] = values[b, order[p]] for a permutation order, shared by the batch. Cost: one gather a value.
//! in values: T, order: I
//! out moved: T
//! with T: value, I: index
constexpr int GROUP = 256;
const int64_t n = order_shape[0];
const int64_t from = int64_t(threadgroup_position_in_grid.z) * n;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t p = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (p < n) moved[from + p] = values[from + int64_t(order[p])];
}
