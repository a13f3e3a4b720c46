// scan[row] = h, then h = a[row] * h + b[row], along each slice, forwards or with `reverse` backwards. h starts at 0, or
// without has_b at 1. Rows as in segment_reduce; rows in no slice keep what scan held. Cost: one thread a slice and column.
//! in a: T, b: T, indptr: I, order: I
//! out scan: T
//! with T: value, I: int32, A: acc, has_b: bool, has_order: bool, reverse: bool
constexpr int GROUP = 256;
const int64_t k = a_shape[1];
const int64_t total = (int64_t(indptr_shape[0]) - 1) * k;
const int64_t group = int64_t(threadgroup_position_in_grid.y) * (1 << 20) + int64_t(threadgroup_position_in_grid.x);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = group * GROUP + lid;
  if (i < total) {
    const int64_t m = i / k, col = i - m * k;
    const int64_t lo = int64_t(indptr[m]), hi = int64_t(indptr[m + 1]);
    A h = has_b ? A(0) : A(1);
    for (int64_t r = lo; r < hi; ++r) {
      const int64_t p = reverse ? hi - 1 - (r - lo) : r;
      const int64_t at = (has_order ? int64_t(order[p]) : p) * k + col;
      scan[at] = T(h);
      h = sp_mul(A(a[at]), h);
      if (has_b) h = sp_add(h, A(b[at]));
    }
  }
}
