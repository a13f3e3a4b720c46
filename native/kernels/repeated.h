// Forms of a sparse matrix for many products with one vector: by diagonals, which need no indices, and by slices of eight
// rows side by side, so that one gather loads for eight rows. Both are built from compressed rows at the cost of a few
// products, and only where they are hardly larger.
#pragma once

#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "../parallel.h"
#include "sum.h"
#include "tile.h"

namespace sp {

// Memory that nothing writes to before it is used.
template <class T>
using Uncleared = std::unique_ptr<T[]>;
template <class T>
Uncleared<T> uncleared(size_t n) {
  return std::unique_ptr<T[]>(new T[n]);
}

constexpr int kRepeats = 8; // products of a matrix after which another form of it is worth while
constexpr size_t kFormWork = 4; // elementary steps that an entry costs when a form is built

// ---- by diagonals --------------------------------------------------------------------------------------------------

// data[d * rows + i] is the entry of row i in column i + offsets[d], or zero.
template <class T>
struct Diagonals {
  size_t rows, columns;
  std::vector<ptrdiff_t> offsets; // ascending
  Uncleared<T> data;

  // The rows that all diagonals have.
  std::pair<size_t, size_t> inside() const {
    const ptrdiff_t lo = std::max<ptrdiff_t>(0, -offsets.front());
    const ptrdiff_t hi = std::min<ptrdiff_t>(rows, static_cast<ptrdiff_t>(columns) - std::max<ptrdiff_t>(0, offsets.back()));
    return {static_cast<size_t>(std::min<ptrdiff_t>(lo, rows)), static_cast<size_t>(std::max(lo, hi))};
  }
};

// None if they would take more memory than the rows.
template <class T, class I>
std::optional<Diagonals<T>> make_diagonals(CsView<T, I> a) {
  constexpr size_t kMost = 32;
  const size_t n = a.n_major, nnz = a.nnz();
  if (n == 0 || nnz == 0) return std::nullopt;
  const size_t most = std::min(kMost, nnz * (sizeof(T) + sizeof(int32_t)) / (n * sizeof(T)));
  std::vector<ptrdiff_t> offsets;
  for (size_t m = 0; m < n; ++m) {
    size_t at = 0; // rows that follow each other have the same diagonals, or nearly
    for (size_t p = a.begin(m); p < a.end(m); ++p) {
      const ptrdiff_t offset = static_cast<ptrdiff_t>(a.indices[p]) - static_cast<ptrdiff_t>(m);
      while (at < offsets.size() && offsets[at] < offset) ++at;
      if (at < offsets.size() && offsets[at] == offset) continue;
      at = static_cast<size_t>(std::lower_bound(offsets.begin(), offsets.end(), offset) - offsets.begin());
      if (at < offsets.size() && offsets[at] == offset) continue;
      if (offsets.size() == most) return std::nullopt;
      offsets.insert(offsets.begin() + static_cast<ptrdiff_t>(at), offset);
    }
  }
  Diagonals<T> made{n, a.n_minor, std::move(offsets), nullptr};
  made.data = uncleared<T>(made.offsets.size() * n);
  parallel_for(n, plan_parts(kFormWork * nnz), [&](size_t lo, size_t hi) {
    T* data = made.data.get();
    for (size_t d = 0; d < made.offsets.size(); ++d) std::fill(data + d * n + lo, data + d * n + hi, T{});
    for (size_t m = lo; m < hi; ++m) {
      size_t d = 0;
      for (size_t p = a.begin(m); p < a.end(m); ++p) {
        const ptrdiff_t offset = static_cast<ptrdiff_t>(a.indices[p]) - static_cast<ptrdiff_t>(m);
        if (d < made.offsets.size() && made.offsets[d] > offset) d = 0;
        while (made.offsets[d] != offset) ++d;
        T& out = data[d * n + m];
        out = add(out, a.data[p]);
      }
    }
  });
  return made;
}

// y[i] for `Rows` rows from i on, which all diagonals have; the sums stay in registers.
template <size_t Rows, class T>
SP_INLINE void diagonals_chunk(const Diagonals<T>& a, size_t i, const T* x, T* y) {
  T sum[Rows] = {};
  const T* data = a.data.get() + i;
  for (ptrdiff_t offset : a.offsets) {
    const T* from = x + (static_cast<ptrdiff_t>(i) + offset);
    for (size_t j = 0; j < Rows; ++j) sum[j] = add(sum[j], mul(data[j], from[j]));
    data += a.rows;
  }
  for (size_t j = 0; j < Rows; ++j) y[i + j] = sum[j];
}

template <class T>
SP_INLINE void diagonals_inside(const Diagonals<T>& a, size_t lo, size_t hi, const T* x, T* y) {
  constexpr size_t kRows = 128 / sizeof(T);
  size_t i = lo;
  for (; i + kRows <= hi; i += kRows) diagonals_chunk<kRows>(a, i, x, y);
  for (; i < hi; ++i) diagonals_chunk<1>(a, i, x, y);
}

#ifdef SP_AVX2
template <class T>
__attribute__((target("avx2"))) void diagonals_inside_avx2(const Diagonals<T>& a, size_t lo, size_t hi, const T* x, T* y) {
  diagonals_inside(a, lo, hi, x, y);
}
#endif

// y[i] for the rows lo .. hi.
template <class T>
void diagonals_dot(size_t lo, size_t hi, const Diagonals<T>& a, const T* x, T* y) {
  const auto edge = [&](size_t from, size_t until) {
    for (size_t i = from; i < until; ++i) {
      T sum{};
      for (size_t d = 0; d < a.offsets.size(); ++d) {
        const ptrdiff_t j = static_cast<ptrdiff_t>(i) + a.offsets[d];
        if (j >= 0 && j < static_cast<ptrdiff_t>(a.columns)) sum = add(sum, mul(a.data[d * a.rows + i], x[j]));
      }
      y[i] = sum;
    }
  };
  auto [first, last] = a.inside();
  first = std::clamp(first, lo, hi), last = std::clamp(last, first, hi);
  edge(lo, first);
#ifdef SP_AVX2
  if (has_avx2()) diagonals_inside_avx2(a, first, last, x, y);
  else
#endif
  diagonals_inside(a, first, last, x, y);
  edge(last, hi);
}

// ---- by slices of rows ---------------------------------------------------------------------------------------------

// Slice s has the rows 8 s .. 8 s + 7; its entries stand at starts[s] .. starts[s + 1], the first of each row, then the
// second of each, and so on. Shorter rows are filled up with zeros in columns that they have.
template <class T>
struct Sliced {
  static constexpr size_t kRows = 8;
  size_t rows;
  std::vector<size_t> starts;
  Uncleared<T> data;
  Uncleared<int32_t> indices;
};

#ifdef SP_AVX2
// Eight or four elements of x, by a gather or one by one: the same numbers. Gathers have masks, as GCC warns of what the
// plain ones leave open.
template <bool gathers>
SP_AVX2 SP_INLINE __m256d pick(const double* x, const int32_t* j) {
  if constexpr (!gathers) return _mm256_set_pd(x[j[3]], x[j[2]], x[j[1]], x[j[0]]);
  const __m256d zero = _mm256_setzero_pd();
  const __m128i at = _mm_loadu_si128(reinterpret_cast<const __m128i*>(j));
  return _mm256_mask_i32gather_pd(zero, x, at, _mm256_cmp_pd(zero, zero, _CMP_EQ_OQ), 8);
}
template <bool gathers>
SP_AVX2 SP_INLINE __m256 pick(const float* x, const int32_t* j) {
  if constexpr (!gathers) return _mm256_set_ps(x[j[7]], x[j[6]], x[j[5]], x[j[4]], x[j[3]], x[j[2]], x[j[1]], x[j[0]]);
  const __m256 zero = _mm256_setzero_ps();
  const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(j));
  return _mm256_mask_i32gather_ps(zero, x, at, _mm256_cmp_ps(zero, zero, _CMP_EQ_OQ), 4);
}

// The slices first .. last; y is where the first row goes.
template <bool gathers>
SP_AVX2 inline void whole_slices_dot(size_t first, size_t last, const Sliced<double>& a, const double* x, double* y) {
  for (size_t s = first; s < last; ++s, y += 8) {
    __m256d even = _mm256_setzero_pd(), odd = even;
    for (size_t p = a.starts[s]; p < a.starts[s + 1]; p += 8) {
      even = _mm256_fmadd_pd(_mm256_loadu_pd(&a.data[p]), pick<gathers>(x, &a.indices[p]), even);
      odd = _mm256_fmadd_pd(_mm256_loadu_pd(&a.data[p + 4]), pick<gathers>(x, &a.indices[p + 4]), odd);
    }
    _mm256_storeu_pd(y, even);
    _mm256_storeu_pd(y + 4, odd);
  }
}

template <bool gathers>
SP_AVX2 inline void whole_slices_dot(size_t first, size_t last, const Sliced<float>& a, const float* x, float* y) {
  for (size_t s = first; s < last; ++s, y += 8) {
    __m256 sum = _mm256_setzero_ps();
    for (size_t p = a.starts[s]; p < a.starts[s + 1]; p += 8) {
      sum = _mm256_fmadd_ps(_mm256_loadu_ps(&a.data[p]), pick<gathers>(x, &a.indices[p]), sum);
    }
    _mm256_storeu_ps(y, sum);
  }
}

// y[i] for the rows lo .. hi; lo begins a slice, and so does hi where it is not the last.
template <bool gathers, class T>
void sliced_dot(size_t lo, size_t hi, const Sliced<T>& a, const T* x, T* y) {
  const size_t first = lo / a.kRows, whole = hi / a.kRows, rest = hi % a.kRows;
  whole_slices_dot<gathers>(first, whole, a, x, y + lo);
  if (rest == 0) return;
  T last[Sliced<T>::kRows];
  whole_slices_dot<gathers>(whole, whole + 1, a, x, last);
  std::copy_n(last, rest, y + whole * a.kRows);
}

// Whether gathers are faster than single loads here: on some processors they are not, by correction of a flaw. What is
// measured decides the time alone: sums are the same either way.
inline bool gathers_pay() {
  static const bool yes = [] {
    constexpr size_t kEntries = 2048, kWidth = 8, kRows = kEntries / kWidth;
    Sliced<double> a{kRows, {}, uncleared<double>(kEntries), uncleared<int32_t>(kEntries)};
    std::vector<double> x(kRows, 1.0), y(kRows);
    for (size_t s = 0; s <= kRows / 8; ++s) a.starts.push_back(s * 8 * kWidth);
    for (size_t p = 0; p < kEntries; ++p) a.data[p] = 1, a.indices[p] = static_cast<int32_t>(p * 37 % kRows);
    const auto least = [](auto f) {
      auto found = std::chrono::steady_clock::duration::max();
      for (int repeat = 0; repeat < 8; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        f();
        found = std::min(found, std::chrono::steady_clock::now() - start);
      }
      return found;
    };
    return least([&] { sliced_dot<true>(0, kRows, a, x.data(), y.data()); }) <
           least([&] { sliced_dot<false>(0, kRows, a, x.data(), y.data()); });
  }();
  return yes;
}

template <class T>
void sliced_dot(size_t lo, size_t hi, const Sliced<T>& a, const T* x, T* y) {
  if (gathers_pay()) sliced_dot<true>(lo, hi, a, x, y);
  else sliced_dot<false>(lo, hi, a, x, y);
}
#endif

// None where it would be much larger than the rows, or where registers are short.
template <class T, class I>
std::optional<Sliced<T>> make_sliced(CsView<T, I> a) {
#ifdef SP_AVX2
  constexpr size_t kRows = Sliced<T>::kRows;
  const size_t n = a.n_major, nnz = a.nnz(), slices = (n + kRows - 1) / kRows;
  if (nnz == 0 || a.n_minor > static_cast<size_t>(std::numeric_limits<int32_t>::max()) || !has_avx2()) return std::nullopt;
  Sliced<T> made{n, {}, nullptr, nullptr};
  made.starts.assign(slices + 1, 0);
  for (size_t s = 0; s < slices; ++s) {
    size_t width = 0;
    for (size_t m = s * kRows; m < std::min(n, (s + 1) * kRows); ++m) width = std::max(width, a.end(m) - a.begin(m));
    made.starts[s + 1] = made.starts[s] + width * kRows;
  }
  const size_t entries = made.starts[slices];
  if (entries > nnz + nnz / 3 + 8 * kRows) return std::nullopt;
  made.data = uncleared<T>(entries), made.indices = uncleared<int32_t>(entries);
  parallel_for(slices, plan_parts(kFormWork * nnz), [&](size_t first, size_t last) {
    for (size_t s = first; s < last; ++s) {
      for (size_t i = 0; i < kRows; ++i) {
        const size_t m = s * kRows + i;
        size_t p = m < n ? a.begin(m) : 0;
        const size_t end = m < n ? a.end(m) : 0;
        const int32_t filling = p < end ? static_cast<int32_t>(a.indices[p]) : 0;
        for (size_t at = made.starts[s] + i; at < made.starts[s + 1]; at += kRows, ++p) {
          made.data[at] = p < end ? a.data[p] : T{};
          made.indices[at] = p < end ? static_cast<int32_t>(a.indices[p]) : filling;
        }
      }
    }
  });
  return made;
#else
  return std::nullopt;
#endif
}

} // namespace sp
