// Sparse factorisation A = L D L^H of Hermitian, possibly indefinite matrices by the fronts of kernels/cholesky.h, with
// pivots of order 1 and 2: I. S. Duff and J. K. Reid, The multifrontal solution of indefinite sparse symmetric linear
// equations, ACM Trans. Math. Softw. 9 (1983); within a front the search of J. R. Bunch and L. Kaufman, Math. Comp. 31
// (1977), with a threshold. A column that none of the tests takes is delayed: it becomes one of the parent's own.
#pragma once

#include <span>

#include "kernels/cholesky.h"

namespace sp {

constexpr double kThreshold = 0.1; // entries of L do not exceed its inverse
constexpr int64_t kRun = 32;        // columns between updates of the rest of a front

template <class T>
real_t<T> size_of(T x) { // of complex numbers within a factor of sqrt(2)
  if constexpr (is_real_v<T>) return std::abs(x);
  else return std::abs(x.real()) + std::abs(x.imag());
}

// A pivot of order 2: [a, conj(c); c, b].
template <class T>
struct Pair {
  real_t<T> a, b;
  T c;
  real_t<T> determinant() const { return a * b - std::real(times(c, conj_of(c))); }
};

// Pivots of a front of order m over `panel`, m x p: its own columns are the first p. What becomes of them stands in the
// first `done` columns: L below the diagonal, whose ones are not stored, D on it, and the conjugate of D's entry beside it
// above it, zero for a pivot of order 1. names: of own columns, exchanged as they are.
template <class T>
class FrontPivots {
 public:
  using Real = real_t<T>;

  FrontPivots(T* panel, int64_t m, int64_t p, int32_t* names, std::vector<T>& space)
      : P_{panel, m}, m_(m), p_(p), names_(names) {
    space.resize(static_cast<size_t>((kRun + 3) * m));
    W_ = {space.data(), m};
    first_ = space.data() + (kRun + 1) * m;
    second_ = first_ + m;
  }

  // Returns how many columns found pivots: all of them in a front without other rows. `zeros` counts the ones that are zero.
  int64_t run(int64_t& zeros) {
    int64_t next = 0, failed = 0;
    Watch watch;
    while (q_ < p_ && failed < p_ - q_) {
      if (next < q_ || next >= p_) next = q_;
      watch(static_cast<size_t>((m_ - q_) * (q_ - from_ + 4) / 4));
      const int64_t before = q_;
      if (take(next, zeros)) {
        failed = 0;
        if (next == before) next = q_;
      } else {
        ++failed, ++next;
      }
      if (q_ - from_ >= kRun) catch_up();
    }
    for (; q_ < p_ && p_ == m_; ++zeros) { // there, only what rounding makes fails each test
      if (q_ - from_ >= kRun) catch_up();
      std::fill(first_, first_ + m_, T(0));
      accept(q_, first_);
    }
    catch_up();
    return q_;
  }

 private:
  struct Column {
    Real largest = 0;  // beside the diagonal
    int64_t row = -1;  // of the largest own entry beside the diagonal
  };

  // Column j of what is left, rows q_ .. m - 1.
  void load(int64_t j, T* c) const {
    for (int64_t i = q_; i < j; ++i) c[i] = conj_of(*P_.from(j, i).at);
    std::copy(P_.from(j, j).at, P_.from(m_, j).at, c + j);
    for (int64_t l = from_; l < q_; ++l) {
      const T by = conj_of(*W_.from(j, l - from_).at);
      if (by == T(0)) continue;
      const T* __restrict column = P_.from(0, l).at;
      T* __restrict to = c;
      for (int64_t i = q_; i < m_; ++i) to[i] -= times(column[i], by);
    }
  }

  Column measure(const T* c, int64_t j) const {
    Column found;
    for (int64_t i = q_; i < p_; ++i) {
      if (const Real size = size_of(c[i]); i != j && size > found.largest) found = {size, i};
    }
    for (int64_t i = p_; i < m_; ++i) found.largest = std::max(found.largest, size_of(c[i]));
    return found;
  }

  bool take(int64_t j, int64_t& zeros) {
    constexpr Real least = 16 * std::numeric_limits<Real>::epsilon(), threshold = static_cast<Real>(kThreshold);
    load(j, first_);
    const Column mine = measure(first_, j);
    const Real a = std::real(first_[j]);
    if (std::max(std::abs(a), mine.largest) <= least) {
      ++zeros;
      std::fill(first_ + q_, first_ + m_, T(0));
      accept(j, first_);
      return true;
    }
    if (std::abs(a) > least && std::abs(a) >= threshold * mine.largest) return accept(j, first_), true;
    const int64_t r = mine.row;
    if (r < 0) return false;
    load(r, second_);
    const Column other = measure(second_, r);
    const Real b = std::real(second_[r]);
    if (std::abs(b) > least && std::abs(b) >= threshold * other.largest) return accept(r, second_), true;
    const Pair<T> D{a, b, first_[r]};
    Real x = 0, y = 0;
    for (int64_t i = q_; i < m_; ++i) {
      if (i == j || i == r) continue;
      x = std::max(x, size_of(first_[i]));
      y = std::max(y, size_of(second_[i]));
    }
    const Real det = std::abs(D.determinant()), c = size_of(D.c);
    const bool stable = det > threshold * (std::abs(a * b) + c * c) / 4 && std::max(std::abs(b) * x + c * y, c * x + std::abs(a) * y) * threshold <= det;
    if (!stable || c <= least) return false;
    accept(j, r, D);
    return true;
  }

  // Rows and columns i and j of what is left change places, in L and the loaded columns too.
  void exchange(int64_t i, int64_t j) {
    if (i == j) return;
    if (i > j) std::swap(i, j);
    for (int64_t l = 0; l < i; ++l) std::swap(*P_.from(i, l).at, *P_.from(j, l).at);
    for (int64_t l = 0; l < q_ - from_; ++l) std::swap(*W_.from(i, l).at, *W_.from(j, l).at);
    std::swap(*P_.from(i, i).at, *P_.from(j, j).at);
    for (int64_t l = i + 1; l < j; ++l) {
      const T held = *P_.from(l, i).at;
      *P_.from(l, i).at = conj_of(*P_.from(j, l).at);
      *P_.from(j, l).at = conj_of(held);
    }
    *P_.from(j, i).at = conj_of(*P_.from(j, i).at);
    for (int64_t l = j + 1; l < m_; ++l) std::swap(*P_.from(l, i).at, *P_.from(l, j).at);
    std::swap(first_[i], first_[j]);
    std::swap(second_[i], second_[j]);
    std::swap(names_[i], names_[j]);
  }

  void accept(int64_t j, T* c) {
    exchange(j, q_);
    const Real d = std::real(c[q_]), inverse = d == 0 ? 0 : 1 / d;
    T *to = P_.from(0, q_).at, *product = W_.from(0, q_ - from_).at;
    for (int64_t i = q_ + 1; i < m_; ++i) {
      product[i] = c[i];
      to[i] = c[i] * inverse;
    }
    to[q_] = d;
    if (q_ > 0) to[q_ - 1] = T(0);
    ++q_;
  }

  void accept(int64_t j, int64_t r, Pair<T> D) {
    exchange(j, q_);
    if (r == q_) r = j; // which is where it went
    exchange(r, q_ + 1);
    const Real scale = size_of(D.c), det = D.determinant() / scale; // what is divided by it stays as large as L
    const T c = D.c / scale;
    const Real a = D.a / scale, b = D.b / scale;
    T *x = P_.from(0, q_).at, *y = P_.from(0, q_ + 1).at;
    T *u = W_.from(0, q_ - from_).at, *v = W_.from(0, q_ + 1 - from_).at;
    for (int64_t i = q_ + 2; i < m_; ++i) {
      u[i] = first_[i];
      v[i] = second_[i];
      x[i] = (u[i] * b - times(v[i], c)) / det;
      y[i] = (v[i] * a - times(u[i], conj_of(c))) / det;
    }
    x[q_] = D.a;
    x[q_ + 1] = T(0);
    y[q_] = conj_of(D.c);
    y[q_ + 1] = D.b;
    if (q_ > 0) x[q_ - 1] = T(0);
    q_ += 2;
  }

  // Takes what the pivots since from_ change off the own columns that are left.
  void catch_up() {
    const int64_t k = q_ - from_, side = (p_ - q_ + kTile - 1) / kTile, down = (m_ - q_ + kTile - 1) / kTile;
    if (k > 0) {
      over_tiles(side * down, static_cast<double>(kTile * kTile * k), [&](int t) {
        const int64_t j = q_ + t % side * kTile, i = q_ + t / side * kTile;
        if (i < j) return;
        const ProductSize tile{std::min(kTile, m_ - i), std::min(kTile, p_ - j), k};
        multiply_tile(tile, T(-1), plain(P_.from(i, from_)), adjoint(W_.from(j, 0)), P_.from(i, j));
      });
    }
    from_ = q_;
  }

  Block<T> P_, W_; // W: L D of the columns from_ .. q_ - 1
  T *first_, *second_;
  int64_t m_, p_, q_ = 0, from_ = 0; // q_: columns that are done
  int32_t* names_;
};

// one(j, d) for each pivot of order 1 of a front that is done, two(j, D) for those of order 2.
template <class T, class One, class Two>
void for_pivots(const T* panel, int64_t m, int64_t done, One one, Two two) {
  for (int64_t j = 0; j < done; ++j) {
    const T *x = panel + j * (m + 1), *y = x + m + 1;
    const T beside = j + 1 < done ? y[-1] : T(0);
    if (beside == T(0)) {
      one(j, std::real(*x));
    } else {
      two(j++, Pair<T>{std::real(*x), std::real(*y), conj_of(beside)});
    }
  }
}

// update -= L2 D L2^H for the rows of a front from p on. Lower triangle only.
template <class T>
void take_off(Block<T> P, int64_t m, int64_t p, int64_t done, T* update) {
  const int64_t rest = m - p, side = (rest + kTile - 1) / kTile;
  if (rest == 0 || done == 0) return;
  const Buffer<T> product(rest * done);
  const Block<T> U{update, rest}, W{product.get(), rest};
  for_pivots(P.at, m, done, [&](int64_t j, real_t<T> d) {
    for (int64_t i = 0; i < rest; ++i) *W.from(i, j).at = *P.from(p + i, j).at * d;
  }, [&](int64_t j, Pair<T> D) {
    const T *x = P.from(p, j).at, *y = P.from(p, j + 1).at;
    for (int64_t i = 0; i < rest; ++i) {
      *W.from(i, j).at = x[i] * D.a + times(y[i], D.c);
      *W.from(i, j + 1).at = times(x[i], conj_of(D.c)) + y[i] * D.b;
    }
  });
  over_tiles(side * (side + 1) / 2, static_cast<double>(kTile * kTile * done), [&](int t) {
    int64_t column = 0;
    for (int64_t length = side; t >= length; --length, ++column) t -= static_cast<int>(length);
    const int64_t j = column * kTile, i = j + t * kTile;
    const ProductSize tile{std::min(kTile, rest - i), std::min(kTile, rest - j), done};
    multiply(tile, T(-1), plain(P.from(p + i, 0)), adjoint(W.from(j, 0)), U.from(i, j));
  });
}

template <class T>
class LdlFactor {
 public:
  // values: of the array that was planned for, best with rows of about one size. Throws std::bad_alloc.
  LdlFactor(std::shared_ptr<const CholeskyPlan> plan, const T* values) : plan_(std::move(plan)) {
    const auto& nodes = plan_->nodes;
    expect_memory(static_cast<size_t>(nodes.panel_start.back() + plan_->pending) * sizeof(T));
    panels_ = Buffer<T>(nodes.panel_start.back());
    fronts_.resize(nodes.count());
    names_.resize(plan_->n());
    std::iota(names_.begin(), names_.end(), 0);
    std::vector<Left> left(nodes.count());
    std::vector<int64_t> zeros(plan_->subtrees.size(), 0);
    run_parts(static_cast<int>(plan_->subtrees.size()), [&](int t) {
      const auto [first, last] = plan_->subtrees[t];
      Watch watch;
      std::vector<T> space;
      for (int32_t s = first; s <= last; ++s) {
        factor(s, values, left, space, zeros[t]);
        watch(1000 + static_cast<size_t>(nodes.work(s) / 8));
      }
    });
    for (int64_t z : zeros) zeros_ += z;
    std::vector<T> space;
    for (int32_t s : plan_->top) {
      check_interrupt();
      factor(s, values, left, space, zeros_);
    }
  }

  const CholeskyPlan& plan() const { return *plan_; }
  int64_t zeros() const { return zeros_; } // pivots that are zero

  // Of a front: its rows, those of them whose columns it might have eliminated, and those that it did, which come first.
  int64_t height(int32_t s) const { return own(s) + beyond(s); }
  int64_t own(int32_t s) const { return fronts_[s].delayed + plan_->nodes.width(s); }
  int64_t done(int32_t s) const { return fronts_[s].done; }
  T* panel(int32_t s) const { return fronts_[s].grown.get() ? fronts_[s].grown.get() : panels_.get() + plan_->nodes.panel_start[s]; }
  // The row at place i, in the numbering of the plan.
  int32_t row(int32_t s, int64_t i) const {
    const int64_t p = own(s);
    if (i >= p) return plan_->nodes.rows[plan_->nodes.row_start[s] + plan_->nodes.width(s) + i - p];
    return names(s)[i];
  }

 private:
  struct Front {
    Buffer<T> grown;            // its panel, where columns came from its children; else it stands among the others
    std::vector<int32_t> names; // of its own columns then
    int64_t delayed = 0, done = 0;
  };
  struct Left { // what waits for the parent: of the rows beyond, and the columns that found no pivot
    Buffer<T> update, late;
  };

  int64_t beyond(int32_t s) const { return plan_->nodes.height(s) - plan_->nodes.width(s); }
  const int32_t* names(int32_t s) const { return fronts_[s].names.empty() ? names_.data() + plan_->nodes.first[s] : fronts_[s].names.data(); }

  void factor(int32_t s, const T* values, std::vector<Left>& left, std::vector<T>& space, int64_t& zeros) {
    const auto& nodes = plan_->nodes;
    const int64_t k = nodes.width(s), u = beyond(s);
    Front& front = fronts_[s];
    const auto children = std::span(nodes.children).subspan(nodes.child_start[s], nodes.child_start[s + 1] - nodes.child_start[s]);
    for (int32_t c : children) front.delayed += own(c) - done(c);
    const int64_t p = k + front.delayed, m = p + u;
    int32_t* mine = names_.data() + nodes.first[s];
    if (front.delayed) {
      expect_memory(static_cast<size_t>(m * p) * sizeof(T));
      front.grown = Buffer<T>(m * p);
      front.names.assign(mine, mine + k);
      for (int32_t c : children) front.names.insert(front.names.end(), names(c) + done(c), names(c) + own(c));
      mine = front.names.data();
    }
    T* at = panel(s);
    std::fill_n(at, m * p, T(0));
    for (int64_t e = plan_->entry_start[s]; e < plan_->entry_start[s + 1]; ++e) {
      int64_t place = plan_->place[e], column = place / (k + u), row = place % (k + u);
      at[column * m + row + (row < k ? 0 : front.delayed)] = values[plan_->entry[e]];
    }
    if (u) left[s].update = Buffer<T>(u * u);
    T* update = left[s].update.get();
    over_tiles((u + kTile - 1) / kTile, static_cast<double>(kTile * u) / 4, [&](int t) {
      for (int64_t j = t * kTile; j < std::min(u, (t + 1) * kTile); ++j) std::fill(update + j * u + j, update + (j + 1) * u, T(0));
    });
    int64_t offset = k;
    for (int32_t c : children) {
      add(c, offset, Block<T>{at, m}, k, p, update, left[c]);
      offset += own(c) - done(c);
    }
    front.done = FrontPivots<T>(at, m, p, mine, space).run(zeros);
    take_off(Block<T>{at, m}, m, p, front.done, update);
    if (const int64_t late = p - front.done; late > 0) {
      left[s].late = Buffer<T>(late * (late + u));
      for (int64_t j = 0; j < late; ++j) std::copy_n(at + (front.done + j) * m + front.done, late + u, left[s].late.get() + j * (late + u));
    }
  }

  // What a child leaves, to the front of its parent, where its delayed columns stand from `offset` on.
  void add(int32_t child, int64_t offset, Block<T> P, int64_t k, int64_t p, T* update, Left& left) {
    const auto& nodes = plan_->nodes;
    const int64_t u = beyond(child), late = own(child) - done(child), rest = P.stride - p;
    const int32_t* to = nodes.relative.data() + nodes.row_start[child] + nodes.width(child);
    auto place = [&](int64_t i) { return to[i] < k ? to[i] : to[i] + p - k; };
    const T* from = left.update.get();
    over_tiles((u + kTile - 1) / kTile, static_cast<double>(kTile * u), [&](int t) {
      for (int64_t j = t * kTile; j < std::min(u, (t + 1) * kTile); ++j) {
        const int64_t column = place(j);
        T* out = column < p ? P.from(0, column).at : update + (column - p) * rest - p;
        for (int64_t i = j; i < u; ++i) out[place(i)] += from[j * u + i];
      }
    });
    for (int64_t j = 0; j < late; ++j) {
      const T* column = left.late.get() + j * (late + u);
      for (int64_t i = j; i < late; ++i) *P.from(offset + i, offset + j).at = column[i];
      for (int64_t i = 0; i < u; ++i) {
        const int64_t row = place(i);
        if (row < k) *P.from(offset + j, row).at = conj_of(column[late + i]);
        else *P.from(row, offset + j).at = column[late + i];
      }
    }
    left = Left();
  }

  std::shared_ptr<const CholeskyPlan> plan_;
  Buffer<T> panels_;
  std::vector<Front> fronts_;
  std::vector<int32_t> names_; // of the columns of all fronts into which none was delayed
  int64_t zeros_ = 0;
};

} // namespace sp
