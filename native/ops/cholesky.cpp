#include "ops/cholesky.h"

#include "kernels/cholesky_solve.h"

namespace sp {

SharedPlan plan_cholesky(size_t n, const int64_t* indptr, const int32_t* indices, std::vector<int32_t> order,
                         CholeskyForm form) {
  return std::make_shared<const CholeskyPlan>(plan_cholesky<int32_t>(n, indptr, indices, std::move(order), form));
}

template <class T>
SharedFactor<T> factor_cholesky(const SharedPlan& plan, const T* values) {
  return std::make_shared<const CholeskyFactor<T>>(plan, values);
}

template <class T>
void solve_cholesky(const SharedFactor<T>& factor, const T* b, T* x, int64_t r, Half half) {
  constexpr int64_t kColumns = 16; // for one worker
  const auto& order = factor->plan().by.order;
  const int64_t n = factor->plan().n(), parts = (r + kColumns - 1) / kColumns;
  run_parts(static_cast<int>(parts), [&](int p) {
    const int64_t first = p * kColumns, width = std::min(kColumns, r - first);
    Buffer<T> some(n * width);
    auto row = [&](int64_t i) { return (half == Half::both ? order[i] : i) * r + first; };
    for (int64_t i = 0; i < n; ++i) std::copy_n(b + row(i), width, some.get() + i * width);
    if (half != Half::upper) solve_lower(*factor, some.get(), width);
    if (half != Half::lower) solve_upper(*factor, some.get(), width);
    for (int64_t i = 0; i < n; ++i) std::copy_n(some.get() + i * width, width, x + row(i));
  });
}

int64_t lower_entries(const SharedPlan& plan) {
  const auto& nodes = plan->nodes;
  int64_t total = 0;
  for (int32_t s = 0; s < nodes.count(); ++s) total += nodes.width(s) * nodes.height(s) - nodes.width(s) * (nodes.width(s) - 1) / 2;
  return total;
}

template <class T>
void lower_triangle(const SharedFactor<T>& factor, T* data, int32_t* indices, int64_t* indptr) {
  const auto& nodes = factor->plan().nodes;
  int64_t out = 0;
  *indptr++ = 0;
  for (int32_t s = 0; s < nodes.count(); ++s) {
    const int64_t m = nodes.height(s);
    const int32_t* rows = nodes.rows.data() + nodes.row_start[s];
    for (int64_t j = 0; j < nodes.width(s); ++j) {
      std::copy(rows + j, rows + m, indices + out);
      std::copy(factor->panel(s) + j * m + j, factor->panel(s) + (j + 1) * m, data + out);
      *indptr++ = out += m - j;
    }
  }
}

template <class T>
void pivots_of(const SharedFactor<T>& factor, real_t<T>* out) {
  const auto& nodes = factor->plan().nodes;
  for (int32_t s = 0; s < nodes.count(); ++s) {
    for (int64_t j = 0; j < nodes.width(s); ++j) *out++ = std::real(factor->panel(s)[j * (nodes.height(s) + 1)]);
  }
}

template <class T>
void inverse_entries(const SharedFactor<T>& factor, real_t<T>* diagonal, T* values) {
  const auto& plan = factor->plan();
  selected_inverse(*factor, [&](int32_t s, const T* Z) {
    for (int64_t e = plan.entry_start[s]; e < plan.entry_start[s + 1]; ++e) values[plan.entry[e]] = Z[plan.place[e]];
    for (int64_t j = 0; j < plan.nodes.width(s); ++j) diagonal[plan.nodes.first[s] + j] = std::real(Z[j * (plan.nodes.height(s) + 1)]);
  });
}

#define SP_INSTANTIATE(T)                                                          \
  template SharedFactor<T> factor_cholesky(const SharedPlan&, const T*);                       \
  template void solve_cholesky(const SharedFactor<T>&, const T*, T*, int64_t, Half);     \
  template void lower_triangle(const SharedFactor<T>&, T*, int32_t*, int64_t*);          \
  template void pivots_of(const SharedFactor<T>&, real_t<T>*);                             \
  template void inverse_entries(const SharedFactor<T>&, real_t<T>*, T*);
SP_FOR_BLAS_TYPES(SP_INSTANTIATE)
#undef SP_INSTANTIATE

} // namespace sp
