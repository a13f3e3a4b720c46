// What an approximate solution leaves of a right-hand side, computed with more digits than both have.
#pragma once

#include "../parallel.h"
#include "view.h"

namespace sp {

// r[k, m] = b[k, m] - sum of data[e] * x[k, indices[e]] over the entries e of slice m, where x = x_hi + x_lo and
// b = b_hi + b_lo: in double precision, rounded once. Any order, duplicates allowed. Cost: one pass over A for each k.
template <class I>
void cs_residual(CsView<float, I> a, size_t columns, const float* x_hi, const float* x_lo, const float* b_hi,
                 const float* b_lo, float* r) {
  const int parts = plan_parts(a.nnz() + a.n_major);
  const auto bounds = balance(a.indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t k = 0; k < columns; ++k) {
      const float *hi = x_hi + k * a.n_minor, *lo = x_lo + k * a.n_minor;
      for (size_t m = bounds[p], at = k * a.n_major + m; m < bounds[p + 1]; ++m, ++at) {
        double sum = 0;
        for (size_t e = a.begin(m); e < a.end(m); ++e) {
          const auto j = static_cast<size_t>(a.indices[e]);
          sum += static_cast<double>(a.data[e]) * (static_cast<double>(hi[j]) + static_cast<double>(lo[j]));
        }
        r[at] = static_cast<float>(static_cast<double>(b_hi[at]) + static_cast<double>(b_lo[at]) - sum);
      }
    }
  });
}

} // namespace sp
