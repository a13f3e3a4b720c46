#include "reduce.h"

#include "../kernels/reduce.h"
#include "../launch.h"
#include "convert.h"
#include "product_shader.h"

namespace sp {

namespace {

mx::Shape sum_shape(const mx::array& data, int64_t n_out) {
  mx::Shape shape = data.shape();
  shape.back() = static_cast<int>(n_out);
  return shape;
}

mx::array axis_sum(bool major, const mx::array& data, const mx::array& index, int64_t n_out, mx::Stream s) {
  return mx::array(sum_shape(data, n_out), data.dtype(), std::make_shared<AxisSum>(s, major, n_out), {data, index});
}

} // namespace

mx::array major_sum(const mx::array& data, const mx::array& indptr, mx::Stream s) {
  if (uses_shaders(s)) return shader_major_sum(data, indptr, s);
  return axis_sum(true, data, indptr, static_cast<int64_t>(indptr.size()) - 1, s);
}

mx::array minor_sum(const mx::array& data, const mx::array& indices, int64_t n_minor, mx::Stream s) {
  if (!uses_shaders(s)) return axis_sum(false, data, indices, n_minor, s);
  auto order = stable_argsort(indices, s);
  return major_sum(permute(data, order, s), compress(mx::take(indices, order, 0, s), n_minor, s), s);
}

// One slice of everything: sums in parallel, where MLX's has one thread.
mx::array total(const mx::array& data, mx::Stream s) {
  const auto n = static_cast<int64_t>(data.size());
  if (uses_shaders(s) || n == 0) return mx::sum(data, s);
  return mx::squeeze(major_sum(mx::flatten(data, s), mx::array({int64_t{0}, n}), s), s);
}

void AxisSum::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (scratch_) return eval_gpu(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [major = major_](auto& in, auto& out) {
    const size_t nnz = in[0].shape(-1), n_out = out[0].shape(-1);
    const size_t batch = in[0].ndim() == 2 ? in[0].shape(0) : 1;
    dispatch_value(in[0].dtype(), [&](auto t) {
      dispatch_index(in[1].dtype(), [&](auto i) {
        using T = typename decltype(t)::type;
        using I = typename decltype(i)::type;
        for (size_t b = 0; b < batch; ++b) {
          const T* data = in[0].template data<T>() + b * nnz;
          T* sums = out[0].template data<T>() + b * n_out;
          if (major) cs_major_sum<T, I>(n_out, in[1].template data<I>(), data, sums);
          else cs_minor_sum<T, I>(nnz, n_out, in[1].template data<I>(), data, sums);
        }
      });
    });
  });
}

// Only major sums reach a GPU: minor sums are sorted into them.
void AxisSum::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  launch_segments(inputs[0], inputs[1], inputs[1], nullptr, nullptr, true, outputs, stream());
}

mx::array AxisSum::apply(const mx::array& data, const mx::array& index) {
  return major_ ? major_sum(data, index, stream()) : minor_sum(data, index, n_out_, stream());
}

// The scratch outputs of a shader sum have no meaning to a rule, but each needs an answer.
std::vector<mx::array> AxisSum::with_scratch(mx::array sums, const mx::array& data, const mx::array& index) {
  std::vector<mx::array> outs{std::move(sums)};
  if (scratch_) {
    outs.push_back(mx::zeros({1}, index.dtype(), stream()));
    outs.push_back(mx::zeros({1}, acc_dtype(data.dtype()), stream()));
  }
  return outs;
}

std::vector<mx::array> AxisSum::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<mx::array>&) {
  if (argnums.size() != 1 || argnums[0] != 0) {
    throw std::invalid_argument("the structure of a sparse array is not differentiable");
  }
  const auto& data = primals[0];
  auto target = major_ ? expand(primals[1], data.shape(-1), stream()) : primals[1];
  return {mx::take(cotangents[0], target, -1, stream())};
}

std::vector<mx::array> AxisSum::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                    const std::vector<int>&) {
  return with_scratch(apply(tangents[0], primals[1]), primals[0], primals[1]);
}

std::pair<std::vector<mx::array>, std::vector<int>> AxisSum::vmap(const std::vector<mx::array>& in,
                                                                  const std::vector<int>& axes) {
  auto y = [&] {
    if (axes[1] >= 0) {
      return stack_slices(in, axes, stream(), [&](const std::vector<mx::array>& one) { return apply(one[0], one[1]); });
    }
    auto data = mx::moveaxis(in[0], axes[0], 0, stream());
    auto sums = apply(mx::reshape(data, {-1, data.shape(-1)}, stream()), in[1]);
    mx::Shape shape = data.shape();
    shape.back() = sums.shape(-1);
    return mx::reshape(sums, shape, stream());
  }();
  auto outs = with_scratch(y, in[0], in[1]);
  std::vector<int> out_axes(outs.size(), -1);
  out_axes[0] = 0;
  return {outs, out_axes};
}

bool AxisSum::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const AxisSum&>(other);
  if (scratch_ || o.scratch_) return kMergeSiblings;
  return major_ == o.major_ && n_out_ == o.n_out_;
}

std::vector<mx::Shape> AxisSum::output_shapes(const std::vector<mx::array>& in) {
  std::vector<mx::Shape> shapes{sum_shape(in[0], n_out_)};
  if (scratch_) {
    const int64_t batch = in[0].ndim() == 2 ? in[0].shape(0) : 1;
    auto scratch = segment_scratch(in[0].shape(-1), n_out_, batch, 1, false, true);
    shapes.insert(shapes.end(), scratch.begin(), scratch.end());
  }
  return shapes;
}

} // namespace sp
