// r[k, m] = b[k, m] - sum of data[e] * x[k, indices[e]] over the entries e of slice m, where x = x_hi + x_lo and
// b = b_hi + b_lo, as if computed with three times the digits and rounded once: products and sums carry their rounding
// errors along, and these theirs (algorithm DotK, K = 3, of T. Ogita, S. M. Rump and S. Oishi, Accurate sum and dot
// product, SIAM J. Sci. Comput. 26, 2005). LANES threads a slice. Any order, duplicates allowed. Deterministic. Cost: one
// pass over A for each k.
//! in data: T, indices: I, indptr: I, x_hi: T, x_lo: T, b_hi: T, b_lo: T
//! out r: T
//! with T: float32, I: index, LANES: 1..32
constexpr int GROUP = 256;
SP_SHARED(sp_triple, sums, GROUP);
const int64_t n_major = b_hi_shape[1], n_minor = x_hi_shape[1];
const int64_t k = int64_t(threadgroup_position_in_grid.z);
const int64_t first = int64_t(threadgroup_position_in_grid.x) * (GROUP / LANES);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t m = first + lid / LANES;
  sp_triple sum = sp_triple_of(0, 0, 0);
  if (m < n_major) {
    const int64_t stop = int64_t(indptr[m + 1]);
    for (int64_t e = int64_t(indptr[m]) + lid % LANES; e < stop; e += LANES) {
      const int64_t at = k * n_minor + int64_t(indices[e]);
      sum = sp_triple_plus_product(sp_triple_plus_product(sum, data[e], x_hi[at]), data[e], x_lo[at]);
    }
  }
  sums[lid] = sum;
}
SP_BARRIER;
for (int half_of = LANES / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid % LANES < half_of) sums[lid] = sp_triple_plus(sums[lid], sums[lid + half_of]);
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t m = first + lid / LANES;
  if (lid % LANES == 0 && m < n_major) {
    const int64_t at = k * n_major + m;
    const sp_triple sum = sums[lid], less = sp_triple_of(-sum.value, -sum.error, -sum.rest);
    const sp_triple left = sp_triple_plus(less, sp_triple_of(b_hi[at], b_lo[at], 0));
    r[at] = left.value + (left.error + left.rest);
  }
}
