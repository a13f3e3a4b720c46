// y[b, i, j] = sum over diagonals d of data[b, d, i + o] * x[b, i + o, j], o = offsets[d]; transposed: y[b, c, j] = sum of
// data[b, d, c] * x[b, c - o, j]. Entries outside the array do not count. One thread per value of y: neighbours read
// neighbours on every diagonal. Any order of offsets, no repeats. Deterministic. Cost: diagonals * rows * k products.
//! in data: T, offsets: I, x: T, y_like: T
//! out y: T
//! with T: value, I: index, A: acc, transposed: bool
constexpr int GROUP = 256;
const int64_t length = data_shape[data_ndim - 1], diagonals = offsets_shape[0];
const int64_t k = x_ndim > 1 ? x_shape[x_ndim - 1] : 1;
const int64_t n_in = x_ndim > 1 ? x_shape[x_ndim - 2] : x_shape[0];
const int64_t n_out = x_ndim > 1 ? y_like_shape[y_like_ndim - 2] : y_like_shape[0];
const int64_t columns = transposed ? n_out : n_in, rows = transposed ? n_in : n_out;
const int64_t limit = columns < length ? columns : length;
const int64_t b = int64_t(threadgroup_position_in_grid.z);
const int64_t data_from = data_ndim > 2 ? b * diagonals * length : 0;
const int64_t x_from = x_ndim > 2 ? b * n_in * k : 0;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t at = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (at < n_out * k) {
    const int64_t out = at / k, j = at % k;
    A sum = A(0);
    for (int64_t d = 0; d < diagonals; ++d) {
      const int64_t o = int64_t(offsets[d]);
      const int64_t column = transposed ? out : out + o, row = transposed ? out - o : out;
      if (column >= 0 && column < limit && row >= 0 && row < rows) {
        const int64_t from = transposed ? row : column;
        sum = sp_add(sum, sp_mul(A(data[data_from + d * length + column]), A(x[x_from + from * k + j])));
      }
    }
    y[b * n_out * k + at] = T(sum);
  }
}
