// Products of blocks picked by index arrays, summed by group: the three partial derivatives of
//   F = sum over t and g of x[x_index[t], g, :] . a[a_index[t], g] . y[y_index[t], g, :],
// a (*, G, M, C), x (*, G, M), y (*, G, C). 16-bit floats sum in float32 and round once.
#pragma once

#include "partition.h"
#include "tile.h"
#include "view.h"

namespace sp {

// left and right: (a, y) -> x, (a, x) -> y, (x, y) -> a. An index that is null means t itself; order null: e is t.
// An operand with fewer groups than the result is repeated: its group is g % left_groups.
template <class T, class I>
struct IndexedOperands {
  const T *left, *right;
  const I *left_index, *right_index, *order;
  size_t n_left, n_right, left_groups, right_groups, groups, m, c;

  size_t left_block(IndexedKind kind) const { return kind == IndexedKind::outer ? m : m * c; }
  size_t right_block(IndexedKind kind) const { return kind == IndexedKind::rmatvec ? m : c; }
  size_t out_block(IndexedKind kind) const {
    return kind == IndexedKind::outer ? m * c : kind == IndexedKind::matvec ? m : c;
  }
  // The rows that entry e multiplies; false where an index is out of range.
  bool locate(size_t e, size_t& p, size_t& q) const {
    const size_t t = order ? static_cast<size_t>(order[e]) : e;
    p = left_index ? static_cast<size_t>(left_index[t]) : t;
    q = right_index ? static_cast<size_t>(right_index[t]) : t;
    return p < n_left && q < n_right; // a negative index is a huge one
  }
};

// One block: out += a y, out += a^T x or out += x y^T, row-major; `ahead` is where the next left operand will be read.
// alone (outer only): out = x y^T.
template <IndexedKind kind, bool alone, class T>
inline void block_product(const T* left, const T* right, const T* ahead, size_t m, size_t c, acc_t<T>* __restrict out) {
  using A = acc_t<T>;
  for (size_t i = 0; i < m; ++i) {
    if constexpr (kind == IndexedKind::outer) {
      const A x = static_cast<A>(left[i]);
      A* row = out + i * c;
      if constexpr (alone) {
        for (size_t j = 0; j < c; ++j) row[j] = mul(x, static_cast<A>(right[j]));
      } else {
        add_row(x, right, row, 0, c);
      }
    } else {
      const T* row = left + i * c;
      for (size_t j = 0; j < c; j += 64 / sizeof(T)) prefetch(ahead + i * c + j);
      if constexpr (kind == IndexedKind::rmatvec) {
        add_row(static_cast<A>(right[i]), row, out, 0, c);
      } else {
        A sum{};
        for (size_t j = 0; j < c; ++j) sum = add(sum, mul(static_cast<A>(row[j]), static_cast<A>(right[j])));
        out[i] = add(out[i], sum);
      }
    }
  }
}

#ifdef SP_AVX2
// The sums of four vectors' lanes, in order.
SP_AVX2 inline void sums_of_four(const __m256* v, float* out) {
  const __m256 h = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  _mm_storeu_ps(out, _mm_add_ps(_mm_loadu_ps(out), sums));
}
SP_AVX2 inline void sums_of_four(const __m256d* v, double* out) {
  for (int i = 0; i < 4; i += 2) {
    const __m256d h = _mm256_hadd_pd(v[i], v[i + 1]);
    const __m128d sums = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    _mm_storeu_pd(out + i, _mm_add_pd(_mm_loadu_pd(out + i), sums));
  }
}

template <class T>
SP_AVX2 inline void rows_avx2(const T* left, const T* right, const T* ahead, size_t m, size_t c, acc_t<T>* out) {
  using X = Avx<T>;
  constexpr size_t L = X::lanes;
  const size_t whole = c - c % L;
  for (size_t i = 0; i < m; i += 4) {
    const size_t rows = std::min<size_t>(4, m - i);
    const T* row[4];
    for (size_t k = 0; k < 4; ++k) row[k] = left + (i + std::min(k, rows - 1)) * c; // a short last group repeats a row
    typename X::V v[4] = {X::zero(), X::zero(), X::zero(), X::zero()};
    for (size_t j = 0; j < whole; j += L) {
      const auto y = X::load(right + j);
      for (int k = 0; k < 4; ++k) v[k] = X::fma(X::load(row[k] + j), y, v[k]);
    }
    for (size_t j = 0; j < rows * c; j += 64 / sizeof(T)) prefetch(ahead + i * c + j);
    acc_t<T> sums[4] = {};
    for (size_t k = 0; k < 4; ++k) {
      for (size_t j = whole; j < c; ++j) sums[k] += static_cast<acc_t<T>>(row[k][j]) * static_cast<acc_t<T>>(right[j]);
    }
    sums_of_four(v, sums);
    for (size_t k = 0; k < rows; ++k) out[i + k] += sums[k];
  }
}

// N vectors of columns, over all rows.
template <int N, class T>
SP_AVX2 inline void columns_avx2(const T* left, const T* right, const T* ahead, size_t m, size_t c, acc_t<T>* out) {
  using X = Avx<T>;
  using Y = Avx<acc_t<T>>;
  typename X::V sum[N];
  for (int j = 0; j < N; ++j) sum[j] = Y::load(out + j * X::lanes);
  for (size_t i = 0; i < m; ++i) {
    const auto x = X::spread(right[i]);
    for (int j = 0; j < N; ++j) sum[j] = X::fma(x, X::load(left + i * c + j * X::lanes), sum[j]);
    for (int j = 0; j < N; j += 64 / (X::lanes * int(sizeof(T)))) prefetch(ahead + i * c + j * X::lanes);
  }
  for (int j = 0; j < N; ++j) Y::store(out + j * X::lanes, sum[j]);
}

template <IndexedKind kind, bool alone, class T>
SP_AVX2 inline void block_product_avx2(const T* left, const T* right, const T* ahead, size_t m, size_t c,
                                       acc_t<T>* out) {
  using X = Avx<T>;
  using Y = Avx<acc_t<T>>;
  constexpr size_t L = X::lanes;
  if constexpr (kind == IndexedKind::matvec) {
    rows_avx2(left, right, ahead, m, c, out);
  } else if constexpr (kind == IndexedKind::rmatvec) {
    size_t j = 0;
    for (; j + 4 * L <= c; j += 4 * L) columns_avx2<4>(left + j, right, ahead + j, m, c, out + j);
    for (; j + L <= c; j += L) columns_avx2<1>(left + j, right, ahead + j, m, c, out + j);
    for (size_t i = 0; j < c && i < m; ++i) add_row(static_cast<acc_t<T>>(right[i]), left + i * c, out, j, c);
  } else {
    const size_t whole = c - c % L;
    for (size_t i = 0; i < m; ++i) {
      const auto x = X::spread(left[i]);
      auto* row = out + i * c;
      for (size_t j = 0; j < whole; j += L) {
        Y::store(row + j, X::fma(x, X::load(right + j), alone ? X::zero() : Y::load(row + j)));
      }
      if (alone) std::fill(row + whole, row + c, acc_t<T>{});
      add_row(static_cast<acc_t<T>>(left[i]), right, row, whole, c);
    }
  }
}
#endif

#define SP_INDEXED_ENTRIES(BLOCK)                                                                        \
  const size_t lb = o.left_block(kind), rb = o.right_block(kind), ob = o.out_block(kind);                \
  const size_t step = 1 + 1024 / (1 + o.left_groups * lb * sizeof(T));                                   \
  for (size_t e = lo; e < hi; ++e) {                                                                     \
    size_t p, q, next = 0, other;                                                                        \
    if (!o.locate(e, p, q)) continue;                                                                    \
    if (e + step >= hi || !o.locate(e + step, next, other)) next = p;                                    \
    for (size_t g = 0, gl = 0, gr = 0; g < o.groups; ++g) {                                              \
      BLOCK<kind, alone>(o.left + (p * o.left_groups + gl) * lb, o.right + (q * o.right_groups + gr) * rb,      \
                  o.left + (next * o.left_groups + gl) * lb, o.m, o.c, out + g * ob);                    \
      if (++gl == o.left_groups) gl = 0;                                                                 \
      if (++gr == o.right_groups) gr = 0;                                                                \
    }                                                                                                    \
  }

#ifdef SP_AVX2
template <IndexedKind kind, bool alone, class T, class I>
SP_AVX2 void indexed_entries_avx2(size_t lo, size_t hi, const IndexedOperands<T, I>& o, acc_t<T>* out) {
  SP_INDEXED_ENTRIES(block_product_avx2)
}
#endif

// out += the products of the entries lo .. hi, all of one group. alone: out = the product of the only one.
template <IndexedKind kind, bool alone, class T, class I>
void indexed_entries(size_t lo, size_t hi, const IndexedOperands<T, I>& o, acc_t<T>* out) {
#ifdef SP_AVX2
  if constexpr (Avx<T>::exists) {
    if (has_avx2() && o.c >= static_cast<size_t>(Avx<T>::lanes)) return indexed_entries_avx2<kind, alone>(lo, hi, o, out);
  }
#endif
  SP_INDEXED_ENTRIES(block_product)
}
#undef SP_INDEXED_ENTRIES

constexpr size_t kFewProducts = 256; // so many blocks are added up one after the other

// As indexed_entries, for up to kWholeSlice entries: the sums of few are joined in pairs.
template <IndexedKind kind, class T, class I>
void indexed_block(size_t lo, size_t hi, const IndexedOperands<T, I>& o, size_t width, acc_t<T>* out) {
  using A = acc_t<T>;
  if (hi - lo <= kFewProducts) return indexed_entries<kind, false>(lo, hi, o, out);
  const size_t count = (hi - lo - 1) / kFewProducts + 1;
  std::unique_ptr<A[]> sums(new A[count * width]());
  for (size_t b = 0; b < count; ++b) {
    const size_t from = lo + b * kFewProducts;
    indexed_entries<kind, false>(from, std::min(hi, from + kFewProducts), o, sums.get() + b * width);
  }
  join_in_pairs(sums.get(), count, width, [](A& sum, const A& more) { sum = add(sum, more); });
  std::copy_n(sums.get(), width, out);
}

// out[i] = sum of the products of the entries in offsets[i] .. offsets[i + 1]; out is overwritten, empty groups are 0.
// Needs nondecreasing offsets within the entries; skips entries whose indices are out of range. Cost: entries * G M C.
// Workers split the entries evenly, inside groups above kWholeSlice too.
template <IndexedKind kind, class T, class I>
void indexed_product(size_t n_out, const I* offsets, const IndexedOperands<T, I>& o, T* out) {
  using A = acc_t<T>;
  const size_t width = o.groups * o.out_block(kind);
  if (n_out == 0 || width == 0) return;
  const size_t entries = static_cast<size_t>(offsets[n_out] - offsets[0]);
  const int parts = plan_parts(entries * (1 + o.groups * o.m * o.c / 4) + n_out * (1 + width / 8));
  const auto piece = [&](size_t lo, size_t hi, A* sum) { indexed_block<kind>(lo, hi, o, width, sum); };
  for_slices<A>(
      offsets, n_out, parts, width, out,
      [&](size_t first, size_t last) {
        std::vector<A> wide(std::is_same_v<A, T> ? 0 : width);
        for (size_t i = first; i < last; ++i) {
          A* sum;
          if constexpr (std::is_same_v<A, T>) sum = out + i * width;
          else sum = wide.data();
          const size_t lo = static_cast<size_t>(offsets[i]), hi = static_cast<size_t>(offsets[i + 1]);
          size_t p, q;
          if (hi - lo > kWholeSlice) {
            sum_long_slice<A>(lo, hi, width, out + i * width, piece);
            continue;
          }
          if (kind == IndexedKind::outer && hi - lo == 1 && o.locate(lo, p, q)) {
            indexed_entries<kind, true>(lo, hi, o, sum);
          } else {
            std::fill_n(sum, width, A{});
            indexed_block<kind>(lo, hi, o, width, sum);
          }
          if constexpr (!std::is_same_v<A, T>) {
            for (size_t j = 0; j < width; ++j) out[i * width + j] = static_cast<T>(sum[j]);
          }
        }
      },
      piece);
}

} // namespace sp
