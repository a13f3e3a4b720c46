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
#include "view.h"

namespace sp {

// Elements between neighbours along each axis.
struct Strides {
  int64_t major, minor;
};

// out[i, j] += data: out is zero on entry; any order, duplicates are summed (16-bit floats in float32).
// Cost: O(nnz + n_major), and n_minor of scratch per worker for 16-bit floats.
template <class T, class I>
void cs_todense(CsView<T, I> a, T* out, Strides s) {
  using A = acc_t<T>;
  const I *indptr = a.indptr, *indices = a.indices;
  const T* data = a.data;
  const size_t n_minor = a.n_minor;
  const int parts = plan_parts(2 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    std::unique_ptr<A[]> sums(std::is_same_v<A, T> ? nullptr : new A[n_minor]);
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      T* y = out + static_cast<int64_t>(i) * s.major;
      const I from = indptr[i], end = indptr[i + 1];
      if constexpr (std::is_same_v<A, T>) {
        for (I e = from; e < end; ++e) {
          T& slot = y[static_cast<int64_t>(indices[e]) * s.minor];
          slot = add(slot, data[e]);
        }
      } else {
        for (I e = from; e < end; ++e) sums[indices[e]] = 0;
        for (I e = from; e < end; ++e) sums[indices[e]] += static_cast<A>(data[e]);
        for (I e = from; e < end; ++e) y[static_cast<int64_t>(indices[e]) * s.minor] = static_cast<T>(sums[indices[e]]);
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

// As cs_todense for coordinates in any order. Workers own ranges of major; each reads all of major unless it is sorted.
// 16-bit floats go through a compressed copy, so that they too are summed in float32.
template <class T, class I>
void coo_todense(CooView<T, I> a, T* out, Strides s) {
  const size_t nnz = a.nnz, n_major = a.n_major;
  const I *major = a.major, *minor = a.minor;
  const T* data = a.data;
  if constexpr (!std::is_same_v<acc_t<T>, T>) {
    std::unique_ptr<I[]> indptr(new I[n_major + 1]), indices(new I[nnz]);
    std::unique_ptr<T[]> values(new T[nnz]);
    coo_to_cs(a, CsOut<T, I>{indptr.get(), indices.get(), values.get()});
    return cs_todense(CsView<T, I>{{n_major, a.n_minor, indptr.get(), indices.get()}, values.get()}, out, s);
  }
  const int parts = plan_parts(2 * nnz, 4);
  const bool sorted = parts > 1 && is_nondecreasing(nnz, major);
  run_parts(parts, [&](int p) {
    const size_t low = n_major * p / parts, count = n_major * (p + 1) / parts - low;
    size_t from = 0, end = nnz;
    if (sorted) {
      from = std::lower_bound(major, major + nnz, static_cast<I>(low)) - major;
      end = std::lower_bound(major + from, major + nnz, low + count, [](I x, size_t y) { return size_t(x) < y; }) - major;
    }
    for (size_t e = from; e < end; ++e) {
      if (static_cast<size_t>(major[e]) - low >= count) continue;
      T& slot = out[static_cast<int64_t>(major[e]) * s.major + static_cast<int64_t>(minor[e]) * s.minor];
      slot = add(slot, data[e]);
    }
  });
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
