// rest[i] = w[i] - the sum of h[k] * rows[k, i], where h[k] is the sum of partial[k, :], or w[i] where `alone`. Chunks of
// the elements are those of basis_dots. square[c] = the sum of |rest[i]|^2 over those of chunk c. Every group sums up all
// of h, in the same order: that costs less than a launch in between. Cost: the rows and w once.
//! in rows: T, w: T, partial: T
//! out rest: T, h: T, square: F
//! with T: single, F: float32, STEPS: 1..65536, alone: bool
constexpr int GROUP = 256;
constexpr int EACH = 8;
constexpr int TILE = 32;
SP_SHARED(T, parts, GROUP);
SP_SHARED(T, minus, TILE);
SP_SHARED(F, sums, GROUP);
const int64_t count = alone ? 0 : rows_shape[0], n = w_shape[0], chunk = int64_t(STEPS) * GROUP * EACH;
const int64_t c = int64_t(threadgroup_position_in_grid.x), chunks = (n + chunk - 1) / chunk;
SP_THREADS(lid, thread_index_in_threadgroup) sums[lid] = 0;
int64_t k0 = 0;
do {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int64_t k = k0 + lid / 8;
    T sum = T(0);
    if (k < count) for (int64_t i = lid % 8; i < chunks; i += 8) sum = sp_add(sum, partial[k * chunks + i]);
    parts[lid] = sum;
  }
  SP_BARRIER;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < TILE && k0 + lid < count) {
      T sum = parts[8 * lid];
      for (int j = 1; j < 8; ++j) sum = sp_add(sum, parts[8 * lid + j]);
      minus[lid] = sp_negative(sum);
      if (c == 0) h[k0 + lid] = sum;
    }
  }
  SP_BARRIER;
  const int mine = count - k0 < TILE ? int(count - k0) : TILE;
  const bool last = k0 + TILE >= count;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    F squares = 0;
    for (int step = 0; step < STEPS; ++step) {
      const int64_t from = c * chunk + int64_t(step) * GROUP * EACH + lid;
      T v[EACH];
      SP_UNROLL for (int j = 0; j < EACH; ++j) {
        const int64_t i = from + j * GROUP;
        v[j] = i < n ? (k0 == 0 ? w[i] : rest[i]) : T(0);
      }
      for (int k = 0; k < mine; ++k) {
        const int64_t row = (k0 + k) * n + from;
        SP_UNROLL for (int j = 0; j < EACH; ++j) {
          if (from + j * GROUP < n) v[j] = sp_add(v[j], sp_mul(minus[k], rows[row + j * GROUP]));
        }
      }
      SP_UNROLL for (int j = 0; j < EACH; ++j) {
        if (from + j * GROUP < n) rest[from + j * GROUP] = v[j];
        squares += sp_real(v[j]) * sp_real(v[j]) + sp_imag(v[j]) * sp_imag(v[j]);
      }
    }
    if (last) sums[lid] = squares;
  }
  SP_BARRIER;
  k0 += TILE;
} while (k0 < count);
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sums[lid] + sums[lid + half_of];
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) square[c] = sums[0];
}
