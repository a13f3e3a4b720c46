// Vectors of a basis, rows of a matrix, and what Gram-Schmidt does with a block of their elements.
#pragma once

#include "krylov.h"

namespace sp {

template <class T>
struct BasisView {
  const T* rows; // count of them, n elements each
  size_t count, n;

  const T* row(size_t k) const { return rows + k * n; }
};

// v <- v + sum_k h[k] row k, of the elements lo .. hi; v is their first.
template <class T>
SP_INLINE void add_rows(BasisView<T> basis, size_t lo, size_t hi, const T* h, T* v) {
  const size_t n = hi - lo;
  size_t k = 0;
  for (; k + 4 <= basis.count; k += 4) {
    const T *a = basis.row(k) + lo, *b = basis.row(k + 1) + lo, *c = basis.row(k + 2) + lo, *d = basis.row(k + 3) + lo;
    const T p = h[k], q = h[k + 1], r = h[k + 2], s = h[k + 3];
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) v[i] = add(v[i], add(add(mul(p, a[i]), mul(q, b[i])), add(mul(r, c[i]), mul(s, d[i]))));
  }
  for (; k < basis.count; ++k) {
    const T* a = basis.row(k) + lo;
    const T p = h[k];
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) v[i] = add(v[i], mul(p, a[i]));
  }
}

// out[k] = row k^H v, of the elements lo .. hi.
template <class T>
SP_INLINE void rows_dot(BasisView<T> basis, size_t lo, size_t hi, const T* v, wide_t<T>* out) {
  for (size_t k = 0; k < basis.count; ++k) dot_block(basis.row(k) + lo, v, hi - lo, 1, 0, static_cast<wide_t<T>*>(nullptr), out + k);
}

// v <- w + sum_k h[k] row k; out: its dot products with the rows, and with itself.
template <class T>
SP_INLINE void remove_rows(BasisView<T> basis, size_t lo, size_t hi, const T* h, const T* w, T* v, wide_t<T>* out) {
  if (v != w) std::copy_n(w, hi - lo, v);
  add_rows(basis, lo, hi, h, v);
  rows_dot(basis, lo, hi, static_cast<const T*>(v), out);
  dot_block(static_cast<const T*>(v), static_cast<const T*>(v), hi - lo, 1, 0, static_cast<wide_t<T>*>(nullptr), out + basis.count);
}

#ifdef SP_AVX2
template <class T>
SP_WIDE void add_rows_avx2(BasisView<T> basis, size_t lo, size_t hi, const T* h, T* v) {
  add_rows(basis, lo, hi, h, v);
}
template <class T>
SP_WIDE void rows_dot_avx2(BasisView<T> basis, size_t lo, size_t hi, const T* v, wide_t<T>* out) {
  rows_dot(basis, lo, hi, v, out);
}
template <class T>
SP_WIDE void remove_rows_avx2(BasisView<T> basis, size_t lo, size_t hi, const T* h, const T* w, T* v, wide_t<T>* out) {
  remove_rows(basis, lo, hi, h, w, v, out);
}
#endif

} // namespace sp
