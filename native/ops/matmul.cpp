#include "ops/matmul.h"

#include "kernels/spgemm.h"
#include "ops/on_device.h"
#include "primitives/sampled_matmul.h"

namespace sp {

namespace {

// What spgemm reads of the parts (values) or the patterns (no values) of two arrays.
template <class T, class I>
SpgemmInput<T, I> input_of(const Arrays& in, size_t n_minor, bool values) {
  if (values) return {view_of<T, I>(in, in[3].size() - 1), view_of<T, I>(in, n_minor, 3)};
  return {{pattern_of<I>(in, in[2].size() - 1), nullptr}, {pattern_of<I>(in, n_minor, 2), nullptr}};
}

// Operands as above -> (indptr, indices) of the product, and its values if there are any.
template <class T, class I>
Arrays product_of(const Arrays& operands, size_t n_minor, bool values) {
  const auto &a = operands[0], &b = operands[values ? 3 : 2];
  const auto index = a.dtype();
  const Output steps{b.shape(), mx::uint8};
  const Pass count{operands, {indptr_for(a.size() - 1, index), steps}, [=](const Arrays& in, Arrays& out) {
                     const auto a = pattern_of<I>(in), b = pattern_of<I>(in, n_minor, values ? 3 : 2);
                     slice_steps(b, out_ptr<uint8_t>(out[1]));
                     const SpgemmInput<uint8_t, I> input{{a, nullptr}, {b, nullptr}, ptr<uint8_t>(out[1])};
                     spgemm_symbolic(input, out_ptr<I>(out[0]) + 1);
                   }};
  Pass fill{operands, {{{kEntries}, index}}, [=](const Arrays& in, Arrays& out) {
              auto input = input_of<T, I>(in, n_minor, values);
              input.b_steps = ptr<uint8_t>(in.back());
              spgemm_numeric<T, I>(input, {out_ptr<I>(out[0]), out_ptr<I>(out[1]), values ? out_ptr<T>(out[2]) : nullptr});
            }};
  if (values) fill.results.push_back({{kEntries}, operands[2].dtype()});
  return sized(count, fill);
}

} // namespace

std::atomic<int>& spgemm_threads() {
  static std::atomic<int> limit = 0;
  return limit;
}

Compressed matmul_sparse(const Compressed& a, const Compressed& b, int64_t n_minor) {
  const ThreadLimit limit(spgemm_threads());
  if (a.data.is_tracer() || b.data.is_tracer()) {
    return with_index(a.indices, [&](auto i) {
      using I = typename decltype(i)::type;
      const auto found = product_of<uint8_t, I>(joined(pattern(a), pattern(b)), n_minor, false);
      const auto values = sampled_matmul(a, b, found[1], found[0], n_minor, mx::default_stream(mx::default_device()));
      return Compressed{values, found[1], found[0]};
    });
  }
  if (const auto s = shader_stream(a.data.dtype())) {
    if (auto found = matmul_on_device(a, b, *s)) return *found;
  }
  return with_unsigned(a, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    return compressed(product_of<T, I>(joined(parts(a), parts(b)), n_minor, true));
  });
}

} // namespace sp
