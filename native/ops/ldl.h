// L D L^H factorisations, for float, double and their complex numbers: what Python is given of kernels/ldl*.h.
#pragma once

#include <complex>
#include <memory>
#include <vector>

#include "kernels/ldl.h"
#include "ops/cholesky.h"

namespace sp {

template <class T>
using SharedLdl = std::shared_ptr<const LdlFactor<T>>;

template <class T>
SharedLdl<T> factor_ldl(const SharedPlan& plan, const T* values);

// The rows of A in the order of elimination.
template <class T>
std::vector<int32_t> elimination_order(const SharedLdl<T>& factor);

// A X = B, both n x r stored by rows; or, in the order of elimination, with L or L^H alone.
template <class T>
void solve_ldl(const SharedLdl<T>& factor, const T* b, T* x, int64_t r, Half half);

// L by columns in the order of elimination, rows unsorted: indptr has n + 1 elements. D: its diagonal, and its entries
// below that, of n - 1 rows at most.
template <class T>
int64_t lower_entries(const SharedLdl<T>& factor);
template <class T>
void lower_triangle(const SharedLdl<T>& factor, T* data, int32_t* indices, int64_t* indptr);
template <class T>
void pivots_of(const SharedLdl<T>& factor, real_t<T>* diagonal, T* beside);

// Entries of A^-1 at the places of a structure, that of A by columns, which is symmetric.
template <class T>
void inverse_entries(const SharedLdl<T>& factor, const int64_t* indptr, const int32_t* indices, T* values, real_t<T>* diagonal);

} // namespace sp
