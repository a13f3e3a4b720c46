// Vectors of a basis, rows of a matrix, and what Gram-Schmidt does with a block of their elements.
#pragma once

#include "krylov.h"

namespace sp {

template <class T>
struct BasisView {
  const T* rows; // count of them, n elements each
  size_t count, n;

  const T* row(size_t k) const { return rows + k * n; }
};

// v <- v + sum_k h[k] row k, of the elements lo .. hi; v is their first.
template <class T>
SP_INLINE void add_rows(BasisView<T> basis, size_t lo, size_t hi, const T* h, T* v) {
  const size_t n = hi - lo;
  size_t k = 0;
  for (; k + 4 <= basis.count; k += 4) {
    const T *a = basis.row(k) + lo, *b = basis.row(k + 1) + lo, *c = basis.row(k + 2) + lo, *d = basis.row(k + 3) + lo;
    const T p = h[k], q = h[k + 1], r = h[k + 2], s = h[k + 3];
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) v[i] = add(v[i], add(add(mul(p, a[i]), mul(q, b[i])), add(mul(r, c[i]), mul(s, d[i]))));
  }
  for (; k < basis.count; ++k) {
    const T* a = basis.row(k) + lo;
    const T p = h[k];
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) v[i] = add(v[i], mul(p, a[i]));
  }
}

// out[k] = row k . v for four rows from a on, whose loads overlap: the same sums as those of dot_block.
#ifdef SP_AVX2
inline __attribute__((target("avx2"))) void four_dots(const double* a, size_t stride, const double* v, size_t n, double* out) {
  __m256d low[4], high[4];
  for (int k = 0; k < 4; ++k) low[k] = high[k] = _mm256_setzero_pd();
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256d x = _mm256_loadu_pd(v + i), y = _mm256_loadu_pd(v + i + 4);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const double* row = a + k * stride + i;
      low[k] = _mm256_add_pd(low[k], _mm256_mul_pd(_mm256_loadu_pd(row), x));
      high[k] = _mm256_add_pd(high[k], _mm256_mul_pd(_mm256_loadu_pd(row + 4), y));
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    double s[8];
    _mm256_storeu_pd(s, low[k]);
    _mm256_storeu_pd(s + 4, high[k]);
    for (size_t e = i; e < n; ++e) s[e - i] += a[k * stride + e] * v[e];
    for (int half = 4; half > 0; half /= 2) {
      for (int j = 0; j < half; ++j) s[j] += s[j + half];
    }
    out[k] = s[0];
  }
}
#endif

// out[k] = row k^H v, of the elements lo .. hi.
template <bool wide = false, class T>
SP_INLINE void rows_dot(BasisView<T> basis, size_t lo, size_t hi, const T* v, wide_t<T>* out) {
  size_t k = 0;
#ifdef SP_AVX2
  if constexpr (wide && std::is_same_v<T, double>) {
    for (; k + 4 <= basis.count; k += 4) four_dots(basis.row(k) + lo, basis.n, v, hi - lo, out + k);
  }
#endif
  for (; k < basis.count; ++k) dot_block(basis.row(k) + lo, v, hi - lo, 1, 0, static_cast<wide_t<T>*>(nullptr), out + k);
}

// v <- w + sum_k h[k] row k; out: its dot products with the rows, and with itself.
template <bool wide = false, class T>
SP_INLINE void remove_rows(BasisView<T> basis, size_t lo, size_t hi, const T* h, const T* w, T* v, wide_t<T>* out) {
  if (v != w) std::copy_n(w, hi - lo, v);
  add_rows(basis, lo, hi, h, v);
  rows_dot<wide>(basis, lo, hi, static_cast<const T*>(v), out);
  dot_block(static_cast<const T*>(v), static_cast<const T*>(v), hi - lo, 1, 0, static_cast<wide_t<T>*>(nullptr), out + basis.count);
}

#ifdef SP_AVX2
template <class T>
SP_WIDE void add_rows_avx2(BasisView<T> basis, size_t lo, size_t hi, const T* h, T* v) {
  add_rows(basis, lo, hi, h, v);
}
template <class T>
SP_WIDE void rows_dot_avx2(BasisView<T> basis, size_t lo, size_t hi, const T* v, wide_t<T>* out) {
  rows_dot<true>(basis, lo, hi, v, out);
}
template <class T>
SP_WIDE void remove_rows_avx2(BasisView<T> basis, size_t lo, size_t hi, const T* h, const T* w, T* v, wide_t<T>* out) {
  remove_rows<true>(basis, lo, hi, h, w, v, out);
}
#endif

} // namespace sp
