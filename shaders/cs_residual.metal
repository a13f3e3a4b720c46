// r[k, m] = b[k, m] - sum of data[e] * x[k, indices[e]] over the entries e of slice m, where x = x_hi + x_lo and
// b = b_hi + b_lo, as if computed with twice the digits and rounded once: products and sums carry their rounding errors
// along (algorithm Dot2 of T. Ogita, S. M. Rump and S. Oishi, Accurate sum and dot product, SIAM J. Sci. Comput. 26, 2005).
// LANES threads a slice. Any order, duplicates allowed. Deterministic. Cost: one pass over A for each k.
//! in data: T, indices: I, indptr: I, x_hi: T, x_lo: T, b_hi: T, b_lo: T
//! out r: T
//! with T: float32, I: index, LANES: 1..32
constexpr int GROUP = 256;
SP_SHARED(T, sums, GROUP);
SP_SHARED(T, errors, GROUP);
const int64_t n_major = b_hi_shape[1], n_minor = x_hi_shape[1];
const int64_t k = int64_t(threadgroup_position_in_grid.z);
const int64_t first = int64_t(threadgroup_position_in_grid.x) * (GROUP / LANES);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t m = first + lid / LANES;
  T sum = 0, error = 0;
  if (m < n_major) {
    const int64_t stop = int64_t(indptr[m + 1]);
    for (int64_t e = int64_t(indptr[m]) + lid % LANES; e < stop; e += LANES) {
      const int64_t at = k * n_minor + int64_t(indices[e]);
      const T a = data[e], x = x_hi[at], term = sp_rounded_product(a, x), total = sum + term, part = total - sum;
      error += ((sum - (total - part)) + (term - part)) + (sp_product_error(a, x, term) + sp_rounded_product(a, x_lo[at]));
      sum = total;
    }
  }
  sums[lid] = sum;
  errors[lid] = error;
}
SP_BARRIER;
for (int half_of = LANES / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid % LANES < half_of) {
      const T sum = sums[lid], term = sums[lid + half_of], total = sum + term, part = total - sum;
      errors[lid] = (errors[lid] + errors[lid + half_of]) + ((sum - (total - part)) + (term - part));
      sums[lid] = total;
    }
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t m = first + lid / LANES;
  if (lid % LANES == 0 && m < n_major) {
    const int64_t at = k * n_major + m;
    const T b = b_hi[at], term = -sums[lid], total = b + term, part = total - b;
    r[at] = total + ((((b - (total - part)) + (term - part)) + b_lo[at]) - errors[lid]);
  }
}
