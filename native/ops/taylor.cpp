#include "ops/taylor.h"

#include <algorithm>

#include "kernels/field.h"
#include "kernels/product.h"
#include "kernels/repeated.h"
#include "ops/sized.h"

namespace sp {

namespace {

template <class T>
T scalar(std::complex<double> c) {
  if constexpr (is_real_v<T>) return static_cast<T>(c.real());
  else return T(static_cast<real_t<T>>(c.real()), static_cast<real_t<T>>(c.imag()));
}

// Bounds of |x| from above and from below, which a series only needs to know when to stop.
template <class T>
double at_most(T x) {
  if constexpr (is_real_v<T>) return std::abs(x);
  else return std::abs(x.real()) + std::abs(x.imag());
}

template <class T>
double at_least(T x) {
  if constexpr (is_real_v<T>) return std::abs(x);
  else return std::max(std::abs(x.real()), std::abs(x.imag()));
}

template <class T>
struct Term {
  size_t k;
  const T* x;
  T *y, *total;
  T factor, shift;

  // The rest of the rows first .. last, whose products stand in y: these are still in cache.
  std::pair<double, double> finish(size_t first, size_t last) const {
    if (!total) {
      for (size_t j = first * k; j < last * k; ++j) y[j] = mul(factor, minus_product(y[j], shift, x[j]));
      return {0, 0};
    }
    if (k == 1) return finish_vector(first, last);
    for (size_t j = first * k; j < last * k; ++j) {
      y[j] = mul(factor, minus_product(y[j], shift, x[j]));
      total[j] = add(total[j], y[j]);
    }
    double size = 0, sum = 0;
    for (size_t i = first; i < last; ++i) {
      double of_y = 0, of_total = 0;
      for (size_t j = i * k; j < (i + 1) * k; ++j) {
        of_y += at_most(y[j]);
        of_total += at_least(total[j]);
      }
      size = std::max(size, of_y);
      sum = std::max(sum, of_total);
    }
    return {size, sum};
  }

  std::pair<double, double> finish_vector(size_t first, size_t last) const {
    constexpr size_t lanes = 4; // maxima that do not wait for each other
    double size[lanes] = {}, sum[lanes] = {};
    const auto element = [&](size_t j, size_t l) {
      const T value = mul(factor, minus_product(y[j], shift, x[j])), now = add(total[j], value);
      y[j] = value;
      total[j] = now;
      size[l] = std::max(size[l], at_most(value));
      sum[l] = std::max(sum[l], at_least(now));
    };
    size_t j = first;
    for (; j + lanes <= last; j += lanes) {
      for (size_t l = 0; l < lanes; ++l) element(j + l, l);
    }
    for (; j < last; ++j) element(j, 0);
    return {*std::max_element(size, size + lanes), *std::max_element(sum, sum + lanes)};
  }
};

template <class T, class I>
std::pair<double, double> run_term(CsView<T, I> a, const Diagonals<T>* diagonals, const Term<T>& term) {
  const size_t k = term.k, rows = std::max<size_t>(1, 2048 / k);
  const int parts = plan_parts(product_work(a.nnz(), a.n_major, k));
  const auto bounds = balance(a.indptr, a.n_major, parts);
  std::vector<std::pair<double, double>> sizes(static_cast<size_t>(parts), {0, 0});
  run_parts(parts, [&](int part) {
    auto& [size, sum] = sizes[static_cast<size_t>(part)];
    for (size_t m = bounds[part]; m < bounds[part + 1]; m += rows) {
      const size_t stop = std::min(m + rows, bounds[part + 1]);
      if (diagonals) diagonals_dot(m, stop, *diagonals, term.x, term.y);
      else if (k == 1) slices_dot(m, stop, a, term.x, term.y);
      else slices_times(m, stop, a, term.x, term.y, k);
      const auto [more, total] = term.finish(m, stop);
      size = std::max(size, more);
      sum = std::max(sum, total);
    }
  });
  std::pair<double, double> all{0, 0};
  for (const auto& [size, sum] : sizes) all = {std::max(all.first, size), std::max(all.second, sum)};
  return all;
}

} // namespace

TaylorRows::TaylorRows(const Compressed& a) : a_(evaluated(a)) {}

std::pair<double, double> TaylorRows::term(const TaylorTerm& term, std::complex<double> factor, std::complex<double> shift) {
  if (a_.n_major() != term.n) throw std::invalid_argument("the operand has another number of rows");
  if (term.n == 0 || term.k == 0) return {0, 0};
  return with_index(a_.indices, [&](auto i) {
    return dispatch_field(dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      const auto a = view_of<T, typename decltype(i)::type>(parts(a_), term.n);
      if (term.k == 1 && ++uses_ == kRepeats) {
        try {
          if (auto found = make_diagonals(a)) diagonals_ = std::make_shared<Diagonals<T>>(std::move(*found));
        } catch (const std::bad_alloc&) {
        }
      }
      const auto* diagonals = term.k == 1 ? static_cast<const Diagonals<T>*>(diagonals_.get()) : nullptr;
      return run_term(a, diagonals, Term<T>{term.k, static_cast<const T*>(term.x), static_cast<T*>(term.y),
                                            static_cast<T*>(term.total), scalar<T>(factor), scalar<T>(shift)});
    });
  });
}

} // namespace sp
