// Substitution: x = op(A)^-1 x for a triangular A, where op may transpose and conjugate.
//   A has sorted indices without duplicates, and entries on one side of the diagonal only; with `unit` its diagonal is
//   taken for ones, stored or not, else a missing entry of it is a zero. x is (n, k), row-major, and overwritten.
//   Without a transpose a slice gathers what it depends on, and each sum runs in the order of the entries whoever computes
//   it; with one it scatters, serially. O(nnz k).
#pragma once

#include "field.h"
#include "levels.h"

namespace sp {

struct TriangleForm {
  bool lower, unit, transposed, conjugate;
};

// order: null, or which slice of A (and of x) each stored one is: A's slices have been moved into the order of its levels.
template <class T, class I>
struct Triangle : CsView<T, I> {
  TriangleForm form;
  const I* order;
};

// The slices r at `position` first .. last (from the far end where substitution runs backwards), as f(i, first, last, d):
// the entries beside the diagonal, and the one on it.
template <class T, class I, class F>
inline void for_slices(const Triangle<T, I>& a, size_t first, size_t last, F&& f) {
  const bool lower = a.form.lower, backward = a.order ? a.form.transposed : lower == a.form.transposed;
  for (size_t step = first; step < last; ++step) {
    const size_t r = backward ? a.n_major - 1 - step : step;
    const size_t i = a.order ? static_cast<size_t>(a.order[r]) : r;
    size_t p = a.begin(r), end = a.end(r);
    T d{};
    if (p < end && static_cast<size_t>(a.indices[lower ? end - 1 : p]) == i) d = a.data[lower ? --end : p++];
    f(i, p, end, d);
  }
}

// s / d. Reciprocals do not wait for s: substitution would wait for a division in each slice.
template <class T>
struct Divisor {
  explicit Divisor(T d) : d(d), inverse(quotient(T(1), d)), exact(!is_finite(inverse)) {}
  T operator()(T s) const { return exact ? quotient(s, d) : mul(s, inverse); }
  T d, inverse;
  bool exact;
};

// W columns from column c on.
template <bool conjugate, size_t W, class T, class I>
void gather_columns(const Triangle<T, I>& a, T* x, size_t k, size_t c, size_t first, size_t last) {
  const bool unit = a.form.unit;
  for_slices(a, first, last, [&](size_t i, size_t p, size_t end, T d) {
    T s[W];
    T* mine = x + i * k + c;
    for (size_t w = 0; w < W; ++w) s[w] = mine[w];
    for (; p < end; ++p) {
      const T* other = x + static_cast<size_t>(a.indices[p]) * k + c;
      const T value = conj_of<conjugate>(a.data[p]);
      for (size_t w = 0; w < W; ++w) s[w] = minus_product(s[w], value, other[w]);
    }
    if (unit) {
      for (size_t w = 0; w < W; ++w) mine[w] = s[w];
    } else {
      const Divisor<T> divisor(conj_of<conjugate>(d));
      for (size_t w = 0; w < W; ++w) mine[w] = divisor(s[w]);
    }
  });
}

template <bool conjugate, size_t W, class T, class I>
void scatter_columns(const Triangle<T, I>& a, T* x, size_t k, size_t c, size_t first, size_t last) {
  const bool unit = a.form.unit;
  for_slices(a, first, last, [&](size_t i, size_t p, size_t end, T d) {
    T s[W];
    T* mine = x + i * k + c;
    for (size_t w = 0; w < W; ++w) s[w] = mine[w];
    if (!unit) {
      const Divisor<T> divisor(conj_of<conjugate>(d));
      for (size_t w = 0; w < W; ++w) mine[w] = s[w] = divisor(s[w]);
    }
    for (; p < end; ++p) {
      T* other = x + static_cast<size_t>(a.indices[p]) * k + c;
      const T value = conj_of<conjugate>(a.data[p]);
      for (size_t w = 0; w < W; ++w) other[w] = minus_product(other[w], value, s[w]);
    }
  });
}

// All of many columns: rows of x are streamed, entry by entry.
template <bool conjugate, class T, class I>
void all_columns(const Triangle<T, I>& a, T* x, size_t k, size_t first, size_t last) {
  const bool gathers = !a.form.transposed, unit = a.form.unit;
  auto subtract = [k](T* __restrict to, T value, const T* __restrict from) {
    for (size_t c = 0; c < k; ++c) to[c] = minus_product(to[c], value, from[c]);
  };
  auto row = [=](I j) { return x + static_cast<size_t>(j) * k; };
  for_slices(a, first, last, [&](size_t i, size_t p, size_t end, T d) {
    T* mine = x + i * k;
    if (gathers) for (size_t q = p; q < end; ++q) subtract(mine, conj_of<conjugate>(a.data[q]), row(a.indices[q]));
    if (!unit) {
      const Divisor<T> divisor(conj_of<conjugate>(d));
      for (size_t c = 0; c < k; ++c) mine[c] = divisor(mine[c]);
    }
    if (!gathers) for (size_t q = p; q < end; ++q) subtract(row(a.indices[q]), conj_of<conjugate>(a.data[q]), mine);
  });
}

template <bool conjugate, class T, class I>
void solve_slices(const Triangle<T, I>& a, T* x, size_t k, size_t first, size_t last) {
  auto columns = [&](auto width, size_t c) {
    constexpr size_t W = decltype(width)::value;
    if (a.form.transposed) scatter_columns<conjugate, W>(a, x, k, c, first, last);
    else gather_columns<conjugate, W>(a, x, k, c, first, last);
  };
  if (k > 16) return all_columns<conjugate>(a, x, k, first, last);
  size_t c = 0;
  for (; c + 8 <= k; c += 8) columns(std::integral_constant<size_t, 8>{}, c);
  if (c + 4 <= k) { columns(std::integral_constant<size_t, 4>{}, c); c += 4; }
  for (; c < k; ++c) columns(std::integral_constant<size_t, 1>{}, c);
}

// levels: null, or those of A where it has an order and op does not transpose.
template <class T, class I>
void cs_solve_triangular(const Triangle<T, I>& a, const Levels<I>* levels, T* x, size_t k) {
  auto slices = [&](size_t first, size_t last) {
    if constexpr (is_complex_v<T>) {
      if (a.form.conjugate) return solve_slices<true>(a, x, k, first, last);
    }
    solve_slices<false>(a, x, k, first, last);
  };
  if (levels) return in_levels(*levels, std::max<size_t>(512 / std::max<size_t>(k, 1), 32), slices);
  // Between looks for an interrupt; and what several passes over columns share in the cache.
  const size_t steps = (1 + a.nnz() / std::max<size_t>(a.n_major, 1)) * std::max<size_t>(k, 1);
  const size_t piece = std::clamp<size_t>((size_t{1} << 18) / steps, 1, 4096);
  for (size_t first = 0; first < a.n_major; first += piece) {
    check_interrupt();
    slices(first, std::min(first + piece, a.n_major));
  }
}

} // namespace sp
