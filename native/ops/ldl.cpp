#include "ops/ldl.h"

#include "kernels/ldl_solve.h"

namespace sp {

template <class T>
SharedLdl<T> factor_ldl(const SharedPlan& plan, const T* values) {
  return std::make_shared<const LdlFactor<T>>(plan, values);
}

namespace {

// f(s, j, place) for the columns that the fronts s eliminated at their places j, in turn.
template <class T, class F>
void for_columns(const LdlFactor<T>& factor, F f) {
  int32_t place = 0;
  for (int32_t s = 0; s < factor.plan().nodes.count(); ++s) {
    for (int64_t j = 0; j < factor.done(s); ++j) f(s, j, place++);
  }
}

} // namespace

template <class T>
std::vector<int32_t> elimination_order(const SharedLdl<T>& factor) {
  std::vector<int32_t> order(factor->plan().n());
  for_columns(*factor, [&](int32_t s, int64_t j, int32_t place) { order[place] = factor->plan().by.order[factor->row(s, j)]; });
  return order;
}

template <class T>
void solve_ldl(const SharedLdl<T>& factor, const T* b, T* x, int64_t r, Half half) {
  constexpr int64_t kColumns = 16; // for one worker
  const int64_t n = factor->plan().n(), parts = (r + kColumns - 1) / kColumns;
  const auto& place = factor->plan().by.place;
  std::vector<int32_t> row(n); // of b and x, in the numbering of the plan
  for_columns(*factor, [&](int32_t s, int64_t j, int32_t k) { row[factor->row(s, j)] = k; });
  if (half == Half::both) {
    for (int64_t i = 0; i < n; ++i) row[place[i]] = static_cast<int32_t>(i);
  }
  run_parts(static_cast<int>(parts), [&](int p) {
    const int64_t first = p * kColumns, width = std::min(kColumns, r - first);
    Buffer<T> some(n * width);
    for (int64_t i = 0; i < n; ++i) std::copy_n(b + row[i] * r + first, width, some.get() + i * width);
    if (half != Half::upper) solve_lower(*factor, some.get(), width);
    if (half == Half::both) solve_diagonal(*factor, some.get(), width);
    if (half != Half::lower) solve_upper(*factor, some.get(), width);
    for (int64_t i = 0; i < n; ++i) std::copy_n(some.get() + i * width, width, x + row[i] * r + first);
  });
}

template <class T>
int64_t lower_entries(const SharedLdl<T>& factor) {
  int64_t total = 0;
  for_columns(*factor, [&](int32_t s, int64_t j, int32_t) { total += factor->height(s) - j; });
  return total;
}

template <class T>
void lower_triangle(const SharedLdl<T>& factor, T* data, int32_t* indices, int64_t* indptr) {
  std::vector<int32_t> at(factor->plan().n());
  for_columns(*factor, [&](int32_t s, int64_t j, int32_t place) { at[factor->row(s, j)] = place; });
  int64_t out = 0;
  *indptr++ = 0;
  for_columns(*factor, [&](int32_t s, int64_t j, int32_t) {
    const int64_t m = factor->height(s);
    for (int64_t i = j; i < m; ++i) {
      indices[out] = at[factor->row(s, i)];
      data[out++] = i == j ? T(1) : factor->panel(s)[j * m + i];
    }
    *indptr++ = out;
  });
}

template <class T>
void pivots_of(const SharedLdl<T>& factor, real_t<T>* diagonal, T* beside) {
  for (int32_t s = 0; s < factor->plan().nodes.count(); ++s) {
    const int64_t k = factor->done(s);
    std::fill_n(beside, k, T(0));
    for_pivots(factor->panel(s), factor->height(s), k, [&](int64_t j, real_t<T> d) { diagonal[j] = d; }, [&](int64_t j, Pair<T> D) {
      diagonal[j] = D.a;
      diagonal[j + 1] = D.b;
      beside[j] = D.c;
    });
    diagonal += k;
    beside += k;
  }
}

template <class T>
void inverse_entries(const SharedLdl<T>& factor, const int64_t* indptr, const int32_t* indices, T* values, real_t<T>* diagonal) {
  const auto& by = factor->plan().by;
  std::vector<int32_t> when(factor->plan().n());
  for_columns(*factor, [&](int32_t s, int64_t j, int32_t place) { when[factor->row(s, j)] = place; });
  selected_inverse(*factor, [&](int32_t s, const int32_t* at, const T* Z) {
    for (int64_t j = 0; j < factor->done(s); ++j) {
      const int32_t own = factor->row(s, j), v = by.order[own];
      const T* column = Z + j * factor->height(s);
      diagonal[v] = std::real(column[j]);
      for (int64_t e = indptr[v]; e < indptr[v + 1]; ++e) {
        if (const int32_t i = by.place[indices[e]]; when[i] >= when[own]) values[e] = column[at[i]];
      }
    }
  });
}

#define SP_INSTANTIATE(T)                                                                  \
  template SharedLdl<T> factor_ldl(const SharedPlan&, const T*);                           \
  template std::vector<int32_t> elimination_order(const SharedLdl<T>&);                    \
  template void solve_ldl(const SharedLdl<T>&, const T*, T*, int64_t, Half);               \
  template int64_t lower_entries(const SharedLdl<T>&);                                     \
  template void lower_triangle(const SharedLdl<T>&, T*, int32_t*, int64_t*);               \
  template void pivots_of(const SharedLdl<T>&, real_t<T>*, T*);                            \
  template void inverse_entries(const SharedLdl<T>&, const int64_t*, const int32_t*, T*, real_t<T>*);
SP_FOR_BLAS_TYPES(SP_INSTANTIATE)
#undef SP_INSTANTIATE

} // namespace sp
