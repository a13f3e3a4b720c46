// Terms of the Taylor series of exp(A) X.
#pragma once

#include <complex>
#include <memory>
#include <utility>

#include "primitives/structure.h"

namespace sp {

// n x k arrays by rows, of the dtype of A; `total` may be null.
struct TaylorTerm {
  size_t n, k;
  const void* x;
  void* y;
  void* total;
};

// A by rows for a series of products. After some of them with one column it is held by diagonals, where these are few.
class TaylorRows {
 public:
  explicit TaylorRows(const Compressed& a);
  mx::Dtype dtype() const { return a_.data.dtype(); }

  // y = factor (A - shift I) x and total += y, in one pass. With `total`, bounds of the largest row sums of magnitudes: of
  // y from above, and of total from below.
  std::pair<double, double> term(const TaylorTerm& term, std::complex<double> factor, std::complex<double> shift);

 private:
  Compressed a_;
  int uses_ = 0;
  std::shared_ptr<void> diagonals_; // Diagonals<T>
};

} // namespace sp
