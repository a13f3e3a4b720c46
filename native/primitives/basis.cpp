#include "basis.h"

#include "../launch.h"
#include "../ops/basis.h"
#include "node.h"

namespace sp {

namespace {

constexpr int kChunk = 2048; // elements that one group of the shaders adds up

// Outputs (v, h); for shaders then two passes of (sums over chunks, coefficients, what is left, squares over chunks), and
// the square of the length.
class ExtendRows : public Node {
 public:
  ExtendRows(mx::Stream s, int count, bool keep, mx::Dtype dtype)
      : Node(s, true), count_(count), keep_(keep), single_(dtype == mx::float32 || dtype == mx::complex64) {}
  const char* name() const override { return "ExtendRows"; }

 private:
  std::vector<int64_t> key() const override { return {count_, keep_}; }
  bool has_derivative(int) const override { return true; } // so that gradient() refuses, not the rule for structure
  std::vector<Output> results(const Arrays& in) const override {
    return {{in[1].shape(), in[1].dtype()}, {{count_ + 1}, in[1].dtype()}};
  }
  std::vector<Output> scratch(const Arrays& in) const override {
    const auto dtype = in[1].dtype();
    if (!shaders() || !single_) return {};
    const int chunks = chunks_of(in[1]), rows = std::max(count_, 1);
    const Output pass[] = {{{rows, chunks}, dtype}, {{rows}, dtype}, {in[1].shape(), dtype}, {{1, chunks}, mx::float32}};
    std::vector<Output> all(pass, pass + 4);
    all.insert(all.end(), pass, pass + 4);
    all.push_back({{1}, mx::float32});
    return all;
  }
  bool has_shader() const override { return single_; }
  Arrays apply(const Arrays& in) override {
    if (keep_) throw std::invalid_argument("rows that are written to have no batches");
    auto all = std::make_shared<ExtendRows>(stream(), count_, false, in[1].dtype())->make(in);
    all.resize(2, all[0]);
    return all;
  }
  static int chunks_of(const mx::array& w) { return (w.shape(0) + kChunk - 1) / kChunk; }

  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_field(in[1].dtype(), [&]<class T>(Tag<T>) {
      const size_t n = in[1].size(), m = static_cast<size_t>(count_);
      T* rows = const_cast<T*>(in[0].data<T>());
      T* v = out[0].data<T>();
      const auto h = extend_basis(BasisView<T>{rows, m, n}, in[1].data<T>(), v, 0.0);
      std::transform(h.begin(), h.end(), out[1].data<T>(), [](const auto& x) { return rounded<T>(x); });
      if (keep_) std::copy_n(v, n, rows + m * n);
    });
  }

  void shader(const Arrays& in, Arrays& out) override {
    const auto &all = in[0], &w = in[1];
    const bool alone = count_ == 0;
    const int chunks = chunks_of(w), n = w.shape(0);
    const auto rows = first_of(all, {std::max(count_, 1), n}), whole = first_of(all, {to_dim(std::max<size_t>(8, all.size()))});
    const Shader &dots = sp::shader("basis_dots"), &totals = sp::shader("basis_totals"),
                 &remove = sp::shader("basis_remove"), &unit = sp::shader("basis_unit");
    const TemplateArgs args{{"CHUNK", kChunk}, {"alone", alone}, {"kept", keep_}};
    const auto sum_up = [&](const mx::array& partial, mx::array& total) {
      Arrays result{total};
      launch(totals, {partial}, result, args, {partial.shape(0) * totals.group, 1, 1}, stream());
      total = result[0];
    };
    const mx::array* from = &w;
    for (int pass = 0; pass < 2; ++pass) {
      const auto at = static_cast<size_t>(2 + 4 * pass);
      Arrays partial{out[at]}, left{out[at + 2], out[at + 3]};
      if (alone && pass == 1) break;
      if (alone) {
        Arrays unused{out[at + 1]};
        allocate_all(partial);
        allocate_all(unused);
      } else {
        launch(dots, {rows, *from}, partial, args, {chunks * dots.group, (count_ + 3) / 4, 1}, stream());
        sum_up(partial[0], out[at + 1]);
      }
      launch(remove, {rows, *from, out[at + 1]}, left, args, {chunks * remove.group, 1, 1}, stream());
      from = &out[at + 2];
    }
    const size_t last = alone ? 2 : 6;
    sum_up(out[last + 3], out[10]);
    Arrays made{out[0], out[1]};
    launch(unit, {out[last + 2], out[10], out[3], out[last + 1], whole}, made, args, {n, 1, 1}, stream());
  }

  // The first elements of `a`; at least 8, of which nobody reads those that it lacks: Metal has fewer in an address space
  // that is not written to.
  static mx::array first_of(const mx::array& a, mx::Shape shape) {
    mx::array made(std::move(shape), a.dtype(), nullptr, {});
    mx::array::Flags flags{};
    flags.contiguous = flags.row_contiguous = true;
    made.copy_shared_buffer(a, made.strides(), flags, made.size());
    return made;
  }

  int count_;
  bool keep_, single_;
};

} // namespace

std::vector<mx::array> extend_rows(const mx::array& rows, int count, const mx::array& w, bool keep, mx::Stream s) {
  if (rows.ndim() != 2 || w.ndim() != 1 || rows.shape(1) != w.shape(0) || rows.dtype() != w.dtype() || count < 0 ||
      count + keep > rows.shape(0)) {
    throw std::invalid_argument("rows (m, n) and w (n,) must have one dtype, and room for the vector");
  }
  auto all = std::make_shared<ExtendRows>(s, count, keep, w.dtype())->make({rows, w});
  return {all[0], all[1]};
}

} // namespace sp
