// Solves with an L D L^H factorisation, and the entries of the inverse of A at the places of the factor.
#pragma once

#include "kernels/cholesky_solve.h"
#include "kernels/ldl.h"

namespace sp {

// Rows of x, n x r stored by rows in the numbering of the plan, that belong to a front: to the front, or back.
template <class T>
void gather_rows(const LdlFactor<T>& factor, int32_t s, int64_t first, int64_t last, const T* x, T* to, int64_t r) {
  for (int64_t i = first; i < last; ++i, to += r) std::copy_n(x + factor.row(s, i) * r, r, to);
}

template <class T>
void scatter_rows(const LdlFactor<T>& factor, int32_t s, int64_t first, int64_t last, T* x, const T* from, int64_t r) {
  for (int64_t i = first; i < last; ++i, from += r) std::copy_n(from, r, x + factor.row(s, i) * r);
}

// L X = B over x. r columns at once read the factor once.
template <class T>
void solve_lower(const LdlFactor<T>& factor, T* x, int64_t r) {
  std::vector<T> rows;
  Watch watch;
  for (int32_t s = 0; s < factor.plan().nodes.count(); ++s) {
    const int64_t k = factor.done(s), m = factor.height(s), u = m - k;
    T* panel = factor.panel(s);
    watch(static_cast<size_t>(m * k * r) / 4 + 50);
    rows.resize(m * r);
    gather_rows(factor, s, 0, m, x, rows.data(), r);
    T *own = rows.data(), *below = own + k * r;
    if (k <= kNarrow || r == 1) {
      for (int64_t j = 0; j < k; ++j) {
        const T* column = panel + j * m;
        if (r == 1) {
          const T by = own[j];
          for (int64_t i = j + 1; i < m; ++i) own[i] -= times(column[i], by);
        } else {
          for (int64_t i = j + 1; i < m; ++i) add_multiple(own + i * r, -column[i], own + j * r, r);
        }
      }
    } else {
      const Block<T> P{panel, m}, X{own, r}; // X^T, stored by columns
      divide('T', r, k, P, X, 'U');
      multiply({r, u, k}, T(-1), plain(X), transposed(P.from(k, 0)), Block<T>{below, r});
    }
    scatter_rows(factor, s, 0, m, x, own, r);
  }
}

// L^H X = B, likewise.
template <class T>
void solve_upper(const LdlFactor<T>& factor, T* x, int64_t r) {
  const int64_t size = factor.plan().n() * r;
  for (int64_t i = 0; i < size; ++i) x[i] = conj_of(x[i]); // conj(X)^T L = conj(B)^T
  std::vector<T> rows;
  Watch watch;
  for (int32_t s = factor.plan().nodes.count() - 1; s >= 0; --s) {
    const int64_t k = factor.done(s), m = factor.height(s), u = m - k;
    T* panel = factor.panel(s);
    watch(static_cast<size_t>(m * k * r) / 4 + 50);
    rows.resize(m * r);
    gather_rows(factor, s, 0, m, x, rows.data(), r);
    T *own = rows.data(), *below = own + k * r;
    if (r == 1) {
      for (int64_t j = k - 1; j >= 0; --j) {
        const T* column = panel + j * m;
        T sums[4] = {T(0), T(0), T(0), T(0)};
        int64_t i = j + 1;
        for (; i + 4 <= m; i += 4) {
          for (int l = 0; l < 4; ++l) sums[l] += times(column[i + l], own[i + l]);
        }
        for (; i < m; ++i) sums[0] += times(column[i], own[i]);
        own[j] -= (sums[0] + sums[1]) + (sums[2] + sums[3]);
      }
    } else if (k <= kNarrow) {
      for (int64_t j = k - 1; j >= 0; --j) {
        for (int64_t i = j + 1; i < m; ++i) add_multiple(own + j * r, -panel[j * m + i], own + i * r, r);
      }
    } else {
      const Block<T> P{panel, m}, X{own, r};
      multiply({r, k, u}, T(-1), plain(Block<T>{below, r}), plain(P.from(k, 0)), X);
      divide('N', r, k, P, X, 'U');
    }
    scatter_rows(factor, s, 0, k, x, own, r);
  }
  for (int64_t i = 0; i < size; ++i) x[i] = conj_of(x[i]);
}

// D X = B over rows of a front, k x r, that are `across` apart and have their columns `along` apart.
template <class T>
void solve_pivots(const T* panel, int64_t m, int64_t k, T* x, int64_t r, int64_t across, int64_t along) {
  for_pivots(panel, m, k, [&](int64_t j, real_t<T> d) {
    for (int64_t c = 0; c < r; ++c) x[j * across + c * along] /= d;
  }, [&](int64_t j, Pair<T> D) {
    const real_t<T> scale = size_of(D.c), det = D.determinant() / scale, a = D.a / scale, b = D.b / scale;
    const T beside = D.c / scale;
    for (int64_t c = 0; c < r; ++c) {
      T &u = x[j * across + c * along], &v = x[(j + 1) * across + c * along];
      const T w = (u * b - times(conj_of(beside), v)) / det;
      v = (v * a - times(beside, u)) / det;
      u = w;
    }
  });
}

template <class T>
void solve_diagonal(const LdlFactor<T>& factor, T* x, int64_t r) {
  std::vector<T> rows;
  for (int32_t s = 0; s < factor.plan().nodes.count(); ++s) {
    const int64_t k = factor.done(s);
    rows.resize(k * r);
    gather_rows(factor, s, 0, k, x, rows.data(), r);
    solve_pivots(factor.panel(s), factor.height(s), k, rows.data(), r, r, 1);
    scatter_rows(factor, s, 0, k, x, rows.data(), r);
  }
}

// As `selected_inverse` of a Cholesky factor, with Z11 = L11^-H D^-1 L11^-1 - Y^H Z21. Calls found(s, at, Z) with the place
// of each row of the front s (numbered as in the plan) and the columns that it eliminated, of m rows.
template <class T, class F>
void selected_inverse(const LdlFactor<T>& factor, F found) {
  const auto& nodes = factor.plan().nodes;
  std::vector<Buffer<T>> known(nodes.count()); // Z22
  std::vector<int32_t> at(factor.plan().n());
  for (int32_t s = nodes.count() - 1; s >= 0; --s) {
    check_interrupt();
    const int64_t k = factor.done(s), m = factor.height(s), u = m - k;
    expect_memory(static_cast<size_t>(m * m) * sizeof(T));
    Buffer<T> whole(m * m), left(u * k), inverse(k * k), divided(k * k);
    const Block<T> Z{whole.get(), std::max<int64_t>(1, m)}, Y{left.get(), std::max<int64_t>(1, u)};
    const Block<T> W{inverse.get(), std::max<int64_t>(1, k)}, V{divided.get(), W.stride}, P{factor.panel(s), Z.stride};
    std::fill_n(whole.get(), m * m, T(0));
    for (int64_t j = 0; j < u; ++j) std::copy_n(known[s].get() + j * u, u, Z.from(k, k + j).at);
    for (int64_t i = 0; i < m; ++i) at[factor.row(s, i)] = static_cast<int32_t>(i);
    if (k > 0) {
      for (int64_t j = 0; j < k; ++j) std::copy_n(P.from(k, j).at, u, left.get() + j * u);
      share_divide(u, k, P, Y, 'U');
      std::fill_n(inverse.get(), k * k, T(0));
      for (int64_t j = 0; j < k; ++j) inverse.get()[j * (k + 1)] = T(1);
      share_divide(k, k, P, W, 'U');
      std::copy_n(inverse.get(), k * k, divided.get());
      solve_pivots(P.at, m, k, divided.get(), k, 1, k);
      share_multiply({u, k, u}, T(-1), plain(Z.from(k, k)), plain(Y), Z.from(k, 0));
      share_multiply({k, k, k}, T(1), adjoint(W), plain(V), Z);
      share_multiply({k, k, u}, T(-1), adjoint(Y), plain(Z.from(k, 0)), Z);
      for (int64_t j = 0; j < k; ++j) {
        for (int64_t i = k; i < m; ++i) *Z.from(j, i).at = conj_of(*Z.from(i, j).at);
      }
    }
    known[s] = Buffer<T>();
    found(s, static_cast<const int32_t*>(at.data()), static_cast<const T*>(whole.get()));
    for (int32_t c = nodes.child_start[s]; c < nodes.child_start[s + 1]; ++c) {
      const int32_t child = nodes.children[c];
      const int64_t gone = factor.done(child), v = factor.height(child) - gone;
      known[child] = Buffer<T>(v * v);
      for (int64_t j = 0; j < v; ++j) {
        const int64_t column = at[factor.row(child, gone + j)];
        for (int64_t i = 0; i < v; ++i) known[child].get()[j * v + i] = *Z.from(at[factor.row(child, gone + i)], column).at;
      }
    }
  }
}

} // namespace sp
