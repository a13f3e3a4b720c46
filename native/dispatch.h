// The only dtype lists: runtime dtype -> template argument, and what each value type accumulates in.
#pragma once

#include <compare>
#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "mlx/dtype.h"
#include "mlx/types/complex.h"
#include "mlx/types/half_types.h"

namespace sp {

namespace mx = mlx::core;
using mx::bfloat16_t;
using mx::complex64_t;
using mx::float16_t;

template <class T> struct Tag { using type = T; };

// Complex numbers of doubles, and the dtype of arrays of them, which MLX does not know: such arrays stay on the CPU, are
// never traced, and no operation of MLX that looks at values may see them.
struct WideComplex {
  double re = 0, im = 0;

  constexpr WideComplex() = default;
  constexpr WideComplex(double re, double im) : re(re), im(im) {}
  template <class S>
  requires std::is_arithmetic_v<S>
  constexpr WideComplex(S re) : re(static_cast<double>(re)) {}
  WideComplex(complex64_t x) : re(x.real()), im(x.imag()) {}
  constexpr double real() const { return re; }
  constexpr double imag() const { return im; }
  auto operator<=>(const WideComplex&) const = default; // NumPy's order: by real part, then imaginary part
  WideComplex operator-(WideComplex x) const { return {re - x.re, im - x.im}; }
};
inline constexpr mx::Dtype complex128{static_cast<mx::Dtype::Val>(static_cast<int>(mx::Dtype::Val::complex64) + 1), 16};
// Whether MLX and the shading languages lack it.
inline bool is_wide(mx::Dtype dtype) { return dtype == complex128; }
inline bool is_on_cpu_only(mx::Dtype dtype) { return dtype == mx::float64 || is_wide(dtype); }
inline bool is_complex(mx::Dtype dtype) { return dtype == mx::complex64 || is_wide(dtype); }
// What NumPy has as well.
inline constexpr mx::Dtype shared_with_numpy[] = {mx::bool_, mx::uint8, mx::uint16, mx::uint32, mx::uint64, mx::int8,
                                                  mx::int16, mx::int32, mx::int64, mx::float16, mx::float32,
                                                  mx::float64, mx::complex64, complex128};

template <class T>
inline constexpr bool is_complex_v = std::is_same_v<T, complex64_t> || std::is_same_v<T, WideComplex>;

template <class T>
mx::Dtype dtype_of() {
  if constexpr (std::is_same_v<T, WideComplex>) return complex128;
  else if constexpr (std::is_same_v<T, double>) return mx::float64; // MLX says float32
  else return mx::TypeToDtype<T>();
}

// f(Tag<T>{}) for the value type T of `dtype`, which is one of MLX's: what shaders are written for.
template <class F>
decltype(auto) dispatch_shared(mx::Dtype dtype, F&& f) {
  switch (dtype.val()) {
    case mx::Dtype::Val::bool_: return f(Tag<bool>{});
    case mx::Dtype::Val::uint8: return f(Tag<uint8_t>{});
    case mx::Dtype::Val::uint16: return f(Tag<uint16_t>{});
    case mx::Dtype::Val::uint32: return f(Tag<uint32_t>{});
    case mx::Dtype::Val::uint64: return f(Tag<uint64_t>{});
    case mx::Dtype::Val::int8: return f(Tag<int8_t>{});
    case mx::Dtype::Val::int16: return f(Tag<int16_t>{});
    case mx::Dtype::Val::int32: return f(Tag<int32_t>{});
    case mx::Dtype::Val::int64: return f(Tag<int64_t>{});
    case mx::Dtype::Val::float16: return f(Tag<float16_t>{});
    case mx::Dtype::Val::bfloat16: return f(Tag<bfloat16_t>{});
    case mx::Dtype::Val::float32: return f(Tag<float>{});
    case mx::Dtype::Val::float64: return f(Tag<double>{});
    case mx::Dtype::Val::complex64: return f(Tag<complex64_t>{});
  }
  throw std::invalid_argument("unsupported value dtype");
}

// f(Tag<T>{}) for the value type T of `dtype`.
template <class F>
decltype(auto) dispatch_value(mx::Dtype dtype, F&& f) {
  if (dtype == complex128) return f(Tag<WideComplex>{});
  return dispatch_shared(dtype, std::forward<F>(f));
}

// In single precision: what recurrences run in on every device.
template <class F>
decltype(auto) dispatch_single(mx::Dtype dtype, F&& f) {
  if (dtype == mx::float32) return f(Tag<float>{});
  if (dtype == mx::complex64) return f(Tag<complex64_t>{});
  throw std::invalid_argument("dtype must be float32 or complex64");
}

// Unsigned types for signed ones: products and sums of integers wrap alike.
template <class T> struct Unsigned { using type = T; };
template <class T>
requires (std::is_integral_v<T> && std::is_signed_v<T>)
struct Unsigned<T> { using type = std::make_unsigned_t<T>; };

// As dispatch_value, with unsigned types for signed ones.
template <class F>
decltype(auto) dispatch_unsigned(mx::Dtype dtype, F&& f) {
  return dispatch_value(dtype, [&](auto t) { return f(Tag<typename Unsigned<typename decltype(t)::type>::type>{}); });
}

// f(Tag<I>{}) for the index type of `dtype`.
template <class F>
decltype(auto) dispatch_index(mx::Dtype dtype, F&& f) {
  if (dtype == mx::int32) return f(Tag<int32_t>{});
  if (dtype == mx::int64) return f(Tag<int64_t>{});
  throw std::invalid_argument("index dtype must be int32 or int64");
}

// f(Tag<W>{}) with one type of the same width, unsigned up to 8 bytes: kernels that only move values need no more.
template <class F>
decltype(auto) dispatch_width(mx::Dtype dtype, F&& f) {
  switch (dtype.size()) {
    case 1: return f(Tag<uint8_t>{});
    case 2: return f(Tag<uint16_t>{});
    case 4: return f(Tag<uint32_t>{});
    case 16: return f(Tag<WideComplex>{});
    default: return f(Tag<uint64_t>{});
  }
}

// Sums of 16-bit floats run in float32 and are cast once.
template <class T>
using acc_t = std::conditional_t<std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>, float, T>;

// f(Tag<T>{}) for one of the four dtypes of linear systems.
template <class F>
decltype(auto) dispatch_field(mx::Dtype dtype, F&& f) {
  if (dtype == mx::float32) return f(Tag<float>{});
  if (dtype == mx::float64) return f(Tag<double>{});
  if (dtype == mx::complex64) return f(Tag<complex64_t>{});
  if (dtype == complex128) return f(Tag<WideComplex>{});
  throw std::invalid_argument("values must be float32, float64, complex64 or complex128");
}

// What linear systems are made of.
template <class T>
inline constexpr bool is_field_v = std::is_same_v<T, float> || std::is_same_v<T, double> || is_complex_v<T>;

// Small block shapes have kernels of their own where blocks come from discretised equations: others are not worth the
// time to compile.
template <class T, class I>
inline constexpr bool has_small_blocks = is_field_v<T> && sizeof(I) == 4;

// Plain complex product: std::complex's operator* checks for infinities and is several times slower.
inline complex64_t mul(complex64_t a, complex64_t b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// What integers compute in: unsigned and at least 32 bits, so that overflow wraps as NumPy's does.
template <class T>
using wrapping_t = std::conditional_t<(sizeof(T) > 4), uint64_t, uint32_t>;

inline WideComplex mul(WideComplex a, WideComplex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

template <class T, class = std::enable_if_t<!is_complex_v<T>>>
inline T mul(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<wrapping_t<T>>(a) * static_cast<wrapping_t<T>>(b));
  else return static_cast<T>(a * b);
}
inline bool mul(bool a, bool b) { return a && b; }

template <class T>
inline T add(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<wrapping_t<T>>(a) + static_cast<wrapping_t<T>>(b));
  else return static_cast<T>(a + b);
}
inline bool add(bool a, bool b) { return a || b; }
inline complex64_t add(complex64_t a, complex64_t b) { return {a.real() + b.real(), a.imag() + b.imag()}; }
inline WideComplex add(WideComplex a, WideComplex b) { return {a.re + b.re, a.im + b.im}; }

} // namespace sp
