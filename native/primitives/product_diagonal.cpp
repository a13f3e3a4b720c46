// The CPU kernels of products by diagonals, instantiated here only.
#include "../kernels/dia_product.h"
#include "product.h"

namespace sp {

void diagonal_product_host(ProductKind kind, const HostProduct& p) {
  dispatch_unsigned(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      const DiaView<T, I> a{dia_pattern<I>(p.a), static_cast<const T*>(p.data)};
      dia_matmul(kind == ProductKind::rmatmul, a, static_cast<const T*>(p.x), static_cast<T*>(p.y), p.k);
    });
  });
}

void diagonal_sddmm_host(const HostSddmm& p) {
  dispatch_unsigned(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      dia_sddmm(dia_pattern<I>(p.a), p.pair<T>(), static_cast<T*>(p.out));
    });
  });
}

} // namespace sp
