#include "host_common.h"
#include "kernels/merge.h"

namespace sp {

namespace {

MergeOp merge_op(const std::string& name) {
  constexpr const char* names[] = {"plus", "minus", "multiply", "divide", "maximum", "minimum", "ne", "lt", "gt", "le", "ge"};
  for (int i = 0; i < 11; ++i) if (name == names[i]) return static_cast<MergeOp>(i);
  throw std::invalid_argument("unknown element-wise operation " + name);
}

} // namespace

Compressed merge_host(const std::string& name, const Compressed& a_lazy, const Compressed& b_lazy) {
  const auto op = merge_op(name);
  auto a = ready(a_lazy), b = ready(b_lazy);
  const size_t n_major = a.indptr.size() - 1, nnz_a = a.indices.size(), nnz_b = b.indices.size();
  const auto dtype = is_comparison(op) ? mx::bool_ : a.data.dtype();
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    std::unique_ptr<uint8_t[]> tags(new uint8_t[nnz_a + nnz_b + 1]);
    auto indptr = fresh(a.indptr.shape(), a.indptr.dtype()), indices = entries(nnz_a + nnz_b, a.indices.dtype());
    const size_t n = cs_union<I>(n_major, ptr<I>(a.indptr), ptr<I>(a.indices), ptr<I>(b.indptr), ptr<I>(b.indices),
                                 out_ptr<I>(indptr), out_ptr<I>(indices), tags.get());
    auto values = entries(n, dtype);
    const size_t zeros = dispatch_value(a.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      return merge_values<T>(op, n, nnz_a, nnz_b, tags.get(), ptr<T>(a.data), ptr<T>(b.data), values.data<char>());
    });
    if (zeros == 0) return Compressed{values, first_entries(indices, n), indptr};
    auto kept_indices = entries(n - zeros, a.indices.dtype()), kept = entries(n - zeros, dtype);
    cs_union_drop<I>(n_major, tags.get(), ptr<I>(indptr), out_ptr<I>(indptr));
    merge_drop<I>(n, tags.get(), ptr<I>(indices), out_ptr<I>(kept_indices));
    dispatch_width(dtype, [&](auto w) {
      using W = typename decltype(w)::type;
      merge_drop<W>(n, tags.get(), reinterpret_cast<const W*>(values.data<char>()),
                    reinterpret_cast<W*>(kept.data<char>()));
    });
    return Compressed{kept, kept_indices, indptr};
  });
}

} // namespace sp
