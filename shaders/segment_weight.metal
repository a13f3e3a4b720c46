// share[t, j] = exp(x[t, j] - y[ids[t], 0, j] - y[ids[t], 1, j]), 0 where x is -inf; or without is_exp 1 where x[t, j]
// equals y[ids[t], j] or is NaN, else 0. Zero where ids[t] is no row of y. Cost: one thread an element.
//! in x: T, y: A, ids: I
//! out share: T
//! with T: value, I: int32, A: acc, is_exp: bool
constexpr int GROUP = 256;
const int64_t k = x_shape[1];
const int64_t total = int64_t(ids_shape[0]) * k;
const int64_t group = int64_t(threadgroup_position_in_grid.y) * (1 << 20) + int64_t(threadgroup_position_in_grid.x);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = group * GROUP + lid;
  if (i < total) {
    const int64_t t = i / k, m = int64_t(ids[t]);
    A found = A(0);
    if (m >= 0 && m < int64_t(y_shape[0])) {
      const A v = A(x[i]);
      const int64_t j = i - t * k, at = (is_exp ? 2 * m * k : m * k) + j;
      if (is_exp) found = v == sp_lowest(A(0)) ? A(0) : sp_exp(A(v - y[at] - y[at + k]));
      else found = v == y[at] || v != v ? A(1) : A(0);
    }
    share[i] = T(found);
  }
}
