// Compressed form of a dense array: which of its elements are not zero, NaN included.
#pragma once

#include <cstdlib>
#include <memory>

#include "compact.h"

namespace sp {

// A dense array in any order of its axes: elements between neighbours along each.
template <class T>
struct DenseView {
  size_t n_major, n_minor;
  const T* data;
  int64_t major_step, minor_step;
};

// visit(i, j, value) over the elements of slices lo .. hi, in order of minor within each slice, walking memory along its
// shorter stride.
template <class T, class F>
void walk_dense(size_t lo, size_t hi, DenseView<T> x, F&& visit) {
  Watch watch;
  if (std::abs(x.minor_step) <= std::abs(x.major_step)) {
    for (size_t i = lo; i < hi; ++i) {
      watch(1 + x.n_minor);
      const T* slice = x.data + static_cast<int64_t>(i) * x.major_step;
      for (size_t j = 0; j < x.n_minor; ++j) visit(i, j, slice[static_cast<int64_t>(j) * x.minor_step]);
    }
    return;
  }
  constexpr size_t tile = 512;
  for (size_t from = lo; from < hi; from += tile) {
    const size_t end = std::min(hi, from + tile);
    for (size_t j = 0; j < x.n_minor; ++j) {
      watch(1 + end - from);
      const T* line = x.data + static_cast<int64_t>(j) * x.minor_step;
      for (size_t i = from; i < end; ++i) visit(i, j, line[static_cast<int64_t>(i) * x.major_step]);
    }
  }
}

// Elements of each slice that are not zero, in out_indptr + 1. Cost: n_major * n_minor.
template <class W, class I>
void cs_count_dense(DenseView<W> x, Nonzero<W> nonzero, I* out_indptr) {
  parallel_for(x.n_major, plan_parts(x.n_major * x.n_minor), [=](size_t lo, size_t hi) {
    std::fill(out_indptr + lo + 1, out_indptr + hi + 1, I{0});
    walk_dense(lo, hi, x, [=](size_t i, size_t, W v) { out_indptr[i + 1] += nonzero(v); });
  });
}

// Their indices and values: canonical.
template <class W, class I>
void cs_fromdense(DenseView<W> x, Nonzero<W> nonzero, CsOut<W, I> out) {
  parallel_for(x.n_major, plan_parts(x.n_major * x.n_minor), [=](size_t lo, size_t hi) {
    std::unique_ptr<I[]> next(new I[hi - lo]);
    std::copy(out.indptr + lo, out.indptr + hi, next.get());
    walk_dense(lo, hi, x, [&](size_t i, size_t j, W v) {
      if (!nonzero(v)) return;
      const I slot = next[i - lo]++;
      out.indices[slot] = static_cast<I>(j);
      out.data[slot] = v;
    });
  });
}

} // namespace sp
