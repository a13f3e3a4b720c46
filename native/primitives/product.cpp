#include "product.h"

#include "../launch.h"
#include "convert.h"
#include "product_shader.h"

namespace sp {

bool& shaders_on_host() {
  static bool on = false;
  return on;
}

namespace {

bool batched_data(const Pattern& p, const mx::array& data) { return static_cast<int>(data.ndim()) > p.rank(); }

mx::Shape product_shape(const Pattern& p, const mx::array& data, const mx::array& x, int64_t n_out) {
  const int m = static_cast<int>(n_out);
  if (x.ndim() == 1) return {m};
  if (x.ndim() == 3) return {x.shape(0), m, x.shape(2)};
  if (batched_data(p, data)) return {data.shape(0), m, x.shape(1)};
  return {m, x.shape(1)};
}

mx::Shape sddmm_shape(const Pattern& p, const mx::array& s0, const mx::array& u, const mx::array& v, bool per_batch) {
  auto shape = p.values_shape(static_cast<int64_t>(s0.size()));
  if (per_batch) shape.insert(shape.begin(), u.ndim() == 3 ? u.shape(0) : v.shape(0));
  return shape;
}

// Gradients of shared operands sum over the batch; a shared cotangent of a batched operand is the same for each.
mx::array like(mx::array g, const mx::array& primal, mx::Stream s) {
  if (g.ndim() > primal.ndim()) g = mx::sum(g, 0, false, s);
  return g.shape() == primal.shape() ? g : mx::broadcast_to(g, primal.shape(), s);
}

Pattern swapped(Pattern p) {
  std::swap(p.n_major, p.n_minor);
  p.plan.reset(); // it belongs to the other orientation
  return p;
}

void no_structure_gradient(bool asked) {
  if (asked) {
    throw std::invalid_argument(
        "the structure of a sparse array (indices, indptr, row, col) is not differentiable; take the gradient with "
        "respect to its data or to the dense operand");
  }
}

} // namespace

// Buffers that a user replaced may no longer fit together, which kernels would not notice.
void check_values(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1) {
  if (p.rank() == 1) return;
  const int nd = static_cast<int>(data.ndim());
  const bool fits = nd >= p.rank() && data.shape(-1) == p.c && entry_count(p, data) == static_cast<int64_t>(s0.size()) &&
      (p.layout == Layout::diagonal ||
       (data.shape(-2) == p.r && static_cast<int64_t>(s1.size()) == (p.r ? p.n_major / p.r : 0) + 1));
  if (!fits) throw std::invalid_argument("data and index buffers do not agree in length");
}

mx::array product(ProductKind kind, const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1,
                  const mx::array& x, mx::Stream s) {
  check_values(p, data, s0, s1);
  if (x.ndim() > 3) {
    mx::Shape shape = x.shape();
    auto flat = mx::reshape(x, {-1, shape[shape.size() - 2], shape.back()}, s);
    auto y = product(kind, p, data, s0, s1, flat, s);
    shape[shape.size() - 2] = y.shape(1);
    return mx::reshape(y, shape, s);
  }
  if (kind == ProductKind::rmatmul && p.layout == Layout::coordinate) {
    return product(ProductKind::matmul, swapped(p), data, s1, s0, x, s);
  }
  if (uses_shaders(s)) return shader_product(kind, p, data, s0, s1, x, s);
  auto shape = product_shape(p, data, x, kind == ProductKind::matmul ? p.n_major : p.n_minor);
  return mx::array(std::move(shape), data.dtype(), std::make_shared<Product>(s, kind, p, false), {data, s0, s1, x});
}

mx::array sddmm(const Pattern& p, const mx::array& s0, const mx::array& s1, const mx::array& u, const mx::array& v,
                bool per_batch, mx::Stream s) {
  if (uses_shaders(s) && p.layout == Layout::compressed) {
    Pattern q = p;
    q.layout = Layout::coordinate;
    return sddmm(q, expand(s1, static_cast<int64_t>(s0.size()), s), s0, u, v, per_batch, s);
  }
  auto shape = sddmm_shape(p, s0, u, v, per_batch);
  if (uses_shaders(s) && p.layout == Layout::block) { // the shader wants each block's row
    return mx::array(std::move(shape), u.dtype(), std::make_shared<Product>(s, ProductKind::sddmm, p, per_batch),
                     {s0, s1, u, v, expand(s1, static_cast<int64_t>(s0.size()), s)});
  }
  return mx::array(std::move(shape), u.dtype(), std::make_shared<Product>(s, ProductKind::sddmm, p, per_batch),
                   {s0, s1, u, v});
}

void Product::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  // A block node made while shaders were off lacks the structure that they need.
  const bool has_structure = pattern_.layout != Layout::block || kind_ == ProductKind::matmul || inputs.size() > 4;
  if (shaders_on_host() && has_structure) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [kind = kind_, p = pattern_, per_batch = per_batch_](auto& in, auto& out) {
    if (kind == ProductKind::sddmm) sddmm_task(p, per_batch, in, out[0]);
    else product_task(kind, p, in, out[0]);
  });
}

void Product::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  eval_shader(inputs, outputs);
}

std::vector<mx::array> Product::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<mx::array>&) {
  const auto s = stream();
  const auto& g = cotangents[0];
  std::vector<mx::array> grads;
  for (int arg : argnums) {
    if (kind_ == ProductKind::sddmm) {
      no_structure_gradient(arg < 2 || arg > 3);
      const auto& other = primals[arg == 2 ? 3 : 2];
      const auto kind = arg == 2 ? ProductKind::matmul : ProductKind::rmatmul;
      grads.push_back(like(product(kind, pattern_, g, primals[0], primals[1], conj(other, s), s), primals[arg], s));
      continue;
    }
    no_structure_gradient(arg == 1 || arg == 2 || arg > 3);
    const auto &data = primals[0], &s0 = primals[1], &s1 = primals[2], &x = primals[3];
    const bool forward = kind_ == ProductKind::matmul;
    if (arg == 3) {
      const auto back = forward ? ProductKind::rmatmul : ProductKind::matmul;
      grads.push_back(like(product(back, pattern_, conj(data, s), s0, s1, g, s), x, s));
    } else {
      auto xc = conj(x, s);
      grads.push_back(sddmm(pattern_, s0, s1, forward ? g : xc, forward ? xc : g, batched_data(pattern_, data), s));
    }
  }
  return grads;
}

std::vector<mx::array> Product::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                    const std::vector<int>& argnums) {
  const auto s = stream();
  std::optional<mx::array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    auto in = primals;
    in[argnums[i]] = tangents[i];
    const bool on_values = kind_ == ProductKind::sddmm ? argnums[i] == 2 || argnums[i] == 3 : argnums[i] == 0 || argnums[i] == 3;
    no_structure_gradient(!on_values);
    auto term = kind_ == ProductKind::sddmm ? sddmm(pattern_, in[0], in[1], in[2], in[3], per_batch_, s)
                                            : product(kind_, pattern_, in[0], in[1], in[2], in[3], s);
    total = total ? mx::add(*total, term, s) : term;
  }
  return with_scratch(*total, primals);
}

std::pair<std::vector<mx::array>, std::vector<int>> Product::vmap(const std::vector<mx::array>& inputs,
                                                                  const std::vector<int>& axes) {
  const auto s = stream();
  const bool is_sddmm = kind_ == ProductKind::sddmm;
  const int first = is_sddmm ? 0 : 1;
  bool mapped_structure = axes[first] >= 0 || axes[first + 1] >= 0;
  for (size_t i = 4; i < axes.size(); ++i) mapped_structure = mapped_structure || axes[i] >= 0;
  if (mapped_structure) {
    throw std::invalid_argument("vmap over the structure of a sparse array is not supported; map its data instead");
  }
  auto front = [&](int i) { return axes[i] < 0 ? inputs[i] : mx::moveaxis(inputs[i], axes[i], 0, s); };
  auto rank = [&](int i) { return static_cast<int>(inputs[i].ndim()) - (axes[i] >= 0); };
  auto column = [&](const mx::array& a) { return mx::expand_dims(a, -1, s); };

  if (is_sddmm) {
    if (!per_batch_ && rank(2) <= 2 && rank(3) <= 2) {
      auto u = front(2), v = front(3);
      if (rank(2) == 1) { u = column(u); v = column(v); }
      return {{sddmm(pattern_, inputs[0], inputs[1], u, v, true, s)}, {0}};
    }
    return {{stack_slices(inputs, axes, s, [&](auto& in) {
              return sddmm(pattern_, in[0], in[1], in[2], in[3], per_batch_, s); })}, {0}};
  }

  auto call = [&](const mx::array& data, const mx::array& x) {
    return product(kind_, pattern_, data, inputs[1], inputs[2], x, s);
  };
  auto mapped = [&](mx::array y, int axis) {
    auto outs = with_scratch(std::move(y), inputs);
    std::vector<int> out_axes(outs.size(), -1);
    out_axes[0] = axis;
    return std::make_pair(std::move(outs), std::move(out_axes));
  };
  if (axes[0] < 0 && rank(0) == pattern_.rank()) { // only x is mapped: more columns, or a batch
    if (rank(3) == 1) return mapped(call(inputs[0], mx::moveaxis(inputs[3], axes[3], 1, s)), 1);
    return mapped(call(inputs[0], front(3)), 0);
  }
  if (rank(0) == pattern_.rank() && rank(3) <= 2) {
    if (rank(3) == 2) return mapped(call(front(0), front(3)), 0);
    return mapped(mx::squeeze(call(front(0), column(front(3))), -1, s), 0);
  }
  return mapped(stack_slices(inputs, axes, s, [&](auto& in) {
    return product(kind_, pattern_, in[0], in[1], in[2], in[3], s);
  }), 0);
}

bool Product::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const Product&>(other);
  if (scratch_ || o.scratch_) return kMergeSiblings;
  return kind_ == o.kind_ && per_batch_ == o.per_batch_ && pattern_ == o.pattern_;
}

std::vector<mx::Shape> Product::output_shapes(const std::vector<mx::array>& in) {
  if (kind_ == ProductKind::sddmm) return {sddmm_shape(pattern_, in[0], in[2], in[3], per_batch_)};
  std::vector<mx::Shape> shapes{product_shape(pattern_, in[0], in[3], kind_ == ProductKind::matmul ? pattern_.n_major : pattern_.n_minor)};
  if (scratch_) {
    const auto& y = shapes[0];
    const int64_t k = y.size() == 1 ? 1 : y.back(), batch = y.size() == 3 ? y[0] : 1;
    auto scratch = segment_scratch(in[1].size(), pattern_.n_major, batch, k, in.size() == 5, long_slices_);
    shapes.insert(shapes.end(), scratch.begin(), scratch.end());
  }
  return shapes;
}

std::vector<mx::Dtype> Product::output_dtypes(const std::vector<mx::array>& in) const {
  return {in[0].dtype(), in[2].dtype(), acc_dtype(in[0].dtype())};
}

std::vector<mx::array> Product::with_scratch(mx::array y, const std::vector<mx::array>& primals) {
  std::vector<mx::array> outs{std::move(y)};
  if (scratch_) {
    const auto dtypes = output_dtypes(primals);
    for (size_t i = 1; i < dtypes.size(); ++i) outs.push_back(mx::zeros({1}, dtypes[i], stream()));
  }
  return outs;
}

const char* Product::name() const {
  constexpr const char* names[] = {"SparseMatmul", "SparseRmatmul", "SparseSddmm"};
  return names[static_cast<int>(kind_)];
}

} // namespace sp
