#include "reduce.h"

#include "../kernels/reduce.h"
#include "../launch.h"
#include "convert.h"
#include "product_shader.h"
#include "sort_by_key.h"

namespace sp {

namespace {

// Inputs (data, indptr), or (data, indices). With shaders only major sums are nodes: minor sums are sorted into them.
class AxisSum : public Node {
 public:
  AxisSum(mx::Stream s, bool major, int64_t n_out) : Node(s, major && uses_shaders(s)), major_(major), n_out_(n_out) {}
  const char* name() const override { return major_ ? "SparseMajorSum" : "SparseMinorSum"; }

 private:
  std::vector<int64_t> key() const override { return {major_, n_out_}; }
  std::vector<Output> results(const Arrays& in) const override {
    auto shape = in[0].shape();
    shape.back() = to_shape({n_out_}, in[0].dtype())[0];
    return {{shape, in[0].dtype()}};
  }
  std::vector<Output> scratch(const Arrays& in) const override {
    const int64_t batch = in[0].ndim() == 2 ? in[0].shape(0) : 1;
    return segment_scratch({in[0].shape(-1), n_out_, batch, 1, false, true}, in[1].dtype(), in[0].dtype());
  }
  bool has_shader() const override { return major_; }
  Arrays apply(const Arrays& in) override {
    return {major_ ? major_sum(in[0], in[1], stream()) : minor_sum(in[0], in[1], n_out_, stream())};
  }
  mx::array gradient(int, const Arrays& in, const mx::array& g, const Arrays&) override {
    return mx::take(g, major_ ? expand(in[1], in[0].shape(-1), stream()) : in[1], -1, stream());
  }
  std::optional<Batched> batched(const Arrays& in, const Axes& axes) override {
    if (axes[1] >= 0) return std::nullopt;
    auto data = mx::moveaxis(in[0], axes[0], 0, stream());
    auto sums = apply({as_rows(data, stream()), in[1]})[0];
    auto shape = data.shape();
    shape.back() = sums.shape(-1);
    return Batched{mx::reshape(sums, shape, stream()), 0};
  }
  void kernel(const Arrays& in, Arrays& out) const override {
    const size_t nnz = in[0].shape(-1), n_out = out[0].shape(-1), batch = in[0].ndim() == 2 ? in[0].shape(0) : 1;
    dispatch_unsigned(in[0].dtype(), [&](auto t) {
      dispatch_index(in[1].dtype(), [&](auto i) {
        using T = typename decltype(t)::type;
        using I = typename decltype(i)::type;
        for (size_t b = 0; b < batch; ++b) {
          const T* data = in[0].data<T>() + b * nnz;
          T* sums = out[0].data<T>() + b * n_out;
          if (major_) cs_major_sum<T, I>(n_out, in[1].data<I>(), data, sums);
          else cs_minor_sum<T, I>(nnz, n_out, in[1].data<I>(), data, sums);
        }
      });
    });
  }
  void shader(const Arrays& in, Arrays& out) override {
    launch_segments({in[0], in[1], in[1], nullptr, nullptr, true}, out, stream());
  }

  bool major_;
  int64_t n_out_;
};

} // namespace

mx::array major_sum(const mx::array& data, const mx::array& indptr, mx::Stream s) {
  return node<AxisSum>({data, indptr}, s, true, static_cast<int64_t>(indptr.size()) - 1);
}

mx::array minor_sum(const mx::array& data, const mx::array& indices, int64_t n_minor, mx::Stream s) {
  if (!uses_shaders(s, data.dtype())) return node<AxisSum>({data, indices}, s, false, n_minor);
  auto sorted = sort_by_key(indices, n_minor, s);
  return major_sum(permute(data, sorted.order, s), sorted.offsets, s);
}

mx::array inner_sum(const Structure& a, const mx::array& data, mx::Stream s) {
  if (!uses_shaders(s, data.dtype())) return minor_sum(data, a.inner, a.pattern.n_minor, s);
  const auto t = transposed(a, s);
  return major_sum(permute(data, t.order, s), t.indptr, s);
}

// One slice of everything: MLX adds long arrays up by one thread, and float32 without care. On a GPU it uses a tree.
mx::array total(const mx::array& data, mx::Stream s) {
  const auto n = static_cast<int64_t>(data.size());
  if (s.device == mx::Device::gpu) return mx::astype(mx::sum(mx::astype(data, acc_dtype(data.dtype()), s), s), data.dtype(), s);
  return mx::squeeze(major_sum(mx::flatten(data, s), mx::array({int64_t{0}, n}), s), s);
}

} // namespace sp
