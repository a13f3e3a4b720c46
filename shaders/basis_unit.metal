// v[i] = rest[i] / length, or 0 where the length is 0; square[0] is its square. rows[count, i] = v[i] where it is `kept`.
// h = first + second, then the length. Cost: v, read once and written once or twice.
//! in rest: T, square: F, first: T, second: T
//! inout rows: T
//! out v: T, h: T
//! with T: single, F: float32, alone: bool, kept: bool
constexpr int GROUP = 256;
constexpr int EACH = 8;
const int64_t n = rest_shape[0], count = alone ? 0 : first_shape[0];
const F length = sp_root(square[0]);
const T inverse = sp_made(T(0), length > 0 ? 1 / length : 0, 0);
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t from = int64_t(threadgroup_position_in_grid.x) * GROUP * EACH + lid;
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = from + j * GROUP;
    if (i < n) {
      const T unit = sp_mul(rest[i], inverse);
      v[i] = unit;
      if (kept) SP_INPLACE(T, rows[count * n + i]) = unit;
    }
  }
  if (threadgroup_position_in_grid.x == 0) {
    for (int64_t k = lid; k < count; k += GROUP) h[k] = sp_add(first[k], second[k]);
    if (lid == 0) h[count] = sp_made(T(0), length, 0);
  }
}
