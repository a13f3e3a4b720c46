// Entries of the inverse of B = L U at the places of B^T, without the rest: A. M. Erisman and W. F. Tinney, On computing
// certain elements of the inverse of a sparse matrix, Comm. ACM 18 (1975). With D the diagonal of U and V = D^-1 U, the
// inverse Z satisfies Z = D^-1 L^-1 + (I - V) Z = V^-1 D^-1 + Z (I - L), and the equations of Z's entries at the places of
// (L + U)^T name no others. About twice the factorisation's multiplications.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "field.h"
#include "interrupt.h"
#include "kernels/blas.h"

namespace sp {

// A square matrix by rows (or by columns), its indices sorted.
template <class T>
struct Slices {
  const int64_t* start;
  const int32_t* index;
  const T* value;
};

// Of each step of an elimination: the columns right of the diagonal that its row has, the rows below that its column has.
struct LuPattern {
  std::vector<int64_t> right_start, below_start;
  std::vector<int32_t> right, below;
};

// What L + U can have at all, of B by rows: a factorisation may leave out what cancels. Each row is what B's reaches through
// the rows above; the search is pruned where a row and a column agree: S. C. Eisenstat and J. W. H. Liu, SIAM J. Matrix
// Anal. Appl. 13 (1992).
inline LuPattern lu_pattern(int32_t n, const int64_t* start, const int32_t* index) {
  LuPattern out;
  out.right_start.assign(1, 0);
  std::vector<int32_t> rows, seen(n, -1), stack, left, of; // left: columns of each row of L, and `of` that row
  std::vector<int64_t> end(n);                              // where the search of a row ends
  std::vector<char> pruned(n, 0);
  std::vector<int64_t> counts(static_cast<size_t>(n) + 1, 0);
  Watch watch;
  for (int32_t i = 0; i < n; ++i) {
    const size_t first = left.size();
    const int64_t begin = static_cast<int64_t>(out.right.size());
    size_t steps = 16;
    auto visit = [&](int32_t j) {
      if (seen[j] == i) return;
      seen[j] = i;
      if (j > i) out.right.push_back(j);
      if (j >= i) return;
      left.push_back(j);
      stack.push_back(j);
    };
    for (int64_t k = start[i]; k < start[i + 1]; ++k) visit(index[k]);
    while (!stack.empty()) {
      const int32_t k = stack.back();
      stack.pop_back();
      const int64_t from = out.right_start[k];
      steps += static_cast<size_t>(end[k] - from) + 4;
      for (int64_t p = from; p < end[k]; ++p) visit(out.right[p]);
    }
    std::sort(out.right.begin() + begin, out.right.end());
    end[i] = static_cast<int64_t>(out.right.size());
    out.right_start.push_back(end[i]);
    for (size_t p = first; p < left.size(); ++p) {
      const int32_t k = left[p];
      ++counts[k + 1];
      if (pruned[k]) continue;
      const auto from = out.right.begin() + out.right_start[k], to = out.right.begin() + end[k];
      const auto found = std::lower_bound(from, to, i);
      if (found == to || *found != i) continue;
      end[k] = found + 1 - out.right.begin();
      pruned[k] = 1;
    }
    of.insert(of.end(), left.size() - first, i);
    watch(steps);
  }
  for (int32_t i = 0; i < n; ++i) counts[i + 1] += counts[i];
  out.below_start = counts;
  out.below.resize(left.size());
  for (size_t p = 0; p < left.size(); ++p) out.below[counts[left[p]]++] = of[p];
  return out;
}

// The values of a slice at these places; those that it does not store are zero.
template <class T>
void spread(const Slices<T>& from, int32_t i, const int32_t* at, int64_t size, T* to) {
  int64_t k = from.start[i];
  for (int64_t p = 0; p < size; ++p) {
    while (k < from.start[i + 1] && from.index[k] < at[p]) ++k;
    to[p] = k < from.start[i + 1] && from.index[k] == at[p] ? from.value[k] : T(0);
  }
}

// B and U by rows, L by columns. out: Z at (j, i) for each entry (i, j) of B.
template <class T>
void lu_inverse_entries(int32_t n, const Slices<T>& B, const Slices<T>& L, const Slices<T>& U, T* out) {
  const LuPattern at = lu_pattern(n, B.start, B.index);
  std::vector<T> diagonal(n), row_of(n, T(0)), column_of(n, T(0)), row_sum(n, T(0)), column_sum(n, T(0));
  std::vector<T> row(at.below.size()), column(at.right.size()); // Z right of and below its diagonal
  std::vector<T> u, l;
  Watch watch;
  for (int32_t i = n - 1; i >= 0; --i) {
    const int32_t *R = at.right.data() + at.right_start[i], *C = at.below.data() + at.below_start[i];
    const int64_t r = at.right_start[i + 1] - at.right_start[i], c = at.below_start[i + 1] - at.below_start[i];
    u.resize(r);
    l.resize(c);
    T d(0);
    spread(U, i, &i, 1, &d);
    if (d == T(0)) throw std::invalid_argument("U has a zero on its diagonal");
    const T inverse = T(1) / d;
    spread(U, i, R, r, u.data());
    spread(L, i, C, c, l.data());
    size_t steps = 64;
    for (int64_t p = 0; p < r; ++p) row_of[R[p]] = u[p] = times(u[p], inverse);
    for (int64_t p = 0; p < c; ++p) column_of[C[p]] = l[p];
    for (int64_t p = 0; p < r; ++p) { // what rows R of Z have right of the diagonal
      const int32_t k = R[p];
      T sum = times(diagonal[k], column_of[k]);
      row_sum[k] += times(diagonal[k], u[p]);
      for (int64_t q = at.below_start[k]; q < at.below_start[k + 1]; ++q) {
        sum += times(row[q], column_of[at.below[q]]);
        row_sum[at.below[q]] += times(row[q], u[p]);
      }
      column_sum[k] += sum;
      steps += static_cast<size_t>(at.below_start[k + 1] - at.below_start[k]);
    }
    for (int64_t p = 0; p < c; ++p) { // what columns C have below it
      const int32_t k = C[p];
      T sum(0);
      for (int64_t q = at.right_start[k]; q < at.right_start[k + 1]; ++q) {
        sum += times(column[q], row_of[at.right[q]]);
        column_sum[at.right[q]] += times(column[q], l[p]);
      }
      row_sum[k] += sum;
      steps += static_cast<size_t>(at.right_start[k + 1] - at.right_start[k]);
    }
    T own = inverse;
    for (int64_t p = 0; p < r; ++p) {
      column[at.right_start[i] + p] = -column_sum[R[p]];
      own += times(u[p], column_sum[R[p]]);
    }
    for (int64_t p = 0; p < c; ++p) row[at.below_start[i] + p] = -row_sum[C[p]];
    diagonal[i] = own;
    for (int64_t p = 0; p < r; ++p) { // the sums reached beyond C and R
      const int32_t k = R[p];
      row_of[k] = row_sum[k] = column_sum[k] = T(0);
      for (int64_t q = at.below_start[k]; q < at.below_start[k + 1]; ++q) row_sum[at.below[q]] = T(0);
    }
    for (int64_t p = 0; p < c; ++p) {
      const int32_t k = C[p];
      column_of[k] = row_sum[k] = column_sum[k] = T(0);
      for (int64_t q = at.right_start[k]; q < at.right_start[k + 1]; ++q) column_sum[at.right[q]] = T(0);
    }
    watch(4 * steps);
  }
  for (int32_t i = 0; i < n; ++i) {
    for (int64_t k = B.start[i]; k < B.start[i + 1]; ++k) {
      const int32_t j = B.index[k];
      auto place = [&](const std::vector<int32_t>& all, int64_t from, int64_t to, int32_t which) {
        return std::lower_bound(all.begin() + from, all.begin() + to, which) - all.begin();
      };
      if (i == j) out[k] = diagonal[i];
      else if (j > i) out[k] = column[place(at.right, at.right_start[i], at.right_start[i + 1], j)];
      else out[k] = row[place(at.below, at.below_start[j], at.below_start[j + 1], i)];
    }
  }
}

} // namespace sp
