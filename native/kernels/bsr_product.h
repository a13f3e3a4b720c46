// Products of a block sparse array with dense x, k columns, row-major. Block row m holds the R x C blocks p of
// indptr[m] .. indptr[m + 1], block p at block column indices[p], its values row-major at data + p * R * C.
// Blocks may be unsorted and repeated; block rows may be empty. 16-bit floats sum in float32 and round once.
#pragma once

#include "product.h"

namespace sp {

// sum[r] += the rows of blocks lo .. hi times x, one column; R and C known: every sum stays in registers.
template <int R, int C, class T, class I, class A>
SP_INLINE void blocks_dot(size_t lo, size_t hi, const I* indices, const T* data, const T* x, A* sum) {
  constexpr int lanes = R * C <= 16 ? C : 1; // independent sums per row
  A acc[R][lanes] = {};
  const T* block = data + lo * (R * C);
  for (size_t p = lo; p < hi; ++p, block += R * C) {
#pragma GCC unroll 8
    for (size_t byte = 0; byte < R * C * sizeof(T); byte += 64) prefetch(reinterpret_cast<const char*>(block) + 1024 + byte);
    prefetch(reinterpret_cast<const char*>(indices + p) + 256);
    const T* from = x + static_cast<size_t>(indices[p]) * C;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        acc[r][c % lanes] = add(acc[r][c % lanes], mul(static_cast<A>(block[r * C + c]), static_cast<A>(from[c])));
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    A total = acc[r][0];
    for (int c = 1; c < lanes; ++c) total = add(total, acc[r][c]);
    sum[r] = add(sum[r], total);
  }
}

#ifdef SP_AVX2
// RT rows of the blocks lo .. hi, in vectors along the rows of the blocks: one horizontal sum per row and call.
template <int RT, class T, class I>
SP_AVX2 inline void block_rows_dot_avx2(size_t lo, size_t hi, BsrView<T, I> a, const T* x, acc_t<T>* sum) {
  const size_t step = a.area(), C = a.C;
  const I* indices = a.indices;
  const T* data = a.data;
  using X = Avx<T>;
  using Y = Avx<acc_t<T>>;
  using A = acc_t<T>;
  constexpr size_t L = X::lanes;
  typename X::V acc[RT];
  A rest[RT] = {};
  for (int r = 0; r < RT; ++r) acc[r] = X::zero();
  for (size_t p = lo; p < hi; ++p) {
    const T* block = data + p * step;
    const T* from = x + static_cast<size_t>(indices[p]) * C;
    for (size_t byte = 0; byte < RT * C * sizeof(T); byte += 64) prefetch(reinterpret_cast<const char*>(block) + 1024 + byte);
    size_t c = 0;
    for (; c + L <= C; c += L) {
      const auto v = X::load(from + c);
      for (int r = 0; r < RT; ++r) acc[r] = X::fma(X::load(block + r * C + c), v, acc[r]);
    }
    for (; c < C; ++c) {
      for (int r = 0; r < RT; ++r) rest[r] = add(rest[r], mul(static_cast<A>(block[r * C + c]), static_cast<A>(from[c])));
    }
  }
  for (int r = 0; r < RT; ++r) {
    A lanes[L];
    Y::store(lanes, acc[r]);
    for (size_t j = 0; j < L; ++j) rest[r] = add(rest[r], lanes[j]);
    sum[r] = add(sum[r], rest[r]);
  }
}
#endif

// The blocks' rows from r on, as a view of blocks with the same step.
template <class T, class I>
BsrView<T, I> from_row(BsrView<T, I> a, size_t r) {
  a.data += r * a.C;
  return a;
}

// The same for any block shape.
template <class T, class I, class A>
void blocks_dot(size_t lo, size_t hi, BsrView<T, I> a, const T* x, A* sum) {
  const size_t R = a.R, C = a.C;
  const I* indices = a.indices;
  const T* data = a.data;
#ifdef SP_AVX2
  if constexpr (Avx<T>::exists) {
    if (has_avx2() && C >= Avx<T>::lanes) {
      size_t r = 0;
      for (; r + 8 <= R; r += 8) block_rows_dot_avx2<8>(lo, hi, from_row(a, r), x, sum + r);
      for (; r + 4 <= R; r += 4) block_rows_dot_avx2<4>(lo, hi, from_row(a, r), x, sum + r);
      for (; r < R; ++r) block_rows_dot_avx2<1>(lo, hi, from_row(a, r), x, sum + r);
      return;
    }
  }
#endif
  for (size_t p = lo; p < hi; ++p) {
    const T* block = data + p * R * C;
    const T* from = x + static_cast<size_t>(indices[p]) * C;
    for (size_t r = 0; r < R; ++r, block += C) {
      A s0{}, s1{}, s2{}, s3{};
      size_t c = 0;
      auto term = [&](size_t j) { return mul(static_cast<A>(block[j]), static_cast<A>(from[j])); };
      for (; c + 4 <= C; c += 4) {
        prefetch(reinterpret_cast<const char*>(block + c) + 1024);
        s0 = add(s0, term(c));
        s1 = add(s1, term(c + 1));
        s2 = add(s2, term(c + 2));
        s3 = add(s3, term(c + 3));
      }
      for (; c < C; ++c) s0 = add(s0, term(c));
      sum[r] = add(sum[r], add(add(s0, s1), add(s2, s3)));
    }
  }
}

// f(R, C) as constants for the small block shapes that have kernels of their own; false for all others.
template <class T, class I, class F>
bool small_block(size_t R, size_t C, F&& f) {
  if constexpr (!has_small_blocks<T, I>) return false;
  else switch (R * 16 + C) {
    case 0x11: return f.template operator()<1, 1>(), true;
    case 0x22: return f.template operator()<2, 2>(), true;
    case 0x33: return f.template operator()<3, 3>(), true;
    case 0x44: return f.template operator()<4, 4>(), true;
    case 0x66: return f.template operator()<6, 6>(), true;
    default: return false;
  }
}

// sum[r, j0 + j] += for the first RT rows of the blocks lo .. hi and W columns of x: an RT x W tile in registers.
template <int RT, int W, class T, class I, class A>
inline void block_tile(size_t lo, size_t hi, BsrView<T, I> a, const T* x, size_t k, A* sum) {
  const size_t step = a.area(), C = a.C;
  const I* indices = a.indices;
  const T* data = a.data;
  A acc[RT][W];
  for (int r = 0; r < RT; ++r) for (int j = 0; j < W; ++j) acc[r][j] = sum[r * k + j];
  for (size_t p = lo; p < hi; ++p) {
    const T* block = data + p * step;
    const T* row = x + static_cast<size_t>(indices[p]) * C * k;
    for (size_t c = 0; c < C; ++c, row += k) {
      for (int r = 0; r < RT; ++r) {
        const A value = static_cast<A>(block[r * C + c]);
        for (int j = 0; j < W; ++j) acc[r][j] = add(acc[r][j], mul(value, static_cast<A>(row[j])));
      }
    }
  }
  for (int r = 0; r < RT; ++r) for (int j = 0; j < W; ++j) sum[r * k + j] = acc[r][j];
}

#ifdef SP_AVX2
template <int RT, int N, class T, class I>
SP_AVX2 inline void block_tile_avx2(size_t lo, size_t hi, BsrView<T, I> a, const T* x, size_t k, acc_t<T>* sum) {
  const size_t step = a.area(), C = a.C;
  const I* indices = a.indices;
  const T* data = a.data;
  using X = Avx<T>;
  using Y = Avx<acc_t<T>>;
  typename X::V acc[RT][N];
  for (int r = 0; r < RT; ++r) for (int j = 0; j < N; ++j) acc[r][j] = Y::load(sum + r * k + j * X::lanes);
  for (size_t p = lo; p < hi; ++p) {
    const T* block = data + p * step;
    const T* row = x + static_cast<size_t>(indices[p]) * C * k;
    for (size_t c = 0; c < C; ++c, row += k) {
      typename X::V v[N];
      for (int j = 0; j < N; ++j) v[j] = X::load(row + j * X::lanes);
      for (int r = 0; r < RT; ++r) {
        const auto value = X::spread(block[r * C + c]);
        for (int j = 0; j < N; ++j) acc[r][j] = X::fma(value, v[j], acc[r][j]);
      }
    }
  }
  for (int r = 0; r < RT; ++r) for (int j = 0; j < N; ++j) Y::store(sum + r * k + j * X::lanes, acc[r][j]);
}
#endif

// The first RT rows of the blocks lo .. hi, all k columns.
template <int RT, class T, class I, class A>
inline void block_rows(size_t lo, size_t hi, BsrView<T, I> a, const T* x, size_t k, A* sum) {
  size_t j = 0;
#ifdef SP_AVX2
  if constexpr (Avx<T>::exists) {
    constexpr size_t L = Avx<T>::lanes;
    if (has_avx2()) {
      for (; j + 2 * L <= k; j += 2 * L) block_tile_avx2<RT, 2>(lo, hi, a, x + j, k, sum + j);
      for (; j + L <= k; j += L) block_tile_avx2<RT, 1>(lo, hi, a, x + j, k, sum + j);
    }
  }
#endif
  for (; j + 4 <= k; j += 4) block_tile<RT, 4>(lo, hi, a, x + j, k, sum + j);
  for (; j < k; ++j) block_tile<RT, 1>(lo, hi, a, x + j, k, sum + j);
}

// sum (R, k) += blocks lo .. hi times x.
template <class T, class I, class A>
void blocks_times(size_t lo, size_t hi, BsrView<T, I> a, const T* x, size_t k, A* sum) {
  if (k == 1) {
    const bool small = small_block<T, I>(a.R, a.C, [&]<int r, int c>() { blocks_dot<r, c>(lo, hi, a.indices, a.data, x, sum); });
    if (!small) blocks_dot(lo, hi, a, x, sum);
    return;
  }
  const size_t R = a.R;
  size_t r = 0;
  if constexpr (!std::is_integral_v<T>) { // blocks of integers are not worth the time to compile
    for (; r + 4 <= R; r += 4) block_rows<4>(lo, hi, from_row(a, r), x, k, sum + r * k);
    if (r + 3 <= R) block_rows<3>(lo, hi, from_row(a, r), x, k, sum + r * k), r += 3;
    for (; r + 2 <= R; r += 2) block_rows<2>(lo, hi, from_row(a, r), x, k, sum + r * k);
  }
  for (; r < R; ++r) block_rows<1>(lo, hi, from_row(a, r), x, k, sum + r * k);
}

// y of one block row of more than kWholeSlice blocks.
template <class T, class I>
void long_block_slice(size_t m, BsrView<T, I> a, const T* x, T* y, size_t k) {
  sum_long_slice<acc_t<T>>(a.begin(m), a.end(m), a.R * k, y + m * a.R * k,
                           [=](size_t lo, size_t hi, acc_t<T>* sum) { blocks_times(lo, hi, a, x, k, sum); });
}

// y of the block rows first .. last.
template <class T, class I>
void block_slices(size_t first, size_t last, BsrView<T, I> a, const T* x, T* y, size_t k) {
  using A = acc_t<T>;
  const size_t R = a.R;
  if (k == 1) {
    const bool small = small_block<T, I>(R, a.C, [&]<int r, int c>() {
      for (size_t m = first; m < last; ++m) {
        if (a.end(m) - a.begin(m) > kWholeSlice) {
          long_block_slice(m, a, x, y, k);
          continue;
        }
        A sum[r] = {};
        blocks_dot<r, c>(a.begin(m), a.end(m), a.indices, a.data, x, sum);
        for (int i = 0; i < r; ++i) y[m * r + i] = static_cast<T>(sum[i]);
      }
    });
    if (small) return;
  }
  std::unique_ptr<A[]> wide(std::is_same_v<A, T> ? nullptr : new A[R * k]);
  for (size_t m = first; m < last; ++m) {
    if (a.end(m) - a.begin(m) > kWholeSlice) {
      long_block_slice(m, a, x, y, k);
      continue;
    }
    T* out = y + m * R * k;
    A* sum;
    if constexpr (std::is_same_v<A, T>) sum = out;
    else sum = wide.get();
    std::fill(sum, sum + R * k, A{});
    blocks_times(a.begin(m), a.end(m), a, x, k, sum);
    if constexpr (!std::is_same_v<A, T>) for (size_t j = 0; j < R * k; ++j) out[j] = static_cast<T>(sum[j]);
  }
}

// y[m R + r, :] = sum over p in block row m, over c, of data[p, r, c] * x[indices[p] C + c, :].
// Assumes nothing about order; repeated blocks add. x (n_bcols C, k), y (n_brows R, k) must not overlap; y is overwritten.
// Cost blocks * R * C * k; workers split the blocks evenly, inside block rows above kWholeSlice too.
template <class T, class I>
void bsr_matmul(BsrView<T, I> a, const T* x, T* y, size_t k) {
  using A = acc_t<T>;
  if (k == 0 || a.n_major == 0 || a.R == 0) return;
  const int parts = plan_parts(product_work(a.nnz() * a.area(), a.n_major * a.R, k));
  for_slices<A>(
      a.indptr, a.n_major, parts, a.R * k, y, [=](size_t first, size_t last) { block_slices(first, last, a, x, y, k); },
      [=](size_t lo, size_t hi, A* sum) { blocks_times(lo, hi, a, x, k, sum); });
}

// y[indices[p] C + c, :] += data[p, r, c] * x[m R + r, :]: the transposed product. y is overwritten.
// Cost and memory as cs_rmatmul, with the C * k values of a block column as the columns.
template <class T, class I>
void bsr_rmatmul(BsrView<T, I> a, const T* x, T* y, size_t k) {
  using A = acc_t<T>;
  const size_t R = a.R, C = a.C, area = a.area(), blocks = a.nnz();
  if (k == 0 || a.n_minor == 0 || C == 0) return;
  const ScatterPlan<I> plan{blocks, a.n_minor, C * k, a.indices, plan_parts(product_work(blocks * area, a.n_minor * C, k)),
                            blocks * (area * sizeof(T) + sizeof(I)) + a.n_major * R * k * sizeof(T)};
  scatter<T>(plan, y, [=](size_t lo, size_t hi, size_t j0, size_t j1, auto sink) {
    if (lo == hi) return;
    size_t m = slice_of(a, lo);
    for (size_t p = lo; p < hi; ++p) {
      while (p >= a.end(m)) ++m;
      A* out = sink.at(static_cast<size_t>(a.indices[p]), C * k);
      if (sink.partial && !out) continue;
      const T* block = a.data + p * area;
      const T* rows = x + m * R * k;
      prefetch(reinterpret_cast<const char*>(block) + 1024);
      if (k == 1) {
        for (size_t r = 0; r < R; ++r) {
          const A factor = static_cast<A>(rows[r]);
          for (size_t c = j0; c < j1; ++c) out[c] = add(out[c], mul(static_cast<A>(block[r * C + c]), factor));
        }
        continue;
      }
      for (size_t c = j0 / k; c * k < j1; ++c) {
        const size_t from = std::max(j0, c * k) - c * k, until = std::min(j1, (c + 1) * k) - c * k;
        for (size_t r = 0; r < R; ++r) add_row(static_cast<A>(block[r * C + c]), rows + r * k, out + c * k, from, until);
      }
    }
  });
}

// out[p, r, c] = sum_b sum_j u[b, m R + r, j] * v[b, indices[p] C + c, j] for p in block row m: the values' gradient.
// Cost blocks * R * C * k * batch.
template <class T, class I>
void bsr_sddmm(BsrPattern<I> a, DensePair<T> d, T* out) {
  const size_t blocks = a.nnz();
  parallel_for(blocks, plan_parts(product_work(blocks * a.area(), a.n_major, d.k) * d.batch), [=](size_t lo, size_t hi) {
    if (lo == hi) return;
    size_t m = slice_of(a, lo);
    T* value = out + lo * a.area();
    for (size_t p = lo; p < hi; ++p) {
      while (p >= a.end(m)) ++m;
      const size_t row = m * a.R, column = static_cast<size_t>(a.indices[p]) * a.C;
      for (size_t r = 0; r < a.R; ++r) {
        for (size_t c = 0; c < a.C; ++c) *value++ = dot_rows(d, row + r, column + c);
      }
    }
  });
}

} // namespace sp
