// Structures and arrays as single values, which is how kernels are given them. A view is a few pointers: it owns nothing
// and is passed by value. "Pattern" is structure alone, "View" has the values too; "Out" is where a result goes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sp {

// Compressed: the entries of slice m of the major axis stand at indptr[m] .. indptr[m + 1], each with its minor index.
template <class I>
struct CsPattern {
  size_t n_major, n_minor;
  const I *indptr, *indices;

  size_t nnz() const { return static_cast<size_t>(indptr[n_major]); }
  size_t begin(size_t m) const { return static_cast<size_t>(indptr[m]); }
  size_t end(size_t m) const { return static_cast<size_t>(indptr[m + 1]); }
};

template <class T, class I>
struct CsView : CsPattern<I> {
  const T* data;
};

template <class T, class I>
struct CsOut {
  I *indptr, *indices;
  T* data;
};

// Coordinates in any order.
template <class I>
struct CooPattern {
  size_t nnz, n_major, n_minor;
  const I *major, *minor;
};

template <class T, class I>
struct CooView : CooPattern<I> {
  const T* data;
};

// Compressed over blocks: n_major and n_minor count blocks, an entry is an R x C block, row-major.
template <class I>
struct BsrPattern : CsPattern<I> {
  size_t R, C;

  size_t area() const { return R * C; }
};

template <class T, class I>
struct BsrView : BsrPattern<I> {
  const T* data;
};

// By diagonals: entry (j - offsets[d], j) of an n_major x n_minor array is value d * length + j, for j < length.
template <class I>
struct DiaPattern {
  int64_t n_major, n_minor, length;
  size_t n_diagonals;
  const I* offsets;
};

template <class T, class I>
struct DiaView : DiaPattern<I> {
  const T* data;
};

// Rows of a dense array by segment: those of segment m stand at offsets[m] .. offsets[m + 1], of the rows themselves or,
// where order is not null, of order. ids[t] is the segment of row t, `count` or more for a row in none. What a kernel does
// not ask for may be null.
template <class I>
struct SegmentPattern {
  size_t rows, count;
  const I *offsets, *order, *ids;
};

// Which factor of x . a . y a sum of products picked by indices (indexed_product.h) has the form of: x, y or a.
enum class IndexedKind { matvec, rmatvec, outer };

// The dense operands of a sampled product, (batch, n, k) each; a step of 0 shares one operand among the batches.
template <class T>
struct DensePair {
  const T *u, *v;
  size_t k, batch, u_step, v_step;
};

} // namespace sp
