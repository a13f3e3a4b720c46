#include "basis.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../launch.h"
#include "../parallel.h"
#include "node.h"

namespace sp {

namespace {

constexpr size_t kBlock = 1024; // elements, of which all rows are in cache at once

size_t blocks_of(size_t n) { return (n + kBlock - 1) / kBlock; }

// f(block, lo, hi) over blocks of elements.
template <class T, class F>
void over_blocks(BasisView<T> basis, F&& f) {
  parallel_for(blocks_of(basis.n), plan_parts((basis.count + 1) * basis.n / 2), [&](size_t first, size_t last) {
    for (size_t block = first; block < last; ++block) {
      check_interrupt();
      f(block, block * kBlock, std::min(basis.n, (block + 1) * kBlock));
    }
  });
}

template <class T>
std::vector<scalar_t<T>> joined(std::vector<wide_t<T>>& sums, size_t blocks, size_t k) {
  join_in_pairs(sums.data(), blocks, k, [](wide_t<T>& sum, const wide_t<T>& later) { sum = add(sum, later); });
  return std::vector<scalar_t<T>>(sums.begin(), sums.begin() + static_cast<ptrdiff_t>(k));
}

template <class T>
std::vector<T> negative(const std::vector<scalar_t<T>>& h) {
  std::vector<T> out;
  for (const auto& c : h) out.push_back(rounded<T>(scalar_t<T>{} - c));
  return out;
}

template <class T>
void dots(BasisView<T> basis, size_t lo, size_t hi, const T* v, wide_t<T>* out) {
#ifdef SP_AVX2
  if (has_avx2()) return rows_dot_avx2(basis, lo, hi, v, out);
#endif
  rows_dot(basis, lo, hi, v, out);
}

template <class T>
void remove(BasisView<T> basis, size_t lo, size_t hi, const T* h, const T* w, T* v, wide_t<T>* out) {
#ifdef SP_AVX2
  if (has_avx2()) return remove_rows_avx2(basis, lo, hi, h, w, v, out);
#endif
  remove_rows(basis, lo, hi, h, w, v, out);
}

} // namespace

template <class T>
Coefficients<T> extend_basis(BasisView<T> basis, const T* w, T* fresh, double slack) {
  const size_t m = basis.count, blocks = blocks_of(basis.n);
  std::vector<wide_t<T>> sums(blocks * (m + 1));
  over_blocks(basis, [&](size_t block, size_t lo, size_t hi) { dots(basis, lo, hi, w + lo, &sums[block * m]); });
  auto h = joined<T>(sums, blocks, m);
  // What is left, its coefficients along the rows and its squared norm.
  const auto without = [&](const std::vector<scalar_t<T>>& along, const T* from) {
    const auto minus = negative<T>(along);
    over_blocks(basis, [&](size_t block, size_t lo, size_t hi) {
      remove(basis, lo, hi, minus.data(), from + lo, fresh + lo, &sums[block * (m + 1)]);
    });
    return joined<T>(sums, blocks, m + 1);
  };
  auto again = without(h, w);
  double square = real_part(again[m]), rest = 0;
  again.pop_back();
  for (const auto& c : again) rest = std::hypot(rest, modulus(c));
  if (rest > slack * std::sqrt(square)) {
    for (size_t k = 0; k < m; ++k) h[k] = add(h[k], again[k]);
    square = real_part(without(again, fresh)[m]);
  }
  const double length = std::sqrt(square);
  if (length != 0) {
    const T one{}, inverse = rounded<T>(scalar_t<T>(1 / length));
    over_blocks(BasisView<T>{fresh, 1, basis.n}, [&](size_t, size_t lo, size_t hi) {
      update_block(UpdateKind::overwrite, fresh + lo, &one, &inverse, fresh + lo, hi - lo, 0);
    });
  }
  h.push_back(scalar_t<T>(length));
  return h;
}

template <class T>
void combine_basis(BasisView<T> basis, const T* y, T* v) {
  over_blocks(basis, [&](size_t, size_t lo, size_t hi) {
    std::fill(v + lo, v + hi, T{});
#ifdef SP_AVX2
    if (has_avx2()) return add_rows_avx2(basis, lo, hi, y, v + lo);
#endif
    add_rows(basis, lo, hi, y, v + lo);
  });
}

#define SP_BASIS(T)                                                                 \
  template Coefficients<T> extend_basis(BasisView<T>, const T*, T*, double slack); \
  template void combine_basis(BasisView<T>, const T*, T*);
SP_BASIS(float)
SP_BASIS(double)
SP_BASIS(complex64_t)
SP_BASIS(WideComplex)

// ---- as a node -------------------------------------------------------------------------------------------------------

namespace {

constexpr int kRowsOfGroup = 8, kUnitChunk = 2048; // as in basis_dots and basis_unit
// Elements that one group of the others adds up: few where there would be too few groups.
int chunk_of(const mx::array& w) { return w.shape(0) < (1 << 20) ? 512 : 2048; }

// Elements of `a` in its memory.
mx::array part_of(const mx::array& a, mx::Shape shape, int64_t offset = 0) {
  mx::array made(std::move(shape), a.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = true;
  made.copy_shared_buffer(a, made.strides(), flags, made.size(), offset);
  return made;
}

bool is_single(mx::Dtype dtype) { return dtype == mx::float32 || dtype == mx::complex64; }

// Outputs (v, h), and for shaders scratch.
class ExtendRows : public Node {
 public:
  ExtendRows(mx::Stream s, int count, bool keep, bool always, mx::Dtype dtype)
      : Node(s, true), count_(count), keep_(keep), always_(always), single_(is_single(dtype)) {}
  const char* name() const override { return "ExtendRows"; }

 private:
  std::vector<int64_t> key() const override { return {count_, keep_, always_}; }
  bool has_derivative(int) const override { return true; } // so that gradient() refuses, not the rule for structure
  std::vector<Output> results(const Arrays& in) const override {
    return {{in[1].shape(), in[1].dtype()}, {{count_ + 1}, in[1].dtype()}};
  }
  std::vector<Output> scratch(const Arrays& in) const override {
    const auto& w = in[1];
    if (!shaders() || !single_) return {};
    const int chunks = parts(w.shape(0), chunk_of(w)), rows = std::max(count_, 1);
    return {{{rows, chunks}, w.dtype()}, {{rows}, w.dtype()}, {w.shape(), w.dtype()}, // first coefficients, what is left
            {{count_ + 1, chunks}, w.dtype()}, {{count_ + 1}, w.dtype()}, {w.shape(), w.dtype()}, // second ones
            {{1, chunks}, mx::float32}, {{1}, mx::float32}};
  }
  bool has_shader() const override { return single_; }
  Arrays apply(const Arrays& in) override {
    if (keep_) throw std::invalid_argument("rows that are written to have no batches");
    auto all = std::make_shared<ExtendRows>(stream(), count_, false, always_, in[1].dtype())->make(in);
    all.resize(2, all[0]);
    return all;
  }
  static int parts(int n, int chunk) { return (n + chunk - 1) / chunk; }

  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_field(in[1].dtype(), [&]<class T>(Tag<T>) {
      const size_t n = in[1].size(), m = static_cast<size_t>(count_);
      T* rows = const_cast<T*>(in[0].data<T>());
      T* v = out[0].data<T>();
      const double eps = in[1].dtype() == mx::float64 ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
      const double slack = always_ ? 0.0 : std::cbrt(eps * eps); // as basis_again.inc
      const auto h = extend_basis(BasisView<T>{rows, m, n}, in[1].data<T>(), v, slack);
      std::transform(h.begin(), h.end(), out[1].data<T>(), [](const auto& x) { return rounded<T>(x); });
      if (keep_) std::copy_n(v, n, rows + m * n);
    });
  }

  void shader(const Arrays& in, Arrays& out) override {
    const auto &all = in[0], &w = in[1];
    const bool alone = count_ == 0;
    const int n = w.shape(0), chunk = chunk_of(w), chunks = parts(n, chunk);
    const auto rows = part_of(all, {std::max(count_, 1), n});
    enum : size_t { v, h, dots, first, rest, partial, second, corrected, squares, square };
    const auto run = [&](const char* name, const Arrays& from, const std::vector<size_t>& to, int groups, const TemplateArgs& args) {
      Arrays made;
      for (size_t i : to) made.push_back(out[i]);
      const auto& shader = sp::shader(name);
      launch(shader, from, made, args, {groups * shader.group, 1, 1}, stream());
      for (size_t i = 0; i < to.size(); ++i) out[to[i]] = made[i];
    };
    const auto sum_up = [&](size_t from, size_t to) { run("basis_totals", {out[from]}, {to}, out[from].shape(0), {}); };
    const auto along = [&](const mx::array& w, size_t to, bool own) {
      const TemplateArgs args{{"CHUNK", chunk}, {"alone", alone}, {"own", own}};
      run("basis_dots", {rows, w}, {to}, chunks * parts(count_ + own, kRowsOfGroup), args);
    };
    const auto remove = [&](const mx::array& w, size_t by, size_t to, bool again) {
      const TemplateArgs args{{"CHUNK", chunk}, {"again", again}, {"always", always_}};
      run("basis_remove", {rows, w, out[by]}, {to, squares}, chunks, args);
    };
    if (alone) {
      for (size_t i : {dots, first, rest, corrected, squares, square}) out[i].set_data(allocate(out[i].nbytes()));
    } else {
      along(w, dots, false);
      sum_up(dots, first);
      remove(w, first, rest, false);
    }
    const auto& left = alone ? w : out[rest];
    along(left, partial, true);
    sum_up(partial, second);
    if (!alone) {
      remove(left, second, corrected, true);
      sum_up(squares, square);
    }
    const TemplateArgs args{{"always", always_}, {"kept", keep_}};
    run("basis_unit", {left, out[corrected], out[square], out[first], out[second], roomy(all, all)}, {v, h}, parts(n, kUnitChunk), args);
  }

  int count_;
  bool keep_, always_, single_;
};

// Inputs (rows, y).
class CombineRows : public Node {
 public:
  CombineRows(mx::Stream s, int first, mx::Dtype dtype) : Node(s), first_(first), single_(is_single(dtype)) {}
  const char* name() const override { return "CombineRows"; }

 private:
  std::vector<int64_t> key() const override { return {first_}; }
  bool has_derivative(int) const override { return true; }
  std::vector<Output> results(const Arrays& in) const override { return {{{in[0].shape(1)}, in[0].dtype()}}; }
  bool has_shader() const override { return single_; }
  Arrays apply(const Arrays& in) override { return {node<CombineRows>(in, stream(), first_, in[0].dtype())}; }

  void kernel(const Arrays& in, Arrays& out) const override {
    dispatch_field(in[0].dtype(), [&]<class T>(Tag<T>) {
      const auto n = static_cast<size_t>(in[0].shape(1));
      combine_basis(BasisView<T>{in[0].data<T>() + first_ * n, in[1].size(), n}, in[1].data<T>(), out[0].data<T>());
    });
  }
  void shader(const Arrays& in, Arrays& out) override {
    const int n = in[0].shape(1), count = in[1].shape(0);
    const auto rows = part_of(in[0], {count, n}, int64_t{n} * first_);
    const Shader& combine = sp::shader("basis_combine");
    launch(combine, {rows, in[1]}, out, {}, {(n + 3) / 4, 1, 1}, stream());
  }

  int first_;
  bool single_;
};

} // namespace

std::pair<mx::array, mx::array> extend_rows(const mx::array& rows, int count, const mx::array& w, bool keep, bool always,
                                            mx::Stream s) {
  if (rows.ndim() != 2 || w.ndim() != 1 || rows.shape(1) != w.shape(0) || rows.dtype() != w.dtype() || count < 0 ||
      count + keep > rows.shape(0)) {
    throw std::invalid_argument("rows (m, n) and w (n,) must have one dtype, and room for the vector");
  }
  if (keep && is_there(rows) && !rows.flags().row_contiguous) {
    throw std::invalid_argument("rows that are written to must be contiguous");
  }
  auto all = std::make_shared<ExtendRows>(s, count, keep, always, w.dtype())->make({rows, w});
  return {all[0], all[1]};
}

mx::array combine_rows(const mx::array& rows, int first, const mx::array& y, mx::Stream s) {
  if (rows.ndim() != 2 || y.ndim() != 1 || rows.dtype() != y.dtype() || first < 0 || first + y.shape(0) > rows.shape(0) ||
      y.shape(0) == 0) {
    throw std::invalid_argument("rows (m, n) and y (k,), k > 0, must have one dtype, and there must be k rows from the first");
  }
  return node<CombineRows>({rows, y}, s, first, rows.dtype());
}

} // namespace sp
