// Which stored values lie on a diagonal: visit(i, at) says that value `at` is (part of) element i of the k-th diagonal,
// which begins at row `first` and has `count` elements. Any order of entries; duplicates are visited one by one, in the
// order they are stored. No two workers visit the same i.
#pragma once

#include "../parallel.h"
#include "view.h"

namespace sp {

struct DiagonalRange {
  int64_t k, first, count;
  DiagonalRange(int64_t k, int64_t n_major, int64_t n_minor)
      : k(k), first(std::max<int64_t>(-k, 0)), count(std::min(n_major - first, n_minor - std::max<int64_t>(k, 0))) {}
};

// `distinct`: known to hold no index twice. start(i) comes before the visits of i. Cost: the indices of `count` slices.
template <class I, class Start, class Visit>
void cs_visit_diagonal(DiagonalRange d, CsPattern<I> a, bool distinct, Start&& start, Visit&& visit) {
  const I *indptr = a.indptr, *indices = a.indices;
  const size_t work = static_cast<size_t>(indptr[d.first + d.count] - indptr[d.first]) / 2 + static_cast<size_t>(d.count);
  parallel_for(static_cast<size_t>(d.count), plan_parts(work), [&](size_t lo, size_t hi) {
    const I* ends = indptr + d.first + 1;
    size_t e = static_cast<size_t>(ends[static_cast<ptrdiff_t>(lo) - 1]);
    for (size_t i = lo; i < hi; ++i) {
      const I target = static_cast<I>(d.first + static_cast<int64_t>(i) + d.k);
      const size_t begin = e, end = static_cast<size_t>(ends[i]);
      size_t hit = 0; // one behind, and no branch: where in a slice the diagonal stands is hard to foretell
      if (distinct) {
        while (e < end) {
          const bool here = indices[e] == target;
          ++e;
          hit = here ? e : hit;
        }
      } else {
        while (e < end) {
          const bool here = indices[e] == target;
          ++e;
          hit += here ? e : 0; // of more than one the sum is behind them all
        }
      }
      start(i);
      if (hit == 0) continue;
      if (distinct || (hit <= end && indices[hit - 1] == target)) visit(i, hit - 1);
      else for (size_t p = begin; p < end; ++p) if (indices[p] == target) visit(i, p);
    }
  });
}

// Blocks of R x C: row r of a block of row m and column b meets the diagonal at column r - shift.
template <class I, class Visit>
void bsr_visit_diagonal(DiagonalRange d, BsrPattern<I> a, Visit&& visit) {
  const I *indptr = a.indptr, *indices = a.indices;
  const int64_t R = static_cast<int64_t>(a.R), C = static_cast<int64_t>(a.C);
  parallel_for(a.n_major, plan_parts(a.nnz() + a.n_major), [&](size_t lo, size_t hi) {
    for (int64_t m = static_cast<int64_t>(lo); m < static_cast<int64_t>(hi); ++m) {
      for (I p = indptr[m]; p < indptr[m + 1]; ++p) {
        const int64_t shift = static_cast<int64_t>(indices[p]) * C - m * R - d.k;
        for (int64_t r = std::max<int64_t>(0, shift), end = std::min(R, C + shift); r < end; ++r) {
          const int64_t i = m * R + r - d.first;
          if (i >= 0 && i < d.count) visit(static_cast<size_t>(i), static_cast<size_t>((p * R + r) * C + r - shift));
        }
      }
    }
  });
}

// One worker: the same i may turn up anywhere.
template <class I, class Visit>
void coo_visit_diagonal(DiagonalRange d, CooPattern<I> a, Visit&& visit) {
  for (size_t e = 0; e < a.nnz; ++e) {
    if (static_cast<int64_t>(a.minor[e]) - static_cast<int64_t>(a.major[e]) != d.k) continue;
    const int64_t i = static_cast<int64_t>(a.major[e]) - d.first;
    if (i >= 0 && i < d.count) visit(static_cast<size_t>(i), e);
  }
}

} // namespace sp
