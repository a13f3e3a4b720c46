#include "ops/evaluated.h"
#include "kernels/convert.h"
#include "kernels/merge.h"

namespace sp {

namespace {

MergeOp merge_op(const std::string& name) {
  constexpr const char* names[] = {"plus", "minus", "multiply", "divide", "maximum", "minimum", "ne", "lt", "gt", "le", "ge"};
  for (int i = 0; i < 11; ++i) if (name == names[i]) return static_cast<MergeOp>(i);
  throw std::invalid_argument("unknown element-wise operation " + name);
}

template <class I>
mx::array copy_of(const mx::array& a) {
  auto out = fresh(a.shape(), a.dtype());
  copy_values<I>(a.size(), ptr<I>(a), out_ptr<I>(out));
  return out;
}

// Sums and differences of the usual value types in one pass.
template <MergeOp op, class T, class I>
Compressed merge_at_once(const Compressed& a, const Compressed& b) {
  const size_t n_major = a.indptr.size() - 1, nnz_a = a.indices.size(), nnz_b = b.indices.size();
  const auto dtype = a.data.dtype();
  if (cs_same_structure<I>(n_major, ptr<I>(a.indptr), ptr<I>(a.indices), ptr<I>(b.indptr), ptr<I>(b.indices))) {
    const size_t n = static_cast<size_t>(ptr<I>(a.indptr)[n_major]);
    auto values = entries(n, dtype);
    if (merge_same<op, T>(n, ptr<T>(a.data), ptr<T>(b.data), out_ptr<T>(values)) == 0) {
      return {values, first_entries(copy_of<I>(a.indices), n), copy_of<I>(a.indptr)};
    }
  }
  auto indptr = fresh(a.indptr.shape(), a.indptr.dtype());
  auto indices = entries(nnz_a + nnz_b, a.indices.dtype()), values = entries(nnz_a + nnz_b, dtype);
  const size_t n = cs_merge<op, T, I>(n_major, ptr<I>(a.indptr), ptr<I>(a.indices), ptr<T>(a.data), ptr<I>(b.indptr),
                                      ptr<I>(b.indices), ptr<T>(b.data), out_ptr<I>(indptr), out_ptr<I>(indices),
                                      out_ptr<T>(values));
  return {first_entries(values, n), first_entries(indices, n), indptr};
}

template <class T, class I>
Compressed merge_at_once(MergeOp op, const Compressed& a, const Compressed& b) {
  return op == MergeOp::plus ? merge_at_once<MergeOp::plus, T, I>(a, b) : merge_at_once<MergeOp::minus, T, I>(a, b);
}

} // namespace

Compressed merge_host(const std::string& name, const Compressed& a_lazy, const Compressed& b_lazy) {
  const auto op = merge_op(name);
  auto a = ready(a_lazy), b = ready(b_lazy);
  const size_t n_major = a.indptr.size() - 1, nnz_a = a.indices.size(), nnz_b = b.indices.size();
  const auto dtype = is_comparison(op) ? mx::bool_ : a.data.dtype();
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    if (op == MergeOp::plus || op == MergeOp::minus) {
      if (dtype == mx::float32) return merge_at_once<float, I>(op, a, b);
      if (dtype == mx::float64) return merge_at_once<double, I>(op, a, b);
      if (dtype == mx::complex64) return merge_at_once<complex64_t, I>(op, a, b);
    }
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
