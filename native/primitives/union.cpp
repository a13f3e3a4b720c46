#include "union.h"

#include "../launch.h"
#include "node.h"

namespace sp {

namespace {

class Rank : public Node {
 public:
  explicit Rank(mx::Stream s) : Node(s, true) {}
  const char* name() const override { return "SparseRank"; }

 private:
  std::vector<int64_t> key() const override { return {}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{in[1].shape(), in[1].dtype()}, {in[1].shape(), mx::int32}};
  }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<Rank>(stream())->make(in); }
  void shader(const Arrays& in, Arrays& out) override {
    if (out[0].size() == 0) return allocate_all(out);
    launch(sp::shader("cs_rank"), in, out, {}, {to_dim(out[0].size()), 1, 1}, stream());
  }
};

// Inputs: minor, rank and before of both.
class UnionOf : public Node {
 public:
  UnionOf(mx::Stream s, int64_t n) : Node(s, true), n_(n) {}
  const char* name() const override { return "SparseUnion"; }

 private:
  std::vector<int64_t> key() const override { return {n_}; }
  std::vector<Output> results(const Arrays& in) const override {
    const Output each{{to_dim(n_)}, in[0].dtype()};
    return {each, each};
  }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<UnionOf>(stream(), n_)->make(in); }
  void shader(const Arrays& in, Arrays& out) override {
    if (n_ == 0) return allocate_all(out);
    launch(sp::shader("cs_union"), in, out, {}, {to_dim(in[0].size() + in[3].size()), 1, 1}, stream());
  }

  int64_t n_;
};

} // namespace

Ranks ranks(const mx::array& major, const mx::array& minor, const mx::array& indptr, const mx::array& indices, mx::Stream s) {
  auto found = std::make_shared<Rank>(s)->make({major, minor, indptr, indices});
  return {found[0], found[1]};
}

Union union_of(const Ranked& a, const Ranked& b, int64_t n, mx::Stream s) {
  auto found = std::make_shared<UnionOf>(s, n)->make({a.minor, a.rank, a.before, b.minor, b.rank, b.before});
  return {found[0], found[1]};
}

} // namespace sp
