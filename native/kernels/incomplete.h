// Factorisations that keep the pattern of what they factor. Sorted indices, no duplicates.
#pragma once

#include <limits>
#include <vector>

#include "field.h"
#include "levels.h"

namespace sp {

// Why a factorisation ends at a slice.
enum class PivotFault { none, missing, zero, not_finite, not_positive };
struct Pivot {
  PivotFault fault;
  size_t slice;
};

// A pivot is as good as zero where rounding may have made it of a slice with entries of this size.
template <class T>
inline bool vanishes(T pivot, real_t<T> size) {
  return !(magnitude(pivot) > 8 * std::numeric_limits<real_t<T>>::epsilon() * size);
}

// ILU(0): L U = A wherever A has an entry, L with a unit diagonal. values: A's, replaced by those of L beside the diagonal
// and of U; diagonal: room for n positions. Row by row: O(sum over entries (i, k), k < i, of the entries of row k).
template <class T, class I>
Pivot cs_ilu0(CsPattern<I> a, T* values, I* diagonal) {
  const size_t n = a.n_major;
  std::vector<I> place(n, I{-1}); // of each column in the row at hand
  std::vector<T> inverse(n);
  Watch watch;
  for (size_t i = 0; i < n; ++i) {
    const size_t begin = a.begin(i), end = a.end(i);
    real_t<T> size = 0;
    size_t d = end;
    for (size_t p = begin; p < end; ++p) {
      place[a.indices[p]] = static_cast<I>(p);
      size = std::max(size, magnitude(values[p]));
      if (static_cast<size_t>(a.indices[p]) == i) d = p;
    }
    if (d == end) return {PivotFault::missing, i};
    diagonal[i] = static_cast<I>(d);
    size_t steps = end - begin;
    for (size_t p = begin; p < d; ++p) {
      const auto k = static_cast<size_t>(a.indices[p]);
      const T factor = mul(values[p], inverse[k]);
      values[p] = factor;
      for (size_t q = static_cast<size_t>(diagonal[k]) + 1; q < a.end(k); ++q) {
        const I at = place[a.indices[q]];
        if (at >= 0) values[at] = minus_product(values[at], factor, values[q]);
      }
      steps += a.end(k) - static_cast<size_t>(diagonal[k]);
    }
    for (size_t p = begin; p < end; ++p) place[a.indices[p]] = -1;
    if (!is_finite(values[d])) return {PivotFault::not_finite, i};
    inverse[i] = quotient(T(1), values[d]);
    if (vanishes(values[d], size) || !is_finite(inverse[i])) return {PivotFault::zero, i};
    watch(2 * steps + 8);
  }
  return {PivotFault::none, 0};
}

// IC(0): L L^H = A wherever the lower triangle of A has an entry. a: that triangle; values: its, replaced by L's. The
// diagonal's imaginary parts do not count. Row by row, each entry a product of two rows of L.
template <class T, class I>
Pivot cs_ichol0(CsPattern<I> a, T* values) {
  const size_t n = a.n_major;
  std::vector<T> row(n, T(0)); // of L, the one at hand
  std::vector<real_t<T>> inverse(n);
  Watch watch;
  for (size_t i = 0; i < n; ++i) {
    const size_t begin = a.begin(i), end = a.end(i), d = end - 1;
    if (begin == end || static_cast<size_t>(a.indices[d]) != i) return {PivotFault::missing, i};
    const real_t<T> given = real_part(values[d]);
    real_t<T> pivot = given;
    size_t steps = end - begin;
    for (size_t p = begin; p < d; ++p) {
      const auto k = static_cast<size_t>(a.indices[p]);
      T s = values[p];
      for (size_t q = a.begin(k); q + 1 < a.end(k); ++q) s = minus_product(s, row[a.indices[q]], conj_of(values[q]));
      s = mul(s, T(inverse[k]));
      row[k] = values[p] = s;
      const real_t<T> size = magnitude(s);
      pivot -= size * size;
      steps += a.end(k) - a.begin(k);
    }
    for (size_t p = begin; p < d; ++p) row[a.indices[p]] = T(0);
    if (!std::isfinite(pivot)) return {PivotFault::not_finite, i};
    if (!(given > 0) || pivot <= 0 || vanishes(pivot, given)) return {PivotFault::not_positive, i};
    pivot = std::sqrt(pivot);
    inverse[i] = 1 / pivot;
    if (!std::isfinite(inverse[i])) return {PivotFault::not_positive, i};
    values[d] = T(pivot);
    watch(2 * steps + 8);
  }
  return {PivotFault::none, 0};
}

} // namespace sp
