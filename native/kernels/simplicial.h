// Sparse Cholesky factorisation column by column, left-looking: T. A. Davis, Direct Methods for Sparse Linear Systems, SIAM
// 2006, chapter 4. No dense blocks and no memory beside the factor: for factors with a few entries a column.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "interrupt.h"
#include "kernels/blas.h"
#include "kernels/supernodes.h"

namespace sp {

// columns: A's entries at the rows that the supernodes, of one column each, have; L's afterwards. Each column takes what the
// columns that have an entry in its row change of it: `oldest` and `other` list them for each row, and `next_row` tells
// where in a column that row stands. Returns the first column whose pivot is not positive, or -1. Flops: those of the factor.
template <class T>
int32_t factor_columns(const Supernodes& nodes, T* columns) {
  const int32_t n = nodes.count();
  const real_t<T> least = 16 * std::numeric_limits<real_t<T>>::epsilon();
  std::vector<int32_t> oldest(n, -1), other(n), place(n);
  std::vector<int64_t> next_row(n);
  const int32_t* rows = nodes.rows.data();
  auto wait_for = [&](int32_t c) { // the row where column c is next looked at
    if (next_row[c] == nodes.row_start[c + 1]) return;
    int32_t& first = oldest[rows[next_row[c]]];
    other[c] = first;
    first = c;
  };
  Watch watch;
  for (int32_t j = 0; j < n; ++j) {
    const int64_t begin = nodes.row_start[j], end = nodes.row_start[j + 1];
    T* column = columns + begin;
    const real_t<T> diagonal = std::real(column[0]);
    for (int64_t e = begin; e < end; ++e) place[rows[e]] = static_cast<int32_t>(e - begin);
    for (int32_t c = oldest[j]; c >= 0;) {
      const int32_t then = other[c];
      const int64_t last = nodes.row_start[c + 1];
      const T by = conj_of(columns[next_row[c]]);
      watch(static_cast<size_t>(last - next_row[c]));
      for (int64_t e = next_row[c]; e < last; ++e) column[place[rows[e]]] -= times(columns[e], by);
      ++next_row[c];
      wait_for(c);
      c = then;
    }
    const real_t<T> pivot = std::real(column[0]);
    if (!(pivot > least * diagonal)) return j;
    const real_t<T> root = std::sqrt(pivot), inverse = 1 / root;
    column[0] = root;
    for (int64_t e = 1; e < end - begin; ++e) column[e] *= inverse;
    next_row[j] = begin + 1;
    wait_for(j);
    watch(static_cast<size_t>(end - begin) + 4);
  }
  return -1;
}

} // namespace sp
