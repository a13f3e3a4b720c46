// Dense products and triangles by the BLAS and LAPACK that SciPy brings along, a tile at a time: a call of this size stays
// on its thread in every BLAS, so that the workers here are all there are. Arrays are stored by columns.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>

#include "field.h"

namespace sp {

inline float times(float a, float b) { return a * b; }
inline double times(double a, double b) { return a * b; }
template <class T>
std::complex<T> times(std::complex<T> a, std::complex<T> b) { // no look for infinities in between
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

#define SP_FOR_BLAS_TYPES(F) F(float) F(double) F(std::complex<float>) F(std::complex<double>)

template <class T>
struct Blas {
  using Gemm = void (*)(char*, char*, int*, int*, int*, T*, T*, int*, T*, int*, T*, T*, int*);
  using Trsm = void (*)(char*, char*, char*, char*, int*, int*, T*, T*, int*, T*, int*);
  using Potrf = void (*)(char*, int*, T*, int*, int*);
  static inline Gemm gemm = nullptr; // set when the module is first asked for a factorisation
  static inline Trsm trsm = nullptr;
  static inline Potrf potrf = nullptr;
};

constexpr int64_t kTile = 64;

// A block of an array stored by columns.
template <class T>
struct Block {
  T* at;
  int64_t stride; // from column to column
  Block from(int64_t row, int64_t column) const { return {at + row + column * stride, stride}; }
};

// A block as it stands ('N'), its transpose ('T') or its adjoint ('C').
template <class T>
struct Factor {
  char form;
  Block<T> block;
  Factor from(int64_t row, int64_t column) const {
    return {form, form == 'N' ? block.from(row, column) : block.from(column, row)};
  }
};
template <class T> Factor<T> plain(Block<T> b) { return {'N', b}; }
template <class T> Factor<T> transposed(Block<T> b) { return {'T', b}; }
template <class T> Factor<T> adjoint(Block<T> b) { return {'C', b}; }

// Of a product: its rows and columns, and the dimension that is summed over.
struct ProductSize { int64_t m, n, k; };

// C += alpha A B, where no dimension exceeds a tile.
template <class T>
void multiply_tile(ProductSize size, T alpha, Factor<T> a, Factor<T> b, Block<T> c) {
  int rows = static_cast<int>(size.m), columns = static_cast<int>(size.n), inner = static_cast<int>(size.k);
  int lda = static_cast<int>(a.block.stride), ldb = static_cast<int>(b.block.stride), ldc = static_cast<int>(c.stride);
  T one(1);
  Blas<T>::gemm(&a.form, &b.form, &rows, &columns, &inner, &alpha, a.block.at, &lda, b.block.at, &ldb, &one, c.at, &ldc);
}

// The same of any size.
template <class T>
void multiply(ProductSize size, T alpha, Factor<T> a, Factor<T> b, Block<T> c) {
  const auto [m, n, k] = size;
  for (int64_t j = 0; j < n; j += kTile) {
    for (int64_t i = 0; i < m; i += kTile) {
      for (int64_t l = 0; l < k; l += kTile) {
        const ProductSize tile{std::min(kTile, m - i), std::min(kTile, n - j), std::min(kTile, k - l)};
        multiply_tile(tile, alpha, a.from(i, l), b.from(l, j), c.from(i, j));
      }
    }
  }
}

// X op(L) = B for a lower triangle L of order k, over B, which is m x k. diagonal: 'U' where it is taken for ones.
template <class T>
void divide_tile(char form, int64_t m, int64_t k, Block<T> lower, Block<T> b, char diagonal = 'N') {
  char right = 'R', triangle = 'L';
  int columns = static_cast<int>(k), lda = static_cast<int>(lower.stride), ldb = static_cast<int>(b.stride);
  T one(1);
  const int64_t most = std::max<int64_t>(1, 1000 / k); // OpenBLAS starts threads for 1024 elements
  for (int64_t i = 0; i < m; i += most) {
    int rows = static_cast<int>(std::min(most, m - i));
    Blas<T>::trsm(&right, &triangle, &form, &diagonal, &rows, &columns, &one, lower.at, &lda, b.at + i, &ldb);
  }
}

template <class T>
void divide(char form, int64_t m, int64_t k, Block<T> lower, Block<T> b, char diagonal = 'N') {
  const int64_t tiles = (k + kTile - 1) / kTile;
  for (int64_t i = 0; i < m; i += kTile) {
    const int64_t h = std::min(kTile, m - i);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t j = (form == 'N' ? tiles - 1 - t : t) * kTile, w = std::min(kTile, k - j);
      const Block<T> done = form == 'N' ? b.from(i, j + w) : b.from(i, 0);
      const Factor<T> by{form, form == 'N' ? lower.from(j + w, j) : lower.from(j, 0)};
      multiply({h, w, form == 'N' ? k - j - w : j}, T(-1), plain(done), by, b.from(i, j));
      divide_tile(form, h, w, lower.from(j, j), b.from(i, j), diagonal);
    }
  }
}

} // namespace sp
