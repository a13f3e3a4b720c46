#include "sampled_matmul.h"

#include "../kernels/sampled_matmul.h"
#include "convert.h"
#include "node.h"

namespace sp {

namespace {

// Inputs: the values of a and of b, then indices and indptr of a, of b and of the mask.
class SampledMatmul : public Node {
 public:
  SampledMatmul(mx::Stream s, int64_t n_minor) : Node(s), n_minor_(n_minor) {}
  const char* name() const override { return "SparseSampledMatmul"; }

 private:
  std::vector<int64_t> key() const override { return {n_minor_}; }
  std::vector<Output> results(const Arrays& in) const override { return {{in[6].shape(), in[0].dtype()}}; }
  bool has_shader() const override { return false; }
  bool has_derivative(int input) const override { return input < 2; }
  Arrays apply(const Arrays& in) override {
    return {sampled_matmul({in[0], in[2], in[3]}, {in[1], in[4], in[5]}, in[6], in[7], n_minor_, stream())};
  }
  // Of a: the cotangent on the mask times b^H at the places of a; of b: a^H times it at those of b.
  mx::array gradient(int input, const Arrays& in, const mx::array& g, const Arrays&) override {
    const Compressed c{g, in[6], in[7]};
    const int64_t n_inner = static_cast<int64_t>(in[5].size()) - 1;
    if (input == 0) {
      const auto b = transpose({conj(in[1], stream()), in[4], in[5]}, n_minor_, stream());
      return sampled_matmul(c, b, in[2], in[3], n_inner, stream());
    }
    const auto a = transpose({conj(in[0], stream()), in[2], in[3]}, n_inner, stream());
    return sampled_matmul(a, c, in[4], in[5], n_minor_, stream());
  }
  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_index(in[2].dtype(), [&](auto i) {
      dispatch_unsigned(in[0].dtype(), [&](auto t) {
        using I = typename decltype(i)::type;
        using T = typename decltype(t)::type;
        auto pattern = [&](int at, size_t n_minor) {
          return CsPattern<I>{in[at + 1].size() - 1, n_minor, in[at + 1].data<I>(), in[at].data<I>()};
        };
        const auto n_minor = static_cast<size_t>(n_minor_);
        const CsView<T, I> a{pattern(2, in[5].size() - 1), in[0].data<T>()}, b{pattern(4, n_minor), in[1].data<T>()};
        const auto mask = pattern(6, n_minor);
        T* values = out[0].data<T>();
        cs_sampled_matmul(a, b, mask, values);
        std::fill(values + mask.nnz(), values + out[0].size(), T{}); // room that the structure does not use
      });
    });
  }

  int64_t n_minor_;
};

} // namespace

mx::array sampled_matmul(const Compressed& a, const Compressed& b, const mx::array& indices, const mx::array& indptr,
                         int64_t n_minor, mx::Stream s) {
  if (s.device == mx::Device::gpu) s = mx::default_stream(mx::Device::cpu);
  return node<SampledMatmul>({a.data, b.data, a.indices, a.indptr, b.indices, b.indptr, indices, indptr}, s, n_minor);
}

} // namespace sp
