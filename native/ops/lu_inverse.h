// Entries of an inverse by the factors of an LU factorisation, for float, double and their complex numbers.
#pragma once

#include "kernels/lu_inverse.h"

namespace sp {

// As kernels/lu_inverse.h has it.
template <class T>
void inverse_by_lu(int32_t n, const Slices<T>& B, const Slices<T>& L, const Slices<T>& U, T* out);

} // namespace sp
