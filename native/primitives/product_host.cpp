// The CPU kernels of the product family, instantiated here only.
#include "product.h"

#include "../kernels/coo_product.h"
#include "../kernels/product.h"

namespace sp {

void product_host(ProductKind kind, const Pattern& p, mx::Dtype dtype, mx::Dtype index, size_t nnz, const void* data,
                  const void* s0, const void* s1, const void* x, void* y, size_t k) {
  if (p.layout == Layout::block) return block_product_host(kind, p, dtype, index, data, s0, s1, x, y, k);
  if (p.layout == Layout::diagonal) return diagonal_product_host(kind, p, dtype, index, nnz / std::max<int64_t>(p.c, 1), data, s0, x, y, k);
  dispatch_value(dtype, [&](auto t) {
    dispatch_index(index, [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      auto *d = static_cast<const T*>(data), *dx = static_cast<const T*>(x);
      auto *a = static_cast<const I*>(s0), *b = static_cast<const I*>(s1);
      auto* dy = static_cast<T*>(y);
      if (p.layout == Layout::coordinate) coo_matmul<T, I>(nnz, p.n_major, a, b, d, dx, dy, k);
      else if (kind == ProductKind::matmul) cs_matmul<T, I>(p.n_major, p.n_minor, b, a, d, dx, dy, k);
      else cs_rmatmul<T, I>(p.n_major, p.n_minor, b, a, d, dx, dy, k);
    });
  });
}

void product_task(ProductKind kind, const Pattern& p, const std::vector<mx::array>& in, mx::array& out) {
  const auto &data = in[0], &x = in[3];
  const Dense e = dense_extents(x);
  const int64_t batch = out.ndim() == 3 ? out.shape(0) : 1;
  const size_t nnz = static_cast<size_t>(entry_count(p, data) * p.width());
  const size_t out_step = out.size() / std::max<int64_t>(batch, 1) * out.itemsize();
  const size_t x_step = e.batch ? static_cast<size_t>(e.n * e.k) * x.itemsize() : 0;
  const size_t data_step = static_cast<int>(data.ndim()) > p.rank() ? nnz * data.itemsize() : 0;
  for (int64_t b = 0; b < batch; ++b) {
    product_host(kind, p, data.dtype(), in[1].dtype(), nnz, data.data<char>() + b * data_step, in[1].data<char>(),
                 in[2].data<char>(), x.data<char>() + b * x_step, out.data<char>() + b * out_step,
                 static_cast<size_t>(e.k));
  }
}

namespace {

template <class T, class I>
void sddmm_call(const Pattern& p, const std::vector<mx::array>& in, T* out, const T* u, const T* v, size_t k,
                size_t batch, size_t u_step, size_t v_step) {
  if (p.layout == Layout::coordinate) {
    coo_sddmm<T, I>(in[0].size(), in[0].data<I>(), in[1].data<I>(), u, v, out, k, batch, u_step, v_step);
  } else {
    cs_sddmm<T, I>(p.n_major, in[1].data<I>(), in[0].data<I>(), u, v, out, k, batch, u_step, v_step);
  }
}

// sddmm of blocks or diagonals: one call for the sum over the batch, or one per batch.
void wide_sddmm_task(const Pattern& p, bool per_batch, const std::vector<mx::array>& in, mx::array& out, size_t k,
                     size_t batch, size_t u_step, size_t v_step) {
  const size_t item = out.itemsize(), entries = in[0].size(), step = entries * p.width() * item;
  for (size_t b = 0; b < (per_batch ? batch : 1); ++b) {
    const char *u = in[2].data<char>() + b * u_step * item, *v = in[3].data<char>() + b * v_step * item;
    char* values = out.data<char>() + b * step;
    const size_t summed = per_batch ? 1 : batch;
    if (p.layout == Layout::block) {
      block_sddmm_host(p, out.dtype(), in[0].dtype(), in[0].data<char>(), in[1].data<char>(), u, v, values, k, summed,
                       u_step, v_step);
    } else {
      diagonal_sddmm_host(p, out.dtype(), in[0].dtype(), entries, in[0].data<char>(), u, v, values, k, summed, u_step,
                          v_step);
    }
  }
}

} // namespace

void sddmm_task(const Pattern& p, bool per_batch, const std::vector<mx::array>& in, mx::array& out) {
  const Dense eu = dense_extents(in[2]), ev = dense_extents(in[3]);
  const size_t batch = std::max<int64_t>({eu.batch, ev.batch, 1}), nnz = in[0].size(), k = eu.k;
  const size_t u_step = eu.batch ? eu.n * k : 0, v_step = ev.batch ? ev.n * k : 0;
  if (p.rank() > 1) return wide_sddmm_task(p, per_batch, in, out, k, batch, u_step, v_step);
  dispatch_value(out.dtype(), [&](auto t) {
    dispatch_index(in[0].dtype(), [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      const T *u = in[2].data<T>(), *v = in[3].data<T>();
      if (!per_batch) return sddmm_call<T, I>(p, in, out.data<T>(), u, v, k, batch, u_step, v_step);
      for (size_t b = 0; b < batch; ++b) {
        sddmm_call<T, I>(p, in, out.data<T>() + b * nnz, u + b * u_step, v + b * v_step, k, 1, 0, 0);
      }
    });
  });
}

} // namespace sp
