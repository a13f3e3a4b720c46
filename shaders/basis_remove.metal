// rest[i] = w[i] - the sum of h[k] * rows[k, i], or w[i] where `alone`; square[0, c] = the sum of |rest[i]|^2 over the
// elements i of chunk c. Cost: the rows and w once.
//! in rows: T, w: T, h: T
//! out rest: T, square: F
//! with T: single, F: float32, CHUNK: 2048, alone: bool
constexpr int GROUP = 256;
SP_SHARED(F, sums, GROUP);
const int64_t count = alone ? 0 : rows_shape[0], n = w_shape[0];
const int64_t c = int64_t(threadgroup_position_in_grid.x), from = c * CHUNK;
SP_THREADS(lid, thread_index_in_threadgroup) {
  T v[CHUNK / GROUP];
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    v[j] = i < n ? w[i] : T(0);
  }
  for (int64_t k = 0; k < count; ++k) {
    const T minus = sp_negative(h[k]);
    SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
      const int64_t i = from + j * GROUP + lid;
      if (i < n) v[j] = sp_add(v[j], sp_mul(minus, rows[k * n + i]));
    }
  }
  F sum = 0;
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    if (i < n) {
      rest[i] = v[j];
      sum += sp_real(v[j]) * sp_real(v[j]) + sp_imag(v[j]) * sp_imag(v[j]);
    }
  }
  sums[lid] = sum;
}
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sums[lid] + sums[lid + half_of];
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) square[c] = sums[0];
}
