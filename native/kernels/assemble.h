// Compressed arrays made from others: stacked along either axis, built from diagonals.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "view.h"

namespace sp {

// Slices of the blocks one after another. Entries keep their order; one pass, every block's entries over the pool.
template <class W, class I, class O>
void cs_stack_major(const std::vector<CsView<W, I>>& blocks, CsOut<W, O> out) {
  std::vector<size_t> first(blocks.size() + 1, 0), slice(blocks.size() + 1, 0);
  for (size_t b = 0; b < blocks.size(); ++b) {
    first[b + 1] = first[b] + blocks[b].nnz();
    slice[b + 1] = slice[b] + blocks[b].n_major;
  }
  const size_t n = first.back();
  const int parts = plan_parts(n + slice.back());
  run_parts(parts, [&](int p) {
    const size_t lo = n * p / parts, hi = n * (p + 1) / parts;
    size_t b = std::upper_bound(first.begin(), first.end() - 1, lo) - first.begin() - 1;
    for (size_t e = lo; e < hi; ++b) {
      const size_t end = std::min(hi, first[b + 1]), from = e - first[b];
      if (end <= e) continue;
      std::memcpy(out.data + e, blocks[b].data + from, (end - e) * sizeof(W));
      std::copy(blocks[b].indices + from, blocks[b].indices + from + (end - e), out.indices + e);
      e = end;
    }
    for (size_t k = blocks.size() * p / parts; k < blocks.size() * (p + 1) / parts; ++k) {
      for (size_t m = 0; m < blocks[k].n_major; ++m) {
        out.indptr[slice[k] + m] = static_cast<O>(first[k] + static_cast<size_t>(blocks[k].indptr[m]));
      }
    }
  });
  out.indptr[slice.back()] = static_cast<O>(n);
}

// Every slice is the blocks' slices one after another, minor indices shifted. All blocks have as many slices.
template <class W, class I, class O>
void cs_stack_minor(const std::vector<CsView<W, I>>& blocks, CsOut<W, O> out) {
  O *indptr = out.indptr, *indices = out.indices;
  W* data = out.data;
  const size_t n_major = blocks[0].n_major;
  std::fill(indptr, indptr + n_major + 1, O{0});
  for (const auto& b : blocks) {
    for (size_t m = 0; m <= n_major; ++m) indptr[m] += static_cast<O>(b.indptr[m]);
  }
  const int parts = plan_parts(static_cast<size_t>(indptr[n_major]) + n_major * blocks.size());
  const auto bounds = balance(indptr, n_major, parts);
  run_parts(parts, [&](int p) {
    std::vector<O> shift;
    int64_t before = 0;
    for (const auto& b : blocks) {
      shift.push_back(static_cast<O>(before));
      before += static_cast<int64_t>(b.n_minor);
    }
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      size_t at = static_cast<size_t>(indptr[m]);
      for (size_t k = 0; k < blocks.size(); ++k) {
        const auto& b = blocks[k];
        const O s = shift[k];
        for (I e = b.indptr[m]; e < b.indptr[m + 1]; ++e, ++at) {
          data[at] = b.data[e];
          indices[at] = static_cast<O>(b.indices[e]) + s;
        }
      }
    }
  });
}

template <class W>
struct Diagonal {
  const W* data;
  bool repeated;         // one value for all
  int64_t first, count;  // slices that it crosses
  int64_t offset;        // minor - major

  // Of the slices lo .. hi.
  struct Range { size_t from, to; };
  Range crossed(size_t lo, size_t hi) const {
    auto within = [=](int64_t m) { return static_cast<size_t>(std::clamp<int64_t>(m, lo, hi)); };
    return {within(first), within(first + std::max<int64_t>(count, 0))};
  }
};

// Diagonals by ascending offset, zeros included: canonical.
template <class W, class I>
void cs_from_diagonals(const std::vector<Diagonal<W>>& diagonals, size_t n_major, CsOut<W, I> out) {
  I *indptr = out.indptr, *indices = out.indices;
  W* data = out.data;
  // Before slice m, diagonal d has its first m - d.first entries.
  parallel_for(n_major + 1, plan_parts(n_major * (diagonals.size() + 1) / 2), [&](size_t lo, size_t hi) {
    std::fill(indptr + lo, indptr + hi, I{0});
    for (const auto& d : diagonals) {
      const auto [from, to] = d.crossed(lo, hi);
      for (size_t m = from; m < to; ++m) indptr[m] += static_cast<I>(static_cast<int64_t>(m) - d.first);
      for (size_t m = to; m < hi && d.count > 0; ++m) indptr[m] += static_cast<I>(d.count);
    }
  });
  const int parts = plan_parts(static_cast<size_t>(indptr[n_major]) + n_major);
  parallel_for(n_major, parts, [&](size_t lo, size_t hi) {
    if (diagonals.size() == 1) { // whose entries follow one another
      const auto& d = diagonals[0];
      const auto [from, to] = d.crossed(lo, hi);
      if (from == to) return;
      const size_t at = from - d.first;
      if (d.repeated) std::fill(data + at, data + at + (to - from), *d.data);
      else std::copy_n(d.data + at, to - from, data + at);
      for (size_t m = from; m < to; ++m) indices[m - d.first] = static_cast<I>(static_cast<int64_t>(m) + d.offset);
      return;
    }
    for (size_t m = lo; m < hi; ++m) {
      size_t at = static_cast<size_t>(indptr[m]);
      for (const auto& d : diagonals) {
        const int64_t i = static_cast<int64_t>(m) - d.first;
        if (i < 0 || i >= d.count) continue;
        data[at] = d.data[d.repeated ? 0 : i];
        indices[at++] = static_cast<I>(static_cast<int64_t>(m) + d.offset);
      }
    }
  });
}

} // namespace sp
