#include "convert.h"

#include "../kernels/convert.h"
#include "../launch.h"
#include "node.h"
#include "product_shader.h"
#include "segment.h"
#include "sort_by_key.h"

namespace sp {

namespace {

// Inputs: indptr, and perhaps where its slices begin elsewhere.
class Expand : public Node {
 public:
  Expand(mx::Stream s, int64_t nnz) : Node(s), nnz_(nnz) {}
  const char* name() const override { return "SparseExpand"; }

 private:
  std::vector<int64_t> key() const override { return {nnz_}; }
  std::vector<Output> results(const Arrays& in) const override { return {{{to_dim(nnz_)}, in[0].dtype()}}; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return {node<Expand>(in, stream(), nnz_)}; }
  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_index(in[0].dtype(), [&](auto i) {
      using I = typename decltype(i)::type;
      const I* indptr = in[0].data<I>();
      I* major = out[0].data<I>();
      cs_expand<I>(in[0].size() - 1, indptr, major);
      if (in.size() == 1) return;
      const I* start = in[1].data<I>();
      for (int64_t p = 0; p < nnz_; ++p) major[p] = start[major[p]] + static_cast<I>(p) - indptr[major[p]];
    });
  }
  void shader(const Arrays& in, Arrays& out) override {
    if (out[0].size() == 0) return allocate_all(out);
    constexpr int64_t chunk = 2048; // of the shader
    const Shader& sh = sp::shader("cs_expand");
    const int chunks = to_dim((nnz_ + chunk - 1) / chunk);
    launch(sh, {in[0], in.back()}, out, {{"has_start", in.size() > 1}}, {chunks * sh.group, 1, 1}, stream());
  }

  int64_t nnz_;
};

// Inputs: data, indices, the indptr of the slices taken, and where each begins in the first two.
class Take : public Node {
 public:
  Take(mx::Stream s, int64_t nnz) : Node(s, true), nnz_(nnz) {}
  const char* name() const override { return "SparseTake"; }

 private:
  std::vector<int64_t> key() const override { return {nnz_}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{{to_dim(nnz_)}, in[0].dtype()}, {{to_dim(nnz_)}, in[1].dtype()}};
  }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<Take>(stream(), nnz_)->make(in); }
  void shader(const Arrays& in, Arrays& out) override {
    if (out[0].size() == 0) return allocate_all(out);
    constexpr int64_t chunk = 2048; // of the shader
    const Shader& sh = sp::shader("cs_take");
    const int chunks = to_dim((nnz_ + chunk - 1) / chunk);
    launch(sh, in, out, {}, {chunks * sh.group, 1, 1}, stream());
  }

  int64_t nnz_;
};

class Partition : public Node {
 public:
  Partition(mx::Stream s, int64_t chunks, int chunk) : Node(s), chunks_(chunks), chunk_(chunk) {}
  const char* name() const override { return "SparsePartition"; }

 private:
  std::vector<int64_t> key() const override { return {chunks_, chunk_}; }
  std::vector<Output> results(const Arrays& in) const override { return {{{to_dim(chunks_ + 1)}, in[0].dtype()}}; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return {partition(in[0], chunks_, chunk_, stream())}; }
  void shader(const Arrays& in, Arrays& out) override { launch_each("cs_partition", in, out, {{"CHUNK", chunk_}}, stream()); }

  int64_t chunks_;
  int chunk_;
};

// x (n,) or (b, n), and the order.
class Permute : public Node {
 public:
  explicit Permute(mx::Stream s) : Node(s) {}
  const char* name() const override { return "SparsePermute"; }

 private:
  std::vector<int64_t> key() const override { return {}; }
  std::vector<Output> results(const Arrays& in) const override { return {{in[0].shape(), in[0].dtype()}}; }
  Arrays apply(const Arrays& in) override { return {permute(in[0], in[1], stream())}; }
  mx::array gradient(int, const Arrays& in, const mx::array& g, const Arrays&) override {
    return permute(g, sort_by_key(in[1], in[1].shape(0), stream()).order, stream()); // the inverse permutation
  }
  std::optional<Batched> batched(const Arrays& in, const Axes& axes) override {
    if (axes[1] >= 0) return std::nullopt;
    auto x = mx::moveaxis(in[0], axes[0], 0, stream());
    auto y = permute(as_rows(x, stream()), in[1], stream());
    return Batched{mx::reshape(y, x.shape(), stream()), 0};
  }
  void kernel(const Arrays& in, Arrays& out) const override {
    const size_t n = in[1].size();
    dispatch_width(in[0].dtype(), [&](auto w) {
      dispatch_index(in[1].dtype(), [&](auto i) {
        using W = typename decltype(w)::type;
        using I = typename decltype(i)::type;
        const W* x = reinterpret_cast<const W*>(in[0].data<char>());
        W* y = reinterpret_cast<W*>(out[0].data<char>());
        for (size_t b = 0; n && b < in[0].size() / n; ++b) permute<W, I>(n, in[1].data<I>(), x + b * n, y + b * n);
      });
    });
  }
  void shader(const Arrays& in, Arrays& out) override { launch_each("permute", in, out, {}, stream()); }
};

// The one pass on the CPU over values that no rule will ask about: (data, indices, indptr), or (data, minor, major).
class Compress : public Node {
 public:
  Compress(mx::Stream s, bool coordinates, int64_t n) : Node(s, true), coordinates_(coordinates), n_(n) {}
  const char* name() const override { return coordinates_ ? "SparseCooToCs" : "SparseTranspose"; }

 private:
  std::vector<int64_t> key() const override { return {coordinates_, n_}; }
  std::vector<Output> results(const Arrays& in) const override {
    return {{in[0].shape(), in[0].dtype()}, {in[1].shape(), in[1].dtype()}, {to_shape({n_ + 1}, in[1].dtype()), in[1].dtype()}};
  }
  bool has_shader() const override { return false; }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays& in) override { return std::make_shared<Compress>(stream(), coordinates_, n_)->make(in); }
  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_index(in[1].dtype(), [&](auto i) {
      dispatch_width(in[0].dtype(), [&](auto w) {
        using I = typename decltype(i)::type;
        using W = typename decltype(w)::type;
        const W* data = reinterpret_cast<const W*>(in[0].data<char>());
        const CsOut<W, I> to{out[2].data<I>(), out[1].data<I>(), reinterpret_cast<W*>(out[0].data<char>())};
        const auto n = static_cast<size_t>(n_);
        const I *inner = in[1].data<I>(), *outer = in[2].data<I>();
        if (coordinates_) coo_to_cs(CooView<W, I>{{in[1].size(), n, 0, outer, inner}, data}, to);
        else cs_transpose(CsView<W, I>{{in[2].size() - 1, n, outer, inner}, data}, to);
      });
    });
  }

  bool coordinates_;
  int64_t n_; // slices of the result
};

// The values in the order of a sort that only index arrays decide.
Compressed by_key(const mx::array& data, const mx::array& keys, const mx::array& others, int64_t n, mx::Stream s) {
  auto sorted = sort_by_key(keys, n, s);
  return {permute(data, sorted.order, s), mx::take(others, sorted.order, 0, s), sorted.offsets};
}

} // namespace

mx::array expand(const mx::array& indptr, int64_t nnz, mx::Stream s) { return node<Expand>({indptr}, s, nnz); }

mx::array places(const mx::array& indptr, const mx::array& start, int64_t nnz, mx::Stream s) {
  return node<Expand>({indptr, start}, s, nnz);
}

Compressed take_entries(const Compressed& a, const mx::array& indptr, const mx::array& start, int64_t nnz, mx::Stream s) {
  // One node for both would have pending values computed as soon as the index arrays are.
  if (a.data.is_tracer() || a.data.status() == mx::array::Status::unscheduled) {
    const auto place = places(indptr, start, nnz, s);
    return {gathered(a.data, place, s), mx::take(a.indices, place, 0, s), indptr};
  }
  auto taken = std::make_shared<Take>(s, nnz)->make({a.data, a.indices, indptr, start});
  return {taken[0], taken[1], indptr};
}

mx::array permute(const mx::array& x, const mx::array& order, mx::Stream s) { return node<Permute>({x, order}, s); }

mx::array gathered(const mx::array& x, const mx::array& at, mx::Stream s) {
  if (!x.is_tracer() || !is_complex(x.dtype()) || !uses_shaders(s, x.dtype())) return mx::take(x, at, 0, s);
  const Segments by_place{x.shape(0), std::nullopt, mx::astype(at, mx::int32, s), std::nullopt};
  return mx::flatten(segment_spread(mx::reshape(x, {-1, 1}, s), by_place, at.shape(0), s), s);
}

mx::array partition(const mx::array& indptr, int64_t chunks, int chunk, mx::Stream s) {
  return node<Partition>({indptr}, s, chunks, chunk);
}

Compressed transpose(const Compressed& a, int64_t n_minor, mx::Stream s) {
  if (uses_shaders(s, a.data.dtype()) || a.data.is_tracer()) {
    return by_key(a.data, a.indices, expand(a.indptr, a.indices.size(), s), n_minor, s);
  }
  auto out = std::make_shared<Compress>(s, false, n_minor)->make({a.data, a.indices, a.indptr});
  return {out[0], out[1], out[2]};
}

Compressed transpose_of(const Structure& a, const mx::array& data, mx::Stream s) {
  if (!uses_shaders(s, data.dtype())) return transpose(Compressed{data, a.inner, a.outer}, a.pattern.n_minor, s);
  const auto t = transposed(a, s);
  return {permute(data, t.order, s), t.indices, t.indptr};
}

Compressed coo_to_cs(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major, mx::Stream s) {
  if (uses_shaders(s, data.dtype()) || data.is_tracer()) return by_key(data, major, minor, n_major, s);
  auto out = std::make_shared<Compress>(s, true, n_major)->make({data, minor, major});
  return {out[0], out[1], out[2]};
}

} // namespace sp
