#include "ops/evaluated.h"
#include "kernels/canonical.h"
#include "kernels/spgemm.h"

namespace sp {

int& spgemm_threads() {
  static int limit = 0;
  return limit;
}

Compressed matmul_sparse_host(const Compressed& a_lazy, const Compressed& b_lazy, int64_t n_minor) {
  auto a = ready(a_lazy), b = ready(b_lazy);
  const ThreadLimit limit(spgemm_threads());
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    return dispatch_value(a.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      const auto steps = slice_steps<I>(b.indptr.size() - 1, ptr<I>(b.indptr), ptr<I>(b.indices));
      const SpgemmInput<T, I> in{a.indptr.size() - 1, static_cast<size_t>(n_minor), ptr<I>(a.indptr), ptr<I>(a.indices),
                                 ptr<T>(a.data), ptr<I>(b.indptr), ptr<I>(b.indices), ptr<T>(b.data), steps.get()};
      auto indptr = fresh(a.indptr.shape(), a.indptr.dtype());
      const size_t room = spgemm_symbolic<T, I>(in, out_ptr<I>(indptr) + 1);
      lengths_to_indptr<I>(in.n_major, out_ptr<I>(indptr));
      auto indices = entries(room, a.indices.dtype()), data = entries(room, a.data.dtype());
      const size_t n = spgemm_numeric<T, I>(in, out_ptr<I>(indptr), out_ptr<I>(indices), out_ptr<T>(data));
      if (n < room) {
        indices = first_entries(indices, n);
        data = first_entries(data, n);
      }
      return Compressed{data, indices, indptr};
    });
  });
}

} // namespace sp
