// dense[b, m, indices[e]] += data[b, e] over the entries e of each slice m; the output starts as zeros. With transposed
// the output is (b, minor, major). 32 threads a slice: with unique they share its entries; else each takes the entries
// whose minor index is its own modulo 32, in order, so duplicates add up without atomics. Deterministic.
// Cost: nnz entries with unique, else every entry read by 32 threads.
//! in data: T, indices: I, indptr: I, dense_like: T
//! out dense: T
//! with T: value, I: index, A: acc, unique: bool, transposed: bool
constexpr int GROUP = 256;
constexpr int TEAM = 32;
const int64_t n_major = indptr_shape[0] - 1;
const int64_t n_minor = dense_like_shape[dense_like_ndim - (transposed ? 2 : 1)];
const int64_t b = int64_t(threadgroup_position_in_grid.z);
const int64_t data_from = data_ndim > 1 ? b * data_shape[data_ndim - 1] : 0;
const int64_t out_from = b * n_major * n_minor;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t m = int64_t(threadgroup_position_in_grid.x) * (GROUP / TEAM) + lid / TEAM;
  const int lane = lid % TEAM;
  if (m < n_major) {
    const int64_t stop = int64_t(indptr[m + 1]);
    for (int64_t e = int64_t(indptr[m]) + (unique ? lane : 0); e < stop; e += unique ? TEAM : 1) {
      const int64_t i = int64_t(indices[e]);
      if (unique || i % TEAM == lane) {
        const int64_t to = out_from + (transposed ? i * n_major + m : m * n_minor + i);
        const A value = A(data[data_from + e]);
        if (unique) dense[to] = T(value); else dense[to] = T(sp_add(A(dense[to]), value));
      }
    }
  }
}
