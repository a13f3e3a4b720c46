// A masked sparse product: sparse @ sparse at given places alone.
#pragma once

#include "spgemm.h"

namespace sp {

// out[p] = (A @ B)[i, j] for every stored place p = (i, j) of `mask`, whose slices are A's and whose minors are B's. Any
// order; duplicates in A and B add, and those of the mask each get the sum. 16-bit floats are summed in float32.
// No aliasing. Cost: O(products + nnz(mask)); scratch O(n_minor) a worker.
template <class T, class I>
void cs_sampled_matmul(CsView<T, I> a, CsView<T, I> b, CsPattern<I> mask, T* out) {
  using A = acc_t<T>;
  const SpgemmInput<T, I> in{a, b};
  spgemm_ranges(in, [&] { return std::make_unique<Zeroed<I>>(zeroed<I>(b.n_minor, fills_scratch(in))); },
                [&](size_t lo, size_t hi, Zeroed<I>& block) {
    I* place = block.get(); // place[j] - 1: where minor j stands in the mask, if that is within the slice
    std::vector<A> wide;
    for (size_t i = lo; i < hi; ++i) {
      const size_t first = mask.begin(i), last = mask.end(i);
      for (size_t p = first; p < last; ++p) place[mask.indices[p]] = static_cast<I>(p + 1);
      A* sums;
      if constexpr (std::is_same_v<A, T>) {
        sums = out + first;
        std::fill(sums, sums + (last - first), A{});
      } else {
        wide.assign(last - first, A{});
        sums = wide.data();
      }
      each_factor(in, i, [&](size_t k, size_t e) {
        const A x = static_cast<A>(a.data[e]);
        for (size_t f = b.begin(k), end = b.end(k); f < end; ++f) {
          const size_t at = static_cast<size_t>(place[b.indices[f]]) - 1; // huge where there is nothing
          if (at < first || at >= last) continue;
          sums[at - first] = add(sums[at - first], mul(x, static_cast<A>(b.data[f])));
        }
      });
      for (size_t p = first; p < last; ++p) {
        out[p] = static_cast<T>(sums[static_cast<size_t>(place[mask.indices[p]]) - 1 - first]);
      }
    }
  });
}

} // namespace sp
