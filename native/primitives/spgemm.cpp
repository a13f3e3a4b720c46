#include "spgemm.h"

#include "../launch.h"
#include "convert.h"
#include "node.h"

namespace sp {

namespace {

constexpr int kChunk = 512; // positions of the slices of a threadgroup

const TemplateArgs& sizes() {
  static const auto& args = *new TemplateArgs{{"CHUNK", kChunk}, {"MOST", kSliceProducts}};
  return args;
}

// Inputs: as the shader's, part before the last.
class SpgemmCount : public Node {
 public:
  explicit SpgemmCount(mx::Stream s) : Node(s) {}
  const char* name() const override { return "SparseProductCount"; }

 private:
  std::vector<int64_t> key() const override { return {}; }
  std::vector<Output> results(const Arrays& in) const override { return {{{in[1].shape(0) - 1}, mx::int32}}; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return {node<SpgemmCount>(in, stream())}; }
  void shader(const Arrays& in, Arrays& out) override {
    const Shader& sh = sp::shader("spgemm_count");
    launch(sh, in, out, sizes(), {(in[6].shape(0) - 1) * sh.group, 1, 1}, stream());
  }
};

class SpgemmFill : public Node {
 public:
  SpgemmFill(mx::Stream s, int64_t n) : Node(s, true), n_(n) {}
  const char* name() const override { return "SparseProductFill"; }

 private:
  std::vector<int64_t> key() const override { return {n_}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{{to_dim(n_)}, in[1].dtype()}, {{to_dim(n_)}, in[0].dtype()}};
  }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<SpgemmFill>(stream(), n_)->make(in); }
  void shader(const Arrays& in, Arrays& out) override {
    if (n_ == 0) return allocate_all(out);
    const Shader& sh = sp::shader("spgemm_fill");
    launch(sh, in, out, sizes(), {(in[8].shape(0) - 1) * sh.group, 1, 1}, stream());
  }

  int64_t n_;
};

} // namespace

SpgemmPlan spgemm_plan(const mx::array& offsets, const mx::array& starts, int64_t products, mx::Stream s) {
  const int64_t positions = products + starts.shape(0) - 1;
  return {offsets, starts, partition(starts, (positions + kChunk - 1) / kChunk, kChunk, s)};
}

mx::array spgemm_count(const Compressed& a, const Compressed& b, const SpgemmPlan& plan, mx::Stream s) {
  return node<SpgemmCount>({a.indices, a.indptr, b.indices, b.indptr, plan.offsets, plan.starts, plan.part}, s);
}

std::pair<mx::array, mx::array> spgemm_fill(const Compressed& a, const Compressed& b, const SpgemmPlan& plan,
                                            const mx::array& begins, int64_t n, mx::Stream s) {
  const Arrays inputs{a.data, a.indices, a.indptr, b.data, b.indices, b.indptr, plan.offsets, plan.starts, plan.part, begins};
  auto found = std::make_shared<SpgemmFill>(s, n)->make(inputs);
  return {found[0], found[1]};
}

} // namespace sp
