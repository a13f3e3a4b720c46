// Terms of the Taylor series of exp(A) X.
#pragma once

#include <complex>
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

// y = factor (A - shift I) x and total += y, in one pass. With `total`, bounds of the largest row sums of magnitudes: of y
// from above, and of total from below.
std::pair<double, double> taylor_term(const Compressed& a, const TaylorTerm& term, std::complex<double> factor,
                                      std::complex<double> shift);

} // namespace sp
