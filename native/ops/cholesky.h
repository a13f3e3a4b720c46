// Cholesky factorisations, for float, double and their complex numbers: what Python is given of kernels/cholesky*.h.
#pragma once

#include <complex>
#include <memory>
#include <vector>

#include "kernels/cholesky.h"
#include "kernels/symmetry.h"

namespace sp {

using SharedPlan = std::shared_ptr<const CholeskyPlan>;
template <class T>
using SharedFactor = std::shared_ptr<const CholeskyFactor<T>>;

enum class Half { both, lower, upper };

SharedPlan plan_cholesky(size_t n, const int64_t* indptr, const int32_t* indices, std::vector<int32_t> order,
                         CholeskyForm form);

template <class T>
SharedFactor<T> factor_cholesky(const SharedPlan& plan, const T* values);

// A X = B, both n x r stored by rows; or, in the order of elimination, with L or L^H alone.
template <class T>
void solve_cholesky(const SharedFactor<T>& factor, const T* b, T* x, int64_t r, Half half);

// L by columns in the order of elimination, without the zeros above the diagonal: indptr has n + 1 elements.
int64_t lower_entries(const SharedPlan& plan);
template <class T>
void lower_triangle(const SharedFactor<T>& factor, T* data, int32_t* indices, int64_t* indptr);

template <class T>
void pivots_of(const SharedFactor<T>& factor, real_t<T>* out); // the diagonal of L, in the order of elimination

// Entries of A^-1: the diagonal, in the order of elimination, and those at the stored places of A whose row is eliminated
// no earlier than their column; others are left alone.
template <class T>
void inverse_entries(const SharedFactor<T>& factor, real_t<T>* diagonal, T* values);

} // namespace sp
