#include "triangular.h"

#include <cstring>

#include "convert.h"
#include "product.h"

namespace sp {

namespace {

// Inputs: values, indices, indptr and b; with levels, order and starts.
class TriangularSolve : public Node {
 public:
  TriangularSolve(mx::Stream s, const TriangleForm& form) : Node(s), form_(form) {}
  const char* name() const override { return "SparseTriangularSolve"; }

 private:
  std::vector<int64_t> key() const override { return {form_.lower, form_.unit, form_.transposed, form_.conjugate}; }
  std::vector<Output> results(const Arrays& in) const override { return {{in[3].shape(), in[0].dtype()}}; }
  bool has_shader() const override { return false; }
  bool has_derivative(int input) const override { return input == 0 || input == 3; }
  Arrays apply(const Arrays& in) override { return {solved(form_, in, in[0], in[3])}; }

  mx::array solved(const TriangleForm& form, const Arrays& in, const mx::array& values, const mx::array& b) {
    std::optional<LevelArrays> levels;
    if (in.size() > 4) levels = LevelArrays{in[4], in[5]};
    return solve_triangular(form, {values, in[1], in[2]}, b, levels, stream());
  }

  Structure structure(const Arrays& in) {
    if (in.size() > 4) throw std::invalid_argument("the values of factors that are solved by levels have no derivative here");
    const auto n = static_cast<int64_t>(in[2].size()) - 1;
    return {{Layout::compressed, n, n, nullptr}, in[2], in[1]};
  }

  // A unit diagonal does not depend on what is stored there.
  mx::array off_diagonal(const mx::array& values, const Arrays& in) {
    if (!form_.unit) return values;
    const auto s = stream();
    const auto major = expand(in[2], static_cast<int64_t>(in[1].size()), s);
    return mx::where(mx::equal(major, in[1], s), mx::zeros_like(values, s), values, s);
  }

  // With w = op(A)^-H g: w for b, and -w x^H for op(A), at the stored places.
  mx::array gradient(int input, const Arrays& in, const mx::array& g, const Arrays& outputs) override {
    return gradients({input}, in, g, outputs)[0];
  }
  Arrays gradients(const std::vector<int>& inputs, const Arrays& in, const mx::array& g, const Arrays& out) override {
    const auto s = stream();
    TriangleForm adjoint = form_;
    adjoint.transposed = !form_.transposed;
    adjoint.conjugate = is_complex(g.dtype()) && !form_.conjugate;
    const auto w = solved(adjoint, in, in[0], g);
    Arrays found;
    for (int input : inputs) {
      if (input == 3) {
        found.push_back(w);
        continue;
      }
      auto u = mx::negative(w, s), v = conj(out[0], s);
      if (form_.transposed) std::swap(u, v);
      const auto places = sddmm(structure(in), u, v, false, s);
      found.push_back(off_diagonal(form_.conjugate ? conj(places, s) : places, in));
    }
    return found;
  }
  // x' = op(A)^-1 b', or -op(A)^-1 op(A') x.
  mx::array tangent(int input, const Arrays& in, const mx::array& rate) override {
    if (input == 3) return solved(form_, in, in[0], rate);
    const auto s = stream();
    const auto kind = form_.transposed ? ProductKind::rmatmul : ProductKind::matmul;
    auto change = off_diagonal(rate, in);
    if (form_.conjugate) change = conj(change, s);
    return mx::negative(solved(form_, in, in[0], product(kind, structure(in), change, apply(in)[0], s)), s);
  }
  // Right-hand sides are columns.
  std::optional<Batched> batched(const Arrays& in, const Axes& axes) override {
    bool structure_mapped = false;
    for (size_t i = 1; i < axes.size(); ++i) structure_mapped = structure_mapped || (i != 3 && axes[i] >= 0);
    refuse_mapped_structure(structure_mapped);
    if (axes[0] >= 0) return std::nullopt;
    const auto s = stream();
    const auto b = mx::moveaxis(in[3], axes[3], -1, s);
    const auto flat = mx::reshape(b, {b.shape(0), to_dim(b.size() / std::max(b.shape(0), 1))}, s);
    return Batched{mx::reshape(solved(form_, in, in[0], flat), b.shape(), s), static_cast<int>(b.ndim()) - 1};
  }

  void kernel(const Arrays& in, Arrays& out) const override {
    std::optional<LevelArrays> levels;
    if (in.size() > 4) levels = LevelArrays{in[4], in[5]};
    std::memcpy(out[0].data<char>(), in[3].data<char>(), in[3].nbytes());
    const size_t k = in[3].ndim() == 2 ? in[3].shape(1) : 1;
    solve_triangular_host({form_, {in[0], in[1], in[2]}, levels}, out[0].data<char>(), k);
  }

  TriangleForm form_;
};

} // namespace

void check_triangle(const HostTriangle& t, int64_t n) {
  const auto& a = t.a;
  const bool fits = a.indptr.size() > 0 && static_cast<int64_t>(a.n_major()) == n && a.data.size() == a.indices.size() &&
      (!t.levels || (static_cast<int64_t>(t.levels->order.size()) == n && t.levels->starts.size() > 0));
  if (!fits) throw std::invalid_argument("the triangle, its levels and the right-hand sides do not fit each other");
}

mx::array solve_triangular(const TriangleForm& form, const Compressed& a, const mx::array& b,
                           const std::optional<LevelArrays>& levels, mx::Stream s) {
  if (s.device == mx::Device::gpu) s = mx::default_stream(mx::Device::cpu);
  if (b.ndim() < 1 || b.ndim() > 2 || b.dtype() != a.data.dtype()) {
    throw std::invalid_argument("b must have 1 or 2 dimensions and the dtype of the values");
  }
  check_triangle({form, a, levels}, b.shape(0));
  Arrays inputs{a.data, a.indices, a.indptr, b};
  if (levels) {
    inputs.push_back(levels->order);
    inputs.push_back(levels->starts);
  }
  return node<TriangularSolve>(std::move(inputs), s, form);
}

void solve_triangular_host(const HostTriangle& t, void* x, size_t k) {
  dispatch_index(t.a.indices.dtype(), [&](auto i) {
    dispatch_field(t.a.data.dtype(), [&](auto v) {
      using I = typename decltype(i)::type;
      using T = typename decltype(v)::type;
      auto at = [](const mx::array& a) { return reinterpret_cast<const I*>(a.data<char>()); };
      const size_t n = t.a.n_major();
      const CsView<T, I> view{{n, n, at(t.a.indptr), at(t.a.indices)}, reinterpret_cast<const T*>(t.a.data.data<char>())};
      if (!t.levels) return cs_solve_triangular<T, I>({view, t.form, nullptr}, nullptr, static_cast<T*>(x), k);
      const Levels<I> levels{t.levels->starts.size() - 1, at(t.levels->order), at(t.levels->starts)};
      const Triangle<T, I> triangle{view, t.form, levels.order};
      cs_solve_triangular<T, I>(triangle, t.form.transposed ? nullptr : &levels, static_cast<T*>(x), k);
    });
  });
}

LevelArrays triangular_levels(const mx::array& given, const mx::array& given_indptr, bool lower) {
  const auto indices = host_ready(given), indptr = host_ready(given_indptr);
  const int n = static_cast<int>(indptr.size()) - 1;
  return dispatch_index(indices.dtype(), [&](auto i) {
    using I = typename decltype(i)::type;
    auto order = fresh({n}, indices.dtype());
    std::vector<I> starts(static_cast<size_t>(n) + 1);
    const CsPattern<I> a{static_cast<size_t>(n), static_cast<size_t>(n), reinterpret_cast<const I*>(indptr.data<char>()),
                         reinterpret_cast<const I*>(indices.data<char>())};
    const size_t count = cs_levels(a, lower, reinterpret_cast<I*>(order.data<char>()), starts.data());
    auto kept = fresh({to_dim(static_cast<int64_t>(count) + 1)}, indices.dtype());
    std::memcpy(kept.data<char>(), starts.data(), kept.nbytes());
    return LevelArrays{order, kept};
  });
}

} // namespace sp
