// Solves with a Cholesky factor, and the entries of the inverse of A at the places of the factor.
#pragma once

#include "kernels/cholesky.h"

namespace sp {

constexpr int64_t kNarrow = 6; // columns of a supernode for which a loop is quicker than the BLAS

template <class T>
void add_multiple(T* __restrict to, T by, const T* __restrict from, int64_t r) {
  for (int64_t c = 0; c < r; ++c) to[c] += times(by, from[c]);
}

// L X = B over x, n x r stored by rows, in the order of elimination. r columns at once read the factor once.
template <class T>
void solve_lower(const CholeskyFactor<T>& factor, T* x, int64_t r) {
  const auto& nodes = factor.plan().nodes;
  std::vector<T> change;
  Watch watch;
  for (int32_t s = 0; s < nodes.count(); ++s) {
    const int64_t k = nodes.width(s), m = nodes.height(s), u = m - k;
    T *own = x + nodes.first[s] * r, *panel = const_cast<T*>(factor.panel(s));
    const int32_t* rows = nodes.rows.data() + nodes.row_start[s] + k;
    watch(static_cast<size_t>(m * k * r) / 4 + 50);
    if (r == 1 && k == 1) {
      const T by = *own /= std::real(*panel);
      for (int64_t i = 0; i < u; ++i) x[rows[i]] -= times(panel[1 + i], by);
      continue;
    }
    change.assign(u * r, T(0));
    if (k <= kNarrow && r > 1) {
      for (int64_t j = 0; j < k; ++j) {
        const T* column = panel + j * m;
        T* by = own + j * r;
        const real_t<T> inverse = 1 / std::real(column[j]);
        for (int64_t c = 0; c < r; ++c) by[c] *= inverse;
        for (int64_t i = j + 1; i < k; ++i) add_multiple(own + i * r, -column[i], by, r);
        for (int64_t i = 0; i < u; ++i) add_multiple(change.data() + i * r, column[k + i], by, r);
      }
    } else if (r == 1) {
      for (int64_t j = 0; j < k; ++j) {
        const T* column = panel + j * m;
        const T by = own[j] /= std::real(column[j]);
        for (int64_t i = j + 1; i < k; ++i) own[i] -= times(column[i], by);
        for (int64_t i = 0; i < u; ++i) change[i] += times(column[k + i], by);
      }
    } else {
      const Block<T> P{panel, m}, X{own, r}; // X^T, stored by columns
      divide('T', r, k, P, X);
      multiply({r, u, k}, T(1), plain(X), transposed(P.from(k, 0)), Block<T>{change.data(), r});
    }
    for (int64_t i = 0; i < u; ++i) {
      for (int64_t c = 0; c < r; ++c) x[rows[i] * r + c] -= change[i * r + c];
    }
  }
}

// L^H X = B, likewise.
template <class T>
void solve_upper(const CholeskyFactor<T>& factor, T* x, int64_t r) {
  const auto& nodes = factor.plan().nodes;
  const int64_t size = factor.plan().n() * r;
  for (int64_t i = 0; i < size; ++i) x[i] = conj_of(x[i]); // conj(X)^T L = conj(B)^T
  std::vector<T> below;
  Watch watch;
  for (int32_t s = nodes.count() - 1; s >= 0; --s) {
    const int64_t k = nodes.width(s), m = nodes.height(s), u = m - k;
    T *own = x + nodes.first[s] * r, *panel = const_cast<T*>(factor.panel(s));
    const int32_t* rows = nodes.rows.data() + nodes.row_start[s] + k;
    watch(static_cast<size_t>(m * k * r) / 4 + 50);
    if (r == 1 && k == 1) {
      T sum = *own;
      for (int64_t i = 0; i < u; ++i) sum -= times(panel[1 + i], x[rows[i]]);
      *own = sum / std::real(*panel);
      continue;
    }
    below.resize(u * r);
    for (int64_t i = 0; i < u; ++i) std::copy_n(x + rows[i] * r, r, below.data() + i * r);
    if (k <= kNarrow && r > 1) {
      for (int64_t j = k - 1; j >= 0; --j) {
        const T* column = panel + j * m;
        T* to = own + j * r;
        for (int64_t i = 0; i < u; ++i) add_multiple(to, -column[k + i], below.data() + i * r, r);
        for (int64_t i = j + 1; i < k; ++i) add_multiple(to, -column[i], own + i * r, r);
        const real_t<T> inverse = 1 / std::real(column[j]);
        for (int64_t c = 0; c < r; ++c) to[c] *= inverse;
      }
      continue;
    }
    if (r == 1) {
      for (int64_t j = k - 1; j >= 0; --j) {
        const T* column = panel + j * m;
        T sums[4] = {T(0), T(0), T(0), T(0)};
        int64_t i = 0;
        for (; i + 4 <= u; i += 4) {
          for (int l = 0; l < 4; ++l) sums[l] += times(column[k + i + l], below[i + l]);
        }
        for (; i < u; ++i) sums[0] += times(column[k + i], below[i]);
        for (i = j + 1; i < k; ++i) sums[0] += times(column[i], own[i]);
        own[j] = (own[j] - ((sums[0] + sums[1]) + (sums[2] + sums[3]))) / std::real(column[j]);
      }
      continue;
    }
    const Block<T> P{panel, m}, X{own, r};
    multiply({r, k, u}, T(-1), plain(Block<T>{below.data(), r}), plain(P.from(k, 0)), X);
    divide('N', r, k, P, X);
  }
  for (int64_t i = 0; i < size; ++i) x[i] = conj_of(x[i]);
}

// `multiply` and `divide` by all workers.
template <class T>
void share_multiply(ProductSize size, T alpha, Factor<T> a, Factor<T> b, Block<T> c) {
  const auto m = size.m, n = size.n, k = size.k;
  const int64_t rows = (m + kTile - 1) / kTile, columns = (n + kTile - 1) / kTile;
  over_tiles(rows * columns, static_cast<double>(kTile * kTile * k), [&](int t) {
    const int64_t i = t % rows * kTile, j = t / rows * kTile;
    multiply({std::min(kTile, m - i), std::min(kTile, n - j), k}, alpha, a.from(i, 0), b.from(0, j), c.from(i, j));
  });
}

template <class T>
void share_divide(int64_t m, int64_t k, Block<T> lower, Block<T> b, char diagonal = 'N') {
  over_tiles((m + kTile - 1) / kTile, static_cast<double>(kTile * k * k / 2), [&](int t) {
    divide('N', std::min(kTile, m - t * kTile), k, lower, b.from(t * kTile, 0), diagonal);
  });
}

// Takahashi's equations by fronts, parents first: with Y = L21 L11^-1 and the inverse Z22 at the rows below, which is part
// of the parent's, Z21 = -Z22 Y and Z11 = L11^-H L11^-1 - Y^H Z21. Calls found(s, Z) with the columns of s, m x k.
template <class T, class F>
void selected_inverse(const CholeskyFactor<T>& factor, F found) {
  const auto& plan = factor.plan();
  Supernodes joined;
  if (plan.simplicial) join_supernodes(joined = plan.nodes);
  const Supernodes& nodes = plan.simplicial ? joined : plan.nodes;
  std::vector<Buffer<T>> known(nodes.count()); // Z22
  for (int32_t s = nodes.count() - 1; s >= 0; --s) {
    check_interrupt();
    const int64_t k = nodes.width(s), m = nodes.height(s), u = m - k;
    expect_memory(static_cast<size_t>(m * m) * sizeof(T));
    Buffer<T> whole(m * m), left(u * k), inverse(k * k);
    const Block<T> Z{whole.get(), m}, Y{left.get(), std::max<int64_t>(1, u)}, W{inverse.get(), k};
    const Block<T> P{const_cast<T*>(factor.panel(s)), m};
    std::fill_n(whole.get(), m * m, T(0));
    for (int64_t j = 0; j < u; ++j) std::copy_n(known[s].get() + j * u, u, Z.from(k, k + j).at);
    for (int64_t j = 0; j < k; ++j) std::copy_n(P.from(k, j).at, u, left.get() + j * u);
    share_divide(u, k, P, Y);
    std::fill_n(inverse.get(), k * k, T(0));
    for (int64_t j = 0; j < k; ++j) inverse.get()[j * (k + 1)] = T(1);
    share_divide(k, k, P, W);
    share_multiply({u, k, u}, T(-1), plain(Z.from(k, k)), plain(Y), Z.from(k, 0));
    share_multiply({k, k, k}, T(1), adjoint(W), plain(W), Z);
    share_multiply({k, k, u}, T(-1), adjoint(Y), plain(Z.from(k, 0)), Z);
    for (int64_t j = 0; j < k; ++j) {
      for (int64_t i = k; i < m; ++i) *Z.from(j, i).at = conj_of(*Z.from(i, j).at);
    }
    known[s] = Buffer<T>();
    found(s, static_cast<const T*>(whole.get()));
    for (int32_t c = nodes.child_start[s]; c < nodes.child_start[s + 1]; ++c) {
      const int32_t child = nodes.children[c];
      const int64_t v = nodes.height(child) - nodes.width(child);
      const int32_t* at = nodes.relative.data() + nodes.row_start[child] + nodes.width(child);
      known[child] = Buffer<T>(v * v);
      for (int64_t j = 0; j < v; ++j) {
        for (int64_t i = 0; i < v; ++i) known[child].get()[j * v + i] = *Z.from(at[i], at[j]).at;
      }
    }
  }
}

} // namespace sp
