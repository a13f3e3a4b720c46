// Products of a compressed sparse array A (n_major slices of n_minor) with dense x, k columns, row-major.
// Indices may be unsorted and repeated; slices may be empty. 16-bit floats sum in float32 and round once. Results do not
// depend on the number of workers.
#pragma once

#include "partition.h"
#include "scatter.h"
#include "tile.h"

namespace sp {

// Elementary steps of a product: an entry costs one, eight columns of it cost about one more.
inline size_t product_work(size_t nnz, size_t n_slices, size_t k) { return nnz * (1 + k / 8) + n_slices; }

// sum_p data[p] * x[indices[p]] for one column; the sums stay independent to hide the latency of the adds.
template <class T, class I>
SP_INLINE acc_t<T> slice_dot(size_t lo, size_t hi, const I* indices, const T* data, const T* x) {
  using A = acc_t<T>;
  constexpr size_t ahead = 1024;
  A s0{}, s1{}, s2{}, s3{};
  auto term = [&](size_t p) { return mul(static_cast<A>(data[p]), static_cast<A>(x[indices[p]])); };
  size_t p = lo;
  for (; p + 4 <= hi; p += 4) {
    prefetch(reinterpret_cast<const char*>(data + p) + ahead);
    prefetch(reinterpret_cast<const char*>(indices + p) + ahead);
    s0 = add(s0, term(p));
    s1 = add(s1, term(p + 1));
    s2 = add(s2, term(p + 2));
    s3 = add(s3, term(p + 3));
  }
  if (p < hi) s0 = add(s0, term(p));
  if (p + 1 < hi) s1 = add(s1, term(p + 1));
  if (p + 2 < hi) s2 = add(s2, term(p + 2));
  return add(add(s0, s1), add(s2, s3));
}

// slice_dot of exactly N entries: without a loop, short slices (stencils) run at the speed of their loads.
template <int N, class T, class I>
SP_INLINE T short_dot(const I* indices, const T* data, const T* x) {
  T even = mul(data[0], x[indices[0]]), odd = N > 1 ? mul(data[N > 1], x[indices[N > 1]]) : T{};
#pragma GCC unroll 8
  for (int p = 2; p + 1 < N; p += 2) {
    even = add(even, mul(data[p], x[indices[p]]));
    odd = add(odd, mul(data[p + 1], x[indices[p + 1]]));
  }
  if (N > 2 && N % 2) even = add(even, mul(data[N - 1], x[indices[N - 1]]));
  return add(even, odd);
}

// One slice above kWholeSlice.
template <class T, class I>
T long_dot(size_t lo, size_t hi, const I* indices, const T* data, const T* x) {
  T y;
  sum_long_slice<acc_t<T>>(lo, hi, 1, &y, [=](size_t from, size_t until, acc_t<T>* sum) {
    *sum = slice_dot(from, until, indices, data, x);
  });
  return y;
}

template <class T, class I>
SP_INLINE T any_dot(size_t lo, size_t hi, const I* indices, const T* data, const T* x) {
  if (hi - lo > kWholeSlice) return long_dot(lo, hi, indices, data, x);
  return static_cast<T>(slice_dot(lo, hi, indices, data, x));
}

// y[m] for the slices first .. last, one column.
template <class T, class I>
SP_NO_PACKING void slices_dot(size_t first, size_t last, CsView<T, I> A, const T* x, T* y) {
  const I *indptr = A.indptr, *indices = A.indices;
  const T* data = A.data;
  size_t lo = static_cast<size_t>(indptr[first]);
  for (size_t m = first; m < last; ++m) {
    const size_t hi = static_cast<size_t>(indptr[m + 1]);
    if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, WideComplex>) {
      const I* j = indices + lo;
      const T* a = data + lo;
      prefetch(reinterpret_cast<const char*>(a) + 1024);
      prefetch(reinterpret_cast<const char*>(j) + 1024);
      switch (hi - lo) {
        case 5: y[m] = short_dot<5>(j, a, x); break;
        case 6: y[m] = short_dot<6>(j, a, x); break;
        case 7: y[m] = short_dot<7>(j, a, x); break;
        default: y[m] = any_dot(lo, hi, indices, data, x);
      }
    } else {
      y[m] = any_dot(lo, hi, indices, data, x);
    }
    lo = hi;
  }
}

// y[m, :] = sum over p in slice m of data[p] * x[indices[p], :].
// Assumes nothing about order; duplicates add. x (n_minor, k), y (n_major, k) must not overlap; y is overwritten.
// Cost nnz * k; workers split the entries evenly, inside slices above kWholeSlice too.
template <class T, class I>
void cs_matmul(CsView<T, I> a, const T* x, T* y, size_t k) {
  using A = acc_t<T>;
  if (k == 0 || a.n_major == 0) return;
  const int parts = plan_parts(product_work(a.nnz(), a.n_major, k));
  if (k == 1) {
    for_slices<A>(
        a.indptr, a.n_major, parts, k, y, [=](size_t first, size_t last) { slices_dot(first, last, a, x, y); },
        [=](size_t lo, size_t hi, A* sum) { *sum = slice_dot(lo, hi, a.indices, a.data, x); });
    return;
  }
  const auto piece = [=](size_t lo, size_t hi, A* sum) { any_slice_times(lo, hi, a, x, k, sum); };
  for_slices<A>(
      a.indptr, a.n_major, parts, k, y,
      [=](size_t first, size_t last) {
        for (size_t m = first; m < last;) {
          size_t stop = m;
          while (stop < last && a.end(stop) - a.begin(stop) <= kWholeSlice) ++stop;
          slices_times(m, stop, a, x, y, k);
          if (stop < last) sum_long_slice<A>(a.begin(stop), a.end(stop), k, y + stop * k, piece);
          m = stop + 1;
        }
      },
      piece);
}

// The slice that entry p is in.
template <class I>
size_t slice_of(CsPattern<I> a, size_t p) {
  return static_cast<size_t>(std::upper_bound(a.indptr, a.indptr + a.n_major + 1, static_cast<I>(p)) - a.indptr) - 1;
}

// Entries lo .. hi, columns j0 .. j1 of their k.
struct Window {
  size_t lo, hi, j0, j1, k;
};

// Adds data[p] * x[m, j0:j1] to row indices[p] of the sink, for the entries of the window.
template <class T, class I, class Sink>
void scatter_entries(CsView<T, I> a, Window w, const T* x, Sink sink) {
  using A = acc_t<T>;
  const auto [lo, hi, j0, j1, k] = w;
  if (lo == hi) return;
  const I *indptr = a.indptr, *indices = a.indices;
  const T* data = a.data;
  size_t m = slice_of(a, lo);
  for (size_t p = lo; p < hi; ++m) {
    const size_t end = std::min(static_cast<size_t>(indptr[m + 1]), hi);
    const T* row = x + m * k;
    if (k == 1) {
      const A xm = static_cast<A>(*row);
      prefetch(reinterpret_cast<const char*>(data + p) + 1024);
      prefetch(reinterpret_cast<const char*>(indices + p) + 1024);
      for (; p < end; ++p) {
        A* out = sink.at(static_cast<size_t>(indices[p]), 1);
        *out = add(*out, mul(static_cast<A>(data[p]), xm));
      }
    } else {
      for (; p < end; ++p) {
        A* out = sink.at(static_cast<size_t>(indices[p]), k);
        if (!Sink::partial || out) add_row(static_cast<A>(data[p]), row, out, j0, j1);
      }
    }
  }
}

// y[indices[p], :] += data[p] * x[m, :] for p in slice m: the transposed product.
// Assumes nothing about order; duplicates add. x (n_major, k), y (n_minor, k) must not overlap; y is overwritten.
// Cost nnz * k + n_minor * k; extra memory at most a quarter of the operands (scatter.h).
template <class T, class I>
void cs_rmatmul(CsView<T, I> a, const T* x, T* y, size_t k) {
  if (k == 0 || a.n_minor == 0) return;
  const size_t nnz = a.nnz();
  const ScatterPlan<I> plan{nnz, a.n_minor, k, a.indices, plan_parts(product_work(nnz, a.n_minor, k)),
                            nnz * (sizeof(T) + sizeof(I)) + a.n_major * k * sizeof(T)};
  scatter<T>(plan, y, [=](size_t lo, size_t hi, size_t j0, size_t j1, auto sink) {
    scatter_entries(a, Window{lo, hi, j0, j1, k}, x, sink);
  });
}

// out[p] = sum_b sum_j u[b, m, j] * v[b, indices[p], j] for p in slice m: the values' gradient of a product. Order of
// indices is free. Cost nnz * k * batch.
template <class T, class I>
void cs_sddmm(CsPattern<I> a, DensePair<T> d, T* out) {
  const size_t nnz = a.nnz();
  parallel_for(nnz, plan_parts(product_work(nnz, a.n_major, d.k) * d.batch), [=](size_t lo, size_t hi) {
    size_t m = slice_of(a, lo);
    for (size_t p = lo; p < hi; ++p) {
      while (p >= a.end(m)) ++m;
      out[p] = dot_rows(d, m, static_cast<size_t>(a.indices[p]));
    }
  });
}

} // namespace sp
