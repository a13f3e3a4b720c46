// y = A^H A x in one pass over the entries of a compressed A (n_major slices of n_minor): a slice's dot product with x is
// taken, and the slice times that added to y, while its entries are in cache.
// Assumes nothing about order; duplicates add. x, y (n_minor) must not overlap; y is overwritten. Cost 2 nnz, plus n_minor
// for each copy of y: fixed parts of the slices have one each, so results do not depend on the number of workers.
#pragma once

#include "field.h"
#include "product.h"

namespace sp {

template <class T, class I>
void cs_gram(CsView<T, I> a, const T* x, T* y) {
  const size_t n = a.n_minor, nnz = a.nnz(), each = nnz / std::max<size_t>(n, 1);
  const int copies = static_cast<int>(std::clamp<size_t>(std::min(each / 3, nnz / kScatterChunk), 1, 16));
  const auto bounds = balance(a.indptr, a.n_major, copies);
  std::vector<Started<T>> rows(static_cast<size_t>(copies));
  run_parts(copies, [&](int p) {
    T* mine = y;
    if (p > 0) mine = (rows[p] = started<Adding<T>>(n)).get();
    else std::fill_n(mine, n, T{});
    in_pieces(a.indptr, bounds[p], bounds[p + 1], 2, [&](size_t first, size_t last) {
      for (size_t m = first, lo = a.begin(m); m < last; ++m) {
        const size_t hi = a.end(m);
        const T along = any_dot(lo, hi, a.indices, a.data, x);
        for (; lo < hi; ++lo) {
          T& out = mine[a.indices[lo]];
          out = add(out, mul(conj_of(a.data[lo]), along));
        }
      }
    });
  });
  parallel_for(n, plan_parts(n * copies), [&](size_t lo, size_t hi) {
    for (int p = 1; p < copies; ++p) {
      for (size_t j = lo; j < hi; ++j) y[j] = add(y[j], rows[p].get()[j]);
    }
  });
}

} // namespace sp
