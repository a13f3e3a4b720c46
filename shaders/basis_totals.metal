// total[k] = the sum of partial[k, :]. A group takes a row, in pairs, so that errors do not grow with its length.
// Cost: what it adds up, once.
//! in partial: T
//! out total: T
//! with T: single
constexpr int GROUP = 256;
SP_SHARED(T, sums, GROUP);
const int64_t k = int64_t(threadgroup_position_in_grid.x), chunks = partial_shape[1];
SP_THREADS(lid, thread_index_in_threadgroup) {
  T sum = T(0);
  for (int64_t c = lid; c < chunks; c += GROUP) sum = sp_add(sum, partial[k * chunks + c]);
  sums[lid] = sum;
}
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sp_add(sums[lid], sums[lid + half_of]);
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) total[k] = sums[0];
}
