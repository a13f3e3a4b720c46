// partial[k, c] = the sum of conj(rows[k, i]) * w[i] over the elements i of chunk c; with `own` also, behind the rows, that
// of |w[i]|^2. A group takes ROWS rows of a chunk; those of one chunk follow each other, so that w stays in cache.
// Cost: the rows and w once.
//! in rows: T, w: T
//! out partial: T
//! with T: single, CHUNK: 512|2048, alone: bool, own: bool
constexpr int GROUP = 256;
constexpr int ROWS = 8;
SP_SHARED(T, sums, ROWS * GROUP);
const int64_t count = alone ? 0 : rows_shape[0], n = rows_shape[1], all = own ? count + 1 : count;
const int64_t chunks = (n + CHUNK - 1) / CHUNK, batches = (all + ROWS - 1) / ROWS;
const int64_t c = int64_t(threadgroup_position_in_grid.x) / batches, from = c * CHUNK;
const int64_t first = int64_t(threadgroup_position_in_grid.x) % batches * ROWS;
const int mine = all - first < ROWS ? int(all - first) : ROWS;
SP_THREADS(lid, thread_index_in_threadgroup) {
  T v[CHUNK / GROUP];
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    v[j] = i < n ? w[i] : T(0);
  }
  for (int k = 0; k < mine; ++k) {
    const int64_t row = (first + k) * n;
    T sum = T(0);
    SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
      const int64_t i = from + j * GROUP + lid;
      if (i < n) sum = sp_add(sum, sp_mul(sp_conj(first + k == count ? v[j] : T(rows[row + i])), v[j]));
    }
    sums[k * GROUP + lid] = sum;
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
