#include "ops/lu_inverse.h"

#include <complex>

namespace sp {

template <class T>
void inverse_by_lu(int32_t n, const Slices<T>& B, const Slices<T>& L, const Slices<T>& U, T* out) {
  lu_inverse_entries(n, B, L, U, out);
}

#define SP_INSTANTIATE(T) template void inverse_by_lu(int32_t, const Slices<T>&, const Slices<T>&, const Slices<T>&, T*);
SP_FOR_BLAS_TYPES(SP_INSTANTIATE)
#undef SP_INSTANTIATE

} // namespace sp
