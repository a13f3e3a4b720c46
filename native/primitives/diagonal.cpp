#include "diagonal.h"

#include "../kernels/diagonal.h"
#include "../kernels/sum.h"
#include "../launch.h"
#include "convert.h"
#include "node.h"
#include "reduce.h"
#include "segment.h"
#include "views.h"

namespace sp {

namespace {

// start(i) comes before the visits of element i.
template <class I, class Start, class Visit>
void visit_diagonal(const HostStructure& a, int64_t k, bool distinct, Start&& start, Visit&& visit) {
  const DiagonalRange d(k, a.pattern.n_major, a.pattern.n_minor);
  if (d.count == 0) return;
  if (a.pattern.layout == Layout::compressed) return cs_visit_diagonal(d, cs_pattern<I>(a), distinct, start, visit);
  for (int64_t i = 0; i < d.count; ++i) start(static_cast<size_t>(i));
  if (a.pattern.layout == Layout::block) bsr_visit_diagonal(d, bsr_pattern<I>(a), visit);
  else coo_visit_diagonal(d, coo_pattern<I>(a), visit);
}

// The diagonal, and its adjoint: spread writes one value per element to each of the values there, and zeros elsewhere.
// Inputs (values or elements, outer, inner); on the CPU.
class Diagonal : public Node {
 public:
  Diagonal(mx::Stream s, bool spread, Pattern pattern, int64_t k, bool canonical)
      : Node(s), spread_(spread), pattern_(std::move(pattern)), k_(k), canonical_(canonical) {}
  const char* name() const override { return spread_ ? "SparseDiagonalSpread" : "SparseDiagonal"; }

 private:
  std::vector<int64_t> key() const override {
    return {spread_, k_, static_cast<int64_t>(pattern_.layout), pattern_.n_major, pattern_.n_minor, pattern_.r, pattern_.c,
            canonical_};
  }
  std::vector<Output> results(const Arrays& in) const override {
    if (spread_) return {{pattern_.values_shape(static_cast<int64_t>(in[2].size())), in[0].dtype()}};
    return {{to_shape({DiagonalRange(k_, pattern_.n_major, pattern_.n_minor).count}, in[0].dtype()), in[0].dtype()}};
  }
  bool has_shader() const override { return false; }
  Arrays apply(const Arrays& in) override { return {node<Diagonal>(in, stream(), spread_, pattern_, k_, canonical_)}; }
  mx::array gradient(int, const Arrays& in, const mx::array& g, const Arrays&) override {
    return node<Diagonal>({g, in[1], in[2]}, stream(), !spread_, pattern_, k_, canonical_);
  }
  void kernel(const Arrays& in, Arrays& out) const override {
    const auto a = on_host(pattern_, in[1], in[2]);
    dispatch_index(a.index, [&](auto i) {
      using I = typename decltype(i)::type;
      if (spread_) spread<I>(a, in[0], out[0]);
      else sum<I>(a, in[0], out[0]);
    });
  }
  template <class I>
  void spread(const HostStructure& a, const mx::array& elements, mx::array& out) const {
    std::memset(out.data<char>(), 0, out.nbytes());
    dispatch_width(out.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      const auto* from = reinterpret_cast<const W*>(elements.data<char>());
      auto* to = reinterpret_cast<W*>(out.data<char>());
      visit_diagonal<I>(a, k_, canonical_, [](size_t) {}, [=](size_t n, size_t at) { to[at] = from[n]; });
    });
  }
  template <class I>
  void sum(const HostStructure& a, const mx::array& values, mx::array& out) const {
    dispatch_unsigned(out.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      using A = wide_t<T>;
      std::vector<A> wide(std::is_same_v<A, T> ? 0 : out.size());
      const T* from = values.data<T>();
      T* to = out.data<T>();
      A* sums;
      if constexpr (std::is_same_v<A, T>) sums = to;
      else sums = wide.data();
      visit_diagonal<I>(a, k_, canonical_, [=](size_t n) { sums[n] = A{}; },
                        [=](size_t n, size_t at) { sums[n] = add(sums[n], widen(from[at])); });
      for (size_t n = 0; n < wide.size(); ++n) to[n] = rounded<T>(wide[n]);
    });
  }

  bool spread_;
  Pattern pattern_;
  int64_t k_;
  bool canonical_;
};

// That of a compressed structure in order by a shader. Inputs: values, outer, inner, k in the dtype of these.
class SlicesDiagonal : public Node {
 public:
  SlicesDiagonal(mx::Stream s, DiagonalRange d) : Node(s), range_(d) {}
  const char* name() const override { return "SparseSlicesDiagonal"; }

 private:
  std::vector<int64_t> key() const override { return {range_.first, range_.count, range_.k}; }
  std::vector<Output> results(const Arrays& in) const override { return {{{to_dim(range_.count)}, in[0].dtype()}}; }
  Arrays apply(const Arrays& in) override { return {node<SlicesDiagonal>(in, stream(), range_)}; }
  // Of each slice its element or 0, spread over the entries, where they are on the diagonal.
  mx::array gradient(int, const Arrays& in, const mx::array& g, const Arrays&) override {
    const auto s = stream();
    const int entries = in[2].shape(0), slices = in[1].shape(0) - 1, first = to_dim(range_.first);
    auto none = [&](int n) { return mx::zeros({n}, g.dtype(), s); };
    const auto all = mx::concatenate({none(first), g, none(slices - first - to_dim(range_.count))}, 0, s);
    const Segments by_slice{slices, mx::astype(in[1], mx::int32, s), std::nullopt, std::nullopt};
    const auto spread = mx::flatten(segment_spread(mx::reshape(all, {-1, 1}, s), by_slice, entries, s), s);
    const auto place = mx::add(expand(in[1], entries, s), mx::array(range_.k, in[1].dtype()), s);
    return mx::where(mx::equal(place, in[2], s), spread, none(1), s);
  }
  void shader(const Arrays& in, Arrays& out) override {
    launch(sp::shader("cs_diagonal"), {in[0], in[2], in[1], in[3]}, out, {}, {out[0].shape(0), 1, 1}, stream());
  }

  DiagonalRange range_;
};

// The others from what has shaders: values off the diagonal become zeros, which are then summed along the slices.
mx::array diagonal_graph(const Structure& a, const mx::array& data, int64_t k, mx::Stream s) {
  const auto& p = a.pattern;
  const auto type = a.inner.dtype();
  auto number = [&](int64_t n) { return mx::array(n, type); };
  auto on = [&](const mx::array& row, const mx::array& col) {
    return mx::where(mx::equal(mx::add(row, number(k), s), col, s), data, mx::zeros({1}, data.dtype(), s), s);
  };
  auto summed = [&] {
    if (p.layout == Layout::coordinate) return minor_sum(on(a.outer, a.inner), a.outer, p.n_major, s);
    auto major = expand(a.outer, a.entries(), s);
    if (p.layout == Layout::compressed) return major_sum(on(major, a.inner), a.outer, s);
    auto place = [&](const mx::array& block, int64_t length, const mx::Shape& shape) {
      auto within = mx::reshape(mx::arange(0, static_cast<double>(length), 1, type, s), shape, s);
      return mx::add(mx::multiply(mx::reshape(block, {-1, 1, 1}, s), number(length), s), within, s);
    };
    auto values = on(place(major, p.r, {1, -1, 1}), place(a.inner, p.c, {1, 1, -1}));
    auto rows = data.dtype() == mx::bool_ ? mx::any(values, 2, false, s) : mx::astype(mx::sum(values, 2, false, s), data.dtype(), s);
    return mx::flatten(mx::transpose(major_sum(mx::contiguous(mx::transpose(rows, s), false, s), a.outer, s), s), s);
  };
  const DiagonalRange d(k, p.n_major, p.n_minor);
  const auto first = to_dim(d.first);
  return mx::slice(summed(), {first}, {first + to_dim(d.count)}, s);
}

} // namespace

mx::array diagonal(const Structure& a, const mx::array& data, int64_t k, bool canonical, mx::Stream s) {
  if (!uses_shaders(s, data.dtype())) return node<Diagonal>({data, a.outer, a.inner}, s, false, a.pattern, k, canonical);
  const DiagonalRange d(k, a.pattern.n_major, a.pattern.n_minor);
  // In any other order long slices have to be read, which sums share out evenly.
  if (a.pattern.layout != Layout::compressed || !canonical || d.count == 0 || a.entries() == 0) return diagonal_graph(a, data, k, s);
  const auto number = static_cast<double>(k); // written where it is read: a device would have to fetch what the host wrote
  const auto offset = mx::arange(number, number + 1, 1, a.inner.dtype(), s);
  return node<SlicesDiagonal>({data, a.outer, a.inner, offset}, s, d);
}

} // namespace sp
