#include "dense.h"

#include "../kernels/dense.h"
#include "../launch.h"
#include "convert.h"

namespace sp {

namespace {

mx::Shape dense_shape(const Pattern& p, const mx::array& data) {
  mx::Shape shape{static_cast<int>(p.n_major), static_cast<int>(p.n_minor)};
  if (data.ndim() == 2) shape.insert(shape.begin(), data.shape(0));
  return shape;
}

mx::Shape sample_shape(const mx::array& dense, const mx::array& s0) {
  const int nnz = static_cast<int>(s0.size());
  return dense.ndim() == 3 ? mx::Shape{dense.shape(0), nnz} : mx::Shape{nnz};
}

void todense_task(const Pattern& p, const std::vector<mx::array>& in, mx::array& out) {
  const size_t nnz = in[0].shape(-1), area = static_cast<size_t>(p.n_major * p.n_minor);
  const size_t batch = in[0].ndim() == 2 ? in[0].shape(0) : 1;
  std::memset(out.data<char>(), 0, out.nbytes());
  dispatch_value(in[0].dtype(), [&](auto t) {
    dispatch_index(in[1].dtype(), [&](auto i) {
      using T = typename decltype(t)::type;
      using I = typename decltype(i)::type;
      const Strides strides{p.n_minor, 1};
      const I *s0 = in[1].data<I>(), *s1 = in[2].data<I>();
      for (size_t b = 0; b < batch; ++b) {
        const T* data = in[0].data<T>() + b * nnz;
        T* dense = out.data<T>() + b * area;
        if (p.layout == Layout::compressed) cs_todense<T, I>(p.n_major, p.n_minor, s1, s0, data, dense, strides);
        else coo_todense<T, I>(nnz, p.n_major, p.n_minor, s0, s1, data, dense, strides);
      }
    });
  });
}

void sample_task(const Pattern& p, const std::vector<mx::array>& in, mx::array& out) {
  const size_t nnz = in[1].size(), area = static_cast<size_t>(p.n_major * p.n_minor);
  const size_t batch = in[0].ndim() == 3 ? in[0].shape(0) : 1;
  dispatch_width(in[0].dtype(), [&](auto w) {
    dispatch_index(in[1].dtype(), [&](auto i) {
      using W = typename decltype(w)::type;
      using I = typename decltype(i)::type;
      const Strides strides{p.n_minor, 1};
      const I *s0 = in[1].data<I>(), *s1 = in[2].data<I>();
      for (size_t b = 0; b < batch; ++b) {
        const W* dense = reinterpret_cast<const W*>(in[0].data<char>()) + b * area;
        W* values = reinterpret_cast<W*>(out.data<char>()) + b * nnz;
        if (p.layout == Layout::compressed) cs_sample<W, I>(p.n_major, s1, s0, dense, strides, values);
        else coo_sample<W, I>(nnz, s0, s1, dense, strides, values);
      }
    });
  });
}

} // namespace

mx::array todense(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1, mx::Stream s) {
  if (uses_shaders(s) && p.layout == Layout::coordinate) {
    auto cs = coo_to_cs(data, s0, s1, p.n_major, s);
    return todense({Layout::compressed, p.n_major, p.n_minor, nullptr}, cs.data, cs.indices, cs.indptr, s);
  }
  return mx::array(dense_shape(p, data), data.dtype(), std::make_shared<DenseForm>(s, false, p), {data, s0, s1});
}

mx::array sample(const Pattern& p, const mx::array& dense, const mx::array& s0, const mx::array& s1, mx::Stream s) {
  if (!uses_shaders(s)) {
    return mx::array(sample_shape(dense, s0), dense.dtype(), std::make_shared<DenseForm>(s, true, p), {dense, s0, s1});
  }
  const bool compressed = p.layout == Layout::compressed;
  auto major = compressed ? expand(s1, s0.size(), s) : s0;
  auto minor = compressed ? s0 : s1;
  auto width = mx::array(p.n_minor, mx::int64);
  auto position = mx::add(mx::multiply(mx::astype(major, mx::int64, s), width, s), minor, s);
  mx::Shape flat = dense.ndim() == 3 ? mx::Shape{dense.shape(0), -1} : mx::Shape{-1};
  return mx::take(mx::reshape(dense, flat, s), position, -1, s);
}

void DenseForm::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (shaders_on_host() && !sample_) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [p = pattern_, sample = sample_](auto& in, auto& out) {
    if (sample) sample_task(p, in, out[0]);
    else todense_task(p, in, out[0]);
  });
}

void DenseForm::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  eval_shader(inputs, outputs);
}

void DenseForm::eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (outputs[0].size() == 0) return outputs[0].set_data(mx::allocator::malloc(0));
  const Shader& sh = shader("cs_todense");
  const int teams = sh.group / 32, batch = inputs[0].ndim() == 2 ? inputs[0].shape(0) : 1;
  const int groups = (static_cast<int>(pattern_.n_major) + teams - 1) / teams;
  launch(sh, inputs, outputs, {{"unique", false}, {"transposed", false}}, {groups * sh.group, 1, batch},
         {sh.group, 1, 1}, stream(), true);
}

mx::array DenseForm::apply(const mx::array& x, const mx::array& s0, const mx::array& s1) {
  return sample_ ? sample(pattern_, x, s0, s1, stream()) : todense(pattern_, x, s0, s1, stream());
}

std::vector<mx::array> DenseForm::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                      const std::vector<int>& argnums, const std::vector<mx::array>&) {
  if (argnums.size() != 1 || argnums[0] != 0) {
    throw std::invalid_argument("the structure of a sparse array is not differentiable");
  }
  const auto &g = cotangents[0], &s0 = primals[1], &s1 = primals[2];
  return {sample_ ? todense(pattern_, g, s0, s1, stream()) : sample(pattern_, g, s0, s1, stream())};
}

std::vector<mx::array> DenseForm::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                      const std::vector<int>&) {
  return {apply(tangents[0], primals[1], primals[2])};
}

std::pair<std::vector<mx::array>, std::vector<int>> DenseForm::vmap(const std::vector<mx::array>& in,
                                                                    const std::vector<int>& axes) {
  if (axes[1] >= 0 || axes[2] >= 0) {
    throw std::invalid_argument("vmap over the structure of a sparse array is not supported; map its data instead");
  }
  const auto s = stream();
  auto x = mx::moveaxis(in[0], axes[0], 0, s);
  const int core = sample_ ? 2 : 1; // rank of one unbatched operand
  if (static_cast<int>(x.ndim()) == core + 1) return {{apply(x, in[1], in[2])}, {0}};
  mx::Shape flat = x.shape();
  flat.erase(flat.begin());
  flat[0] = -1;
  auto y = apply(mx::reshape(x, flat, s), in[1], in[2]);
  mx::Shape shape = y.shape();
  shape[0] = x.shape(1);
  shape.insert(shape.begin(), x.shape(0));
  return {{mx::reshape(y, shape, s)}, {0}};
}

bool DenseForm::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const DenseForm&>(other);
  return sample_ == o.sample_ && pattern_.layout == o.pattern_.layout && pattern_.n_major == o.pattern_.n_major &&
      pattern_.n_minor == o.pattern_.n_minor;
}

std::vector<mx::Shape> DenseForm::output_shapes(const std::vector<mx::array>& in) {
  return {sample_ ? sample_shape(in[0], in[1]) : dense_shape(pattern_, in[0])};
}

} // namespace sp
