// partial[k, c] = the sum of conj(rows[k, i]) * w[i] over the elements i of chunk c, which has STEPS * 2048 of them. A group
// takes four rows of a chunk. Cost: the rows once, and w once for every four of them.
//! in rows: T, w: T
//! out partial: T
//! with T: single, STEPS: 1..65536
constexpr int GROUP = 256;
constexpr int EACH = 8;
SP_SHARED(T, sums, 4 * GROUP);
const int64_t count = rows_shape[0], n = w_shape[0], chunk = int64_t(STEPS) * GROUP * EACH;
const int64_t c = int64_t(threadgroup_position_in_grid.x), chunks = (n + chunk - 1) / chunk;
const int64_t first = int64_t(threadgroup_position_in_grid.y) * 4;
const int mine = count - first < 4 ? int(count - first) : 4;
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int k = 0; k < mine; ++k) sums[k * GROUP + lid] = T(0);
  for (int step = 0; step < STEPS; ++step) {
    const int64_t from = c * chunk + int64_t(step) * GROUP * EACH + lid;
    T v[EACH];
    SP_UNROLL for (int j = 0; j < EACH; ++j) v[j] = from + j * GROUP < n ? w[from + j * GROUP] : T(0);
    for (int k = 0; k < mine; ++k) {
      const int64_t row = (first + k) * n + from;
      T sum = T(0);
      SP_UNROLL for (int j = 0; j < EACH; ++j) {
        if (from + j * GROUP < n) sum = sp_add(sum, sp_mul(sp_conj(rows[row + j * GROUP]), v[j]));
      }
      sums[k * GROUP + lid] = sp_add(sums[k * GROUP + lid], sum);
    }
  }
}
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) {
      for (int k = 0; k < mine; ++k) {
        sums[k * GROUP + lid] = sp_add(sums[k * GROUP + lid], sums[k * GROUP + lid + half_of]);
      }
    }
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < mine) partial[(first + lid) * chunks + c] = sums[lid * GROUP];
}
