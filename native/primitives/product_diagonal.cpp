// The CPU kernels of products by diagonals, instantiated here only.
#include "product.h"

#include "../kernels/dia_product.h"

namespace sp {

void diagonal_product_host(ProductKind kind, const Pattern& p, mx::Dtype dtype, mx::Dtype index, size_t n_diagonals,
                           const void* data, const void* offsets, const void* x, void* y, size_t k) {
  dispatch_unsigned(dtype, [&](auto t) {
    dispatch_index(index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      dia_matmul<T, I>(kind == ProductKind::rmatmul, p.n_major, p.n_minor, p.c, n_diagonals,
                       static_cast<const I*>(offsets), static_cast<const T*>(data), static_cast<const T*>(x),
                       static_cast<T*>(y), k);
    });
  });
}

void diagonal_sddmm_host(const Pattern& p, mx::Dtype dtype, mx::Dtype index, size_t n_diagonals, const void* offsets,
                         const void* u, const void* v, void* out, size_t k, size_t batch, size_t u_step, size_t v_step) {
  dispatch_unsigned(dtype, [&](auto t) {
    dispatch_index(index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      dia_sddmm<T, I>(p.n_major, p.n_minor, p.c, n_diagonals, static_cast<const I*>(offsets), static_cast<const T*>(u),
                      static_cast<const T*>(v), static_cast<T*>(out), k, batch, u_step, v_step);
    });
  });
}

} // namespace sp
