// sum_p data[p] * x[indices[p], :] in registers: plain loops for every type, AVX2 where the processor has it.
#pragma once

#include <utility>

#include "../dispatch.h"
#include "view.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define SP_AVX2 __attribute__((target("avx2,fma,f16c")))
#include <immintrin.h>
#endif

namespace sp {

#ifdef SP_AVX2
// Every processor with AVX2 has F16C.
inline bool has_avx2() {
  static const bool yes = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return yes;
}
#endif

// GCC would pack the four independent sums of a gathered loop into vectors, at a fifth of the speed or more.
#if defined(__GNUC__) && !defined(__clang__)
#define SP_NO_PACKING __attribute__((optimize("no-tree-slp-vectorize")))
#define SP_INLINE __attribute__((always_inline)) inline
#else
#define SP_NO_PACKING
#define SP_INLINE inline
#endif

// Streams are asked for about a kilobyte ahead: some processors, and most virtual ones, have no prefetcher that keeps up.
// Into every cache level: a non-temporal request costs more than none on server processors whose last level is exclusive.
template <class P>
SP_INLINE void prefetch(const P* p) {
#if defined(__GNUC__)
  __builtin_prefetch(p, 0, 3);
#else
  (void)p;
#endif
}

// W columns of one slice; loads and adds in the order of the entries.
template <int W, class T, class I, class U>
inline void tile(size_t lo, size_t hi, const I* indices, const T* data, const T* x, size_t k, U* out) {
  using A = acc_t<T>;
  A sum[W] = {};
  for (size_t p = lo; p < hi; ++p) {
    const A a = static_cast<A>(data[p]);
    const T* row = x + static_cast<size_t>(indices[p]) * k;
    for (int j = 0; j < W; ++j) sum[j] = add(sum[j], mul(a, static_cast<A>(row[j])));
  }
  for (int j = 0; j < W; ++j) out[j] = static_cast<U>(sum[j]);
}

template <class T, class I, class U>
inline void slice_times(size_t lo, size_t hi, const I* indices, const T* data, const T* x, size_t k, U* out) {
  size_t j = 0;
  for (; j + 16 <= k; j += 16) tile<16>(lo, hi, indices, data, x + j, k, out + j);
  for (; j + 4 <= k; j += 4) tile<4>(lo, hi, indices, data, x + j, k, out + j);
  for (; j + 2 <= k; j += 2) tile<2>(lo, hi, indices, data, x + j, k, out + j);
  for (; j < k; ++j) tile<1>(lo, hi, indices, data, x + j, k, out + j);
}

// out[j0:j1] += a * row[j0:j1].
template <class T, class A>
inline void add_row(A a, const T* __restrict row, A* __restrict out, size_t j0, size_t j1) {
  for (size_t j = j0; j < j1; ++j) out[j] = add(out[j], mul(a, static_cast<A>(row[j])));
}

// sum_b sum_j u[b, row, j] * v[b, column, j].
template <class T>
inline T dot_rows(DensePair<T> d, size_t row, size_t column) {
  using A = acc_t<T>;
  constexpr int W = 8;
  A sum[W] = {};
  const size_t k = d.k;
  const T *u = d.u + row * k, *v = d.v + column * k;
  for (size_t b = 0; b < d.batch; ++b, u += d.u_step, v += d.v_step) {
    size_t j = 0;
    for (; j + W <= k; j += W) {
      for (int i = 0; i < W; ++i) sum[i] = add(sum[i], mul(static_cast<A>(u[j + i]), static_cast<A>(v[j + i])));
    }
    for (int i = 0; j < k; ++j, ++i) sum[i] = add(sum[i], mul(static_cast<A>(u[j]), static_cast<A>(v[j])));
  }
  for (int width = W / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) sum[i] = add(sum[i], sum[i + width]);
  }
  return static_cast<T>(sum[0]);
}

template <class T>
struct Avx {
  static constexpr bool exists = false;
};

#ifdef SP_AVX2
struct AvxFloat {
  static constexpr bool exists = true;
  static constexpr int lanes = 8;
  using V = __m256;
  SP_AVX2 static V zero() { return _mm256_setzero_ps(); }
  SP_AVX2 static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  SP_AVX2 static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
};

template <>
struct Avx<float> : AvxFloat {
  using AvxFloat::store;
  SP_AVX2 static V load(const float* p) { return _mm256_loadu_ps(p); }
  SP_AVX2 static V spread(float a) { return _mm256_set1_ps(a); }
};

template <>
struct Avx<float16_t> : AvxFloat {
  using AvxFloat::store;
  SP_AVX2 static V load(const float16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  SP_AVX2 static V spread(float16_t a) {
    uint16_t bits;
    __builtin_memcpy(&bits, &a, 2);
    return _mm256_set1_ps(_cvtsh_ss(bits));
  }
  SP_AVX2 static void store(float16_t* p, V v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
};

template <>
struct Avx<bfloat16_t> : AvxFloat {
  using AvxFloat::store;
  SP_AVX2 static V load(const bfloat16_t* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  SP_AVX2 static V spread(bfloat16_t a) { return _mm256_set1_ps(static_cast<float>(a)); }
  SP_AVX2 static void store(bfloat16_t* p, V v) {
    float wide[8];
    _mm256_storeu_ps(wide, v);
    for (int j = 0; j < 8; ++j) p[j] = static_cast<bfloat16_t>(wide[j]);
  }
};

template <>
struct Avx<double> {
  static constexpr bool exists = true;
  static constexpr int lanes = 4;
  using V = __m256d;
  SP_AVX2 static V zero() { return _mm256_setzero_pd(); }
  SP_AVX2 static V load(const double* p) { return _mm256_loadu_pd(p); }
  SP_AVX2 static V spread(double a) { return _mm256_set1_pd(a); }
  SP_AVX2 static V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
  SP_AVX2 static void store(double* p, V v) { _mm256_storeu_pd(p, v); }
};

// N vectors of columns of one slice.
template <int N, class T, class I, class U>
SP_AVX2 inline void tile_avx2(size_t lo, size_t hi, const I* indices, const T* data, const T* x, size_t k, U* out) {
  using X = Avx<T>;
  typename X::V sum[N];
  for (int j = 0; j < N; ++j) sum[j] = X::zero();
  for (size_t p = lo; p < hi; ++p) {
    const auto a = X::spread(data[p]);
    const T* row = x + static_cast<size_t>(indices[p]) * k;
    for (int j = 0; j < N; ++j) sum[j] = X::fma(a, X::load(row + j * X::lanes), sum[j]);
  }
  for (int j = 0; j < N; ++j) X::store(out + j * X::lanes, sum[j]);
}

// A call for each of many short slices would cost a tenth of their time.
template <class T, class I, class U>
SP_AVX2 SP_INLINE void slice_times_here(size_t lo, size_t hi, const I* indices, const T* data, const T* x, size_t k,
                                        U* out) {
  constexpr size_t L = Avx<T>::lanes;
  size_t j = 0;
  for (; j + 8 * L <= k; j += 8 * L) tile_avx2<8>(lo, hi, indices, data, x + j, k, out + j);
  if (j + 4 * L <= k) tile_avx2<4>(lo, hi, indices, data, x + j, k, out + j), j += 4 * L;
  if (j + 2 * L <= k) tile_avx2<2>(lo, hi, indices, data, x + j, k, out + j), j += 2 * L;
  if (j + L <= k) tile_avx2<1>(lo, hi, indices, data, x + j, k, out + j), j += L;
  if (j + 4 <= k) tile<4>(lo, hi, indices, data, x + j, k, out + j), j += 4;
  if (j + 2 <= k) tile<2>(lo, hi, indices, data, x + j, k, out + j), j += 2;
  for (; j < k; ++j) tile<1>(lo, hi, indices, data, x + j, k, out + j);
}

template <class T, class I, class U>
SP_AVX2 void slice_times_avx2(size_t lo, size_t hi, const I* indices, const T* data, const T* x, size_t k, U* out) {
  slice_times_here(lo, hi, indices, data, x, k, out);
}

template <class T, class I>
SP_AVX2 void slices_times_avx2(size_t first, size_t last, CsView<T, I> a, const T* x, T* y, size_t k) {
  for (size_t m = first; m < last; ++m) slice_times_here(a.begin(m), a.end(m), a.indices, a.data, x, k, y + m * k);
}
#endif

#define SP_INDEX_BOUNDS                                     \
  I least = index[lo], most = index[lo];                    \
  for (size_t e = lo; e < hi; ++e) {                        \
    least = index[e] < least ? index[e] : least;            \
    most = index[e] > most ? index[e] : most;               \
  }                                                         \
  return {static_cast<size_t>(least), static_cast<size_t>(most)}

#ifdef SP_AVX2
template <class I>
SP_AVX2 std::pair<size_t, size_t> index_bounds_avx2(const I* index, size_t lo, size_t hi) {
  SP_INDEX_BOUNDS;
}
#endif

// Least and greatest of index[lo .. hi), hi > lo.
template <class I>
std::pair<size_t, size_t> index_bounds(const I* index, size_t lo, size_t hi) {
#ifdef SP_AVX2
  if (has_avx2()) return index_bounds_avx2(index, lo, hi);
#endif
  SP_INDEX_BOUNDS;
}
#undef SP_INDEX_BOUNDS

// y[m, :] of the slices first .. last.
template <class T, class I>
void slices_times(size_t first, size_t last, CsView<T, I> a, const T* x, T* y, size_t k) {
#ifdef SP_AVX2
  if constexpr (Avx<T>::exists) {
    if (has_avx2()) return slices_times_avx2(first, last, a, x, y, k);
  }
#endif
  for (size_t m = first; m < last; ++m) slice_times(a.begin(m), a.end(m), a.indices, a.data, x, k, y + m * k);
}

// As slice_times, for any number of entries: what slices_times does with one slice.
template <class T, class I>
void any_slice_times(size_t lo, size_t hi, CsView<T, I> a, const T* x, size_t k, acc_t<T>* sum) {
#ifdef SP_AVX2
  if constexpr (Avx<T>::exists) {
    if (has_avx2()) return slice_times_avx2(lo, hi, a.indices, a.data, x, k, sum);
  }
#endif
  slice_times(lo, hi, a.indices, a.data, x, k, sum);
}

} // namespace sp
