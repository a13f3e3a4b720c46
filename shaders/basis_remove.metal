// rest[i] = w[i] - the sum of second[k] * rows[k, i], and square[0, c] = the sum of |rest[i]|^2 over the elements i of
// chunk c. `again`: nothing, where basis_again.inc says so. Cost: the rows and w once.
//! in rows: T, w: T, second: T
//! out rest: T, square: F
//! with T: single, F: float32, CHUNK: 512|2048, again: bool, always: bool
constexpr int GROUP = 256;
SP_SHARED(F, sums, GROUP);
SP_SHARED(int, goes, 1);
const int count = int(rows_shape[0]);
const int64_t n = rows_shape[1];
const int64_t c = int64_t(threadgroup_position_in_grid.x), from = c * CHUNK;
if (again) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid == 0) {
#include "basis_again.inc"
      if (goes[0] == 0) square[c] = 0;
    }
  }
  SP_BARRIER;
  if (goes[0] == 0) return;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  T v[CHUNK / GROUP];
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    v[j] = i < n ? w[i] : T(0);
  }
  for (int k = 0; k < count; ++k) {
    const T minus = sp_negative(second[k]);
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
