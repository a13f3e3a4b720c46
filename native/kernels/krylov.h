// What a recorded recurrence does with a block of its vectors, and with its scalars. Vectors are (n, k), row-major; a
// scalar is k numbers, held in double precision. Of one column coefficients are numbers; of several they are repeated
// along `width` elements, some whole rows, so that loops run over long arrays.
#pragma once

#include <cmath>
#include <type_traits>

#include "sum.h"

namespace sp {

// Lambdas whose code belongs to their caller, whatever processor that is compiled for.
#if defined(__GNUC__)
#define SP_LAMBDA __attribute__((always_inline))
#else
#define SP_LAMBDA
#endif

template <class T>
using scalar_t = std::conditional_t<is_complex_v<T>, WideComplex, double>;

// ---- blocks of vectors: n elements ---------------------------------------------------------------------------------

enum class UpdateKind { overwrite, add, combine }; // y <- b x, y + b x, a y + b x

constexpr size_t kColumnTile = 32; // elements that coefficients of columns are repeated along, where whole rows fit

// f(first, count) over tiles of `width` elements; of kColumnTile, the count is known to the compiler.
template <class F>
SP_INLINE void in_tiles(size_t n, size_t width, F&& f) {
  size_t lo = 0;
  if (width == kColumnTile) {
    for (; lo + kColumnTile <= n; lo += kColumnTile) f(lo, std::integral_constant<size_t, kColumnTile>{});
    if (lo < n) f(lo, n - lo);
    return;
  }
  for (; lo < n; lo += width) f(lo, std::min(n - lo, width));
}

// width: 0 for one column.
template <class T>
SP_INLINE void update_block(UpdateKind kind, T* y, const T* a, const T* b, const T* x, size_t n, size_t width) {
  const auto over = [=](auto f) SP_LAMBDA {
    if (width == 0) {
      const T u = *a, v = *b;
#pragma GCC ivdep
      for (size_t i = 0; i < n; ++i) y[i] = f(u, y[i], v, x[i]);
      return;
    }
    in_tiles(n, width, [=](size_t lo, auto count) SP_LAMBDA {
      for (size_t i = 0; i < count; ++i) y[lo + i] = f(a[i], y[lo + i], b[i], x[lo + i]);
    });
  };
  switch (kind) {
    case UpdateKind::overwrite: return over([](T, T, T b, T x) SP_LAMBDA { return mul(b, x); });
    case UpdateKind::add: return over([](T, T y, T b, T x) SP_LAMBDA { return add(y, mul(b, x)); });
    case UpdateKind::combine: return over([](T a, T y, T b, T x) SP_LAMBDA { return add(mul(a, y), mul(b, x)); });
  }
}

template <class T>
SP_INLINE wide_t<T> dot_term(T a, T b) {
  if constexpr (is_complex_v<T>) {
    const WideComplex u = widen(a), v = widen(b);
    return {u.re * v.re + u.im * v.im, u.re * v.im - u.im * v.re};
  } else {
    return widen(a) * widen(b);
  }
}

// out[j] = sum_i conj(a[i, j]) b[i, j]; sums has room for max(8, width).
template <class T>
SP_INLINE void dot_block(const T* a, const T* b, size_t n, size_t k, size_t width, wide_t<T>* sums, wide_t<T>* out) {
  using W = wide_t<T>;
  if (width == 0) {
    W s[8] = {};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      for (int j = 0; j < 8; ++j) s[j] = add(s[j], dot_term(a[i + j], b[i + j]));
    }
    for (int j = 0; i < n; ++i, ++j) s[j] = add(s[j], dot_term(a[i], b[i]));
    for (int half = 4; half > 0; half /= 2) {
      for (int j = 0; j < half; ++j) s[j] = add(s[j], s[j + half]);
    }
    *out = s[0];
    return;
  }
  W near[kColumnTile] = {}; // in registers
  W* s = width == kColumnTile ? near : sums;
  if (s == sums) std::fill_n(s, width, W{});
  in_tiles(n, width, [&](size_t lo, auto count) SP_LAMBDA {
    if constexpr (std::is_same_v<decltype(count), size_t>) {
      for (size_t i = 0; i < count; ++i) s[i] = add(s[i], dot_term(a[lo + i], b[lo + i]));
    } else {
      for (size_t i = 0; i < count; ++i) near[i] = add(near[i], dot_term(a[lo + i], b[lo + i]));
    }
  });
  for (size_t j = 0; j < k; ++j) {
    W total{};
    for (size_t i = j; i < width; i += k) total = add(total, s[i]);
    out[j] = total;
  }
}

// y[i, :] = d[i] x[i, :], of rows.
template <class T>
SP_INLINE void scale_block(T* y, const T* d, const T* x, size_t rows, size_t k) {
  if (k == 1) {
#pragma GCC ivdep
    for (size_t i = 0; i < rows; ++i) y[i] = mul(d[i], x[i]);
    return;
  }
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < k; ++j) y[i * k + j] = mul(d[i], x[i * k + j]);
  }
}

// The same loops for processors that have wider registers; without fused products and sums, so that all processors find
// the same numbers.
#ifdef SP_AVX2
#define SP_WIDE __attribute__((target("avx2")))
template <class T>
SP_WIDE void update_block_avx2(UpdateKind kind, T* y, const T* a, const T* b, const T* x, size_t n, size_t width) {
  update_block(kind, y, a, b, x, n, width);
}
template <class T>
SP_WIDE void dot_block_avx2(const T* a, const T* b, size_t n, size_t k, size_t width, wide_t<T>* sums, wide_t<T>* out) {
  dot_block(a, b, n, k, width, sums, out);
}
#endif

// ---- scalars -------------------------------------------------------------------------------------------------------

inline double real_part(double a) { return a; }
inline double real_part(WideComplex a) { return a.re; }
inline double conjugate(double a) { return a; }
inline WideComplex conjugate(WideComplex a) { return {a.re, -a.im}; }
inline double modulus(double a) { return std::abs(a); }
inline double modulus(WideComplex a) { return std::hypot(a.re, a.im); }
inline bool is_zero(double a) { return a == 0; }
inline bool is_zero(WideComplex a) { return a.re == 0 && a.im == 0; }
// By parts where a factor is real, so that infinity times it is no nan.
inline double multiplied(double a, double b) { return a * b; }
inline WideComplex multiplied(WideComplex a, WideComplex b) {
  if (b.im == 0) return {a.re * b.re, a.im == 0 ? 0 : a.im * b.re};
  if (a.im == 0) return {a.re * b.re, a.re * b.im};
  return mul(a, b);
}
inline double quotient(double a, double b) { return a / b; }
// By parts where b is real, so that infinity divides; else scaled, so that squares stay within bounds.
inline WideComplex quotient(WideComplex a, WideComplex b) {
  if (b.im == 0) return {a.re / b.re, a.im / b.re};
  if (std::abs(b.re) >= std::abs(b.im)) {
    const double t = b.im / b.re, d = b.re + b.im * t;
    return {(a.re + a.im * t) / d, (a.im - a.re * t) / d};
  }
  const double t = b.re / b.im, d = b.re * t + b.im;
  return {(a.re * t + a.im) / d, (a.im * t - a.re) / d};
}

} // namespace sp
