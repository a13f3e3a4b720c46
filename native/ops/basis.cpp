#include "ops/basis.h"

#include <cmath>

#include "parallel.h"

namespace sp {

namespace {

constexpr size_t kBlock = 1024; // elements, of which all rows are in cache at once

size_t blocks_of(size_t n) { return (n + kBlock - 1) / kBlock; }

// f(block, lo, hi) over blocks of elements.
template <class T, class F>
void over_blocks(BasisView<T> basis, F&& f) {
  parallel_for(blocks_of(basis.n), plan_parts((basis.count + 1) * basis.n / 2), [&](size_t first, size_t last) {
    for (size_t block = first; block < last; ++block) {
      check_interrupt();
      f(block, block * kBlock, std::min(basis.n, (block + 1) * kBlock));
    }
  });
}

template <class T>
std::vector<scalar_t<T>> joined(std::vector<wide_t<T>>& sums, size_t blocks, size_t k) {
  join_in_pairs(sums.data(), blocks, k, [](wide_t<T>& sum, const wide_t<T>& later) { sum = add(sum, later); });
  return std::vector<scalar_t<T>>(sums.begin(), sums.begin() + static_cast<ptrdiff_t>(k));
}

template <class T>
std::vector<T> negative(const std::vector<scalar_t<T>>& h) {
  std::vector<T> out;
  for (const auto& c : h) out.push_back(rounded<T>(scalar_t<T>{} - c));
  return out;
}

template <class T>
void dots(BasisView<T> basis, size_t lo, size_t hi, const T* v, wide_t<T>* out) {
#ifdef SP_AVX2
  if (has_avx2()) return rows_dot_avx2(basis, lo, hi, v, out);
#endif
  rows_dot(basis, lo, hi, v, out);
}

template <class T>
void remove(BasisView<T> basis, size_t lo, size_t hi, const T* h, const T* w, T* v, wide_t<T>* out) {
#ifdef SP_AVX2
  if (has_avx2()) return remove_rows_avx2(basis, lo, hi, h, w, v, out);
#endif
  remove_rows(basis, lo, hi, h, w, v, out);
}

} // namespace

template <class T>
Coefficients<T> extend_basis(BasisView<T> basis, const T* w, T* fresh, double slack) {
  const size_t m = basis.count, blocks = blocks_of(basis.n);
  std::vector<wide_t<T>> sums(blocks * (m + 1));
  over_blocks(basis, [&](size_t block, size_t lo, size_t hi) { dots(basis, lo, hi, w + lo, &sums[block * m]); });
  auto h = joined<T>(sums, blocks, m);
  // What is left, its coefficients along the rows and its squared norm.
  const auto without = [&](const std::vector<scalar_t<T>>& along, const T* from) {
    const auto minus = negative<T>(along);
    over_blocks(basis, [&](size_t block, size_t lo, size_t hi) {
      remove(basis, lo, hi, minus.data(), from + lo, fresh + lo, &sums[block * (m + 1)]);
    });
    return joined<T>(sums, blocks, m + 1);
  };
  auto again = without(h, w);
  double square = real_part(again[m]), rest = 0;
  again.pop_back();
  for (const auto& c : again) rest = std::hypot(rest, modulus(c));
  if (rest > slack * std::sqrt(square)) {
    for (size_t k = 0; k < m; ++k) h[k] = add(h[k], again[k]);
    square = real_part(without(again, fresh)[m]);
  }
  const double length = std::sqrt(square);
  if (length != 0) {
    const T one{}, inverse = rounded<T>(scalar_t<T>(1 / length));
    over_blocks(BasisView<T>{fresh, 1, basis.n}, [&](size_t, size_t lo, size_t hi) {
      update_block(UpdateKind::overwrite, fresh + lo, &one, &inverse, fresh + lo, hi - lo, 0);
    });
  }
  h.push_back(scalar_t<T>(length));
  return h;
}

template <class T>
void combine_basis(BasisView<T> basis, const T* y, T* v) {
  over_blocks(basis, [&](size_t, size_t lo, size_t hi) {
    std::fill(v + lo, v + hi, T{});
#ifdef SP_AVX2
    if (has_avx2()) return add_rows_avx2(basis, lo, hi, y, v + lo);
#endif
    add_rows(basis, lo, hi, y, v + lo);
  });
}

#define SP_BASIS(T)                                                                 \
  template Coefficients<T> extend_basis(BasisView<T>, const T*, T*, double slack); \
  template void combine_basis(BasisView<T>, const T*, T*);
SP_BASIS(float)
SP_BASIS(double)
SP_BASIS(complex64_t)
SP_BASIS(WideComplex)

} // namespace sp
