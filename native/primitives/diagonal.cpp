#include "diagonal.h"

#include "../kernels/diagonal.h"
#include "convert.h"
#include "reduce.h"

namespace sp {

namespace {

mx::Shape result_shape(bool spread, const Pattern& p, const mx::array& s0, int64_t k) {
  if (spread) return p.values_shape(static_cast<int64_t>(s0.size()));
  return {static_cast<int>(DiagonalRange(k, p.n_major, p.n_minor).count)};
}

template <class I, class Visit>
void visit_diagonal(const Pattern& p, int64_t k, const mx::array& s0, const mx::array& s1, Visit&& visit) {
  const DiagonalRange d(k, p.n_major, p.n_minor);
  if (d.count == 0) return;
  const I *a = s0.data<I>(), *b = s1.data<I>();
  if (p.layout == Layout::compressed) cs_visit_diagonal(d, b, a, visit);
  else if (p.layout == Layout::block) bsr_visit_diagonal(d, p.n_major / p.r, p.r, p.c, b, a, visit);
  else coo_visit_diagonal(d, s0.size(), a, b, visit);
}

void task(bool spread, const Pattern& p, int64_t k, const std::vector<mx::array>& in, mx::array& out) {
  dispatch_index(in[1].dtype(), [&](auto i) {
    using I = typename decltype(i)::type;
    if (spread) {
      std::memset(out.data<char>(), 0, out.nbytes());
      return dispatch_width(out.dtype(), [&](auto w) {
        using W = typename decltype(w)::type;
        const auto* from = reinterpret_cast<const W*>(in[0].data<char>());
        auto* to = reinterpret_cast<W*>(out.data<char>());
        visit_diagonal<I>(p, k, in[1], in[2], [=](size_t n, size_t at) { to[at] = from[n]; });
      });
    }
    dispatch_unsigned(out.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      using A = acc_t<T>;
      std::vector<A> wide(std::is_same_v<A, T> ? 0 : out.size());
      const T* from = in[0].data<T>();
      T* to = out.data<T>();
      A* sums;
      if constexpr (std::is_same_v<A, T>) std::fill_n(sums = to, out.size(), A{});
      else sums = wide.data();
      visit_diagonal<I>(p, k, in[1], in[2], [=](size_t n, size_t at) { sums[n] = add(sums[n], static_cast<A>(from[at])); });
      for (size_t n = 0; n < wide.size(); ++n) to[n] = static_cast<T>(wide[n]);
    });
  });
}

// From what has shaders: values off the diagonal become zeros, which are then summed along the slices.
mx::array diagonal_graph(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1, int64_t k,
                         mx::Stream s) {
  const auto type = s0.dtype();
  auto number = [&](int64_t n) { return mx::array(n, type); };
  auto on = [&](const mx::array& row, const mx::array& col) {
    return mx::where(mx::equal(mx::add(row, number(k), s), col, s), data, mx::zeros({1}, data.dtype(), s), s);
  };
  auto summed = [&] {
    if (p.layout == Layout::coordinate) return minor_sum(on(s0, s1), s0, p.n_major, s);
    auto major = expand(s1, static_cast<int64_t>(s0.size()), s);
    if (p.layout == Layout::compressed) return major_sum(on(major, s0), s1, s);
    auto place = [&](const mx::array& block, int64_t length, const mx::Shape& shape) {
      auto within = mx::reshape(mx::arange(0, static_cast<double>(length), 1, type, s), shape, s);
      return mx::add(mx::multiply(mx::reshape(block, {-1, 1, 1}, s), number(length), s), within, s);
    };
    auto values = on(place(major, p.r, {1, -1, 1}), place(s0, p.c, {1, 1, -1}));
    auto rows = data.dtype() == mx::bool_ ? mx::any(values, 2, false, s) : mx::astype(mx::sum(values, 2, false, s), data.dtype(), s);
    return mx::flatten(mx::transpose(major_sum(mx::contiguous(mx::transpose(rows, s), false, s), s1, s), s), s);
  };
  const DiagonalRange d(k, p.n_major, p.n_minor);
  const auto first = static_cast<int>(d.first);
  return mx::slice(summed(), {first}, {first + static_cast<int>(d.count)}, s);
}

} // namespace

mx::array diagonal(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1, int64_t k,
                   mx::Stream s) {
  if (uses_shaders(s)) return diagonal_graph(p, data, s0, s1, k, s);
  return mx::array(result_shape(false, p, s0, k), data.dtype(), std::make_shared<Diagonal>(s, false, p, k), {data, s0, s1});
}

mx::array Diagonal::node(bool spread, const mx::array& x, const mx::array& s0, const mx::array& s1) {
  return mx::array(result_shape(spread, pattern_, s0, k_), x.dtype(), std::make_shared<Diagonal>(stream(), spread, pattern_, k_),
                   {x, s0, s1});
}

void Diagonal::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  run_on_cpu(stream(), inputs, outputs, [spread = spread_, p = pattern_, k = k_](auto& in, auto& out) { task(spread, p, k, in, out[0]); });
}

void Diagonal::eval_gpu(const std::vector<mx::array>&, std::vector<mx::array>&) {
  throw std::runtime_error("a diagonal made for the CPU cannot be evaluated on a GPU");
}

std::vector<mx::array> Diagonal::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                     const std::vector<int>& argnums, const std::vector<mx::array>&) {
  if (argnums.size() != 1 || argnums[0] != 0) {
    throw std::invalid_argument("the structure of a sparse array is not differentiable");
  }
  return {node(!spread_, cotangents[0], primals[1], primals[2])};
}

std::vector<mx::array> Diagonal::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                     const std::vector<int>&) {
  return {node(spread_, tangents[0], primals[1], primals[2])};
}

std::pair<std::vector<mx::array>, std::vector<int>> Diagonal::vmap(const std::vector<mx::array>& in,
                                                                   const std::vector<int>& axes) {
  return {{stack_slices(in, axes, stream(), [this](const auto& slice) { return node(spread_, slice[0], slice[1], slice[2]); })}, {0}};
}

bool Diagonal::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const Diagonal&>(other);
  return spread_ == o.spread_ && pattern_ == o.pattern_ && k_ == o.k_;
}

std::vector<mx::Shape> Diagonal::output_shapes(const std::vector<mx::array>& in) {
  return {result_shape(spread_, pattern_, in[1], k_)};
}

} // namespace sp
