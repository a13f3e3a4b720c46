// Between blocks, diagonals and single entries; products of two block sparse arrays.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "compact.h"
#include "convert.h"
#include "view.h"

namespace sp {

// Number of R x C blocks in each block row that hold an entry of the compressed structure, in out_indptr + 1. Any order,
// duplicates allowed; n_major and n_minor must be multiples of R and C.
template <class I>
void cs_count_blocks(CsPattern<I> a, size_t R, size_t C, I* out_indptr) {
  using U = std::make_unsigned_t<I>; // 64-bit divisions are several times slower
  const U width = static_cast<U>(C);
  const I *indptr = a.indptr, *indices = a.indices;
  const size_t n = a.n_major / R, columns = a.n_minor / C;
  parallel_for(n, plan_parts(4 * a.nnz() + a.n_major), [=](size_t lo, size_t hi) {
    std::vector<size_t> seen(columns, n);
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
}

// The blocks that cs_count_blocks counted, by block column within each block row. place(e, at) says that entry e goes to
// value `at` of the block data. `out` is the structure of the blocks, to whose indices out_indices points.
template <class I, class Place>
void cs_to_blocks(CsPattern<I> a, BsrPattern<I> out, I* out_indices, Place&& place) {
  using U = std::make_unsigned_t<I>;
  const U width = static_cast<U>(out.C);
  const I *indptr = a.indptr, *indices = a.indices;
  const size_t R = out.R, C = out.C;
  parallel_for(out.n_major, plan_parts(8 * a.nnz() + a.n_major), [&](size_t lo, size_t hi) {
    std::vector<I> block(out.n_minor, I{-1});
    for (size_t m = lo; m < hi; ++m) {
      const I first = out.indptr[m], last = out.indptr[m + 1];
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
void bsr_to_cs(BsrView<W, I> a, CsOut<W, I> out) {
  const I *indptr = a.indptr, *indices = a.indices;
  const W* data = a.data;
  const size_t R = a.R, C = a.C;
  out.indptr[0] = 0;
  parallel_for(a.n_major, plan_parts(2 * a.nnz() * R * C + a.n_major), [=](size_t lo, size_t hi) {
    I *out_indptr = out.indptr, *out_indices = out.indices; // in registers: what is written could be what is captured
    W* out_data = out.data;
    const size_t height = R, width = C;
    for (size_t m = lo; m < hi; ++m) {
      const size_t first = static_cast<size_t>(indptr[m]), last = static_cast<size_t>(indptr[m + 1]);
      size_t at = first * height * width;
      for (size_t r = 0; r < height; ++r) {
        for (size_t p = first; p < last; ++p) {
          const I column = indices[p] * static_cast<I>(width);
          const W* row = data + (p * height + r) * width;
          for (size_t c = 0; c < width; ++c, ++at) {
            out_indices[at] = column + static_cast<I>(c);
            out_data[at] = row[c];
          }
        }
        out_indptr[m * height + r + 1] = static_cast<I>(at);
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
void bsr_transpose(BsrView<W, I> a, CsOut<W, I> out) {
  const W* data = a.data;
  const size_t R = a.R, C = a.C, values = a.nnz() * R * C;
  transpose_entries<I>(a, plan_sort<I>(values, a.n_minor, values * sizeof(W)),
                       out.indptr, [=](size_t slot, size_t entry, size_t m) {
                         out.indices[slot] = static_cast<I>(m);
                         const W* from = data + entry * R * C;
                         W* to = out.data + slot * R * C;
                         for (size_t r = 0; r < R; ++r) for (size_t c = 0; c < C; ++c) to[c * R + r] = from[r * C + c];
                       });
}

// Diagonals by ascending offset -> single entries, compressed by rows and in order, without zeros.
// counts: out_indptr[i + 1] = entries of row i; when they have been summed, a second pass moves them.
template <class W, class I>
void dia_count(int64_t M, const std::vector<DiagonalRows<W>>& diagonals, Nonzero<W> nonzero, I* out_indptr) {
  parallel_for(static_cast<size_t>(M), plan_parts(static_cast<size_t>(M) * (diagonals.size() / 4 + 1)), [&](size_t lo, size_t hi) {
    constexpr int64_t tile = 4096;
    for (int64_t from = static_cast<int64_t>(lo); from < static_cast<int64_t>(hi); from += tile) {
      const int64_t until = std::min<int64_t>(from + tile, static_cast<int64_t>(hi));
      std::fill(out_indptr + from + 1, out_indptr + until + 1, I{0});
      for (auto& d : diagonals) {
        const W* values = d.values;
        for (int64_t i = std::max(from, d.lo), stop = std::min(until, d.hi); i < stop; ++i) {
          out_indptr[i + 1] += static_cast<I>(nonzero(values[i]));
        }
      }
    }
  });
}

template <class W, class I>
void dia_to_cs(int64_t M, const std::vector<DiagonalRows<W>>& diagonals, Nonzero<W> nonzero, CsOut<W, I> out) {
  const size_t work = static_cast<size_t>(out.indptr[M]) + static_cast<size_t>(M);
  parallel_for(static_cast<size_t>(M), plan_parts(2 * work), [&](size_t first, size_t last) {
    Watch watch;
    for (int64_t i = static_cast<int64_t>(first); i < static_cast<int64_t>(last); ++i) {
      watch(1 + diagonals.size());
      size_t at = static_cast<size_t>(out.indptr[i]);
      for (auto& d : diagonals) {
        if (i < d.lo || i >= d.hi) continue;
        const W value = d.values[i];
        if (!nonzero(value)) continue;
        out.indices[at] = static_cast<I>(i + d.offset);
        out.data[at++] = value;
      }
    }
  });
}

// The product of two arrays by diagonals, a of M x K and b of K x N: value[n, j] = sum over pairs (p, q) with
// a.offsets[p] + b.offsets[q] = out.offsets[n] of a[p, j - b.offsets[q]] * b[q, j], for columns j < out.length. The
// offsets of `out` ascend. Entries outside the arrays do not count.
template <class T, class I>
void dia_matmul_values(DiaView<T, I> a, DiaView<T, I> b, DiaPattern<I> out, T* value) {
  using A = acc_t<T>;
  struct Pair { const T *a, *b; int64_t lo, hi; };
  const I* offsets = out.offsets;
  const int64_t length = out.length;
  const size_t n = out.n_diagonals;
  std::vector<std::vector<Pair>> pairs(n);
  size_t work = n * static_cast<size_t>(length);
  for (size_t p = 0; p < a.n_diagonals; ++p) {
    for (size_t q = 0; q < b.n_diagonals; ++q) {
      const int64_t left = static_cast<int64_t>(a.offsets[p]), right = static_cast<int64_t>(b.offsets[q]), sum = left + right;
      const auto found = std::lower_bound(offsets, offsets + n, static_cast<I>(sum));
      if (found == offsets + n || static_cast<int64_t>(*found) != sum) continue;
      // Column j of b at row j - right, which is the column of a whose row is j - right - left.
      const int64_t lo = std::max({int64_t{0}, right, sum});
      const int64_t hi = std::min({length, b.length, b.n_minor, a.n_minor + right, a.length + right, a.n_major + sum});
      if (lo >= hi) continue;
      pairs[found - offsets].push_back({a.data + static_cast<int64_t>(p) * a.length - right,
                                        b.data + static_cast<int64_t>(q) * b.length, lo, hi});
      work += static_cast<size_t>(hi - lo);
    }
  }
  parallel_for(static_cast<size_t>(length), plan_parts(work), [&](size_t first, size_t last) {
    constexpr int64_t tile = 2048;
    A wide[std::is_same_v<A, T> ? 1 : tile];
    for (int64_t from = static_cast<int64_t>(first); from < static_cast<int64_t>(last); from += tile) {
      const int64_t until = std::min<int64_t>(from + tile, static_cast<int64_t>(last));
      for (size_t m = 0; m < n; ++m) {
        T* row = value + static_cast<int64_t>(m) * length + from;
        A* sums;
        if constexpr (std::is_same_v<A, T>) sums = row;
        else sums = wide;
        std::fill(sums, sums + (until - from), A{});
        check_interrupt();
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

// Blocks of the union of two canonical structures (with `both`, of the intersection): how many each block row has, in
// out_indptr + 1.
template <class I>
void bsr_merge_count(CsPattern<I> a, CsPattern<I> b, bool both, I* out_indptr) {
  const I *ap = a.indptr, *ai = a.indices, *bp = b.indptr, *bi = b.indices;
  parallel_for(a.n_major, plan_parts(a.nnz() + b.nnz() + a.n_major), [=](size_t lo, size_t hi) {
    for (size_t m = lo; m < hi; ++m) {
      I p = ap[m], q = bp[m], count = 0;
      const I p_end = ap[m + 1], q_end = bp[m + 1];
      while (p < p_end || q < q_end) {
        const bool left = q == q_end || (p < p_end && ai[p] <= bi[q]);
        const bool right = p == p_end || (q < q_end && bi[q] <= ai[p]);
        count += !both || (left && right);
        p += left;
        q += right;
      }
      out_indptr[m + 1] = count;
    }
  });
}

// The blocks and the values on them: op(x, y), with zeros where a side has no block. Returns how many of the blocks hold a
// value that is not zero. area0: the area of a block, or 0 for any.
template <size_t area0, class T, class I, class Op>
size_t bsr_merge(BsrView<T, I> lhs, BsrView<T, I> rhs, bool both, CsOut<T, I> out, Op&& op) {
  const I *ap = lhs.indptr, *ai = lhs.indices, *bp = rhs.indptr, *bi = rhs.indices;
  const T *a = lhs.data, *b = rhs.data;
  const size_t n_brows = lhs.n_major, blocks = lhs.nnz() + rhs.nnz(), area_ = lhs.area();
  std::atomic<size_t> total{0};
  parallel_for(n_brows, plan_parts(blocks * area_ + n_brows), [&](size_t lo, size_t hi) {
    const size_t area = area0 ? area0 : area_;
    const std::unique_ptr<T[]> zeros(new T[area]());
    size_t count = 0;
    for (size_t m = lo; m < hi; ++m) {
      I p = ap[m], q = bp[m], at = out.indptr[m];
      const I p_end = ap[m + 1], q_end = bp[m + 1];
      while (p < p_end || q < q_end) {
        const bool left = q == q_end || (p < p_end && ai[p] <= bi[q]);
        const bool right = p == p_end || (q < q_end && bi[q] <= ai[p]);
        if (!both || (left && right)) {
          out.indices[at] = left ? ai[p] : bi[q];
          T* __restrict to = out.data + static_cast<size_t>(at++) * area;
          const T* __restrict x = left ? a + static_cast<size_t>(p) * area : zeros.get();
          const T* __restrict y = right ? b + static_cast<size_t>(q) * area : zeros.get();
          bool any = false;
          for (size_t j = 0; j < area; ++j) any |= (to[j] = op(x[j], y[j])) != T{};
          count += any;
        }
        p += left;
        q += right;
      }
    }
    total += count;
  });
  return total.load();
}

// Whether the block that begins at `block` holds a value that is not zero.
template <class W>
bool any_nonzero(const W* block, size_t area, Nonzero<W> nonzero) { return std::any_of(block, block + area, nonzero); }

// Whether each block holds such a value.
template <class W, class I>
bool bsr_all_nonzero(BsrView<W, I> a, Nonzero<W> nonzero) {
  const size_t area = a.area();
  for (size_t e = 0; e < a.nnz(); ++e) {
    if (!any_nonzero(a.data + e * area, area, nonzero)) return false;
  }
  return true;
}

// How many such blocks each block row has, in out_indptr + 1. Any order.
template <class W, class I>
void bsr_nonzero_count(BsrView<W, I> a, Nonzero<W> nonzero, I* out_indptr) {
  const size_t area = a.area();
  parallel_for(a.n_major, plan_parts(a.nnz() * area + a.n_major), [&](size_t lo, size_t hi) {
    for (size_t m = lo; m < hi; ++m) {
      I n = 0;
      for (size_t e = a.begin(m); e < a.end(m); ++e) n += any_nonzero(a.data + e * area, area, nonzero);
      out_indptr[m + 1] = n;
    }
  });
}

// These blocks, in the order that they had.
template <class W, class I>
void bsr_nonzero(BsrView<W, I> a, Nonzero<W> nonzero, CsOut<W, I> out) {
  const size_t area = a.area();
  parallel_for(a.n_major, plan_parts(2 * a.nnz() * area + a.n_major), [&](size_t lo, size_t hi) {
    for (size_t m = lo; m < hi; ++m) {
      auto at = static_cast<size_t>(out.indptr[m]);
      for (size_t e = a.begin(m); e < a.end(m); ++e) {
        const W* block = a.data + e * area;
        if (!any_nonzero(block, area, nonzero)) continue;
        out.indices[at] = a.indices[e];
        std::copy_n(block, area, out.data + at++ * area);
      }
    }
  });
}

// c += a b for row-major blocks of R x n and n x C values; sizes that are template arguments go before the others.
template <int R0, int n0, int C0, class T, class A>
inline void multiply_blocks(size_t R_, size_t n_, size_t C_, const T* __restrict a, const T* __restrict b, A* __restrict c) {
  const size_t R = R0 ? R0 : R_, n = n0 ? n0 : n_, C = C0 ? C0 : C_;
  for (size_t r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (size_t i = 0; i < n; ++i) {
      const A value = static_cast<A>(a[r * n + i]);
#pragma GCC unroll 8
      for (size_t j = 0; j < C; ++j) c[r * C + j] = add(c[r * C + j], mul(value, static_cast<A>(b[i * C + j])));
    }
  }
}

// f(m, each, reached) for every block row m of a @ b: each(add) calls add(column) once for each block column that the row
// reaches, and reached(column) says afterwards whether it does.
template <class I, class F>
void bsr_matmul_rows(CsPattern<I> a, CsPattern<I> b, F&& f) {
  const I *ap = a.indptr, *ai = a.indices, *bp = b.indptr, *bi = b.indices;
  parallel_for(a.n_major, plan_parts(4 * a.nnz() + a.n_major), [=, n = a.n_major](size_t lo, size_t hi) {
    std::vector<size_t> seen(b.n_minor, n);
    Watch watch;
    const size_t each = 1 + 2 * b.nnz() / std::max<size_t>(b.n_major, 1);
    for (size_t m = lo; m < hi; ++m) {
      watch(1 + each * static_cast<size_t>(ap[m + 1] - ap[m]));
      f(m, [&](auto&& add) {
        for (I p = ap[m]; p < ap[m + 1]; ++p) {
          for (I q = bp[ai[p]]; q < bp[ai[p] + 1]; ++q) {
            const size_t column = static_cast<size_t>(bi[q]);
            if (seen[column] == m) continue;
            seen[column] = m;
            add(bi[q]);
          }
        }
      }, [&](size_t column) { return seen[column] == m; });
    }
  });
}

// Number of blocks of a @ b in each block row, in out_indptr + 1.
template <class I>
void bsr_matmul_count(CsPattern<I> a, CsPattern<I> b, I* out_indptr) {
  bsr_matmul_rows(a, b, [=](size_t m, auto&& each, auto&&) {
    I count = 0;
    each([&](I) { ++count; });
    out_indptr[m + 1] = count;
  });
}

// Their block columns, in order: many of them by a look at each column, few are sorted.
template <class I>
void bsr_matmul_structure(CsPattern<I> a, CsPattern<I> b, const I* out_indptr, I* out_indices) {
  bsr_matmul_rows(a, b, [=, columns = b.n_minor](size_t m, auto&& each, auto&& reached) {
    I *const first = out_indices + out_indptr[m], *next = first;
    each([&](I column) { *next++ = column; });
    if (static_cast<size_t>(next - first) * 16 < columns) return std::sort(first, next);
    I *const last = std::exchange(next, first);
    for (size_t column = 0; next < last; ++column) {
      *next = static_cast<I>(column);
      next += reached(column);
    }
  });
}

// Values of a @ b on that structure. Blocks of a are R x n, of b n x C. Duplicates add.
// Cost: R * n * C products per pair of blocks that meet; workers take ranges of block rows.
template <int R0, int n0, int C0, class T, class I>
void bsr_matmul_values(BsrView<T, I> left, BsrView<T, I> right, CsOut<T, I> result) {
  using A = acc_t<T>;
  const I *ap = left.indptr, *ai = left.indices, *bp = right.indptr, *bi = right.indices;
  const I *out_indptr = result.indptr, *out_indices = result.indices;
  const T *a = left.data, *b = right.data;
  T* out = result.data;
  const size_t n_brows = left.n_major, n_bcols = right.n_minor, R = left.R, n = left.C, C = right.C;
  parallel_for(n_brows, plan_parts(4 * R * n * C * left.nnz() + n_brows), [=](size_t lo, size_t hi) {
    std::vector<size_t> slot(n_bcols);
    std::vector<A> wide;
    Watch watch;
    const size_t each = (1 + right.nnz() / std::max<size_t>(right.n_major, 1)) * R * n * C;
    for (size_t m = lo; m < hi; ++m) {
      watch(1 + each * static_cast<size_t>(ap[m + 1] - ap[m]));
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
