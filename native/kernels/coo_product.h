// Products of a sparse array in coordinate form with dense x, k columns, row-major. Entries may come in any order and
// repeat. 16-bit floats sum in float32 and round once.
#pragma once

#include "product.h"

namespace sp {

// y[out_index[e], :] += data[e] * x[in_index[e], :].
// x (n_in, k), y (n_out, k) must not overlap; y is overwritten. Cost nnz * k + n_out * k; extra memory as cs_rmatmul.
template <class T, class I>
void coo_matmul(size_t nnz, size_t n_out, const I* out_index, const I* in_index, const T* data, const T* x, T* y,
                size_t k) {
  using A = acc_t<T>;
  if (k == 0 || n_out == 0) return;
  scatter<T>(nnz, n_out, k, out_index, plan_parts(product_work(nnz, n_out, k)),
             nnz * (sizeof(T) + 2 * sizeof(I)) + n_out * k * sizeof(T), y,
             [=](size_t lo, size_t hi, size_t j0, size_t j1, auto sink) {
               for (size_t e = lo; e < hi; ++e) {
                 A* out = sink.at(static_cast<size_t>(out_index[e]), k);
                 const T* row = x + static_cast<size_t>(in_index[e]) * k;
                 const A a = static_cast<A>(data[e]);
                 if (k == 1) *out = add(*out, mul(a, static_cast<A>(*row))); else add_row(a, row, out, j0, j1);
               }
             });
}

// out[e] = sum_b sum_j u[b, iu[e], j] * v[b, iv[e], j]; strides in elements between batches, 0 where shared.
template <class T, class I>
void coo_sddmm(size_t nnz, const I* iu, const I* iv, const T* u, const T* v, T* out, size_t k, size_t batch,
               size_t u_stride, size_t v_stride) {
  parallel_for(nnz, plan_parts(product_work(nnz, 0, k) * batch), [=](size_t lo, size_t hi) {
    if (k == 1 && batch == 1) {
      using A = acc_t<T>;
      for (size_t e = lo; e < hi; ++e) out[e] = static_cast<T>(mul(static_cast<A>(u[iu[e]]), static_cast<A>(v[iv[e]])));
      return;
    }
    for (size_t e = lo; e < hi; ++e) {
      out[e] = dot_rows(u + static_cast<size_t>(iu[e]) * k, v + static_cast<size_t>(iv[e]) * k, k, batch, u_stride,
                        v_stride);
    }
  });
}

template <SignedInt T, class I>
void coo_matmul(size_t nnz, size_t n_out, const I* out_index, const I* in_index, const T* data, const T* x, T* y,
                size_t k) {
  coo_matmul<std::make_unsigned_t<T>, I>(nnz, n_out, out_index, in_index, as_unsigned(data), as_unsigned(x),
                                         as_unsigned(y), k);
}
template <SignedInt T, class I>
void coo_sddmm(size_t nnz, const I* iu, const I* iv, const T* u, const T* v, T* out, size_t k, size_t batch,
               size_t u_stride, size_t v_stride) {
  coo_sddmm<std::make_unsigned_t<T>, I>(nnz, iu, iv, as_unsigned(u), as_unsigned(v), as_unsigned(out), k, batch,
                                        u_stride, v_stride);
}

} // namespace sp
