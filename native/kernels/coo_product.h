// Products of a sparse array in coordinate form with dense x, k columns, row-major. Entries may come in any order and
// repeat. 16-bit floats sum in float32 and round once.
#pragma once

#include "product.h"

namespace sp {

// y[major[e], :] += data[e] * x[minor[e], :].
// x (n_minor, k), y (n_major, k) must not overlap; y is overwritten. Cost nnz * k + n_major * k; extra memory as
// cs_rmatmul.
template <class T, class I>
void coo_matmul(CooView<T, I> a, const T* x, T* y, size_t k) {
  using A = acc_t<T>;
  if (k == 0 || a.n_major == 0) return;
  const ScatterPlan<I> plan{a.nnz, a.n_major, k, a.major, plan_parts(product_work(a.nnz, a.n_major, k)),
                            a.nnz * (sizeof(T) + 2 * sizeof(I)) + a.n_major * k * sizeof(T)};
  scatter<T>(plan, y, [=](size_t lo, size_t hi, size_t j0, size_t j1, auto sink) {
    for (size_t e = lo; e < hi; ++e) {
      A* out = sink.at(static_cast<size_t>(a.major[e]), k);
      const T* row = x + static_cast<size_t>(a.minor[e]) * k;
      const A value = static_cast<A>(a.data[e]);
      if (sink.partial && !out) continue;
      if (k == 1) *out = add(*out, mul(value, static_cast<A>(*row))); else add_row(value, row, out, j0, j1);
    }
  });
}

// out[e] = sum_b sum_j u[b, major[e], j] * v[b, minor[e], j].
template <class T, class I>
void coo_sddmm(CooPattern<I> a, DensePair<T> d, T* out) {
  parallel_for(a.nnz, plan_parts(product_work(a.nnz, 0, d.k) * d.batch), [=](size_t lo, size_t hi) {
    const I *major = a.major, *minor = a.minor;
    if (d.k == 1 && d.batch == 1) {
      using A = acc_t<T>;
      const T *u = d.u, *v = d.v;
      for (size_t e = lo; e < hi; ++e) {
        out[e] = static_cast<T>(mul(static_cast<A>(u[major[e]]), static_cast<A>(v[minor[e]])));
      }
      return;
    }
    for (size_t e = lo; e < hi; ++e) out[e] = dot_rows(d, static_cast<size_t>(major[e]), static_cast<size_t>(minor[e]));
  });
}

} // namespace sp
