// Compaction: what a test keeps, in order. Counted first, by slice or by equal piece, then moved.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "view.h"

namespace sp {

template <class T>
bool nonzero(T x) {
  if constexpr (is_complex_v<T>) return (x.real() != 0) | (x.imag() != 0);
  else return x != T{};
}

// Whether a value, as W of its width, is not zero: by its bits without the signs of floats.
template <class W>
struct Nonzero {
  W bits;
  bool operator()(W value) const { return (value & bits) != 0; }
};
template <>
struct Nonzero<WideComplex> {
  bool operator()(WideComplex value) const { return nonzero(value); }
};

template <class W>
Nonzero<W> nonzero_of(mx::Dtype dtype) {
  if constexpr (std::is_same_v<W, WideComplex>) return {};
  else {
    if (dtype == mx::complex64) return {static_cast<W>(0x7fffffff7fffffffull)};
    const W all = static_cast<W>(~W{0});
    return {mx::issubdtype(dtype, mx::floating) ? static_cast<W>(all >> 1) : all};
  }
}

// How many elements stand before each of `parts` equal pieces of [0, n) and in all, where count(lo, hi) counts a range.
template <class Count>
std::vector<size_t> counted_before(size_t n, int parts, Count&& count) {
  std::vector<size_t> before(parts + 1, 0);
  run_parts(parts, [&](int p) { before[p + 1] = count(n * p / parts, n * (p + 1) / parts); });
  for (int p = 0; p < parts; ++p) before[p + 1] += before[p];
  return before;
}

// The elements of in[0 .. n) with keep(e), in order. As many pieces as `before`, which counted_before made; without a
// branch on what is kept: a dropped element is overwritten by the next one.
template <class W, class Keep>
void compact(size_t n, const std::vector<size_t>& before, Keep keep, const W* in, W* out) {
  const int parts = static_cast<int>(before.size()) - 1;
  run_parts(parts, [&](int p) {
    size_t slot = before[p];
    const size_t end = before[p + 1]; // another piece's memory begins here
    for (size_t e = n * p / parts; slot < end; ++e) {
      out[slot] = in[e];
      slot += keep(e);
    }
  });
}

// The same for rows of `width` bytes.
template <class Keep>
void compact_rows(size_t n, const std::vector<size_t>& before, Keep keep, size_t width, const char* in, char* out) {
  const int parts = static_cast<int>(before.size()) - 1;
  run_parts(parts, [&](int p) {
    size_t slot = before[p];
    const size_t end = before[p + 1];
    for (size_t e = n * p / parts; slot < end; ++e) {
      if (keep(e)) std::copy_n(in + e * width, width, out + slot++ * width);
    }
  });
}

// Which entries of a compressed structure are kept, as a functor: kept(m, e) of entry e of slice m, and place(e), the
// minor index that a kept one gets. by_slice: whether kept looks at m.

template <class W, class I>
struct NonzeroEntries {
  static constexpr bool by_slice = false;
  CsView<W, I> a;
  Nonzero<W> nonzero;
  bool kept(size_t, size_t e) const { return nonzero(a.data[e]); }
  I place(size_t e) const { return a.indices[e]; }
};

// low <= minor - major <= high, and minor < limit.
template <class I>
struct BandEntries {
  static constexpr bool by_slice = true;
  const I* indices;
  int64_t low, high, limit;
  bool kept(size_t m, size_t e) const {
    const int64_t j = indices[e], i = static_cast<int64_t>(m), lo = low + i, hi = std::min(high + i, limit - 1);
    return (j >= lo) & (j <= hi);
  }
  I place(size_t e) const { return indices[e]; }
};

// Lengths of the slices that are left, in out_indptr + 1. Any order; duplicates stay.
template <class I, class Entries>
void cs_filter_count(CsPattern<I> a, Entries entries, I* out_indptr) {
  const I* indptr = a.indptr;
  const int parts = plan_parts(2 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      I n = 0;
      for (I e = indptr[m]; e < indptr[m + 1]; ++e) n += entries.kept(m, static_cast<size_t>(e));
      out_indptr[m + 1] = n;
    }
  });
}

// The entries themselves. `backward` walks each slice from its end, so that indices that fall with the old ones come
// out sorted. Two passes over indices in all, one over data.
template <class W, class I, class Entries>
void cs_filter(CsView<W, I> a, Entries entries, bool backward, CsOut<W, I> out) {
  const I* indptr = a.indptr;
  const W* data = a.data;
  I* out_indices = out.indices;
  W* out_data = out.data;
  const int parts = plan_parts(3 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    const Entries local = entries; // not in memory that stores may reach
    size_t n = static_cast<size_t>(out.indptr[bounds[p]]);
    const size_t end = static_cast<size_t>(out.indptr[bounds[p + 1]]);
    auto take = [&](size_t m, size_t e) {
      const I j = local.place(e);
      const bool kept = local.kept(m, e);
      out_indices[n] = j;
      out_data[n] = data[e];
      n += kept;
    };
    if constexpr (!Entries::by_slice) {
      if (!backward) {
        const size_t last = static_cast<size_t>(indptr[bounds[p + 1]]);
        for (size_t e = static_cast<size_t>(indptr[bounds[p]]); n < end && e < last; ++e) take(0, e);
        return;
      }
    }
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      const size_t from = a.begin(m), last = a.end(m);
      if (backward) for (size_t e = last; n < end && e > from; --e) take(m, e - 1);
      else for (size_t e = from; n < end && e < last; ++e) take(m, e);
    }
  });
}

} // namespace sp
