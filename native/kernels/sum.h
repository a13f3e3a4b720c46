// What sums of values are held in, and how they are taken so that errors do not grow with the number of values: float32
// and 16-bit floats in float64, float64 in blocks that are joined in pairs. Integers wrap.
#pragma once

#include <cstddef>

#include "../dispatch.h"
#include "tile.h"

namespace sp {

template <class T> struct Wide { using type = T; };
template <> struct Wide<float> { using type = double; };
template <> struct Wide<float16_t> { using type = double; };
template <> struct Wide<bfloat16_t> { using type = double; };
template <> struct Wide<complex64_t> { using type = WideComplex; };
template <class T>
using wide_t = typename Wide<T>::type;

template <class T>
inline wide_t<T> widen(T x) {
  if constexpr (std::is_same_v<wide_t<T>, double>) return static_cast<double>(static_cast<acc_t<T>>(x));
  else return x;
}

// A sum, or another state that is a number, as a value.
template <class T, class A>
inline T rounded(A x) {
  if constexpr (std::is_same_v<T, complex64_t> && std::is_same_v<A, WideComplex>) {
    return T(static_cast<float>(x.re), static_cast<float>(x.im));
  } else return static_cast<T>(static_cast<acc_t<T>>(x));
}

// join(state, later) of `count` rows of k states, neighbours first; the result stands in the first row.
template <class State, class Join>
void join_in_pairs(State* states, size_t count, size_t k, Join&& join) {
  for (size_t apart = 1; apart < count; apart *= 2) {
    for (size_t b = 0; b + apart < count; b += 2 * apart) {
      for (size_t j = 0; j < k; ++j) join(states[b * k + j], states[(b + apart) * k + j]);
    }
  }
}

constexpr size_t kSumBlock = 256; // values that are added up in partial sums
constexpr size_t kFewValues = 64;  // so many make partial sums in acc_t, which rounds no more often than pairs would
// Partial sums: as many as the additions that a processor has under way, where nothing but they takes time.
template <class T>
constexpr int kPartialSums = std::is_same_v<T, double> ? 16 : 8;

#ifdef SP_AVX2
// sum[j] += x[p + j] for every whole group of eight, in the order of the plain loop.
SP_AVX2 inline size_t add_groups_avx2(size_t lo, size_t hi, const float* x, double* sum) {
  __m256d low = _mm256_loadu_pd(sum), high = _mm256_loadu_pd(sum + 4);
  for (; lo + 8 <= hi; lo += 8) {
    low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm_loadu_ps(x + lo)));
    high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm_loadu_ps(x + lo + 4)));
  }
  _mm256_storeu_pd(sum, low);
  _mm256_storeu_pd(sum + 4, high);
  return lo;
}
#endif

// The sum of data[lo .. hi) in partial sums held in A.
template <class A, class T>
inline A partial_sums(size_t lo, size_t hi, const T* data) {
  constexpr int count = kPartialSums<T>;
  const auto held = [](T x) {
    if constexpr (std::is_same_v<A, wide_t<T>>) return widen(x);
    else return static_cast<A>(x);
  };
  A sum[count] = {};
  size_t p = lo;
#ifdef SP_AVX2
  if constexpr (std::is_same_v<T, float> && std::is_same_v<A, double>) {
    if (has_avx2()) p = add_groups_avx2(lo, hi, data, sum);
  }
#endif
  for (; p + count <= hi; p += count) {
    for (int j = 0; j < count; ++j) sum[j] = add(sum[j], held(data[p + j]));
  }
  for (int j = 0; p < hi; ++p, ++j) sum[j] = add(sum[j], held(data[p]));
  for (int width = count / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) sum[j] = add(sum[j], sum[j + width]);
  }
  return sum[0];
}

// The sum of data[lo .. hi), hi - lo <= kSumBlock.
template <class T>
inline wide_t<T> block_sum(size_t lo, size_t hi, const T* data) {
  if (hi - lo > kFewValues) return partial_sums<wide_t<T>>(lo, hi, data);
  if (hi - lo >= 8) {
    const acc_t<T> sum = partial_sums<acc_t<T>>(lo, hi, data);
    if constexpr (std::is_same_v<acc_t<T>, T>) return widen(sum);
    else return sum;
  }
  wide_t<T> sum{};
  for (size_t p = lo; p < hi; ++p) sum = add(sum, widen(data[p]));
  return sum;
}

// The sum of data[lo .. hi): of blocks, as join_in_pairs joins them.
template <class T>
wide_t<T> value_sum(size_t lo, size_t hi, const T* data) {
  if (hi - lo <= kSumBlock) return block_sum(lo, hi, data);
  size_t half = kSumBlock;
  while (2 * half < hi - lo) half *= 2;
  const auto first = value_sum(lo, lo + half, data); // as an argument it might come second, and memory be read backwards
  return add(first, value_sum(lo + half, hi, data));
}

// A sum of values that come one by one; of doubles with what their additions round off.
template <class T>
class RunningSum {
 public:
  RunningSum() = default;
  explicit RunningSum(T first) : sum_(widen(first)) {}
  void add(T x) { sum_ = sp::add(sum_, widen(x)); }
  T value() const { return rounded<T>(sum_); }

 private:
  wide_t<T> sum_{};
};

template <>
class RunningSum<double> {
 public:
  RunningSum() = default;
  explicit RunningSum(double first) : sum_(first) {}
  void add(double x) {
    const double next = sum_ + x, part = next - sum_;
    rest_ += (sum_ - (next - part)) + (x - part);
    sum_ = next;
  }
  double value() const {
    if (rest_ == 0) return sum_;
    const double all = sum_ + rest_;
    return all == all ? all : sum_; // what infinities round off is no number
  }

 private:
  double sum_ = 0, rest_ = 0;
};

template <>
class RunningSum<WideComplex> {
 public:
  RunningSum() = default;
  explicit RunningSum(WideComplex first) : re_(first.re), im_(first.im) {}
  void add(WideComplex x) {
    re_.add(x.re);
    im_.add(x.im);
  }
  WideComplex value() const { return {re_.value(), im_.value()}; }

 private:
  RunningSum<double> re_, im_;
};

} // namespace sp
