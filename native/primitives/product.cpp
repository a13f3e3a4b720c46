#include "product.h"

#include "../launch.h"
#include "convert.h"
#include "product_shader.h"

namespace sp {

std::atomic<bool>& shaders_on_host() {
  static std::atomic<bool> on = false;
  return on;
}

namespace {

// Gradients of shared operands sum over the batch; a shared cotangent of a batched operand is the same for each.
mx::array like(mx::array g, const mx::array& primal, mx::Stream s) {
  if (g.ndim() > primal.ndim()) g = mx::sum(g, 0, false, s);
  return g.shape() == primal.shape() ? g : mx::broadcast_to(g, primal.shape(), s);
}

// The other orientation of coordinates: its plan is another's.
Structure swapped(const Structure& a) {
  return {{a.pattern.layout, a.pattern.n_minor, a.pattern.n_major, nullptr, a.pattern.r, a.pattern.c}, a.inner, a.outer};
}

ProductKind opposite(ProductKind kind) {
  return kind == ProductKind::matmul ? ProductKind::rmatmul : ProductKind::matmul;
}

} // namespace

// Buffers that a user replaced may no longer fit together, which kernels would not notice.
void check_values(const Structure& a, const mx::array& data) {
  const auto& p = a.pattern;
  if (p.rank() == 1) return;
  const int nd = static_cast<int>(data.ndim());
  const bool fits = nd >= p.rank() && data.shape(-1) == p.c && entry_count(p, data) == a.entries() &&
      (p.layout == Layout::diagonal ||
       (data.shape(-2) == p.r && static_cast<int64_t>(a.outer.size()) == p.outer_slices() + 1));
  if (!fits) throw std::invalid_argument("data and index buffers do not agree in length");
}

mx::array product(ProductKind kind, const Structure& a, const mx::array& data, const mx::array& x, mx::Stream s) {
  check_values(a, data);
  if (x.ndim() > 3) {
    mx::Shape shape = x.shape();
    auto flat = mx::reshape(x, {-1, shape[shape.size() - 2], shape.back()}, s);
    auto y = product(kind, a, data, flat, s);
    shape[shape.size() - 2] = y.shape(1);
    return mx::reshape(y, shape, s);
  }
  if (kind == ProductKind::rmatmul && a.pattern.layout == Layout::coordinate) {
    return product(ProductKind::matmul, swapped(a), data, x, s);
  }
  if (uses_shaders(s, data.dtype())) return shader_product(kind, a, data, x, s);
  Arrays inputs; // not from a list, which would copy each handle twice
  inputs.reserve(4);
  for (const auto* in : {&data, &a.outer, &a.inner, &x}) inputs.push_back(*in);
  const auto made = std::make_shared<Product>(s, kind, a.pattern);
  auto y = made->result(inputs);
  return made->make_only(std::move(inputs), std::move(y));
}

mx::array sddmm(const Structure& a, const mx::array& u, const mx::array& v, bool per_batch, mx::Stream s) {
  const auto layout = a.pattern.layout;
  const bool compressed = layout == Layout::compressed || layout == Layout::block;
  if (!uses_shaders(s, u.dtype()) || !compressed) {
    return node<Product>({a.outer, a.inner, u, v}, s, ProductKind::sddmm, a.pattern, per_batch);
  }
  auto major = expand(a.outer, a.entries(), s); // shaders want the row of each entry, or block
  if (layout == Layout::block) {
    return node<Product>({a.outer, a.inner, u, v, major}, s, ProductKind::sddmm, a.pattern, per_batch);
  }
  Pattern coordinates = a.pattern;
  coordinates.layout = Layout::coordinate;
  return node<Product>({major, a.inner, u, v}, s, ProductKind::sddmm, coordinates, per_batch);
}

Output Product::result(const Arrays& in) const {
  if (sampled()) {
    const auto &u = in[2], &v = in[3];
    auto shape = pattern_.values_shape(static_cast<int64_t>(in[1].size()));
    if (per_batch_) shape.insert(shape.begin(), u.ndim() == 3 ? u.shape(0) : v.shape(0));
    return {std::move(shape), u.dtype()};
  }
  const auto &data = in[0], &x = in[3];
  const int m = to_dim(kind_ == ProductKind::matmul ? pattern_.n_major : pattern_.n_minor);
  mx::Shape shape{m};
  if (x.ndim() > 1) shape.push_back(x.shape(-1));
  if (x.ndim() == 3) shape.insert(shape.begin(), x.shape(0));
  else if (x.ndim() == 2 && batched_values(pattern_, data)) shape.insert(shape.begin(), data.shape(0));
  return {std::move(shape), data.dtype()};
}

std::vector<Output> Product::scratch(const Arrays& in) const {
  const auto y = result(in).shape;
  const int64_t k = y.size() == 1 ? 1 : y.back(), batch = y.size() == 3 ? y[0] : 1;
  return segment_scratch({static_cast<int64_t>(in[2].size()), pattern_.n_major, batch, k, in.size() == 5, long_slices_},
                         in[1].dtype(), in[0].dtype());
}

Arrays Product::apply(const Arrays& in) {
  if (sampled()) return {sddmm(structure(in), in[2], in[3], per_batch_, stream())};
  return {product(kind_, structure(in), in[0], in[3], stream())};
}

mx::array Product::gradient(int input, const Arrays& in, const mx::array& g, const Arrays&) {
  const auto s = stream();
  const auto a = structure(in);
  if (sampled()) {
    const auto kind = input == 2 ? ProductKind::matmul : ProductKind::rmatmul;
    return like(product(kind, a, g, conj(in[input == 2 ? 3 : 2], s), s), in[input], s);
  }
  if (input == 3) return like(product(opposite(kind_), a, conj(in[0], s), g, s), in[3], s);
  const auto x = conj(in[3], s);
  const bool forward = kind_ == ProductKind::matmul;
  return sddmm(a, forward ? g : x, forward ? x : g, batched_values(pattern_, in[0]), s);
}

std::optional<Node::Batched> Product::batched(const Arrays& in, const Axes& axes) {
  const auto s = stream();
  const int first = sampled() ? 0 : 1;
  bool structure_mapped = axes[first] >= 0 || axes[first + 1] >= 0;
  for (size_t i = 4; i < axes.size(); ++i) structure_mapped = structure_mapped || axes[i] >= 0;
  refuse_mapped_structure(structure_mapped);
  auto front = [&](int i) { return axes[i] < 0 ? in[i] : mx::moveaxis(in[i], axes[i], 0, s); };
  auto rank = [&](int i) { return static_cast<int>(in[i].ndim()) - (axes[i] >= 0); };
  auto column = [&](const mx::array& a) { return mx::expand_dims(a, -1, s); };
  const auto a = structure(in);
  if (sampled()) {
    if (per_batch_ || rank(2) > 2 || rank(3) > 2) return std::nullopt;
    auto u = front(2), v = front(3);
    if (rank(2) == 1) { u = column(u); v = column(v); }
    return Batched{sddmm(a, u, v, true, s), 0};
  }
  auto call = [&](const mx::array& data, const mx::array& x) { return product(kind_, a, data, x, s); };
  if (rank(0) != pattern_.rank()) return std::nullopt;
  if (axes[0] < 0) { // only x is mapped: more columns, or a batch
    if (rank(3) == 1) return Batched{call(in[0], mx::moveaxis(in[3], axes[3], 1, s)), 1};
    return Batched{call(in[0], front(3)), 0};
  }
  if (rank(3) == 2) return Batched{call(front(0), front(3)), 0};
  if (rank(3) == 1) return Batched{mx::squeeze(call(front(0), column(front(3))), -1, s), 0};
  return std::nullopt;
}

const char* Product::name() const {
  constexpr const char* names[] = {"SparseMatmul", "SparseRmatmul", "SparseSddmm"};
  return names[static_cast<int>(kind_)];
}

} // namespace sp
