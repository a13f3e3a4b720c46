#include "residual.h"

#include "../kernels/residual.h"
#include "../launch.h"
#include "node.h"
#include "views.h"

namespace sp {

namespace {

// Inputs (data, outer, inner, x_hi, x_lo, b_hi, b_lo).
class Residual : public Node {
 public:
  Residual(mx::Stream s, Pattern pattern) : Node(s), pattern_(std::move(pattern)) {}
  const char* name() const override { return "SparseResidual"; }

 private:
  std::vector<int64_t> key() const override { return {pattern_.n_major, pattern_.n_minor}; }
  std::vector<Output> results(const Arrays& in) const override { return {{in[5].shape(), mx::float32}}; }
  Arrays apply(const Arrays& in) override { return {node<Residual>(in, stream(), pattern_)}; }
  mx::array tangent(int input, const Arrays& in, const mx::array& rate) override { return gradient(input, in, rate, {}); }
  void kernel(const Arrays& in, Arrays& out) const override {
    const auto a = on_host(pattern_, in[1], in[2]);
    dispatch_index(a.index, [&](auto i) {
      using I = typename decltype(i)::type;
      cs_residual(CsView<float, I>{cs_pattern<I>(a), in[0].data<float>()}, in[3].shape(0), in[3].data<float>(),
                  in[4].data<float>(), in[5].data<float>(), in[6].data<float>(), out[0].data<float>());
    });
  }
  void shader(const Arrays& in, Arrays& out) override {
    const int64_t rows = pattern_.n_major, columns = in[5].shape(0);
    if (rows * columns == 0) return allocate_all(out);
    int64_t lanes = 1; // about two entries for each
    while (lanes < 32 && 2 * lanes * rows < static_cast<int64_t>(in[2].size())) lanes *= 2;
    launch(sp::shader("cs_residual"), {in[0], in[2], in[1], in[3], in[4], in[5], in[6]}, out,
           {{"LANES", static_cast<int>(lanes)}}, {to_dim(rows * lanes), 1, to_dim(columns)}, stream());
  }

  Pattern pattern_;
};

} // namespace

mx::array residual(const Structure& a, const mx::array& data, const std::pair<mx::array, mx::array>& x,
                   const std::pair<mx::array, mx::array>& b, mx::Stream s) {
  if (a.pattern.layout != Layout::compressed) throw std::invalid_argument("a must be compressed");
  const mx::Shape in{x.first.shape(0), to_dim(a.pattern.n_minor)}, out{x.first.shape(0), to_dim(a.pattern.n_major)};
  if (x.first.shape() != in || x.second.shape() != in || b.first.shape() != out || b.second.shape() != out) {
    throw std::invalid_argument("x and b must have the shapes (k, n_minor) and (k, n_major)");
  }
  for (const auto* given : {&data, &x.first, &x.second, &b.first, &b.second}) {
    if (given->dtype() != mx::float32) throw std::invalid_argument("values must be float32");
  }
  return node<Residual>({data, a.outer, a.inner, x.first, x.second, b.first, b.second}, s, a.pattern);
}

} // namespace sp
