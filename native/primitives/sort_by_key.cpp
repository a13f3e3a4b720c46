#include "sort_by_key.h"

#include "../kernels/sort.h"
#include "../launch.h"
#include "convert.h"

namespace sp {

namespace {

mx::Shape offsets_shape(int64_t n) {
  if (n >= std::numeric_limits<int>::max()) throw std::overflow_error("there are more than 2**31 - 2 groups");
  return {static_cast<int>(n + 1)};
}

} // namespace

mx::array offsets_of_sorted(const mx::array& sorted_index, int64_t n, mx::Stream s) {
  return mx::array(offsets_shape(n), sorted_index.dtype(), std::make_shared<SortByKey>(s, true, n), {sorted_index});
}

Groups group(const mx::array& index, int64_t n, mx::Stream s) {
  if (uses_shaders(s)) { // MLX's argsort is stable on every back end
    auto order = stable_argsort(index, s);
    return {order, offsets_of_sorted(mx::take(index, order, 0, s), n, s)};
  }
  auto out = mx::array::make_arrays({index.shape(), offsets_shape(n)}, {index.dtype(), index.dtype()},
                                    std::make_shared<SortByKey>(s, false, n), {index});
  return {out[0], out[1]};
}

void SortByKey::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (shaders_on_host() && sorted_) return eval_gpu(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [sorted = sorted_, n = n_](auto& in, auto& out) {
    dispatch_index(in[0].dtype(), [&](auto i) {
      using I = typename decltype(i)::type;
      const I* index = in[0].template data<I>();
      I* first = out[0].template data<I>();
      if (sorted) offsets_of_sorted<I>(in[0].size(), n, index, first);
      else order_by_key<I>(in[0].size(), n, index, first, out[1].template data<I>());
    });
  });
}

void SortByKey::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (!sorted_) throw std::logic_error("groups of an unsorted index have no shader: they are sorted through MLX");
  const Shader& sh = shader("cs_compress");
  launch(sh, inputs, outputs, {}, {static_cast<int>(outputs[0].size()), 1, 1}, {sh.group, 1, 1}, stream());
}

std::pair<std::vector<mx::array>, std::vector<int>> SortByKey::vmap(const std::vector<mx::array>& inputs,
                                                                   const std::vector<int>& axes) {
  std::vector<mx::array> order, offsets;
  for (int b = 0; b < inputs[0].shape(axes[0]); ++b) {
    auto index = mx::take(inputs[0], b, axes[0], stream());
    if (!sorted_) {
      auto groups = group(index, n_, stream());
      order.push_back(groups.order);
      offsets.push_back(groups.offsets);
    } else {
      offsets.push_back(offsets_of_sorted(index, n_, stream()));
    }
  }
  auto stacked = mx::stack(offsets, 0, stream());
  if (sorted_) return {{stacked}, {0}};
  return {{mx::stack(order, 0, stream()), stacked}, {0, 0}};
}

bool SortByKey::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const SortByKey&>(other);
  return sorted_ ? o.sorted_ && n_ == o.n_ : kMergeSiblings;
}

std::vector<mx::Shape> SortByKey::output_shapes(const std::vector<mx::array>& inputs) {
  if (sorted_) return {offsets_shape(n_)};
  return {inputs[0].shape(), offsets_shape(n_)};
}

} // namespace sp
