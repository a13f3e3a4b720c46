#include "sort_by_key.h"

#include <limits>

#include "../kernels/sort.h"
#include "../launch.h"
#include "segment.h"

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

// On the CPU only: shaders sort by passes.
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

constexpr int kDigit = 5; // bits that a pass sorts by
constexpr int kRadixChunk = 2048; // keys of a threadgroup
constexpr size_t kShort = 1 << 16; // keys that MLX's argsort has sorted before so many launches have begun

int radix_chunks(const mx::array& keys) { return to_dim((int64_t(keys.size()) + kRadixChunk - 1) / kRadixChunk); }

// Inputs: keys, (first bit, n). With shaders only, as the next.
class RadixCounts : public Node {
 public:
  explicit RadixCounts(mx::Stream s) : Node(s) {}
  const char* name() const override { return "SparseRadixCounts"; }

 private:
  std::vector<int64_t> key() const override { return {}; }
  std::vector<Output> results(const Arrays& in) const override { return {{{radix_chunks(in[0]) << kDigit}, mx::int32}}; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return {node<RadixCounts>(in, stream())}; }
  void shader(const Arrays& in, Arrays& out) override {
    const Shader& sh = sp::shader("radix_counts");
    launch(sh, in, out, {{"CHUNK", kRadixChunk}}, {radix_chunks(in[0]) * sh.group, 1, 1}, stream());
  }
};

// Inputs: keys, their order so far (first: anything), (first bit, n), running sums of counts. Results: both, sorted by the digit.
class RadixScatter : public Node {
 public:
  RadixScatter(mx::Stream s, bool first) : Node(s, true), first_(first) {}
  const char* name() const override { return "SparseRadixScatter"; }

 private:
  std::vector<int64_t> key() const override { return {first_}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{in[0].shape(), mx::int32}, {in[0].shape(), mx::int32}};
  }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<RadixScatter>(stream(), first_)->make(in); }
  void shader(const Arrays& in, Arrays& out) override {
    const Shader& sh = sp::shader("radix_scatter");
    const TemplateArgs args{{"CHUNK", kRadixChunk}, {"first", first_}};
    launch(sh, in, out, args, {radix_chunks(in[0]) * sh.group, 1, 1}, stream());
  }

  bool first_;
};

// (sorted keys, order); keys outside [0, n) come last and become n.
Arrays radix_sort(mx::array keys, int64_t n, mx::Stream s) {
  if (keys.dtype() == mx::int64) { // which int32 may not hold
    const auto last = mx::array(n, mx::int64), none = mx::array(int64_t{0}, mx::int64);
    keys = mx::astype(mx::where(mx::less(keys, none, s), last, mx::minimum(keys, last, s), s), mx::int32, s);
  }
  Arrays found{keys};
  for (int bit = 0; bit == 0 || n >> bit; bit += kDigit) {
    const auto range = mx::array({bit, static_cast<int>(n)}, mx::int32);
    const auto counts = node<RadixCounts>({found[0], range}, s);
    const auto offsets = segment_offsets(counts, true, std::numeric_limits<int>::max(), s);
    found = std::make_shared<RadixScatter>(s, bit == 0)->make({found[0], found.back(), range, offsets});
  }
  return found;
}

} // namespace

mx::array offsets_of_sorted(const mx::array& keys, int64_t n, mx::Stream s) { return node<OffsetsOfSorted>({keys}, s, n); }

Sorted sort_by_key(const mx::array& keys, int64_t n, mx::Stream s) {
  if (uses_shaders(s)) {
    if (keys.size() >= kShort) {
      const auto found = radix_sort(keys, n, s);
      return {mx::astype(found[1], keys.dtype(), s), offsets_of_sorted(mx::astype(found[0], keys.dtype(), s), n, s)};
    }
    // A stable library sort on every back end.
    auto order = mx::astype(mx::argsort(keys, 0, s), keys.dtype(), s);
    return {order, offsets_of_sorted(mx::take(keys, order, 0, s), n, s)};
  }
  auto found = std::make_shared<SortByKey>(s, n)->make({keys});
  return {found[0], found[1]};
}

} // namespace sp
