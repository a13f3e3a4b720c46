#include "triangular_solve.h"

#include <cstring>

namespace sp {

std::optional<LevelArrays> TriangularSolve::levels_in(const Arrays& in) const {
  if (schedule_ || in.size() <= 4) return std::nullopt;
  return LevelArrays{in[4], in[5]};
}

mx::array TriangularSolve::solved(InverseForm op, const Arrays& in, const mx::array& values, const mx::array& b) {
  const TriangleForm form{form_.lower, form_.unit, op.transposed, op.conjugate};
  if (schedule_) return solve_by_levels(form, {pattern_, in[2], in[1]}, values, b, stream());
  return solve_triangular(form, {values, in[1], in[2]}, b, levels_in(in), stream());
}

void TriangularSolve::require_derivative(const Arrays& in) const {
  if (levels_in(in)) throw std::invalid_argument("the values of factors that are solved by levels have no derivative here");
}

// A unit diagonal does not depend on what is stored there.
mx::array TriangularSolve::that_count(const mx::array& values, const Arrays& in) {
  if (!form_.unit) return values;
  const auto s = stream();
  const auto major = expand(in[2], static_cast<int64_t>(in[1].size()), s);
  return mx::where(mx::equal(major, in[1], s), mx::zeros_like(values, s), values, s);
}

void TriangularSolve::kernel(const Arrays& in, Arrays& out) const {
  std::memcpy(out[0].data<char>(), in[3].data<char>(), in[3].nbytes());
  const size_t k = in[3].ndim() == 2 ? in[3].shape(1) : 1;
  solve_triangular_host({form_, {in[0], in[1], in[2]}, levels_in(in)}, out[0].data<char>(), k);
}

void check_triangle(const HostTriangle& t, int64_t n) {
  const auto& a = t.a;
  const bool fits = a.indptr.size() > 0 && static_cast<int64_t>(a.n_major()) == n && a.data.size() == a.indices.size() &&
      (!t.levels || (static_cast<int64_t>(t.levels->order.size()) == n && t.levels->starts.size() > 0));
  if (!fits) throw std::invalid_argument("the triangle, its levels and the right-hand sides do not fit each other");
}

void check_operands(const HostTriangle& t, const mx::array& b) {
  if (b.ndim() < 1 || b.ndim() > 2 || b.dtype() != t.a.data.dtype()) {
    throw std::invalid_argument("b must have 1 or 2 dimensions and the dtype of the values");
  }
  check_triangle(t, b.shape(0));
}

mx::array solve_triangular(const TriangleForm& form, const Compressed& a, const mx::array& b,
                           const std::optional<LevelArrays>& levels, mx::Stream s) {
  if (s.device == mx::Device::gpu) s = mx::default_stream(mx::Device::cpu);
  check_operands({form, a, levels}, b);
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
