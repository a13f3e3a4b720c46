// Sorting by keys below a known bound, in linear time, and where equal keys stand.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "../parallel.h"

namespace sp {

// std::sort, which can be interrupted where it is long.
template <class It, class Less>
void watched_sort(It first, It last, Less less) {
  if (last - first < (1 << 20)) return std::sort(first, last, less);
  Watch watch;
  std::sort(first, last, [&](const auto& a, const auto& b) {
    watch(4);
    return less(a, b);
  });
}

// Whether x[0 .. n) never decreases.
template <class I>
bool is_nondecreasing(size_t n, const I* x) {
  std::atomic<bool> falls{false};
  parallel_for(n, plan_parts(n / 2), [&](size_t lo, size_t hi) {
    constexpr size_t block = 4096;
    for (size_t b = std::max<size_t>(lo, 1); b < hi && !falls.load(std::memory_order_relaxed); b += block) {
      bool bad = false;
      for (size_t e = b, end = std::min(hi, b + block); e < end; ++e) bad |= x[e] < x[e - 1];
      if (bad) falls.store(true, std::memory_order_relaxed);
    }
  });
  return !falls.load();
}

// offsets[i] = first position of key i among `count` nondecreasing keys, offsets[n] = end of the last key below n. Keys
// that are not `sorted` give offsets that still never fall and stay within count, but not those of their groups.
// Cost: O(count + n), in parallel for sorted keys.
template <class I>
void offsets_of_sorted(size_t count, size_t n, const I* keys, bool sorted, I* offsets) {
  const auto most = static_cast<int64_t>(n);
  auto row_of = [=](I key) { return static_cast<size_t>(std::min(std::max(static_cast<int64_t>(key), int64_t{-1}), most) + 1); };
  auto fill = [=](size_t& row, size_t stop, size_t e) {
    for (; row < stop; ++row) offsets[row] = static_cast<I>(e);
  };
  parallel_for(count, sorted ? plan_parts(count + n) : 1, [=](size_t lo, size_t hi) {
    size_t row = lo ? row_of(keys[lo - 1]) : 0;
    for (size_t e = lo; e < hi; ++e) fill(row, row_of(keys[e]), e);
    if (hi == count) fill(row, n + 1, count);
  });
}

// Turns counts into slots. in: counts[p][k] of part p and key k; out: the first slot of that part and key.
// The last part's counts stand in out_indptr + 1, so that when its slots have been used up out_indptr is complete.
template <class I>
void counts_to_slots(size_t n_keys, int parts, I* scratch, I* out_indptr) {
  if (parts == 1) { // most often, where keys are many more than entries
    I slot = 0;
    for (size_t k = 1; k <= n_keys; ++k) slot += std::exchange(out_indptr[k], slot);
    out_indptr[0] = 0;
    return;
  }
  auto counts = [&](int p) { return p + 1 < parts ? scratch + size_t(p) * n_keys : out_indptr + 1; };
  std::vector<size_t> first(parts + 1, 0);
  run_parts(parts - 1, [&](int b) { // where the last piece ends nobody asks
    size_t total = 0;
    for (int p = 0; p < parts; ++p) {
      const I* c = counts(p);
      for (size_t k = n_keys * b / parts; k < n_keys * (b + 1) / parts; ++k) total += c[k];
    }
    first[b + 1] = total;
  });
  for (int b = 0; b < parts; ++b) first[b + 1] += first[b];
  run_parts(parts, [&](int b) {
    I slot = static_cast<I>(first[b]);
    for (size_t k = n_keys * b / parts; k < n_keys * (b + 1) / parts; ++k) {
      for (int p = 0; p < parts; ++p) {
        I& c = counts(p)[k];
        const I n = c;
        c = slot;
        slot += n;
      }
    }
  });
  out_indptr[0] = 0;
}

// Stable counting sort in `parts` pieces of the input, in order. count(p, n): ++n[key] for each entry of piece p;
// scatter(p, next): moves each to slot next[key]++. Scratch: (parts - 1) * n_keys counters.
template <class I, class Count, class Scatter>
void counting_sort(size_t n_keys, int parts, I* out_indptr, Count&& count, Scatter&& scatter) {
  std::unique_ptr<I[]> scratch(parts > 1 ? new I[(parts - 1) * n_keys] : nullptr);
  auto counts = [&](int p) { return p + 1 < parts ? scratch.get() + size_t(p) * n_keys : out_indptr + 1; };
  run_parts(parts, [&](int p) {
    std::fill_n(counts(p), n_keys, I{0});
    count(p, counts(p));
  });
  counts_to_slots(n_keys, parts, scratch.get(), out_indptr);
  run_parts(parts, [&](int p) { scatter(p, counts(p)); });
}

// Workers for a counting sort: their counters stay below a quarter of the `bytes` that are moved.
template <class I>
int plan_sort(size_t nnz, size_t n_keys, size_t bytes) {
  const size_t extra = bytes / 4 / (n_keys * sizeof(I) + 1);
  return plan_parts(2 * nnz + n_keys, static_cast<int>(1 + std::min<size_t>(extra, 63)));
}

// order[offsets[i] .. offsets[i + 1]) = the positions of key i, ascending; keys outside [0, n) are left out, and order is
// 0 behind the last position. Cost: O(count + parts * n).
template <class Key, class I>
void sort_by_key(size_t count, size_t n, const Key* keys, I* order, I* offsets) {
  offsets[0] = 0;
  const int parts = n ? plan_sort<I>(count, n, count * 2 * sizeof(I)) : 1;
  auto each = [=](int p, auto&& f) {
    for (size_t e = count * p / parts; e < count * (p + 1) / parts; ++e) {
      if (keys[e] >= 0 && static_cast<size_t>(keys[e]) < n) f(e, static_cast<size_t>(keys[e]));
    }
  };
  if (n) {
    counting_sort(
        n, parts, offsets, [&](int p, I* slots) { each(p, [&](size_t, size_t i) { ++slots[i]; }); },
        [&](int p, I* next) { each(p, [&](size_t e, size_t i) { order[next[i]++] = static_cast<I>(e); }); });
  }
  std::fill(order + offsets[n], order + count, I{0});
}

} // namespace sp
