// Sums of the stored values along either axis of a compressed structure. Sums are taken in acc_t and written once.
#pragma once

#include "partition.h"
#include "scatter.h"

namespace sp {

// sum of data[lo .. hi).
template <class T>
inline acc_t<T> value_sum(size_t lo, size_t hi, const T* data) {
  using A = acc_t<T>;
  A sum[8] = {};
  size_t p = lo;
  for (; p + 8 <= hi; p += 8) {
    for (int j = 0; j < 8; ++j) sum[j] = add(sum[j], static_cast<A>(data[p + j]));
  }
  for (int j = 0; p < hi; ++p, ++j) sum[j] = add(sum[j], static_cast<A>(data[p]));
  for (int width = 4; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) sum[j] = add(sum[j], sum[j + width]);
  }
  return sum[0];
}

// out[m] = sum of the values of slice m; out is overwritten. Cost nnz + n_major.
template <class T, class I>
void cs_major_sum(size_t n_major, const I* indptr, const T* data, T* out) {
  if (n_major == 0) return;
  for_slices<T>(
      indptr, n_major, plan_parts(static_cast<size_t>(indptr[n_major]) / 2 + n_major), 1, out,
      [=](size_t first, size_t last) {
        for (size_t m = first; m < last; ++m) {
          out[m] = static_cast<T>(value_sum(static_cast<size_t>(indptr[m]), static_cast<size_t>(indptr[m + 1]), data));
        }
      },
      [=](size_t lo, size_t hi, acc_t<T>* sum) { *sum = value_sum(lo, hi, data); });
}

// out[c] = sum of data[p] over the p with indices[p] == c; out is overwritten. Any order of entries.
// Cost nnz + n_minor; extra memory as cs_rmatmul.
template <class T, class I>
void cs_minor_sum(size_t nnz, size_t n_minor, const I* indices, const T* data, T* out) {
  using A = acc_t<T>;
  if (n_minor == 0) return;
  const ScatterPlan<I> plan{nnz, n_minor, 1, indices, plan_parts(nnz + n_minor), nnz * (sizeof(T) + sizeof(I))};
  scatter<T>(plan, out, [=](size_t lo, size_t hi, size_t, size_t, auto sink) {
    for (size_t p = lo; p < hi; ++p) {
      A* sum = sink.at(static_cast<size_t>(indices[p]), 1);
      *sum = add(*sum, static_cast<A>(data[p]));
    }
  });
}

} // namespace sp
