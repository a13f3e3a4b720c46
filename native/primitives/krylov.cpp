// The interpreter of recorded recurrences.
#include "krylov.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "../kernels/krylov.h"
#include "../kernels/product.h"
#include "../kernels/repeated.h"

namespace sp {

namespace {

constexpr size_t kBlock = 1024; // elements that are worked on together: they stay in cache between operations

constexpr int kTriangle = 5; // arrays, at most, of what is solved with

// The form of a triangle, by its bits.
TriangleForm form_of(int bits) { return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0}; }

// What is solved with.
HostTriangle triangle_of(const KrylovOperator& a, int bits) {
  HostTriangle t{form_of(bits), {a[0], a[1], a[2]}, std::nullopt};
  if (a.size() > 3) t.levels = LevelArrays{a[3], a[4]};
  return t;
}

// A product's operand inside the kernel.
template <class T>
struct HostOperator {
  std::variant<CsView<T, int32_t>, CsView<T, int64_t>, const T*, Diagonals<T>, Sliced<T>> a;
  int uses = 0;
  bool long_slices = false;   // which several workers share
  std::vector<size_t> bounds; // of blocks, by part
};

template <class T>
class Replay final : public KrylovHostSteps {
  using S = scalar_t<T>;
  using W = wide_t<T>;
  static constexpr size_t kSums = 128;

 public:
  explicit Replay(const KrylovTask& task)
      : r_(task.recording), n_(task.n), k_(task.k), single_(task.single), rows_(std::max<size_t>(1, kBlock / k_)),
        blocks_{(n_[0] + rows_ - 1) / rows_, (n_[1] + rows_ - 1) / rows_}, width_(single_ ? 0 : k_ * ((kColumnTile + k_ - 1) / k_)),
        given_(task.operators), memory_(fresh({to_dim(static_cast<int64_t>(elements()))}, task.dtype)),
        scalars_(r_.scalars * k_), operators_(given_.size()), open_(k_, true), codes_(k_, 1), steps_(k_, 0), norms_(k_, std::numeric_limits<double>::quiet_NaN()) {
    vectors_.push_back(static_cast<T*>(task.x));
    T* next = memory_.template data<T>();
    for (int v = 1; v < r_.vectors; ++v) {
      if (v == 2) {
        vectors_.push_back(const_cast<T*>(static_cast<const T*>(task.b))); // no program writes to it
      } else {
        vectors_.push_back(next);
        next += size(v);
      }
    }
    for (const auto& [slot, value] : r_.constants) std::fill_n(&scalars_[slot * k_], k_, S(value));
    // A step has several passes, with a hand-over between them: one worker is quicker for longer than in a single call,
    // and quicker for all of a step than for some of its passes, whose vectors would change sides.
    size_t work = std::max(size(1), size(2));
    for (auto& a : given_) work = std::max(work, product_work(a[0].size(), n_[0], k_));
    brief_ = work < 5 * kSerialWork;
    for (size_t i = 0; i < given_.size(); ++i) {
      which_.push_back(known(i));
      if (which_[i] == i && r_.arrays[i] % kTriangle) operators_[i] = prepared(given_[i], std::max(0, r_.starts[i]), r_.ends[i]);
    }
    reserve();
  }

  bool start() override {
    std::copy_n(vectors_[2], size(2), vectors_[1]);
    return run(r_.start);
  }
  bool step() override { return run(r_.steps[turn_++ % r_.steps.size()]); }
  double number(int scalar, size_t j) const override { return real_part(scalars_[scalar * k_ + j]); }
  void freeze(size_t j) override { open_[j] = false; }
  void copy(int vector, void* out) const override { std::copy_n(vectors_[vector], size(vector), static_cast<T*>(out)); }

  KrylovResult solve(const KrylovTask& task) {
    KrylovResult found;
    if (task.history) found.norms.reserve(1024 * k_);
    iterate(task, found.norms);
    found.codes = std::move(codes_);
    found.steps = std::move(steps_);
    if (!task.history) found.norms = std::move(norms_);
    return found;
  }

 private:
  // ---- preparation
  size_t size(int vector) const { return n_[r_.spaces[vector]] * k_; }
  size_t elements() const { // of the vectors that are ours
    size_t all = 0;
    for (int v = 1; v < r_.vectors; ++v) all += v == 2 ? 0 : size(v);
    return all;
  }

  // The first operator that has the same arrays.
  size_t known(size_t i) const {
    auto same = [&](size_t j) {
      return r_.arrays[j] == 3 && r_.starts[j] == r_.starts[i] && r_.ends[j] == r_.ends[i] &&
          std::ranges::equal(given_[i], given_[j], {}, [](auto& a) { return a.template data<char>(); }, [](auto& a) { return a.template data<char>(); });
    };
    size_t j = 0;
    while (j < i && !(r_.arrays[i] == 3 && same(j))) ++j;
    return j;
  }

  HostOperator<T> prepared(const KrylovOperator& given, int from, int space) {
    const size_t n = n_[space], blocks = blocks_[space];
    HostOperator<T> made;
    const T* data = given[0].data<T>();
    made.a = data;
    if (given.size() == 1) return made;
    dispatch_index(given[1].dtype(), [&](auto i) {
      using I = typename decltype(i)::type;
      const CsView<T, I> a{{n, n_[from], given[2].data<I>(), given[1].data<I>()}, data};
      made.a = a;
      for (size_t m = 0; m < n && !made.long_slices; ++m) made.long_slices = a.end(m) - a.begin(m) > kWholeSlice;
      const int parts = parts_of(product_work(a.nnz(), n, k_) + n * k_);
      made.bounds.assign(parts + 1, 0);
      for (int p = 1; p <= parts; ++p) {
        const size_t goal = (a.nnz() + 4 * n) * p / parts;
        size_t& block = made.bounds[p] = made.bounds[p - 1];
        while (block < blocks && (p == parts || a.begin(std::min(n, (block + 1) * rows_)) + 4 * (block + 1) * rows_ <= goal)) ++block;
      }
    });
    return made;
  }

  // Of long work several for each worker, so that one that is held up holds up the others less.
  int parts_of(size_t work) const {
    const int parts = brief_ ? 1 : plan_parts(work);
    return parts > 1 && work > size_t{1} << 20 ? 4 * parts : parts;
  }

  void reserve() {
    size_t most_dots = 1, most_steps = 1;
    auto look = [&](const Segment& s) {
      size_t dots = 0, steps = 0;
      for (const auto& i : s.code) {
        if (i.op == Op::pass) dots = steps = 0;
        dots += i.op == Op::dot;
        steps += i.op >= Op::overwrite;
        most_dots = std::max(most_dots, dots);
        most_steps = std::max(most_steps, steps);
      }
    };
    look(r_.guess);
    look(r_.start);
    for (const auto& s : r_.steps) look(s);
    partial_.resize(most_dots * std::max(blocks_[0], blocks_[1]) * k_);
    coefficients_.resize(2 * most_steps * std::max<size_t>(1, width_));
    for (int space : {0, 1}) {
      const int parts = parts_of(n_[space] * k_);
      for (int p = 0; p <= parts; ++p) even_[space].push_back(blocks_[space] * p / parts);
    }
  }

  // ---- the loop, which a breakdown of a single vector's method leaves
  void iterate(const KrylovTask& task, std::vector<double>& history) {
    if (task.guess) run(r_.guess);
    else std::copy_n(vectors_[2], size(2), vectors_[1]), std::fill_n(vectors_[0], size(0), T{});
    if (!run(r_.start)) return;
    const int64_t most = r_.halves * task.maxiter, kinds = static_cast<int64_t>(r_.steps.size());
    for (int64_t i = 0; i < most; ++i) {
      check_interrupt();
      if (!measure(task.history ? &history : nullptr) || converged(task.tolerance) || !run(r_.steps[i % kinds])) return;
      for (size_t j = 0; j < k_; ++j) steps_[j] += open_[j];
    }
    if (measure(task.history ? &history : nullptr) && r_.tests_last) converged(task.tolerance);
  }

  // Appends the norms of residuals; false where all are nan.
  bool measure(std::vector<double>* history) {
    bool known = false;
    for (size_t j = 0; j < k_; ++j) {
      const double square = real_part(scalars_[r_.square * k_ + j]);
      known = known || square == square;
      if (open_[j]) norms_[j] = std::sqrt(square);
    }
    if (!known) return false;
    if (history) history->insert(history->end(), norms_.begin(), norms_.end());
    return true;
  }

  // Whether nothing is left to do; columns that have converged are frozen from here on.
  bool converged(const double* tolerance) {
    bool any = false;
    for (size_t j = 0; j < k_; ++j) {
      if (open_[j] && norms_[j] < tolerance[j]) {
        codes_[j] = 0;
        open_[j] = false;
      }
      any = any || open_[j];
    }
    return !any;
  }

  bool run(const Segment& segment) {
    const auto& code = segment.code;
    for (size_t at = 0; at < code.size(); ++at) {
      if (code[at].op == Op::pass) {
        pass(&code[at]);
        at += code[at].out;
      } else if (code[at].op == Op::solve) {
        solve(code[at]);
      } else if (!scalar(code[at])) {
        return false;
      }
    }
    if (!segment.order.empty()) {
      renamed_.resize(vectors_.size());
      for (size_t v = 0; v < vectors_.size(); ++v) renamed_[v] = vectors_[segment.order[v]];
      vectors_.swap(renamed_);
    }
    moved_.clear();
    for (const auto& [to, from] : segment.copies) moved_.insert(moved_.end(), &scalars_[from * k_], &scalars_[from * k_] + k_);
    for (size_t c = 0; c < segment.copies.size(); ++c) {
      std::copy_n(&moved_[c * k_], k_, &scalars_[segment.copies[c].first * k_]);
    }
    return true;
  }

  // ---- scalars: false on a breakdown of a single vector's method
  bool scalar(const Instruction& i) {
    S *out = &scalars_[i.out * k_], *a = &scalars_[i.a * k_], *b = &scalars_[i.b * k_];
    for (size_t j = 0; j < k_; ++j) {
      switch (i.op) {
        case Op::add: out[j] = add(a[j], b[j]); break;
        case Op::subtract: out[j] = a[j] - b[j]; break;
        case Op::multiply: out[j] = multiplied(a[j], b[j]); break;
        case Op::negate: out[j] = S{} - a[j]; break;
        case Op::modulus: out[j] = S(modulus(a[j])); break;
        case Op::conjugate: out[j] = conjugate(a[j]); break;
        case Op::real: out[j] = S(real_part(a[j])); break;
        case Op::ratio:
          if (single_ && is_zero(b[j])) return false;
          out[j] = open_[j] && !is_zero(b[j]) ? quotient(a[j], b[j]) : S{};
          break;
        case Op::above: {
          const double size = modulus(a[j]), least = real_part(b[j]);
          if (open_[j] && !(size > least && size < std::numeric_limits<double>::infinity())) {
            if (size <= least && least < std::numeric_limits<double>::infinity()) codes_[j] = i.c;
            if (single_) return false;
            open_[j] = false;
          }
          out[j] = a[j];
          break;
        }
        case Op::root: {
          const double square = real_part(a[j]);
          out[j] = S(square >= 0 ? std::sqrt(square) : std::numeric_limits<double>::quiet_NaN());
          break;
        }
        case Op::reciprocal: out[j] = open_[j] && !is_zero(a[j]) ? quotient(S(1), a[j]) : S{}; break;
        case Op::rotation: { // c, s and r stand one after the other
          const double u = real_part(a[j]), v = real_part(b[j]), least = real_part(scalars_[i.c * k_ + j]);
          const double r = std::hypot(u, v);
          const bool turns = open_[j] && r > least;
          out[j] = S(turns ? u / r : 0);
          out[k_ + j] = S(turns ? v / r : 0);
          out[2 * k_ + j] = S(turns ? r : 0);
          break;
        }
        default: break;
      }
    }
    return true;
  }

  // ---- vectors: instructions first[1] .. first[first->out], block by block
  void pass(const Instruction* first) {
    const Instruction *begin = first + 1, *end = begin + first->out;
    const size_t width = std::max<size_t>(1, width_);
    T* c = coefficients_.data();
    for (const auto* i = begin; i < end; ++i, c += 2 * width) {
      if (i->op < Op::overwrite || i->op > Op::combine) continue;
      for (size_t j = 0; j < width; ++j) {
        c[j] = rounded<T>(scalars_[i->a * k_ + j % k_]);
        c[width + j] = rounded<T>(scalars_[i->b * k_ + j % k_]);
      }
    }
    const int space = first->d;
    const size_t n = n_[space], blocks = blocks_[space];
    HostOperator<T>* product = first->a < 0 ? nullptr : &operators_[which_[first->a]];
    const auto* bounds = product ? &product->bounds : &even_[space];
    if (product && product->long_slices) {
      with(*product, [&](const auto& a) { cs_matmul(a, vectors_[first->c], vectors_[first->b], k_); });
      product = nullptr;
      bounds = &even_[space];
    }
    if (product) reform(*product);
    auto part = [&](int p) {
      W sums[kSums];
      std::vector<W> more(width > kSums ? width : 0);
      for (size_t block = (*bounds)[p]; block < (*bounds)[p + 1]; ++block) {
        const size_t lo = block * rows_, hi = std::min(n, lo + rows_);
        if (product) multiply(*product, lo, hi, vectors_[first->c], vectors_[first->b]);
        operate(begin, end, block, blocks, lo, hi, width > kSums ? more.data() : sums);
      }
    };
    const int parts = static_cast<int>(bounds->size()) - 1;
    if (parts == 1) part(0);
    else run_parts(parts, part);
    W* sums = partial_.data();
    for (const auto* i = begin; i < end; ++i) {
      if (i->op != Op::dot) continue;
      join_in_pairs(sums, blocks, k_, [](W& sum, const W& later) { sum = add(sum, later); });
      for (size_t j = 0; j < k_; ++j) scalars_[i->out * k_ + j] = blocks ? S(sums[j]) : S{};
      sums += blocks * k_;
    }
  }

  void solve(const Instruction& i) {
    T* y = vectors_[i.out];
    const T* x = vectors_[i.b];
    if (y != x) {
      const size_t n = size(i.out);
      parallel_for(n, plan_parts(n), [=](size_t lo, size_t hi) { std::copy(x + lo, x + hi, y + lo); });
    }
    solve_triangular_host(triangle_of(given_[i.a], i.c), y, k_);
  }

  template <class F>
  static void with(const HostOperator<T>& a, F&& f) {
    if (const auto* narrow = std::get_if<0>(&a.a)) f(*narrow);
    else f(*std::get_if<1>(&a.a));
  }

  // Of one column, another form of the matrix after some products, if it has one and there is memory for it.
  void reform(HostOperator<T>& a) {
    if constexpr (std::is_floating_point_v<T>) {
      if (k_ > 1 || a.uses > kRepeats) return;
      if (++a.uses <= kRepeats) return;
      try {
        with(a, [&](auto rows) {
          if (auto diagonals = make_diagonals(rows)) a.a = std::move(*diagonals);
          else if (auto sliced = make_sliced(rows)) a.a = std::move(*sliced);
        });
      } catch (const std::bad_alloc&) {
      }
    }
  }

  void multiply(const HostOperator<T>& a, size_t lo, size_t hi, const T* x, T* y) {
    if constexpr (std::is_floating_point_v<T>) {
      if (const auto* diagonals = std::get_if<3>(&a.a)) return diagonals_dot(lo, hi, *diagonals, x, y);
#ifdef SP_AVX2
      if (const auto* sliced = std::get_if<4>(&a.a)) return sliced_dot(lo, hi, *sliced, x, y);
#endif
    }
    with(a, [&](const auto& rows) {
      if (k_ == 1) slices_dot(lo, hi, rows, x, y);
      else slices_times(lo, hi, rows, x, y, k_);
    });
  }

  void operate(const Instruction* begin, const Instruction* end, size_t block, size_t blocks, size_t lo, size_t hi, W* sums) {
    const size_t at = lo * k_, n = (hi - lo) * k_, width = std::max<size_t>(1, width_);
    const T* c = coefficients_.data();
    W* partial = partial_.data() + block * k_;
    for (const auto* i = begin; i < end; ++i, c += 2 * width) {
      switch (i->op) {
        case Op::overwrite: update(UpdateKind::overwrite, i, c, at, n); break;
        case Op::plus: update(UpdateKind::add, i, c, at, n); break;
        case Op::combine: update(UpdateKind::combine, i, c, at, n); break;
        case Op::scale: {
          const T* d = *std::get_if<2>(&operators_[i->a].a);
          scale_block(vectors_[i->out] + at, d + lo, vectors_[i->b] + at, hi - lo, k_);
          break;
        }
        case Op::dot:
          dot(vectors_[i->a] + at, vectors_[i->b] + at, n, sums, partial);
          partial += blocks * k_;
          break;
        case Op::squares: {
          T* y = vectors_[i->out] + at;
          const T* x = vectors_[i->a] + at;
          for (size_t e = 0; e < n; ++e) y[e] = rounded<T>(dot_term(x[e], x[e]));
          break;
        }
        case Op::zero: std::fill_n(vectors_[i->out] + at, n, T{}); break;
        default: break;
      }
    }
  }

  void update(UpdateKind kind, const Instruction* i, const T* c, size_t at, size_t n) {
    T* y = vectors_[i->out] + at;
    const T *x = vectors_[i->c] + at, *b = c + std::max<size_t>(1, width_);
#ifdef SP_AVX2
    if (has_avx2()) return update_block_avx2(kind, y, c, b, x, n, width_);
#endif
    update_block(kind, y, c, b, x, n, width_);
  }

  void dot(const T* a, const T* b, size_t n, wide_t<T>* sums, wide_t<T>* out) {
#ifdef SP_AVX2
    if (has_avx2()) return dot_block_avx2(a, b, n, k_, width_, sums, out);
#endif
    dot_block(a, b, n, k_, width_, sums, out);
  }

  const Recording& r_;
  std::array<size_t, 2> n_; // these by space
  size_t k_;
  bool single_, brief_ = false; // brief: a step is one worker's
  size_t rows_;
  std::array<size_t, 2> blocks_;
  size_t width_;
  const std::vector<KrylovOperator>& given_;
  mx::array memory_;
  std::vector<S> scalars_, moved_;
  std::vector<HostOperator<T>> operators_;
  std::vector<size_t> which_; // of them each operator is
  std::vector<char> open_; // columns that go on
  std::vector<int> codes_, steps_;
  std::vector<double> norms_;
  std::vector<T*> vectors_, renamed_;
  std::vector<W> partial_; // of each dot product, by block
  std::vector<T> coefficients_;
  std::vector<size_t> even_[2]; // bounds of parts of passes without a product, by space
  size_t turn_ = 0;             // the steps taken one by one
};

void require(bool holds) {
  if (!holds) throw std::invalid_argument("not a recording of a recurrence");
}

void check(Recording& r, Segment& s) {
  int space = -1; // of the pass, which its first vector tells
  auto vector = [&](int v) {
    require(v >= 0 && v < r.vectors && (space < 0 || space == r.spaces[v]));
    space = r.spaces[v];
  };
  auto written = [&](int v) { vector(v), require(v != 2); };
  auto scalar = [&](int v, int more = 0) { require(v >= 0 && v + more < r.scalars); };
  auto product = [&](int v, int arrays) {
    require(v >= 0 && v < r.operators && (r.arrays[v] == 0 || (r.arrays[v] == arrays && r.ends[v] == space)));
    r.arrays[v] = arrays, r.ends[v] = space;
  };
  int left = 0;
  Instruction* pass = nullptr;
  for (auto& i : s.code) {
    const bool of_vectors = i.op >= Op::overwrite && i.op != Op::solve;
    require(i.op <= Op::solve && of_vectors == (left-- > 0));
    if (i.op == Op::pass) {
      left = i.out, pass = &i, space = -1, i.d = 0;
      require(left >= 0 && left <= static_cast<int>(s.code.size()));
      if (i.a < 0) continue;
      require(i.c >= 0 && i.c < r.vectors && i.b != i.c);
      written(i.b), product(i.a, 3);
      auto& from = r.starts[i.a];
      require(from < 0 || from == r.spaces[i.c]);
      from = r.spaces[i.c];
    } else if (!of_vectors) {
      left = 0;
      if (i.op == Op::solve) {
        space = -1;
        written(i.out), vector(i.b), product(i.a, kTriangle);
        require(i.c >= 0 && i.c < 16);
        continue;
      }
      scalar(i.out, i.op == Op::rotation ? 2 : 0), scalar(i.a), scalar(i.b);
      if (i.op == Op::rotation) scalar(i.c);
      continue;
    } else if (i.op == Op::dot) {
      scalar(i.out), vector(i.a), vector(i.b);
    } else {
      written(i.out);
      if (i.op == Op::scale) product(i.a, 1), vector(i.b);
      else if (i.op == Op::squares) vector(i.a);
      else if (i.op != Op::zero) scalar(i.a), scalar(i.b), vector(i.c);
    }
    pass->d = space;
  }
  require(left <= 0);
  if (!s.order.empty()) {
    auto sorted = s.order;
    std::ranges::sort(sorted);
    require(static_cast<int>(sorted.size()) == r.vectors && s.order[2] == 2);
    for (int v = 0; v < r.vectors; ++v) require(sorted[v] == v && r.spaces[s.order[v]] == r.spaces[v]);
  }
  for (const auto& [to, from] : s.copies) scalar(to), scalar(from);
}

void check(const KrylovTask& task) {
  const auto& r = task.recording;
  require(static_cast<int>(task.operators.size()) == r.operators);
  for (size_t i = 0; i < task.operators.size(); ++i) {
    const auto& a = task.operators[i];
    const bool solves = r.arrays[i] == kTriangle;
    require(a.size() == 1 || a.size() == 3 || (a.size() == 5 && solves));
    require(r.arrays[i] == 0 || (solves ? a.size() > 1 : r.arrays[i] == static_cast<int>(a.size())));
    if (a[0].dtype() != task.dtype) throw std::invalid_argument("the values of an operator have another dtype than b");
    const size_t n = task.n[r.ends[i]];
    if (solves) check_triangle(triangle_of(a, 0), static_cast<int64_t>(n));
    const bool fits = a.size() == 1 ? a[0].size() == n
                                    : a[2].size() == n + 1 && a[1].dtype() == a[2].dtype() && a[0].size() == a[1].size();
    if (!fits) throw std::invalid_argument("an operator has another order than b");
  }
}

} // namespace

std::shared_ptr<Recording> make_recording(Recording r) {
  require(r.vectors >= 3 && r.scalars >= 1 && r.square >= 0 && r.square < r.scalars && !r.steps.empty() && r.halves >= 1);
  require(r.operators >= 0);
  if (r.spaces.empty()) r.spaces.assign(r.vectors, 0);
  require(static_cast<int>(r.spaces.size()) == r.vectors && r.spaces[1] == r.spaces[2]);
  for (int space : r.spaces) require(space == 0 || space == 1);
  r.arrays.assign(r.operators, 0), r.ends.assign(r.operators, 0), r.starts.assign(r.operators, -1);
  for (const auto& [slot, value] : r.constants) require(slot >= 0 && slot < r.scalars);
  check(r, r.guess);
  check(r, r.start);
  for (auto& s : r.steps) check(r, s);
  return std::make_shared<Recording>(std::move(r));
}

KrylovResult krylov_host(const KrylovTask& task) {
  check(task);
  require(std::ranges::none_of(task.recording.spaces, [](int space) { return space != 0; }));
  if (task.n[0] == 0 || task.k == 0) return {std::vector<int>(task.k, 0), std::vector<int>(task.k, 0), std::vector<double>(task.history ? 0 : task.k, 0.0)};
  return dispatch_field(task.dtype, [&](auto t) { return Replay<typename decltype(t)::type>(task).solve(task); });
}

std::unique_ptr<KrylovHostSteps> krylov_steps(const KrylovTask& task) {
  check(task);
  require(task.n[0] > 0 && task.n[1] > 0 && task.k > 0);
  return dispatch_field(task.dtype, [&](auto t) -> std::unique_ptr<KrylovHostSteps> {
    return std::make_unique<Replay<typename decltype(t)::type>>(task);
  });
}

} // namespace sp
