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

namespace sp {

// Elements between neighbours along each axis.
struct Strides {
  int64_t major, minor;
};

// out[i, j] += data: out is zero on entry; any order, duplicates are summed (16-bit floats in float32).
// Cost: O(nnz + n_major), and n_minor of scratch per worker for 16-bit floats.
template <class T, class I>
void cs_todense(size_t n_major, size_t n_minor, const I* indptr, const I* indices, const T* data, T* out, Strides s) {
  using A = acc_t<T>;
  const int parts = plan_parts(2 * static_cast<size_t>(indptr[n_major]) + n_major);
  const auto bounds = balance(indptr, n_major, parts);
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
void cs_sample(size_t n_major, const I* indptr, const I* indices, const W* dense, Strides s, W* out) {
  const int parts = plan_parts(2 * static_cast<size_t>(indptr[n_major]) + n_major);
  const auto bounds = balance(indptr, n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const W* x = dense + static_cast<int64_t>(i) * s.major;
      for (I e = indptr[i]; e < indptr[i + 1]; ++e) out[e] = x[static_cast<int64_t>(indices[e]) * s.minor];
    }
  });
}

// As cs_todense for coordinates in any order. Workers own ranges of major; each reads all of major unless it is sorted.
// 16-bit floats go through a compressed copy, so that they too are summed in float32.
template <class T, class I>
void coo_todense(size_t nnz, size_t n_major, size_t n_minor, const I* major, const I* minor, const T* data, T* out,
                 Strides s) {
  if constexpr (!std::is_same_v<acc_t<T>, T>) {
    std::unique_ptr<I[]> indptr(new I[n_major + 1]), indices(new I[nnz]);
    std::unique_ptr<T[]> values(new T[nnz]);
    coo_to_cs(nnz, n_major, major, minor, data, indptr.get(), indices.get(), values.get());
    return cs_todense(n_major, n_minor, indptr.get(), indices.get(), values.get(), out, s);
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
void coo_sample(size_t nnz, const I* major, const I* minor, const W* dense, Strides s, W* out) {
  parallel_for(nnz, plan_parts(2 * nnz), [&](size_t lo, size_t hi) {
    for (size_t e = lo; e < hi; ++e) {
      out[e] = dense[static_cast<int64_t>(major[e]) * s.major + static_cast<int64_t>(minor[e]) * s.minor];
    }
  });
}

} // namespace sp
