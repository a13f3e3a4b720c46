// The Laplacian of a graph, as a coo array: what its edges become, and then the diagonal.
#pragma once

#include "compact.h"
#include "view.h"

namespace sp {

template <class T, class I>
struct CooOut {
  T* data;
  I *row, *col;
};

// Entries off the diagonal, negated and divided by the factors of their row and column where there are any; as many
// pieces as `before`, which counted_before made. Nothing is branched on but that, as in compact(). Then `diagonal`.
template <class T, class I>
void laplacian(const CooView<T, I>& a, const std::vector<size_t>& before, const T* factor, const T* diagonal, CooOut<T, I> out) {
  const I *row = a.major, *col = a.minor;
  const T* data = a.data;
  const int parts = static_cast<int>(before.size()) - 1;
  run_parts(parts, [=, &before](int p) {
    size_t slot = before[p];
    const size_t end = before[p + 1]; // another piece's memory begins here
    // Coordinates are read a second time: who has changed them meanwhile gets rubbish, but no more than was counted.
    for (size_t e = a.nnz * p / parts, last = a.nnz * (p + 1) / parts; e < last && slot < end; ++e) {
      out.row[slot] = row[e];
      out.col[slot] = col[e];
      out.data[slot] = factor ? -data[e] / factor[row[e]] / factor[col[e]] : -data[e];
      slot += row[e] != col[e];
    }
  });
  const size_t edges = before.back();
  parallel_for(a.n_major, plan_parts(a.n_major), [=](size_t lo, size_t hi) {
    for (size_t i = lo; i < hi; ++i) {
      out.row[edges + i] = out.col[edges + i] = static_cast<I>(i);
      out.data[edges + i] = diagonal[i];
    }
  });
}

} // namespace sp
