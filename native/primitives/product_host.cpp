// The CPU kernels of the product family, instantiated here only.
#include "../kernels/coo_product.h"
#include "../kernels/gram.h"
#include "../kernels/product.h"
#include "product.h"

namespace sp {

void product_host(ProductKind kind, const HostProduct& p) {
  if (p.a.pattern.layout == Layout::block) return block_product_host(kind, p);
  if (p.a.pattern.layout == Layout::diagonal) return diagonal_product_host(kind, p);
  dispatch_unsigned(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      auto *data = static_cast<const T*>(p.data), *x = static_cast<const T*>(p.x);
      auto* y = static_cast<T*>(p.y);
      if (p.a.pattern.layout == Layout::coordinate) coo_matmul(CooView<T, I>{coo_pattern<I>(p.a), data}, x, y, p.k);
      else if (kind == ProductKind::matmul) cs_matmul(CsView<T, I>{cs_pattern<I>(p.a), data}, x, y, p.k);
      else cs_rmatmul(CsView<T, I>{cs_pattern<I>(p.a), data}, x, y, p.k);
    });
  });
}

void gram_host(const HostProduct& p) {
  dispatch_field(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      cs_gram(CsView<T, I>{cs_pattern<I>(p.a), static_cast<const T*>(p.data)}, static_cast<const T*>(p.x), static_cast<T*>(p.y));
    });
  });
}

void sddmm_host(const HostSddmm& p) {
  if (p.a.pattern.layout == Layout::block) return block_sddmm_host(p);
  if (p.a.pattern.layout == Layout::diagonal) return diagonal_sddmm_host(p);
  dispatch_unsigned(p.dtype, [&](auto t) {
    dispatch_index(p.a.index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      if (p.a.pattern.layout == Layout::coordinate) coo_sddmm(coo_pattern<I>(p.a), p.pair<T>(), static_cast<T*>(p.out));
      else cs_sddmm(cs_pattern<I>(p.a), p.pair<T>(), static_cast<T*>(p.out));
    });
  });
}

void Product::kernel(const Arrays& in, Arrays& outputs) const {
  auto& out = outputs[0];
  if (sampled()) return sampled_kernel(in, out);
  const auto &data = in[0], &x = in[3];
  const Extents e = dense_extents(x);
  const int64_t batch = out.ndim() == 3 ? out.shape(0) : 1;
  const size_t out_step = out.nbytes() / std::max<int64_t>(batch, 1), x_step = e.batch ? x.nbytes() / x.shape(0) : 0;
  const size_t data_step = batched_values(pattern_, data) ? data.nbytes() / data.shape(0) : 0;
  const auto a = on_host(pattern_, in[1], in[2]);
  for (int64_t b = 0; b < batch; ++b) {
    product_host(kind_, {a, data.dtype(), data.data<char>() + b * data_step, x.data<char>() + b * x_step,
                         out.data<char>() + b * out_step, static_cast<size_t>(e.k)});
  }
}

// One call for the sum over the batch, or one per batch.
void Product::sampled_kernel(const Arrays& in, mx::array& out) const {
  const Extents eu = dense_extents(in[2]), ev = dense_extents(in[3]);
  const size_t batch = std::max<int64_t>({eu.batch, ev.batch, 1}), k = eu.k, item = out.itemsize();
  const size_t u_step = eu.batch ? eu.n * k : 0, v_step = ev.batch ? ev.n * k : 0;
  const size_t out_step = in[1].size() * pattern_.width() * item;
  HostSddmm p{on_host(pattern_, in[0], in[1]), out.dtype(), in[2].data<char>(), in[3].data<char>(), out.data<char>(),
              k, batch, u_step, v_step};
  if (!per_batch_) return sddmm_host(p);
  p.batch = 1;
  for (size_t b = 0; b < batch; ++b) {
    p.u = in[2].data<char>() + b * u_step * item;
    p.v = in[3].data<char>() + b * v_step * item;
    p.out = out.data<char>() + b * out_step;
    sddmm_host(p);
  }
}

} // namespace sp
