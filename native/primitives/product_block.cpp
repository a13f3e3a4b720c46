// The CPU kernels of block products, instantiated here only.
#include "product.h"

#include "../kernels/bsr_product.h"

namespace sp {

void block_product_host(ProductKind kind, const Pattern& p, mx::Dtype dtype, mx::Dtype index, const void* data,
                        const void* indices, const void* indptr, const void* x, void* y, size_t k) {
  const size_t R = p.r, C = p.c, rows = R ? p.n_major / R : 0, columns = C ? p.n_minor / C : 0;
  dispatch_unsigned(dtype, [&](auto t) {
    dispatch_index(index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      auto *d = static_cast<const T*>(data), *dx = static_cast<const T*>(x);
      auto *at = static_cast<const I*>(indices), *ptr = static_cast<const I*>(indptr);
      auto* dy = static_cast<T*>(y);
      if (kind == ProductKind::matmul) bsr_matmul<T, I>(rows, R, C, ptr, at, d, dx, dy, k);
      else bsr_rmatmul<T, I>(rows, columns, R, C, ptr, at, d, dx, dy, k);
    });
  });
}

void block_sddmm_host(const Pattern& p, mx::Dtype dtype, mx::Dtype index, const void* indices, const void* indptr,
                      const void* u, const void* v, void* out, size_t k, size_t batch, size_t u_step, size_t v_step) {
  dispatch_unsigned(dtype, [&](auto t) {
    dispatch_index(index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      bsr_sddmm<T, I>(p.r ? p.n_major / p.r : 0, p.r, p.c, static_cast<const I*>(indptr), static_cast<const I*>(indices),
                      static_cast<const T*>(u), static_cast<const T*>(v), static_cast<T*>(out), k, batch, u_step, v_step);
    });
  });
}

} // namespace sp
