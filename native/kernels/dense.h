// Dense form of compressed and coordinate structures, and back. A dense array is a pointer with two strides, so one
// kernel serves both orders of both axes.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "canonical.h"
#include "convert.h"
#include "sum.h"
#include "view.h"

namespace sp {

// Elements between neighbours along each axis.
struct Strides {
  int64_t major, minor;
};

constexpr size_t kFewSummands = 32; // so many are added up in the result itself

// out[i, j] += data: out is zero on entry; any order, duplicates are summed (many of them, and 16-bit floats, apart).
// Cost: O(nnz + n_major), and n_minor of scratch per worker where slices may have duplicates.
template <class T, class I>
void cs_todense(CsView<T, I> a, T* out, Strides s) {
  constexpr bool direct = std::is_same_v<acc_t<T>, T>;
  const I *indptr = a.indptr, *indices = a.indices;
  const T* data = a.data;
  const size_t n_minor = a.n_minor;
  const int parts = plan_parts(2 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    std::unique_ptr<RunningSum<T>[]> sums;
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      T* y = out + static_cast<int64_t>(i) * s.major;
      const I from = indptr[i], end = indptr[i + 1];
      const bool few = direct && (std::is_integral_v<T> || static_cast<size_t>(end - from) <= kFewSummands);
      if (few || slice_in_order(indices + from, indices + end, true)) {
        for (I e = from; e < end; ++e) {
          T& slot = y[static_cast<int64_t>(indices[e]) * s.minor];
          slot = add(slot, data[e]);
        }
      } else {
        if (!sums) sums.reset(new RunningSum<T>[n_minor]);
        for (I e = from; e < end; ++e) sums[indices[e]] = RunningSum<T>();
        for (I e = from; e < end; ++e) sums[indices[e]].add(data[e]);
        for (I e = from; e < end; ++e) y[static_cast<int64_t>(indices[e]) * s.minor] = sums[indices[e]].value();
      }
    }
  });
}

// out[e] = dense at the position of entry e. Cost: O(nnz + n_major).
template <class W, class I>
void cs_sample(CsPattern<I> a, const W* dense, Strides s, W* out) {
  const int parts = plan_parts(2 * a.nnz() + a.n_major);
  const auto bounds = balance(a.indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const W* x = dense + static_cast<int64_t>(i) * s.major;
      for (size_t e = a.begin(i); e < a.end(i); ++e) out[e] = x[static_cast<int64_t>(a.indices[e]) * s.minor];
    }
  });
}

template <class T, class I>
void coo_todense_by_slices(CooView<T, I> a, T* out, Strides s) {
  std::unique_ptr<I[]> indptr(new I[a.n_major + 1]), indices(new I[a.nnz]);
  std::unique_ptr<T[]> values(new T[a.nnz]);
  coo_to_cs(a, CsOut<T, I>{indptr.get(), indices.get(), values.get()});
  cs_todense(CsView<T, I>{{a.n_major, a.n_minor, indptr.get(), indices.get()}, values.get()}, out, s);
}

// As cs_todense for coordinates in any order. Workers own ranges of major; each reads all of major unless it is sorted.
// 16-bit floats, and floats once more than a few have met others, go through a compressed copy.
template <class T, class I>
void coo_todense(CooView<T, I> a, T* out, Strides s) {
  const size_t nnz = a.nnz, n_major = a.n_major;
  const I *major = a.major, *minor = a.minor;
  const T* data = a.data;
  if constexpr (!std::is_same_v<acc_t<T>, T>) return coo_todense_by_slices(a, out, s);
  std::atomic<size_t> meetings{0};
  const int parts = plan_parts(2 * nnz, 4);
  const bool sorted = parts > 1 && is_nondecreasing(nnz, major);
  run_parts(parts, [&](int p) {
    const size_t low = n_major * p / parts, count = n_major * (p + 1) / parts - low;
    size_t from = 0, end = nnz;
    if (sorted) {
      from = std::lower_bound(major, major + nnz, static_cast<I>(low)) - major;
      end = std::lower_bound(major + from, major + nnz, low + count, [](I x, size_t y) { return size_t(x) < y; }) - major;
    }
    size_t met = 0;
    for (size_t e = from; e < end; ++e) {
      if (static_cast<size_t>(major[e]) - low >= count) continue;
      T& slot = out[static_cast<int64_t>(major[e]) * s.major + static_cast<int64_t>(minor[e]) * s.minor];
      if constexpr (!std::is_integral_v<T>) met += slot != T{};
      slot = add(slot, data[e]);
    }
    meetings += met;
  });
  if (meetings <= kFewSummands) return;
  for (size_t e = 0; e < nnz; ++e) {
    out[static_cast<int64_t>(major[e]) * s.major + static_cast<int64_t>(minor[e]) * s.minor] = T{};
  }
  coo_todense_by_slices(a, out, s);
}

// out[e] = dense[major[e], minor[e]].
template <class W, class I>
void coo_sample(CooPattern<I> a, const W* dense, Strides s, W* out) {
  parallel_for(a.nnz, plan_parts(2 * a.nnz), [&](size_t lo, size_t hi) {
    for (size_t e = lo; e < hi; ++e) {
      out[e] = dense[static_cast<int64_t>(a.major[e]) * s.major + static_cast<int64_t>(a.minor[e]) * s.minor];
    }
  });
}

} // namespace sp
