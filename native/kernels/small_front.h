// Fronts that are factored before the BLAS would have looked at its arguments.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/blas.h"
#include "kernels/tile.h"

namespace sp {

// C -= A A^H at and below the diagonal of C, whose n columns are the first rows of A, m x k; what is above it may change too
// if there are several. Everything is stored by columns.
template <class T>
void take_square(T* c, int64_t ldc, const T* a, int64_t lda, int64_t m, int64_t n, int64_t k) {
  for (int64_t l = 0; l < n; ++l) {
    T* __restrict to = c + l * ldc;
    for (int64_t j = 0; j < k; ++j) {
      const T* __restrict from = a + j * lda;
      const T by = conj_of(from[l]);
      for (int64_t i = l; i < m; ++i) to[i] -= times(from[i], by);
    }
  }
}

#ifdef SP_AVX2
template <class T>
struct Lanes;

template <>
struct Lanes<double> : Avx<double> {
  using Avx<double>::load, Avx<double>::store;
  using Mask = __m256i;
  SP_AVX2 static V load(const double* p, Mask m) { return _mm256_maskload_pd(p, m); }
  SP_AVX2 static void store(double* p, Mask m, V v) { _mm256_maskstore_pd(p, m, v); }
  SP_AVX2 static V minus(V c, V a, V b) { return _mm256_fnmadd_pd(a, b, c); }
  SP_AVX2 static Mask first(int64_t n) { // lanes
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
};

template <>
struct Lanes<float> : Avx<float> {
  using Avx<float>::load, Avx<float>::store;
  using Mask = __m256i;
  SP_AVX2 static V load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
  SP_AVX2 static void store(float* p, Mask m, V v) { _mm256_maskstore_ps(p, m, v); }
  SP_AVX2 static V minus(V c, V a, V b) { return _mm256_fnmadd_ps(a, b, c); }
  SP_AVX2 static Mask first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

// N columns of C from its row i on, R vectors of rows, the last of which is cut by `mask`.
template <int N, int R, class T>
SP_AVX2 inline void take_block(T* c, int64_t ldc, const T* a, const T* b, int64_t lda, int64_t k, typename Lanes<T>::Mask mask) {
  using L = Lanes<T>;
  constexpr int64_t last = (R - 1) * L::lanes;
  typename L::V sum[N][R];
  for (int n = 0; n < N; ++n) {
    for (int r = 0; r + 1 < R; ++r) sum[n][r] = L::load(c + n * ldc + r * L::lanes);
    sum[n][R - 1] = L::load(c + n * ldc + last, mask);
  }
  for (int64_t j = 0; j < k; ++j, a += lda, b += lda) {
    typename L::V rows[R];
    for (int r = 0; r + 1 < R; ++r) rows[r] = L::load(a + r * L::lanes);
    rows[R - 1] = L::load(a + last, mask);
    for (int n = 0; n < N; ++n) {
      const auto by = L::spread(b[n]);
      for (int r = 0; r < R; ++r) sum[n][r] = L::minus(sum[n][r], rows[r], by);
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int r = 0; r + 1 < R; ++r) L::store(c + n * ldc + r * L::lanes, sum[n][r]);
    L::store(c + n * ldc + last, mask, sum[n][R - 1]);
  }
}

template <int N, class T>
SP_AVX2 inline void take_columns(T* c, int64_t ldc, const T* a, int64_t lda, int64_t l, int64_t m, int64_t k) {
  using L = Lanes<T>;
  T* to = c + l * ldc;
  int64_t i = l;
  for (; i + L::lanes < m; i += 2 * L::lanes) {
    take_block<N, 2>(to + i, ldc, a + i, a + l, lda, k, L::first(m - i - L::lanes));
  }
  if (i < m) take_block<N, 1>(to + i, ldc, a + i, a + l, lda, k, L::first(m - i));
}

template <class T>
SP_AVX2 void take_square_avx2(T* c, int64_t ldc, const T* a, int64_t lda, int64_t m, int64_t n, int64_t k) {
  int64_t l = 0;
  for (; l + 4 <= n; l += 4) take_columns<4>(c, ldc, a, lda, l, m, k);
  if (l + 2 <= n) take_columns<2>(c, ldc, a, lda, l, m, k), l += 2;
  if (l < n) take_columns<1>(c, ldc, a, lda, l, m, k);
}
#endif

// Multiplications of a front for which the loops here are done before the BLAS would be.
template <class T>
double small_front() {
#ifdef SP_AVX2
  if (is_real_v<T> && has_avx2()) return 1e5;
#endif
  return 8000;
}

// As `factor_front`.
template <class T>
int64_t factor_small_front(T* panel, int64_t m, int64_t k, T* update, const real_t<T>* diagonal) {
  auto take = take_square<T>;
#ifdef SP_AVX2
  if constexpr (is_real_v<T>) {
    if (has_avx2()) take = take_square_avx2<T>;
  }
#endif
  const real_t<T> least = 16 * std::numeric_limits<real_t<T>>::epsilon();
  for (int64_t j = 0; j < k; ++j) {
    T* column = panel + j * m;
    take(column + j, m, panel + j, m, m - j, 1, j);
    const real_t<T> pivot = std::real(column[j]);
    if (!(pivot > least * diagonal[j])) return j;
    const real_t<T> root = std::sqrt(pivot), inverse = 1 / root;
    std::fill_n(column, j, T(0));
    column[j] = root;
    for (int64_t i = j + 1; i < m; ++i) column[i] *= inverse;
  }
  take(update, m - k, panel + k, m, m - k, m - k, k);
  return -1;
}

} // namespace sp
