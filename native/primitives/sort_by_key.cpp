#include "sort_by_key.h"

#include <limits>

#include "../kernels/sort.h"
#include "../launch.h"
#include "segment.h"
#include "wait.h"

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

// On the CPU only.
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

constexpr int kCrowd = 256; // entries of a key, above which counting them for each of them takes longer than argsort
constexpr size_t kShort = 1 << 16; // keys that argsort has sorted before so many launches have begun

// Results: counts of keys, numbers of entries among those of their key, whether a key has too many. With shaders only.
class KeyRanks : public Node {
 public:
  KeyRanks(mx::Stream s, int64_t n) : Node(s, true), n_(n) {}
  const char* name() const override { return "SparseKeyRanks"; }

 private:
  std::vector<int64_t> key() const override { return {n_}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{to_shape({n_ + 1}, mx::int32), mx::int32}, {in[0].shape(), mx::int32}, {{1}, mx::int32}};
  }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<KeyRanks>(stream(), n_)->make(in); }
  void shader(const Arrays& in, Arrays& out) override {
    launch(sp::shader("key_ranks"), in, out, {{"MOST", kCrowd}}, {in[0].shape(0), 1, 1}, stream(), true);
  }

  int64_t n_;
};

// Inputs: keys, ranks, offsets. The slots are scratch.
class KeyOrder : public Node {
 public:
  explicit KeyOrder(mx::Stream s) : Node(s, true) {}
  const char* name() const override { return "SparseKeyOrder"; }

 private:
  std::vector<int64_t> key() const override { return {}; }
  std::vector<Output> results(const Arrays& in) const override { return {{in[0].shape(), in[0].dtype()}}; }
  std::vector<Output> scratch(const Arrays& in) const override { return {{in[0].shape(), mx::int32}}; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return {std::make_shared<KeyOrder>(stream())->make(in)[0]}; }
  void shader(const Arrays& in, Arrays& out) override {
    Arrays slots{out[1]}, order{out[0]};
    launch(sp::shader("key_slots"), in, slots, {}, {in[0].shape(0), 1, 1}, stream());
    launch(sp::shader("key_order"), {in[0], slots[0], in[2]}, order, {}, {in[0].shape(0), 1, 1}, stream());
  }
};

// Entries take numbers among those of their key as they come, which are then put in order. None where a key has many, or
// where keys cannot be looked at: whether they have is one wait.
std::optional<Sorted> sort_by_numbers(const mx::array& keys, int64_t n, mx::Stream s) {
  if (keys.size() < kShort || keys.size() / kCrowd > static_cast<size_t>(n) || keys.is_tracer() || !is_there(keys)) return {};
  const auto found = std::make_shared<KeyRanks>(s, n)->make({keys});
  wait_for(found);
  if (found[2].item<int32_t>()) return {};
  const auto offsets = segment_offsets(found[0], true, std::numeric_limits<int>::max(), s);
  const auto order = std::make_shared<KeyOrder>(s)->make({keys, found[1], offsets})[0];
  return Sorted{order, mx::astype(mx::slice(offsets, {0}, {to_dim(n + 1)}, s), keys.dtype(), s)};
}

} // namespace

mx::array offsets_of_sorted(const mx::array& keys, int64_t n, mx::Stream s) { return node<OffsetsOfSorted>({keys}, s, n); }

Sorted sort_by_key(const mx::array& keys, int64_t n, mx::Stream s) {
  if (uses_shaders(s)) {
    if (auto found = sort_by_numbers(keys, n, s)) return *found;
    // MLX's is stable on every back end.
    auto order = mx::astype(mx::argsort(keys, 0, s), keys.dtype(), s);
    return {order, offsets_of_sorted(mx::take(keys, order, 0, s), n, s)};
  }
  auto found = std::make_shared<SortByKey>(s, n)->make({keys});
  return {found[0], found[1]};
}

} // namespace sp
