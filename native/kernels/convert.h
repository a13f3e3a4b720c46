// Changes of layout: entries moved to another order, and indptr -> major index of each entry.
#pragma once

#include <cstring>

#include "../dispatch.h"
#include "../parallel.h"
#include "sort.h"
#include "view.h"

namespace sp {

// emit(slot, entry, slice) for every entry in the order of the transposed structure.
template <class I, class Emit>
void transpose_entries(CsPattern<I> a, int parts, I* out_indptr, Emit&& emit) {
  const auto bounds = balance(a.indptr, a.n_major, parts);
  counting_sort(
      a.n_minor, parts, out_indptr,
      [&](int p, I* n) {
        for (size_t e = a.begin(bounds[p]), end = a.begin(bounds[p + 1]); e < end; ++e) ++n[a.indices[e]];
      },
      [&](int p, I* next) {
        const I* indices = a.indices;
        for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
          for (size_t e = a.begin(i), end = a.end(i); e < end; ++e) emit(static_cast<size_t>(next[indices[e]]++), e, i);
        }
      });
}

// The same entries compressed along the other axis. Any order, duplicates allowed and kept; stable, so the slices of
// the result are sorted. No aliasing. Cost: O(nnz + n_major + parts * n_minor).
template <class W, class I>
void cs_transpose(CsView<W, I> a, CsOut<W, I> out) {
  const int parts = plan_sort<I>(a.nnz(), a.n_minor, a.nnz() * (sizeof(I) + sizeof(W)));
  transpose_entries<I>(a, parts, out.indptr, [=](size_t slot, size_t e, size_t i) {
    out.indices[slot] = static_cast<I>(i);
    out.data[slot] = a.data[e];
  });
}

// out_major[e] = the slice that entry e lies in.
template <class I>
void cs_expand(size_t n_major, const I* indptr, I* out_major) {
  const int parts = plan_parts(static_cast<size_t>(indptr[n_major]) + n_major);
  const auto bounds = balance(indptr, n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      std::fill(out_major + indptr[i], out_major + indptr[i + 1], static_cast<I>(i));
    }
  });
}

template <class U>
void copy_values(size_t n, const U* from, U* to) {
  parallel_for(n, plan_parts(n * sizeof(U) / 16), [&](size_t lo, size_t hi) {
    if (lo < hi) std::memcpy(to + lo, from + lo, (hi - lo) * sizeof(U));
  });
}

// out[e] = x[order[e]]. Cost: O(n).
template <class W, class I>
void permute(size_t n, const I* order, const W* x, W* out) {
  parallel_for(n, plan_parts(2 * n), [=](size_t lo, size_t hi) {
    for (size_t e = lo; e < hi; ++e) out[e] = x[order[e]];
  });
}

// Coordinates in any order -> compressed along major. Stable: a slice keeps the input's order; duplicates are kept.
// No aliasing. Cost: O(nnz + parts * n_major); entries whose major is sorted already are copied.
template <class W, class I>
void coo_to_cs(CooView<W, I> a, CsOut<W, I> out) {
  const size_t nnz = a.nnz;
  if (is_nondecreasing(nnz, a.major)) {
    offsets_of_sorted(nnz, a.n_major, a.major, true, out.indptr);
    copy_values(nnz, a.minor, out.indices);
    return copy_values(nnz, a.data, out.data);
  }
  const int parts = plan_sort<I>(nnz, a.n_major, nnz * (sizeof(I) + sizeof(W)));
  counting_sort(
      a.n_major, parts, out.indptr,
      [&](int p, I* n) {
        for (size_t e = nnz * p / parts; e < nnz * (p + 1) / parts; ++e) ++n[a.major[e]];
      },
      [&](int p, I* next) {
        const I *major = a.major, *minor = a.minor;
        const W* data = a.data;
        for (size_t e = nnz * p / parts; e < nnz * (p + 1) / parts; ++e) {
          const size_t slot = static_cast<size_t>(next[major[e]]++);
          out.indices[slot] = minor[e];
          out.data[slot] = data[e];
        }
      });
}

} // namespace sp
