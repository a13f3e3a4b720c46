// Minima and maxima of slices, and where they stand: of values as they are turned, the last is the extreme. NumPy's
// order: complex numbers by real part, then imaginary part; a NaN wins (or, where it is ignored, wins only against other
// NaNs).
#pragma once

#include <memory>
#include <vector>

#include "../parallel.h"
#include "ranking.h"
#include "view.h"

namespace sp {

template <class T>
inline bool is_nan(T x) {
  if constexpr (std::is_integral_v<T>) return false;
  else if constexpr (is_complex_v<T>) return is_nan(x.real()) || is_nan(x.imag());
  else return !(static_cast<acc_t<T>>(x) == static_cast<acc_t<T>>(x));
}

// Whether x lies strictly beyond y; false when either is a NaN.
template <class Ranking, class T>
inline bool beyond(T x, T y) {
  if constexpr (is_complex_v<T>) {
    if (is_nan(x) || is_nan(y)) return false;
    return Ranking::before(y.real(), x.real()) || (x.real() == y.real() && Ranking::before(y.imag(), x.imag()));
  } else {
    return Ranking::before(static_cast<acc_t<T>>(y), static_cast<acc_t<T>>(x));
  }
}

// The extreme of the two, as numpy.maximum (fmax where NaN is ignored) gives it.
template <class Ranking, class T>
inline T extreme(bool ignore_nan, T x, T y) {
  if constexpr (std::is_integral_v<T>) return beyond<Ranking>(y, x) ? y : x;
  else return beyond<Ranking>(y, x) || (ignore_nan ? is_nan(x) : is_nan(y) && !is_nan(x)) ? y : x;
}

// The extreme of data[0 .. n), turned, n > 0. Numbers and NaNs are told apart in separate lanes, without a branch, so that
// the inner loop becomes one vector operation for each.
template <class T, class Ranking>
T slice_extreme(bool ignore_nan, Ranking ranking, const T* data, size_t n) {
  constexpr size_t LANES = 64 / sizeof(T);
  T best = ranking(data[0]);
  if constexpr (!is_complex_v<T> && std::is_same_v<T, acc_t<T>>) {
    auto further = [](T x, T y) { return Ranking::before(x, y) ? y : x; };
    bool any = false;
    size_t e = 0;
    if (n >= 2 * LANES) {
      using Flag = std::conditional_t<sizeof(T) == 8, int64_t, std::conditional_t<sizeof(T) == 4, int32_t, int8_t>>;
      T lane[LANES];
      Flag nan[LANES] = {};
      for (size_t j = 0; j < LANES; ++j) lane[j] = ranking(data[j]);
      for (; e + LANES <= n; e += LANES) {
        for (size_t j = 0; j < LANES; ++j) {
          nan[j] |= Flag(data[e + j] != data[e + j]);
          lane[j] = further(lane[j], ranking(data[e + j]));
        }
      }
      for (size_t j = 0; j < LANES; ++j) {
        any |= nan[j] != 0;
        best = further(best, lane[j]);
      }
    }
    for (; e < n; ++e) {
      any |= data[e] != data[e];
      best = further(best, ranking(data[e]));
    }
    if (!any) return best;
    best = ranking(data[0]); // the careful way
  }
  for (size_t e = 1; e < n; ++e) best = extreme<Ranking>(ignore_nan, best, ranking(data[e]));
  return best;
}

// out[m] = extreme of slice m, whose n_minor positions hold 0 where no entry is stored (explicit_only: the stored entries
// alone; 0 for an empty slice). Canonical slices in any order. Cost nnz + n_major.
template <class T, class I, class Ranking>
void cs_major_extreme(CsView<T, I> a, Ranking ranking, bool ignore_nan, bool explicit_only, T* out) {
  const I* indptr = a.indptr;
  const T* data = a.data;
  const size_t n_minor = a.n_minor;
  const int parts = plan_parts(a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      const size_t lo = static_cast<size_t>(indptr[m]), hi = static_cast<size_t>(indptr[m + 1]);
      if (lo == hi) {
        out[m] = T{};
        continue;
      }
      const T best = slice_extreme(ignore_nan, ranking, data + lo, hi - lo);
      out[m] = ranking(explicit_only || hi - lo == n_minor ? best : extreme<Ranking>(ignore_nan, best, ranking(T{})));
    }
  });
}

// Entries by minor index, each of n_minor of which has `length` positions.
template <class T, class I>
struct MinorEntries {
  size_t nnz, n_minor, length;
  const I* indices;
  const T* data;
};

// out[c] = extreme over the entries p with indices[p] == c, each of which stands for one of `length` positions, the others
// being 0 (explicit_only: entries alone; 0 where there is none). No two entries stand for one position; any order.
// Cost nnz + n_minor, and for each part of the work its own n_minor values.
template <class T, class I, class Ranking>
void cs_minor_extreme(MinorEntries<T, I> a, Ranking ranking, bool ignore_nan, bool explicit_only, T* out) {
  const size_t nnz = a.nnz, n_minor = a.n_minor, length = a.length;
  const I* indices = a.indices;
  const T* data = a.data;
  const int parts = n_minor * 4 <= nnz ? plan_parts(2 * nnz) : 1; // else merging costs more than it saves
  std::unique_ptr<T[]> others(parts > 1 ? new T[n_minor * (parts - 1)] : nullptr);
  std::unique_ptr<I[]> counts(new I[n_minor * parts]());
  auto best_of = [&](int p) { return p ? others.get() + n_minor * (p - 1) : out; };
  run_parts(parts, [&](int p) {
    T* best = best_of(p);
    I* seen = counts.get() + n_minor * p;
    for (size_t e = nnz * p / parts; e < nnz * (p + 1) / parts; ++e) {
      const size_t c = static_cast<size_t>(indices[e]);
      const T value = ranking(data[e]);
      best[c] = seen[c]++ ? extreme<Ranking>(ignore_nan, best[c], value) : value;
    }
  });
  parallel_for(n_minor, plan_parts(n_minor * parts), [&](size_t lo, size_t hi) {
    for (size_t c = lo; c < hi; ++c) {
      I seen = counts[c];
      T best = seen ? out[c] : ranking(T{});
      for (int p = 1; p < parts; ++p) {
        const I more = counts[n_minor * p + c];
        if (!more) continue;
        best = seen ? extreme<Ranking>(ignore_nan, best, best_of(p)[c]) : best_of(p)[c];
        seen += more;
      }
      const bool bare = explicit_only || !seen || static_cast<size_t>(seen) == length;
      out[c] = ranking(bare ? best : extreme<Ranking>(ignore_nan, best, ranking(T{})));
    }
  });
}

// Where the first extreme of n > 0 values stands; the first NaN where there is one.
template <class T, class Ranking>
size_t slice_where(Ranking ranking, const T* data, size_t n) {
  constexpr size_t kShort = 128 / sizeof(T);
  if constexpr (!is_complex_v<T> && std::is_same_v<T, acc_t<T>>) {
    if (n < kShort) { // without branches: whether an entry is the furthest so far is a coin's toss
      T best = ranking(data[0]);
      bool any = best != best;
      size_t at = 0;
      for (size_t e = 1; e < n; ++e) {
        const T value = ranking(data[e]);
        const bool further = Ranking::before(best, value);
        any |= value != value;
        at = further ? e : at;
        best = further ? value : best;
      }
      if (!any) return at;
    }
  }
  const T best = ranking(slice_extreme(false, ranking, data, n));
  size_t at = 0; // found again
  while (!(data[at] == best) && !is_nan(data[at])) ++at;
  return at;
}

// out[m] = minor index of the first extreme of slice m, implicit zeros included (explicit_only: among the stored entries;
// 0 for an empty slice). Sorted slices without duplicates. A NaN counts as extreme among the entries but loses to an
// implicit zero, as in SciPy. Cost nnz + n_major.
template <class T, class I, class Ranking>
void cs_major_where(CsView<T, I> a, Ranking ranking, bool explicit_only, int64_t* out) {
  const I *indptr = a.indptr, *indices = a.indices;
  const T* data = a.data;
  const size_t n_minor = a.n_minor;
  const int parts = plan_parts(a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      const size_t lo = static_cast<size_t>(indptr[m]), hi = static_cast<size_t>(indptr[m + 1]);
      out[m] = 0;
      if (lo == hi) continue;
      const size_t at = lo + slice_where(ranking, data + lo, hi - lo);
      const T best = data[at];
      if (explicit_only || hi - lo == n_minor || beyond<Ranking>(ranking(best), ranking(T{}))) {
        out[m] = static_cast<int64_t>(indices[at]);
        continue;
      }
      size_t gap = 0; // the first position without an entry
      while (lo + gap < hi && static_cast<size_t>(indices[lo + gap]) == gap) ++gap;
      const bool tie = best == T{} && static_cast<size_t>(indices[at]) < gap;
      out[m] = static_cast<int64_t>(tie ? static_cast<size_t>(indices[at]) : gap);
    }
  });
}

// cs_major_where as per_slice takes it.
struct MajorWhere {
  static constexpr const char* name = "cs_major_where";
  static constexpr bool has_shader = false;
  template <class T>
  using Result = int64_t;
  bool max, explicit_only;
  std::vector<int64_t> key() const { return {max, explicit_only}; }

  template <class T, class I>
  void operator()(CsView<T, I> a, int64_t* out) const {
    using U = ranked_t<T>;
    const CsView<U, I> values{static_cast<const CsPattern<I>&>(a), reinterpret_cast<const U*>(a.data)};
    with_ranking<T>(max, [&](auto ranking) { cs_major_where(values, ranking, explicit_only, out); });
  }
};

} // namespace sp
