// Factors as what nodes of the graph solve with.
#pragma once

#include <complex>

#include <pybind11/pybind11.h>

#include "primitives/factor_solve.h"

namespace sp {

template <class T>
constexpr mx::Dtype dtype_of_blas() {
  if constexpr (std::is_same_v<T, std::complex<float>>) return mx::complex64;
  else if constexpr (std::is_same_v<T, std::complex<double>>) return complex128;
  else return std::is_same_v<T, float> ? mx::float32 : mx::float64;
}

// f(b, x, r) solves A X = B.
template <class T, class F>
class HeldBy : public HeldFactor {
 public:
  HeldBy(int64_t n, F f) : n_(n), f_(std::move(f)) {}
  int64_t n() const override { return n_; }
  mx::Dtype dtype() const override { return dtype_of_blas<T>(); }
  void solve(const void* b, void* x, int64_t r) const override { f_(static_cast<const T*>(b), static_cast<T*>(x), r); }

 private:
  int64_t n_;
  F f_;
};

template <class T, class F>
std::shared_ptr<HeldFactor> held_by(int64_t n, F f) {
  return std::make_shared<HeldBy<T, F>>(n, std::move(f));
}

} // namespace sp
