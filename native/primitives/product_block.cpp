// The CPU kernels of block products, instantiated here only.
#include "../kernels/bsr_product.h"
#include "product.h"

namespace sp {

void block_product_host(ProductKind kind, const HostProduct& p) {
  dispatch_unsigned(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      const BsrView<T, I> a{bsr_pattern<I>(p.a), static_cast<const T*>(p.data)};
      if (kind == ProductKind::matmul) bsr_matmul(a, static_cast<const T*>(p.x), static_cast<T*>(p.y), p.k);
      else bsr_rmatmul(a, static_cast<const T*>(p.x), static_cast<T*>(p.y), p.k);
    });
  });
}

void block_sddmm_host(const HostSddmm& p) {
  dispatch_unsigned(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      bsr_sddmm(bsr_pattern<I>(p.a), p.pair<T>(), static_cast<T*>(p.out));
    });
  });
}

} // namespace sp
