// Arithmetic of what linear systems are made of: real and complex numbers alike.
#pragma once

#include <cmath>
#include <complex>

#include "../dispatch.h"

namespace sp {

template <class T> struct RealOf { using type = T; };
template <> struct RealOf<complex64_t> { using type = float; };
template <> struct RealOf<WideComplex> { using type = double; };
template <class T> struct RealOf<std::complex<T>> { using type = T; };
template <class T> using real_t = typename RealOf<T>::type;
template <class T> inline constexpr bool is_real_v = std::is_same_v<T, real_t<T>>;

template <bool conjugate = true, class T>
inline T conj_of(T x) {
  if constexpr (conjugate && !is_real_v<T>) return T(x.real(), -x.imag());
  else return x;
}

template <class T>
inline real_t<T> real_part(T x) {
  if constexpr (!is_real_v<T>) return x.real();
  else return x;
}

// s - a x.
template <class T>
inline T minus_product(T s, T a, T x) {
  if constexpr (!is_real_v<T>) {
    return T(s.real() - (a.real() * x.real() - a.imag() * x.imag()), s.imag() - (a.real() * x.imag() + a.imag() * x.real()));
  } else {
    return s - a * x;
  }
}

template <class T>
inline real_t<T> magnitude(T x) {
  if constexpr (!is_real_v<T>) return std::hypot(x.real(), x.imag());
  else return std::abs(x);
}

template <class T>
inline bool is_finite(T x) {
  if constexpr (!is_real_v<T>) return std::isfinite(x.real()) && std::isfinite(x.imag());
  else return std::isfinite(x);
}

template <class T>
inline T quotient(T s, T d) {
  if constexpr (!is_real_v<T>) {
    const auto q = std::complex<double>(s.real(), s.imag()) / std::complex<double>(d.real(), d.imag());
    return T(static_cast<real_t<T>>(q.real()), static_cast<real_t<T>>(q.imag()));
  } else {
    return s / d;
  }
}

} // namespace sp
