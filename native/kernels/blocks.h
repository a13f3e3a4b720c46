// Between blocks, diagonals and single entries; products of two block sparse arrays.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "convert.h"
#include "scan.h"

namespace sp {

// out_indptr[m] = number of blocks before block row m: R x C blocks that hold an entry of the compressed structure.
// Any order, duplicates allowed; n_major and n_minor must be multiples of R and C. Returns the number of blocks.
template <class I>
size_t cs_count_blocks(size_t n_major, size_t n_minor, size_t R, size_t C, const I* indptr, const I* indices,
                       I* out_indptr) {
  using U = std::make_unsigned_t<I>; // 64-bit divisions are several times slower
  const U width = static_cast<U>(C);
  const size_t n = n_major / R;
  const size_t nnz = static_cast<size_t>(indptr[n_major]);
  parallel_for(n, plan_parts(4 * nnz + n_major), [=](size_t lo, size_t hi) {
    std::vector<size_t> seen(n_minor / C, n);
    for (size_t m = lo; m < hi; ++m) {
      I count = 0;
      for (I e = indptr[m * R]; e < indptr[(m + 1) * R]; ++e) {
        const auto b = static_cast<U>(indices[e]) / width;
        count += seen[b] != m;
        seen[b] = m;
      }
      out_indptr[m + 1] = count;
    }
  });
  return lengths_to_indptr(n, out_indptr);
}

// The blocks that cs_count_blocks counted, by block column within each block row. place(e, at) says that entry e goes to value `at` of the block data.
template <class I, class Place>
void cs_to_blocks(size_t n_major, size_t n_minor, size_t R, size_t C, const I* indptr, const I* indices,
                  const I* out_indptr, I* out_indices, Place&& place) {
  using U = std::make_unsigned_t<I>;
  const U width = static_cast<U>(C);
  const size_t n = n_major / R;
  const size_t nnz = static_cast<size_t>(indptr[n_major]);
  parallel_for(n, plan_parts(8 * nnz + n_major), [&](size_t lo, size_t hi) {
    std::vector<I> block(n_minor / C, I{-1});
    for (size_t m = lo; m < hi; ++m) {
      const I first = out_indptr[m], last = out_indptr[m + 1];
      I next = first;
      for (I e = indptr[m * R]; e < indptr[(m + 1) * R]; ++e) {
        const auto b = static_cast<U>(indices[e]) / width;
        if (block[b] >= first && block[b] < next) continue;
        block[b] = next;
        out_indices[next++] = static_cast<I>(b);
        if (next == last) break;
      }
      if (!std::is_sorted(out_indices + first, out_indices + last)) std::sort(out_indices + first, out_indices + last);
      for (I q = first; q < last; ++q) block[out_indices[q]] = q;
      for (size_t r = 0; r < R; ++r) {
        for (I e = indptr[m * R + r]; e < indptr[m * R + r + 1]; ++e) {
          const auto j = static_cast<U>(indices[e]), b = j / width;
          place(static_cast<size_t>(e), (static_cast<size_t>(block[b]) * R + r) * C + (j - b * width));
        }
      }
    }
  });
}

// Blocks -> single entries, compressed; every value of a block becomes an entry, in the order of the blocks.
template <class W, class I>
void blocks_to_cs(size_t n_brows, size_t R, size_t C, const I* indptr, const I* indices, const W* data, I* out_indptr,
                  I* out_indices, W* out_data) {
  const size_t blocks = static_cast<size_t>(indptr[n_brows]);
  out_indptr[0] = 0;
  parallel_for(n_brows, plan_parts(2 * blocks * R * C + n_brows), [=](size_t lo, size_t hi) {
    for (size_t m = lo; m < hi; ++m) {
      const size_t first = static_cast<size_t>(indptr[m]), last = static_cast<size_t>(indptr[m + 1]);
      size_t at = first * R * C;
      for (size_t r = 0; r < R; ++r) {
        for (size_t p = first; p < last; ++p) {
          const I column = indices[p] * static_cast<I>(C);
          const W* row = data + (p * R + r) * C;
          for (size_t c = 0; c < C; ++c, ++at) {
            out_indices[at] = column + static_cast<I>(c);
            out_data[at] = row[c];
          }
        }
        out_indptr[m * R + r + 1] = static_cast<I>(at);
      }
    }
  });
}

// One diagonal by rows: entry (i, i + offset) at values[i] for the rows lo .. hi.
template <class T>
struct DiagonalRows {
  const T* values;
  int64_t offset, lo, hi;
};

// Blocks in the order of their columns, each one transposed; blocks of a column stay in the order of their rows.
template <class W, class I>
void transpose_blocks(size_t n_brows, size_t n_bcols, size_t R, size_t C, const I* indptr, const I* indices, const W* data,
                      I* out_indptr, I* out_indices, W* out) {
  const size_t blocks = static_cast<size_t>(indptr[n_brows]);
  transpose_entries<I>({n_brows, n_bcols, indptr, indices}, plan_sort<I>(blocks * R * C, n_bcols, blocks * R * C * sizeof(W)),
                       out_indptr, [=](size_t slot, size_t entry, size_t m) {
                         out_indices[slot] = static_cast<I>(m);
                         const W* from = data + entry * R * C;
                         W* to = out + slot * R * C;
                         for (size_t r = 0; r < R; ++r) for (size_t c = 0; c < C; ++c) to[c * R + r] = from[r * C + c];
                       });
}

// Diagonals by ascending offset -> single entries, compressed by rows and in order, without zeros.
// counts: out_indptr[i + 1] = entries of row i, to be accumulated; then a second pass moves them.
template <class T, class I>
void dia_count(int64_t M, const std::vector<DiagonalRows<T>>& diagonals, I* out_indptr) {
  parallel_for(static_cast<size_t>(M), plan_parts(static_cast<size_t>(M) * (diagonals.size() / 4 + 1)), [&](size_t lo, size_t hi) {
    constexpr int64_t tile = 4096;
    for (int64_t from = static_cast<int64_t>(lo); from < static_cast<int64_t>(hi); from += tile) {
      const int64_t until = std::min<int64_t>(from + tile, static_cast<int64_t>(hi));
      std::fill(out_indptr + from + 1, out_indptr + until + 1, I{0});
      for (auto& d : diagonals) {
        const T* values = d.values;
        for (int64_t i = std::max(from, d.lo), stop = std::min(until, d.hi); i < stop; ++i) {
          out_indptr[i + 1] += static_cast<I>(values[i] != T{});
        }
      }
    }
  });
}

template <class T, class I>
void dia_to_cs(int64_t M, const std::vector<DiagonalRows<T>>& diagonals, const I* out_indptr, I* out_indices, T* out_data) {
  const size_t work = static_cast<size_t>(out_indptr[M]) + static_cast<size_t>(M);
  parallel_for(static_cast<size_t>(M), plan_parts(2 * work), [&](size_t first, size_t last) {
    for (int64_t i = static_cast<int64_t>(first); i < static_cast<int64_t>(last); ++i) {
      size_t at = static_cast<size_t>(out_indptr[i]);
      for (auto& d : diagonals) {
        if (i < d.lo || i >= d.hi) continue;
        const T value = d.values[i];
        if (value == T{}) continue;
        out_indices[at] = static_cast<I>(i + d.offset);
        out_data[at++] = value;
      }
    }
  });
}

// out[n, j] = sum over pairs (p, q) with ka[p] + kb[q] = offsets[n] of a[p, j - kb[q]] * b[q, j]: the product of two
// arrays by diagonals, for columns j < length. a is M x K, b has K rows. Entries outside the arrays do not count.
template <class T, class I>
void dia_matmul_values(int64_t M, int64_t K, int64_t N, int64_t length, size_t na, int64_t La, const I* ka, const T* a,
                       size_t nb, int64_t Lb, const I* kb, const T* b, size_t n, const I* offsets, T* out) {
  using A = acc_t<T>;
  struct Pair { const T *a, *b; int64_t lo, hi; };
  std::vector<std::vector<Pair>> pairs(n);
  size_t work = n * static_cast<size_t>(length);
  for (size_t p = 0; p < na; ++p) {
    for (size_t q = 0; q < nb; ++q) {
      const int64_t left = static_cast<int64_t>(ka[p]), right = static_cast<int64_t>(kb[q]), sum = left + right;
      const auto found = std::lower_bound(offsets, offsets + n, static_cast<I>(sum));
      if (found == offsets + n || static_cast<int64_t>(*found) != sum) continue;
      // Column j of b at row j - right, which is the column of a whose row is j - right - left.
      const int64_t lo = std::max({int64_t{0}, right, sum}), hi = std::min({length, Lb, N, K + right, La + right, M + sum});
      if (lo >= hi) continue;
      pairs[found - offsets].push_back({a + static_cast<int64_t>(p) * La - right, b + static_cast<int64_t>(q) * Lb, lo, hi});
      work += static_cast<size_t>(hi - lo);
    }
  }
  parallel_for(static_cast<size_t>(length), plan_parts(work), [&](size_t first, size_t last) {
    constexpr int64_t tile = 2048;
    A wide[std::is_same_v<A, T> ? 1 : tile];
    for (int64_t from = static_cast<int64_t>(first); from < static_cast<int64_t>(last); from += tile) {
      const int64_t until = std::min<int64_t>(from + tile, static_cast<int64_t>(last));
      for (size_t m = 0; m < n; ++m) {
        T* row = out + static_cast<int64_t>(m) * length + from;
        A* sums;
        if constexpr (std::is_same_v<A, T>) sums = row;
        else sums = wide;
        std::fill(sums, sums + (until - from), A{});
        for (auto& pair : pairs[m]) {
          const T *x = pair.a, *y = pair.b;
          for (int64_t j = std::max(from, pair.lo), stop = std::min(until, pair.hi); j < stop; ++j) {
            sums[j - from] = add(sums[j - from], mul(static_cast<A>(x[j]), static_cast<A>(y[j])));
          }
        }
        if constexpr (!std::is_same_v<A, T>) for (int64_t j = 0; j < until - from; ++j) row[j] = static_cast<T>(sums[j]);
      }
    }
  });
}

// Blocks of the union of two canonical structures (of the intersection for products) and of the values on them: op(x, y),
// with zeros where a side has no block. First without out_indices: counts into out_indptr, returns the number of blocks.
// Then with: returns how many of them hold a value that is not zero. area0: the area of a block, or 0 for any.
template <size_t area0, class T, class I, class Op>
size_t bsr_merge(size_t n_brows, size_t area_, bool both, const I* ap, const I* ai, const T* a, const I* bp, const I* bi,
                 const T* b, I* out_indptr, I* out_indices, T* out, Op&& op) {
  const size_t blocks = static_cast<size_t>(ap[n_brows]) + static_cast<size_t>(bp[n_brows]);
  std::atomic<size_t> total{0};
  parallel_for(n_brows, plan_parts(blocks * (out_indices ? area_ : 1) + n_brows), [&](size_t lo, size_t hi) {
    const size_t area = area0 ? area0 : area_;
    size_t count = 0;
    auto fill = [&](T* __restrict to, auto&& value) {
      bool any = false;
      for (size_t j = 0; j < area; ++j) any |= (to[j] = value(j)) != T{};
      count += any;
    };
    for (size_t m = lo; m < hi; ++m) {
      I p = ap[m], q = bp[m], at = out_indices ? out_indptr[m] : I{0};
      const I p_end = ap[m + 1], q_end = bp[m + 1];
      while (p < p_end || q < q_end) {
        const bool left = q == q_end || (p < p_end && ai[p] <= bi[q]);
        const bool right = p == p_end || (q < q_end && bi[q] <= ai[p]);
        if (!both || (left && right)) {
          if (out_indices) {
            out_indices[at] = left ? ai[p] : bi[q];
            T* to = out + static_cast<size_t>(at) * area;
            const T *x = a + static_cast<size_t>(p) * area, *y = b + static_cast<size_t>(q) * area;
            if (left && right) fill(to, [=](size_t j) { return op(x[j], y[j]); });
            else if (left) fill(to, [=](size_t j) { return op(x[j], T{}); });
            else fill(to, [=](size_t j) { return op(T{}, y[j]); });
          }
          ++at;
        }
        p += left;
        q += right;
      }
      if (!out_indices) out_indptr[m + 1] = at;
    }
    total += count;
  });
  return out_indices ? total.load() : lengths_to_indptr(n_brows, out_indptr);
}

// c += a b for row-major blocks of R x n and n x C values; sizes that are template arguments go before the others.
template <int R0, int n0, int C0, class T, class A>
inline void multiply_blocks(size_t R_, size_t n_, size_t C_, const T* __restrict a, const T* __restrict b, A* __restrict c) {
  const size_t R = R0 ? R0 : R_, n = n0 ? n0 : n_, C = C0 ? C0 : C_;
  for (size_t r = 0; r < R; ++r) {
    for (size_t i = 0; i < n; ++i) {
      const A value = static_cast<A>(a[r * n + i]);
      for (size_t j = 0; j < C; ++j) c[r * C + j] = add(c[r * C + j], mul(value, static_cast<A>(b[i * C + j])));
    }
  }
}

// Structure of a @ b, block columns in order: first without out_indices (counts into out_indptr), then with.
template <class I>
size_t bsr_matmul_structure(size_t n_brows, size_t n_bcols, const I* ap, const I* ai, const I* bp, const I* bi,
                            I* out_indptr, I* out_indices) {
  parallel_for(n_brows, plan_parts(4 * static_cast<size_t>(ap[n_brows]) + n_brows), [=](size_t lo, size_t hi) {
    std::vector<size_t> seen(n_bcols, n_brows);
    for (size_t m = lo; m < hi; ++m) {
      I* next = out_indices ? out_indices + out_indptr[m] : nullptr;
      I count = 0;
      for (I p = ap[m]; p < ap[m + 1]; ++p) {
        for (I q = bp[ai[p]]; q < bp[ai[p] + 1]; ++q) {
          const size_t column = static_cast<size_t>(bi[q]);
          if (seen[column] == m) continue;
          seen[column] = m;
          if (out_indices) next[count] = bi[q];
          ++count;
        }
      }
      if (out_indices) std::sort(next, next + count);
      else out_indptr[m + 1] = count;
    }
  });
  return out_indices ? 0 : lengths_to_indptr(n_brows, out_indptr);
}

// Values of a @ b on that structure. Blocks of a are R x n, of b n x C. Duplicates add.
// Cost: R * n * C products per pair of blocks that meet; workers take ranges of block rows.
template <int R0, int n0, int C0, class T, class I>
void bsr_matmul_values(size_t n_brows, size_t n_bcols, size_t R, size_t n, size_t C, const I* ap, const I* ai, const T* a,
                       const I* bp, const I* bi, const T* b, const I* out_indptr, const I* out_indices, T* out) {
  using A = acc_t<T>;
  parallel_for(n_brows, plan_parts(4 * R * n * C * static_cast<size_t>(ap[n_brows]) + n_brows), [=](size_t lo, size_t hi) {
    std::vector<size_t> slot(n_bcols);
    std::vector<A> wide;
    for (size_t m = lo; m < hi; ++m) {
      const size_t first = static_cast<size_t>(out_indptr[m]), count = static_cast<size_t>(out_indptr[m + 1]) - first;
      for (size_t s = 0; s < count; ++s) slot[out_indices[first + s]] = s * R * C;
      T* row = out + first * R * C;
      A* sums;
      if constexpr (std::is_same_v<A, T>) {
        sums = row;
        std::fill(sums, sums + count * R * C, A{});
      } else {
        wide.assign(count * R * C, A{});
        sums = wide.data();
      }
      for (I p = ap[m]; p < ap[m + 1]; ++p) {
        for (I q = bp[ai[p]]; q < bp[ai[p] + 1]; ++q) {
          multiply_blocks<R0, n0, C0>(R, n, C, a + static_cast<size_t>(p) * R * n, b + static_cast<size_t>(q) * n * C,
                          sums + slot[bi[q]]);
        }
      }
      if constexpr (!std::is_same_v<A, T>) for (size_t j = 0; j < count * R * C; ++j) row[j] = static_cast<T>(sums[j]);
    }
  });
}

} // namespace sp
