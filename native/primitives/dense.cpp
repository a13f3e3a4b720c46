#include "dense.h"

#include "../kernels/dense.h"
#include "../launch.h"
#include "convert.h"
#include "node.h"
#include "views.h"

namespace sp {

namespace {

// Inputs (values or dense, outer, inner).
class DenseForm : public Node {
 public:
  DenseForm(mx::Stream s, bool sample, Pattern pattern) : Node(s), sample_(sample), pattern_(std::move(pattern)) {}
  const char* name() const override { return sample_ ? "SparseSample" : "SparseToDense"; }

 private:
  std::vector<int64_t> key() const override {
    return {sample_, static_cast<int64_t>(pattern_.layout), pattern_.n_major, pattern_.n_minor};
  }
  std::vector<Output> results(const Arrays& in) const override {
    mx::Shape shape{to_dim(in[2].size())};
    if (!sample_) shape = to_shape({pattern_.n_major, pattern_.n_minor}, in[0].dtype());
    if (batched_input(in[0])) shape.insert(shape.begin(), in[0].shape(0));
    return {{shape, in[0].dtype()}};
  }
  bool batched_input(const mx::array& x) const { return x.ndim() == (sample_ ? 3 : 2); }
  bool has_shader() const override { return !sample_; }
  Structure structure(const Arrays& in) const { return {pattern_, in[1], in[2]}; }

  Arrays apply(const Arrays& in) override {
    return {sample_ ? sample(structure(in), in[0], stream()) : todense(structure(in), in[0], stream())};
  }
  mx::array gradient(int, const Arrays& in, const mx::array& g, const Arrays&) override {
    return sample_ ? todense(structure(in), g, stream()) : sample(structure(in), g, stream());
  }
  std::optional<Batched> batched(const Arrays& in, const Axes& axes) override {
    refuse_mapped_structure(axes[1] >= 0 || axes[2] >= 0);
    const auto s = stream();
    auto x = mx::moveaxis(in[0], axes[0], 0, s);
    if (batched_input(x)) return Batched{apply({x, in[1], in[2]})[0], 0};
    auto flat = x.shape();
    flat.erase(flat.begin());
    flat[0] = -1;
    auto y = apply({mx::reshape(x, flat, s), in[1], in[2]})[0];
    auto shape = y.shape();
    shape[0] = x.shape(1);
    shape.insert(shape.begin(), x.shape(0));
    return Batched{mx::reshape(y, shape, s), 0};
  }

  void kernel(const Arrays& in, Arrays& out) const override {
    const auto a = on_host(pattern_, in[1], in[2]);
    const size_t area = static_cast<size_t>(pattern_.n_major * pattern_.n_minor), batch = batched_input(in[0]) ? in[0].shape(0) : 1;
    if (!sample_) std::memset(out[0].data<char>(), 0, out[0].nbytes());
    dispatch_index(a.index, [&](auto i) {
      using I = typename decltype(i)::type;
      for (size_t b = 0; b < batch; ++b) {
        if (sample_) sample_one<I>(a, in[0], b * area, out[0], b * a.entries);
        else todense_one<I>(a, in[0], b * a.entries, out[0], b * area);
      }
    });
  }
  template <class I>
  static void todense_one(const HostStructure& a, const mx::array& data, size_t from, mx::array& out, size_t to) {
    const Strides strides{a.pattern.n_minor, 1};
    dispatch_unsigned(data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      const T* values = reinterpret_cast<const T*>(data.data<char>()) + from;
      T* dense = reinterpret_cast<T*>(out.data<char>()) + to;
      if (a.pattern.layout == Layout::compressed) cs_todense(CsView<T, I>{cs_pattern<I>(a), values}, dense, strides);
      else coo_todense(CooView<T, I>{coo_pattern<I>(a), values}, dense, strides);
    });
  }
  template <class I>
  static void sample_one(const HostStructure& a, const mx::array& dense, size_t from, mx::array& out, size_t to) {
    const Strides strides{a.pattern.n_minor, 1};
    dispatch_width(dense.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      const W* x = reinterpret_cast<const W*>(dense.data<char>()) + from;
      W* values = reinterpret_cast<W*>(out.data<char>()) + to;
      if (a.pattern.layout == Layout::compressed) cs_sample(cs_pattern<I>(a), x, strides, values);
      else coo_sample(coo_pattern<I>(a), x, strides, values);
    });
  }

  void shader(const Arrays& in, Arrays& out) override {
    if (out[0].size() == 0) return allocate_all(out);
    const Shader& sh = sp::shader("cs_todense");
    const int teams = sh.group / 32, batch = batched_input(in[0]) ? in[0].shape(0) : 1;
    const int groups = (to_dim(pattern_.n_major) + teams - 1) / teams;
    launch(sh, {in[0], in[2], in[1]}, out, {{"unique", false}, {"transposed", false}}, {groups * sh.group, 1, batch}, stream(), true);
  }

  bool sample_;
  Pattern pattern_;
};

} // namespace

mx::array todense(const Structure& a, const mx::array& data, mx::Stream s) {
  if (uses_shaders(s, data.dtype()) && a.pattern.layout == Layout::coordinate) {
    auto cs = coo_to_cs(data, a.outer, a.inner, a.pattern.n_major, s);
    return todense({{Layout::compressed, a.pattern.n_major, a.pattern.n_minor, nullptr}, cs.indptr, cs.indices}, cs.data, s);
  }
  return node<DenseForm>({data, a.outer, a.inner}, s, false, a.pattern);
}

mx::array sample(const Structure& a, const mx::array& dense, mx::Stream s) {
  if (!uses_shaders(s, dense.dtype())) return node<DenseForm>({dense, a.outer, a.inner}, s, true, a.pattern);
  auto major = a.pattern.layout == Layout::compressed ? expand(a.outer, a.entries(), s) : a.outer;
  auto width = mx::array(a.pattern.n_minor, mx::int64);
  auto position = mx::add(mx::multiply(mx::astype(major, mx::int64, s), width, s), a.inner, s);
  mx::Shape flat = dense.ndim() == 3 ? mx::Shape{dense.shape(0), -1} : mx::Shape{-1};
  return mx::take(mx::reshape(dense, flat, s), position, -1, s);
}

} // namespace sp
