// Bases of Krylov spaces: vectors of n elements, rows of one matrix.
#pragma once

#include "../kernels/basis.h"
#include "evaluate.h"

namespace sp {

// Coefficients of w in the basis that it extends, of double precision; the last is the norm of what the others leave.
template <class T>
using Coefficients = std::vector<scalar_t<T>>;

// fresh <- w, made orthogonal to the rows by classical Gram-Schmidt and of norm 1 or 0. A second pass follows unless the
// first leaves less than `slack` along the rows. Cost of a pass: two readings of the basis, the second of them from cache.
template <class T>
Coefficients<T> extend_basis(BasisView<T> basis, const T* w, T* fresh, double slack);

// v <- sum_k y[k] row k.
template <class T>
void combine_basis(BasisView<T> basis, const T* y, T* v);

// As a node, with a second pass where the first leaves more than rounding along the rows, or `always`: [v, h], h the coefficients along the first `count` rows and along v. rows (m, n),
// w (n,) of float32, float64 or complex64. `keep` writes v into the row after them: whoever holds `rows` sees it once v is
// computed. No derivative. Cost: the rows twice, and in a second pass once more.
std::pair<mx::array, mx::array> extend_rows(const mx::array& rows, int count, const mx::array& w, bool keep, bool always,
                                            mx::Stream s);

// The sum of y[k] times the row first + k. No derivative. Cost: these rows, once.
mx::array combine_rows(const mx::array& rows, int first, const mx::array& y, mx::Stream s);

} // namespace sp
