// v[i] = rest[i] / length, or corrected[i] / length where there was a second pass (basis_again.inc); 0 where the length is 0.
// rows[count, i] = v[i] where it is `kept`. h = first, or first + second, then the length, whose square is second[count] or
// square[0]. Cost: v, read once and written once or twice.
//! in rest: T, corrected: T, square: F, first: T, second: T
//! inout rows: T
//! out v: T, h: T
//! with T: single, F: float32, always: bool, kept: bool
constexpr int GROUP = 256;
constexpr int EACH = 8;
SP_SHARED(int, goes, 1);
const int64_t n = rest_shape[0];
const int count = int(second_shape[0]) - 1;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) {
#include "basis_again.inc"
  }
}
SP_BARRIER;
const bool twice = goes[0] != 0;
const F length = sp_root(twice ? F(square[0]) : sp_real(second[count]));
const T inverse = sp_made(T(0), length > 0 ? 1 / length : 0, 0);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t from = int64_t(threadgroup_position_in_grid.x) * GROUP * EACH + lid;
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = from + j * GROUP;
    if (i < n) {
      const T unit = sp_mul(twice ? T(corrected[i]) : T(rest[i]), inverse);
      v[i] = unit;
      if (kept) SP_INPLACE(T, rows[count * n + i]) = unit;
    }
  }
  if (threadgroup_position_in_grid.x == 0) {
    for (int k = int(lid); k < count; k += GROUP) h[k] = twice ? sp_add(first[k], second[k]) : T(first[k]);
    if (lid == 0) h[count] = sp_made(T(0), length, 0);
  }
}
