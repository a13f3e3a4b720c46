// Factors as what nodes of the graph solve with.
#pragma once

#include <complex>

#include <pybind11/pybind11.h>

#include "kernels/field.h"
#include "primitives/factor_solve.h"

namespace sp {

template <class T>
mx::Dtype dtype_of_blas() {
  if constexpr (is_real_v<T>) return dtype_of<T>();
  else return dtype_of<std::conditional_t<std::is_same_v<real_t<T>, float>, complex64_t, WideComplex>>();
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
