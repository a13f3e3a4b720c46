// Products of an array stored by diagonals (M x N, view.h) with dense x, k columns, row-major. Offsets are distinct, in
// any order; columns from the stored length L on are zero, and what data holds for rows outside the array does not count. 16-bit floats sum in float32 and round once.
#pragma once

#include "product.h"

namespace sp {

// The columns at which a diagonal has entries.
struct ColumnRange {
  int64_t lo, hi;
};
inline ColumnRange diagonal_columns(int64_t offset, int64_t M, int64_t N, int64_t L) {
  return {std::max<int64_t>(0, offset), std::min({N, L, M + offset})};
}

// y[i] += sum over D diagonals of d[i] * x[i] for n values; the streams of d are asked for ahead of time.
template <int D, class T, class A>
SP_INLINE void multiply_add(const T* const* ds, const T* const* xs, A* __restrict y, size_t n) {
  constexpr size_t line = 64 / sizeof(T);
  const T *d[D], *x[D];
  for (int q = 0; q < D; ++q) d[q] = ds[q], x[q] = xs[q];
  size_t i = 0;
  for (; i + line <= n; i += line) {
    for (int q = 0; q < D; ++q) prefetch(reinterpret_cast<const char*>(d[q] + i) + 1024);
#pragma GCC ivdep
    for (size_t j = i; j < i + line; ++j) {
      A sum = mul(static_cast<A>(d[0][j]), static_cast<A>(x[0][j]));
      for (int q = 1; q < D; ++q) sum = add(sum, mul(static_cast<A>(d[q][j]), static_cast<A>(x[q][j])));
      y[j] = add(y[j], sum);
    }
  }
  for (; i < n; ++i) {
    for (int q = 0; q < D; ++q) y[i] = add(y[i], mul(static_cast<A>(d[q][i]), static_cast<A>(x[q][i])));
  }
}

// Diagonals that cover a whole tile of sums, added four at a time.
template <class T, class A>
struct WholeDiagonals {
  const T *d[4], *x[4];
  int count = 0;
  A* y;
  size_t n;

  void take(const T* values, const T* in) {
    d[count] = values, x[count] = in;
    if (++count == 4) multiply_add<4>(d, x, y, n), count = 0;
  }
  void finish() {
    if (count == 3) multiply_add<3>(d, x, y, n);
    if (count == 2) multiply_add<2>(d, x, y, n);
    if (count == 1) multiply_add<1>(d, x, y, n);
  }
};

// Outputs of k columns whose sums stay in the nearest cache.
template <class T>
size_t dia_tile(size_t k) { return std::max<size_t>(1, 8192 / (sizeof(acc_t<T>) * k)); }

// Outputs [first, last) of the product, or of the transposed one: sums in tiles that stay in the nearest cache while
// every diagonal adds to them.
template <class T, class I>
void dia_slices(bool transposed, int64_t first, int64_t last, DiaView<T, I> a, const T* x, T* y, size_t k) {
  using A = acc_t<T>;
  const int64_t M = a.n_major, N = a.n_minor, L = a.length;
  const auto tile = static_cast<int64_t>(dia_tile<T>(k));
  std::unique_ptr<A[]> wide(std::is_same_v<A, T> ? nullptr : new A[tile * k]);
  Watch watch;
  for (int64_t from = first; from < last; from += tile) {
    const int64_t until = std::min(last, from + tile);
    watch(static_cast<size_t>(until - from) * (1 + k / 4) * (1 + a.n_diagonals));
    A* sum;
    if constexpr (std::is_same_v<A, T>) sum = y + from * k;
    else sum = wide.get();
    std::fill(sum, sum + (until - from) * k, A{});
    WholeDiagonals<T, A> whole{{}, {}, 0, sum, static_cast<size_t>(until - from)};
    for (size_t d = 0; d < a.n_diagonals; ++d) {
      const int64_t offset = static_cast<int64_t>(a.offsets[d]), shift = transposed ? 0 : offset; // column = output + shift
      auto [lo, hi] = diagonal_columns(offset, M, N, L);
      lo = std::max(lo, from + shift);
      hi = std::min(hi, until + shift);
      if (lo >= hi) continue;
      const T* values = a.data + d * L + lo;
      const T* in = x + (transposed ? lo - offset : lo) * static_cast<int64_t>(k);
      A* out = sum + (lo - shift - from) * k;
      if (k == 1) {
        if (hi - lo == until - from) whole.take(values, in);
        else multiply_add<1>(&values, &in, out, static_cast<size_t>(hi - lo));
        continue;
      }
      for (int64_t j = lo; j < hi; ++j, ++values, in += k, out += k) {
        const A value = static_cast<A>(*values);
        for (size_t c = 0; c < k; ++c) out[c] = add(out[c], mul(value, static_cast<A>(in[c])));
      }
    }
    whole.finish();
    if constexpr (!std::is_same_v<A, T>) {
      for (int64_t j = 0; j < (until - from) * static_cast<int64_t>(k); ++j) y[from * k + j] = static_cast<T>(sum[j]);
    }
  }
}

// y[i, :] = sum over diagonals d of data[d, i + o] * x[i + o, :], o = offsets[d]; transposed: y[j, :] = sum of
// data[d, j] * x[j - o, :]. x and y must not overlap; y is overwritten. Cost: entries * k; each worker takes some tiles
// of y, which are where they are for one worker, since a diagonal that ends inside a tile is added before the others.
template <class T, class I>
void dia_matmul(bool transposed, DiaView<T, I> a, const T* x, T* y, size_t k) {
  const int64_t n_out = transposed ? a.n_minor : a.n_major;
  if (k == 0 || n_out == 0) return;
  const size_t n = static_cast<size_t>(n_out), in_range = static_cast<size_t>(std::min({a.n_major, a.n_minor, a.length}));
  const size_t tile = dia_tile<T>(k);
  parallel_for((n - 1) / tile + 1, plan_parts(product_work(a.n_diagonals * in_range / 2, n, k)), [=](size_t lo, size_t hi) {
    dia_slices<T, I>(transposed, static_cast<int64_t>(lo * tile), static_cast<int64_t>(std::min(n, hi * tile)), a, x, y, k);
  });
}

// out[d, j] = sum_b sum_c u[b, j - offsets[d], c] * v[b, j, c], zero outside the array: the values' gradient.
// Cost n_diagonals * L * k * batch.
template <class T, class I>
void dia_sddmm(DiaPattern<I> a, DensePair<T> pair, T* out) {
  const int64_t M = a.n_major, N = a.n_minor, L = a.length;
  const size_t n = a.n_diagonals * static_cast<size_t>(L);
  parallel_for(n, plan_parts(product_work(n, 0, pair.k) * pair.batch), [=](size_t first, size_t last) {
    for (size_t at = first; at < last;) {
      const size_t d = at / L;
      const int64_t offset = static_cast<int64_t>(a.offsets[d]), begin = static_cast<int64_t>(d) * L;
      const int64_t stop = std::min<int64_t>(L, static_cast<int64_t>(last) - begin);
      const auto range = diagonal_columns(offset, M, N, L);
      for (int64_t j = static_cast<int64_t>(at) - begin; j < stop; ++j) {
        const bool inside = j >= range.lo && j < range.hi;
        out[begin + j] = inside ? dot_rows(pair, static_cast<size_t>(j - offset), static_cast<size_t>(j)) : T{};
      }
      at = static_cast<size_t>(begin + stop);
    }
  });
}

} // namespace sp
