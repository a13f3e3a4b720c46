// Sums of the stored values along either axis of a compressed structure. Sums are held in wide_t and written once.
#pragma once

#include "partition.h"
#include "scatter.h"

namespace sp {

// out[m] = sum of the values of slice m; out is overwritten. Cost nnz + n_major.
template <class T, class I>
void cs_major_sum(size_t n_major, const I* indptr, const T* data, T* out) {
  if (n_major == 0) return;
  for_slices<wide_t<T>>(
      indptr, n_major, plan_parts(static_cast<size_t>(indptr[n_major]) / 2 + n_major), 1, out,
      [=](size_t first, size_t last) {
        for (size_t m = first; m < last; ++m) {
          out[m] = rounded<T>(value_sum(static_cast<size_t>(indptr[m]), static_cast<size_t>(indptr[m + 1]), data));
        }
      },
      [=](size_t lo, size_t hi, wide_t<T>* sum) { *sum = value_sum(lo, hi, data); });
}

// out[c] = sum of data[p] over the p with indices[p] == c; out is overwritten. Any order of entries.
// Cost nnz + n_minor; extra memory as cs_rmatmul.
template <class T, class I>
void cs_minor_sum(size_t nnz, size_t n_minor, const I* indices, const T* data, T* out) {
  if (n_minor == 0) return;
  const ScatterPlan<I> plan{nnz, n_minor, 1, indices, plan_parts(nnz + n_minor), nnz * (sizeof(T) + sizeof(I))};
  scatter<T, Adding<wide_t<T>>>(plan, out, [=](size_t lo, size_t hi, size_t, size_t, auto sink) {
    for (size_t p = lo; p < hi; ++p) {
      auto* sum = sink.at(static_cast<size_t>(indices[p]), 1);
      *sum = add(*sum, widen(data[p]));
    }
  });
}

} // namespace sp
