// Reductions of the rows of x (rows, k) over segments, their spreading back, and the affine scan that products need.
// Sums, means and products of floats are held in float64. Results do not depend on the number of workers. Needs 0 == offsets[0] <= offsets[1] <= ... <= rows.
#pragma once

#include <cmath>
#include <limits>

#include "partition.h"
#include "ranking.h"
#include "scatter.h"
#include "view.h"

namespace sp {

// What a reduction carries for one output: fold takes values in any order, join merges two states, write ends it.
template <class Op>
inline void write(Op op, typename Op::Out* out, size_t m, size_t j, size_t k, const typename Op::State& s, size_t n) {
  if constexpr (requires { s.weight; }) { // of log-sum-exp: two rows
    out[2 * m * k + j] = s.value;
    out[(2 * m + 1) * k + j] = static_cast<typename Op::Out>(std::log(s.weight));
  } else {
    out[m * k + j] = op.finish(s, n);
  }
}
template <class T>
struct SegmentSum : Adding<wide_t<T>> {
  using Joining = Adding<wide_t<T>>;
  using State = wide_t<T>;
  using Out = T;
  static void fold(State& s, T x, size_t) { s = add(s, widen(x)); }
  static Out finish(const State& s, size_t) { return rounded<T>(s); }
};

template <class T>
struct SegmentMean : SegmentSum<T> {
  static T finish(const wide_t<T>& s, size_t n) {
    const auto count = static_cast<double>(n ? n : 1);
    if constexpr (is_complex_v<T>) return rounded<T>(WideComplex{s.re / count, s.im / count});
    else return rounded<T>(s / count);
  }
};

template <class T>
struct SegmentProd {
  using State = wide_t<T>;
  using Out = T;
  static State start() { return widen(static_cast<T>(1)); }
  static void fold(State& s, T x, size_t) { s = mul(s, widen(x)); }
  static void join(State& s, const State& o) { s = mul(s, o); }
  static Out finish(const State& s, size_t) { return rounded<T>(s); }
};

// Whether x takes the place of best; the first NaN stays.
template <class Ranking, class A>
inline bool wins(A x, A best) {
  if constexpr (std::is_floating_point_v<A>) return Ranking::before(best, x) || (x != x && best == best);
  else return Ranking::before(best, x);
}

template <class Ranking, class State>
struct Last {
  using A = State;
  static A start() { return Ranking::template first<A>(); }
  static void join(A& s, const A& o) { s = wins<Ranking>(o, s) ? o : s; }
};

template <class T, class Ranking>
struct SegmentExtreme : Last<Ranking, acc_t<T>> {
  using Joining = Last<Ranking, acc_t<T>>;
  using State = acc_t<T>;
  using Out = T;
  Ranking ranking;
  explicit SegmentExtreme(Ranking ranking) : ranking(ranking) {}
  void fold(State& s, T x, size_t) const { Joining::join(s, static_cast<State>(ranking(x))); }
  Out finish(const State& s, size_t) const { return ranking(static_cast<T>(s)); }
};

// The sum of exp(x - value) for the greatest value so far: one exponential a value, and none of them overflows. The
// result is that value and the logarithm of the sum, which added up would lose digits.
template <class T>
struct SegmentLogSumExp {
  using A = acc_t<T>;
  struct State { A value; double weight; };
  using Out = A;
  static State start() { return {-std::numeric_limits<A>::infinity(), 0}; }
  static void fold(State& s, T x, size_t) { merge(s, static_cast<A>(x), 1); }
  static void join(State& s, const State& o) { if (o.weight != 0) merge(s, o.value, o.weight); }

 private:
  static void merge(State& s, A value, double weight) {
    if (value > s.value) {
      s.weight = s.weight == 0 ? weight : s.weight * std::exp(s.value - value) + weight;
      s.value = value;
    } else if (value == s.value) {
      s.weight += weight;
    } else {
      s.weight += weight * std::exp(value - s.value); // a NaN arrives here too
    }
  }
};

// The first row that holds the extreme; -1 for an empty segment.
template <class T, class Ranking>
struct SegmentArg {
  using A = acc_t<T>;
  struct State { A value; int64_t at; };
  using Out = int32_t;
  Ranking ranking;
  static State start() { return {A{}, -1}; }
  void fold(State& s, T x, size_t row) const { join(s, {static_cast<A>(ranking(x)), static_cast<int64_t>(row)}); }
  static void join(State& s, const State& o) {
    if (o.at < 0) return;
    if (s.at < 0 || wins<Ranking>(o.value, s.value) || (o.at < s.at && !wins<Ranking>(s.value, o.value))) s = o;
  }
  static Out finish(const State& s, size_t) { return static_cast<int32_t>(s.at); }
};

// Rows of k from x on; with `order` (may be null) row r is the one of that number.
template <class T, class I>
struct Rows {
  const T* x;
  size_t k;
  const I* order;
};

// Folds `width` columns of the rows lo .. hi into `states`.
template <class Op, class T, class I>
inline void fold_rows(Op op, size_t lo, size_t hi, Rows<T, I> from, size_t width, typename Op::State* __restrict states) {
  constexpr size_t ahead = 1024, later = 8;
  const auto [x, k, order] = from;
  for (size_t r = lo; r < hi; ++r) {
    const size_t row = order ? static_cast<size_t>(order[r]) : r;
    const T* __restrict v = x + row * k;
    const char* next = order ? reinterpret_cast<const char*>(x + static_cast<size_t>(order[std::min(r + later, hi - 1)]) * k)
                             : reinterpret_cast<const char*>(v) + ahead;
    for (size_t b = 0; b < width * sizeof(T); b += 64) prefetch(next + b);
    for (size_t j = 0; j < width; ++j) op.fold(states[j], v[j], row);
  }
}

constexpr size_t kSegmentColumns = 256; // states that stay in the first-level cache

// As fold_rows for all of k < 16 columns of consecutive rows: several rows at once, so that loops are long and the
// states of one column are independent.
template <class Op, class T>
inline void fold_narrow(Op op, size_t lo, size_t hi, const T* x, size_t k, typename Op::State* states) {
  const size_t team = 32 / k, width = team * k;
  typename Op::State wide[32];
  std::fill_n(wide, width, Op::start());
  size_t r = lo;
  for (; r + team <= hi; r += team) {
    const T* v = x + r * k;
    prefetch(reinterpret_cast<const char*>(v) + 1024);
    if constexpr (sizeof(T) > 2) prefetch(reinterpret_cast<const char*>(v) + 1088);
    if (k == 1) for (size_t j = 0; j < 32; ++j) op.fold(wide[j], v[j], r + j);
    else for (size_t j = 0; j < width; ++j) op.fold(wide[j], v[j], r + j / k);
  }
  for (size_t j = 0; j < width; ++j) Op::join(states[j % k], wide[j]);
  for (; r < hi; ++r) for (size_t j = 0; j < k; ++j) op.fold(states[j], x[r * k + j], r);
}

template <class Op, class T, class I>
inline void fold_segment(Op op, size_t lo, size_t hi, Rows<T, I> from, size_t width, typename Op::State* states) {
  if (!from.order && from.k < 16 && hi - lo >= 64 / from.k) return fold_narrow(op, lo, hi, from.x, from.k, states);
  fold_rows(op, lo, hi, from, width, states);
}

// out[m, :] = Op over the rows of segment m (log-sum-exp: two rows of out, see there); out is overwritten. One pass over x;
// workers split the rows evenly, inside segments above kWholeSlice too.
template <class Op, class T, class I>
void segment_reduce(Op op, SegmentPattern<I> segments, const T* x, size_t k, typename Op::Out* out) {
  using State = typename Op::State;
  const size_t count = segments.count;
  if (count == 0 || k == 0) return;
  const I *offsets = segments.offsets, *order = segments.order;
  const auto join = [](State& s, const State& later) { Op::join(s, later); };
  const auto finish = [=](size_t m, const State* states) {
    const size_t n = static_cast<size_t>(offsets[m + 1] - offsets[m]);
    for (size_t j = 0; j < k; ++j) write(op, out, m, j, k, states[j], n);
  };
  const auto piece = [=](size_t lo, size_t hi, State* states) {
    for (size_t j0 = 0; j0 < k; j0 += kSegmentColumns) {
      fold_segment(op, lo, hi, Rows<T, I>{x + j0, k, order}, std::min(kSegmentColumns, k - j0), states + j0);
    }
  };
  const auto whole = [=](size_t first, size_t last) {
    State states[kSegmentColumns];
    for (size_t m = first; m < last; ++m) {
      const size_t lo = static_cast<size_t>(offsets[m]), hi = static_cast<size_t>(offsets[m + 1]);
      if (hi - lo > kWholeSlice) {
        finish(m, fold_slice(lo, hi, k, Op::start(), piece, join).get());
        continue;
      }
      if (k == 1 && !order && hi - lo < 64) {
        State state = Op::start();
        for (size_t r = lo; r < hi; ++r) op.fold(state, x[r], r);
        write(op, out, m, 0, 1, state, hi - lo);
        continue;
      }
      for (size_t j0 = 0; j0 < k; j0 += kSegmentColumns) {
        const size_t width = std::min(kSegmentColumns, k - j0);
        std::fill_n(states, width, Op::start());
        fold_segment(op, lo, hi, Rows<T, I>{x + j0, k, order}, width, states);
        for (size_t j = 0; j < width; ++j) write(op, out, m, j0 + j, k, states[j], hi - lo);
      }
    }
  };
  const int parts = plan_parts((static_cast<size_t>(offsets[count]) + count) * (1 + k / 8));
  if (parts <= 1) return whole(size_t{0}, count);
  Carries<State, I> carries(offsets, count, parts, k, Op::start());
  run_parts(parts, [&](int p) { carries.run(p, whole, piece); });
  carries.finish(join, finish);
}

// out[m, :] = Op (a sum, maximum or minimum) over the rows t of x with ids[t] == m, in any order of ids below count; out is
// overwritten. One pass over x for most results; extra memory about a quarter of the operands (scatter.h).
template <class Op, class T, class I>
void segment_reduce_by_ids(Op op, SegmentPattern<I> segments, const T* x, size_t k, T* out) {
  using A = typename Op::A;
  const size_t n = segments.rows, count = segments.count;
  const I* ids = segments.ids;
  const ScatterPlan<I> plan{n, count, k, ids, plan_parts((n + count) * (1 + k / 8)), n * (k * sizeof(T) + sizeof(I))};
  scatter<T, typename Op::Joining>(plan, out, [=](size_t lo, size_t hi, size_t j0, size_t j1, auto sink) {
    for (size_t t = lo; t < hi; ++t) {
      const T* __restrict row = x + t * k;
      A* __restrict state = sink.at(static_cast<size_t>(ids[t]), k);
      if (sink.partial && !state) continue;
      for (size_t b = j0 * sizeof(T); b < j1 * sizeof(T); b += 64) prefetch(reinterpret_cast<const char*>(row) + 1024 + b);
      for (size_t j = j0; j < j1; ++j) op.fold(state[j], row[j], t);
    }
  });
}

// f(first element of row t of the result, the row of y for ids[t] or null where that is no segment) for every t; rows of y
// are y_step apart.
template <class T, class I, class F>
void each_row(SegmentPattern<I> segments, const T* y, size_t k, size_t y_step, F&& f) {
  const size_t count = segments.count;
  const I* ids = segments.ids;
  parallel_for(segments.rows, plan_parts(segments.rows * (1 + k / 8)), [&](size_t lo, size_t hi) {
    for (size_t t = lo; t < hi; ++t) {
      const size_t m = static_cast<size_t>(ids[t]);
      f(t * k, m < count ? y + m * y_step : nullptr);
    }
  });
}

// out[t, :] = y[ids[t], :]; zeros where ids[t] names no segment.
template <class T, class I>
void segment_spread(SegmentPattern<I> segments, const T* y, size_t k, T* out) {
  each_row(segments, y, k, k, [=](size_t at, const T* row) {
    if (row) std::copy_n(row, k, out + at);
    else std::fill_n(out + at, k, T{});
  });
}

// offsets[0] = 0, offsets[i + 1] = the sum of lengths[0 .. i], leaving out negative ones, at most `most`. Serial.
inline void offsets_of_lengths(size_t n, const int32_t* lengths, int32_t most, int32_t* offsets) {
  int64_t sum = 0;
  offsets[0] = 0;
  for (size_t i = 0; i < n; ++i) {
    sum = std::min<int64_t>(sum + std::max(lengths[i], 0), most);
    offsets[i + 1] = static_cast<int32_t>(sum);
  }
}

// offsets[0] = 0, offsets[i] = the maximum of 0 and given[1 .. i], at most `most`, for i < n. Serial.
inline void offsets_in_order(size_t n, const int32_t* given, int32_t most, int32_t* offsets) {
  offsets[0] = 0;
  for (size_t i = 1; i < n; ++i) offsets[i] = std::max(offsets[i - 1], std::min(given[i], most));
}

// out[t, :] = exp(x[t, :] - y[ids[t], 0, :] - y[ids[t], 1, :]), 0 where x is -inf or ids[t] names no segment.
template <class T, class I>
void segment_exp(SegmentPattern<I> segments, const T* x, const acc_t<T>* y, size_t k, T* out) {
  using A = acc_t<T>;
  each_row(segments, y, k, 2 * k, [=](size_t at, const A* row) {
    for (size_t j = 0; j < k; ++j) {
      const A v = static_cast<A>(x[at + j]);
      out[at + j] = static_cast<T>(row && v != -std::numeric_limits<A>::infinity() ? std::exp(v - row[j] - row[j + k]) : A(0));
    }
  });
}

// out[t, :] = 1 where x[t, :] equals y[ids[t], :] or is NaN, else 0.
template <class T, class I>
void segment_ties(SegmentPattern<I> segments, const T* x, const acc_t<T>* y, size_t k, T* out) {
  using A = acc_t<T>;
  each_row(segments, y, k, k, [=](size_t at, const A* row) {
    for (size_t j = 0; j < k; ++j) {
      const A v = static_cast<A>(x[at + j]);
      out[at + j] = static_cast<T>(row && (v == row[j] || v != v) ? A(1) : A(0));
    }
  });
}

// Along each segment, forwards or backwards: out[row] = h, then h = a[row] * h + b[row]. h starts at 0, and without b
// (null) at 1: exclusive products. Rows in no segment give 0. Cost rows * k, one segment on one worker.
template <class T, class I>
void segment_scan(SegmentPattern<I> segments, const T* a, const T* b, size_t k, bool reverse, T* out) {
  using A = acc_t<T>;
  const size_t count = segments.count;
  const I *offsets = segments.offsets, *order = segments.order;
  const int parts = plan_parts((static_cast<size_t>(offsets[count]) + count) * (1 + k / 4));
  const auto bounds = balance(offsets, count, parts);
  run_parts(parts, [&](int p) {
    A h[kSegmentColumns];
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      const size_t lo = static_cast<size_t>(offsets[m]), hi = static_cast<size_t>(offsets[m + 1]);
      for (size_t j0 = 0; j0 < k; j0 += kSegmentColumns) {
        const size_t width = std::min(kSegmentColumns, k - j0);
        std::fill_n(h, width, static_cast<A>(b ? 0 : 1));
        for (size_t i = lo; i < hi; ++i) {
          const size_t r = reverse ? hi - 1 - (i - lo) : i, at = (order ? static_cast<size_t>(order[r]) : r) * k + j0;
          for (size_t j = 0; j < width; ++j) {
            out[at + j] = static_cast<T>(h[j]);
            h[j] = mul(static_cast<A>(a[at + j]), h[j]);
            if (b) h[j] = add(h[j], static_cast<A>(b[at + j]));
          }
        }
      }
    }
  });
  for (size_t r = static_cast<size_t>(offsets[count]); r < segments.rows; ++r) {
    std::fill_n(out + (order ? static_cast<size_t>(order[r]) : r) * k, k, T{});
  }
}

} // namespace sp
