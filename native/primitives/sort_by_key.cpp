#include "sort_by_key.h"

#include "../kernels/sort.h"
#include "../launch.h"

namespace sp {

namespace {

Output offsets_for(int64_t n, mx::Dtype dtype) { return {to_shape({n + 1}, dtype), dtype}; }

class OffsetsOfSorted : public Node {
 public:
  OffsetsOfSorted(mx::Stream s, int64_t n) : Node(s), n_(n) {}
  const char* name() const override { return "SparseOffsetsOfSorted"; }

 private:
  std::vector<int64_t> key() const override { return {n_}; }
  std::vector<Output> results(const Arrays& in) const override { return {offsets_for(n_, in[0].dtype())}; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return {offsets_of_sorted(in[0], n_, stream())}; }
  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_index(in[0].dtype(), [&](auto i) {
      using I = typename decltype(i)::type;
      const I* keys = in[0].data<I>();
      offsets_of_sorted<I>(in[0].size(), n_, keys, is_nondecreasing(in[0].size(), keys), out[0].data<I>());
    });
  }
  void shader(const Arrays& in, Arrays& out) override { launch_each("cs_compress", in, out, {}, stream()); }

  int64_t n_;
};

// On the CPU only: with shaders it is MLX's argsort.
class SortByKey : public Node {
 public:
  SortByKey(mx::Stream s, int64_t n) : Node(s, true), n_(n) {}
  const char* name() const override { return "SparseSortByKey"; }

 private:
  std::vector<int64_t> key() const override { return {n_}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{in[0].shape(), in[0].dtype()}, offsets_for(n_, in[0].dtype())};
  }
  bool has_derivative(int) const override { return false; }
  bool has_shader() const override { return false; }
  Arrays apply(const Arrays& in) override {
    auto found = sort_by_key(in[0], n_, stream());
    return {found.order, found.offsets};
  }
  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_index(in[0].dtype(), [&](auto i) {
      using I = typename decltype(i)::type;
      sort_by_key(in[0].size(), n_, in[0].data<I>(), out[0].data<I>(), out[1].data<I>());
    });
  }

  int64_t n_;
};

} // namespace

mx::array offsets_of_sorted(const mx::array& keys, int64_t n, mx::Stream s) { return node<OffsetsOfSorted>({keys}, s, n); }

Sorted sort_by_key(const mx::array& keys, int64_t n, mx::Stream s) {
  if (uses_shaders(s)) { // MLX's argsort is a stable library sort on every back end
    auto order = mx::astype(mx::argsort(keys, 0, s), keys.dtype(), s);
    return {order, offsets_of_sorted(mx::take(keys, order, 0, s), n, s)};
  }
  auto found = std::make_shared<SortByKey>(s, n)->make({keys});
  return {found[0], found[1]};
}

} // namespace sp
