// Order and uniqueness of the entries of a slice: checks, sorting, duplicate and zero removal.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "compact.h"
#include "sort.h"
#include "sum.h"
#include "view.h"

namespace sp {

// Whether ok(slice) holds for every slice; stops early.
template <class I, class F>
bool all_slices(size_t n_major, const I* indptr, F&& ok) {
  std::atomic<bool> failed{false};
  const int parts = plan_parts((static_cast<size_t>(indptr[n_major]) + n_major) / 2);
  const auto bounds = balance(indptr, n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      if (ok(i)) continue;
      failed.store(true, std::memory_order_relaxed);
      return;
    }
  });
  return !failed.load();
}

// Branch-free inside: slices are short and mostly in order.
template <class I>
bool slice_in_order(const I* first, const I* last, bool strict) {
  bool bad = false;
  if (strict) {
    for (const I* x = first; x + 1 < last; ++x) bad |= x[1] <= x[0];
  } else {
    for (const I* x = first; x + 1 < last; ++x) bad |= x[1] < x[0];
  }
  return !bad;
}

enum class Order { strict, loose, none };

// How the indices of one slice stand, in one pass.
template <class I>
Order slice_order(const I* first, const I* last) {
  bool falls = false, stays = false;
  for (const I* x = first; x + 1 < last; ++x) {
    falls |= x[1] < x[0];
    stays |= x[1] == x[0];
  }
  return falls ? Order::none : stays ? Order::loose : Order::strict;
}

// Nondecreasing indices within each slice.
template <class I>
bool cs_is_sorted(CsPattern<I> a) {
  return all_slices(a.n_major, a.indptr,
                    [=](size_t i) { return slice_in_order(a.indices + a.indptr[i], a.indices + a.indptr[i + 1], false); });
}

// Strictly increasing indices within each slice: sorted and without duplicates.
template <class I>
bool cs_is_canonical(CsPattern<I> a) {
  return all_slices(a.n_major, a.indptr,
                    [=](size_t i) { return slice_in_order(a.indices + a.indptr[i], a.indices + a.indptr[i + 1], true); });
}

enum class Fault { none, indptr_start, indptr_order, indptr_end, index_bounds };
struct Check {
  Fault fault = Fault::none;
  size_t position = 0; // of the first offender in indptr or in indices
};

// The first e in [0, n) with sign(e) < 0, or n. A sign bit, because that much vectorises on every machine.
template <class F>
size_t first_negative(size_t n, F&& sign) {
  std::atomic<size_t> found{n};
  parallel_for(n, plan_parts(n / 2), [&](size_t lo, size_t hi) {
    constexpr size_t block = 4096;
    for (size_t b = lo; b < hi && b < found.load(std::memory_order_relaxed); b += block) {
      const size_t end = std::min(hi, b + block);
      decltype(sign(b)) any = 0;
      for (size_t e = b; e < end; ++e) any |= sign(e);
      if (any >= 0) continue;
      size_t e = b;
      while (sign(e) >= 0) ++e;
      size_t seen = found.load();
      while (e < seen && !found.compare_exchange_weak(seen, e)) {}
      return;
    }
  });
  return found.load();
}

// Whether the structure may be read safely: indptr starts at 0, never falls, ends within `count` indices; 0 <= index <
// n_minor.
template <class I>
Check cs_check(CsPattern<I> a, size_t count) {
  const I *indptr = a.indptr, *indices = a.indices;
  const size_t n_major = a.n_major;
  if (indptr[0] != 0) return {Fault::indptr_start, 0};
  using U = std::make_unsigned_t<I>;
  // Negative where it falls; where a bound is negative too, which it cannot be before the first fall.
  size_t at = first_negative(n_major, [=](size_t i) {
    return static_cast<I>((U(indptr[i + 1]) - U(indptr[i])) | U(indptr[i + 1]) | U(indptr[i]));
  });
  if (at < n_major) return {Fault::indptr_order, at + 1};
  const size_t used = static_cast<size_t>(indptr[n_major]);
  if (used > count) return {Fault::indptr_end, n_major};
  const U last = static_cast<U>(a.n_minor) - 1;
  at = first_negative(used, [=](size_t e) { return static_cast<I>(U(indices[e]) | (last - U(indices[e]))); });
  if (at < used) return {Fault::index_bounds, at};
  return {};
}

// Entries up to which n^2 comparisons of a slice cost less than the branches that a sort guesses wrong.
constexpr size_t kCountedSlice = 24;

// Stable order of one slice.
template <class I>
class SliceOrder {
 public:
  // Calls visit(rank, position, index) for x[0 .. n) in order; it may write to x.
  template <class F>
  void run(const I* x, size_t n, F&& visit) {
    if (n <= kCountedSlice) {
      Key sorted[kCountedSlice];
      count_ranks(x, n, sorted);
      for (size_t r = 0; r < n; ++r) visit(r, size_t(sorted[r].position), sorted[r].index);
    } else if constexpr (sizeof(I) == 4) {
      packed_.resize(n);
      for (size_t e = 0; e < n; ++e) packed_[e] = (uint64_t(uint32_t(x[e])) << 32) | e;
      watched_sort(packed_.begin(), packed_.end(), std::less<>());
      for (size_t r = 0; r < n; ++r) visit(r, size_t(uint32_t(packed_[r])), I(packed_[r] >> 32));
    } else {
      keys_.resize(n);
      for (size_t e = 0; e < n; ++e) keys_[e] = {x[e], uint32_t(e)};
      watched_sort(keys_.begin(), keys_.end(), std::less<>());
      for (size_t r = 0; r < n; ++r) visit(r, size_t(keys_[r].position), keys_[r].index);
    }
  }

 private:
  struct Key {
    I index;
    uint32_t position;
    bool operator<(const Key& o) const { return index < o.index || (index == o.index && position < o.position); }
  };

  static void count_ranks(const I* x, size_t n, Key* sorted) {
    for (size_t e = 0; e < n; ++e) {
      const I index = x[e];
      size_t rank = 0;
      for (size_t j = 0; j < e; ++j) rank += x[j] <= index;
      for (size_t j = e + 1; j < n; ++j) rank += x[j] < index;
      sorted[rank] = {index, static_cast<uint32_t>(e)};
    }
  }

  std::vector<uint64_t> packed_; // index in the high half, position in the low one
  std::vector<Key> keys_;
};

// Each slice in nondecreasing order of index, equal indices in input order. No aliasing. Sorted slices are copied.
// Cost: O(nnz log slice). A slice holds fewer than 2**32 entries.
template <class W, class I>
void cs_sort_indices(CsView<W, I> a, I* out_indices, W* out_data) {
  const I *indptr = a.indptr, *indices = a.indices;
  const W* data = a.data;
  const int parts = plan_parts(4 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    SliceOrder<I> order;
    Watch watch;
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const size_t from = static_cast<size_t>(indptr[i]), n = static_cast<size_t>(indptr[i + 1]) - from;
      watch(4 * n + 1);
      const I* x = indices + from;
      if (slice_in_order(x, x + n, false)) {
        std::copy_n(x, n, out_indices + from);
        std::copy_n(data + from, n, out_data + from);
        continue;
      }
      order.run(x, n, [&](size_t rank, size_t position, I index) {
        out_indices[from + rank] = index;
        out_data[from + rank] = data[from + position];
      });
    }
  });
}

// First phase of sum_duplicates. Slices in any order; map[e] = rank of entry e's index among its slice's distinct
// indices. map may be null when the slices are sorted. Lengths of the result's slices go to out_indptr + 1.
template <class I>
void cs_count_unique(CsPattern<I> a, I* out_indptr, I* map) {
  const I *indptr = a.indptr, *indices = a.indices;
  const int parts = plan_parts((map ? 4 : 1) * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    SliceOrder<I> order;
    Watch watch;
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const size_t from = static_cast<size_t>(indptr[i]), n = static_cast<size_t>(indptr[i + 1]) - from;
      watch(4 * n + 1);
      const I* x = indices + from;
      I unique = n > 0;
      if (!map || slice_in_order(x, x + n, false)) {
        if (map && n) map[from] = 0;
        for (size_t e = 1; e < n; ++e) {
          unique += x[e] != x[e - 1];
          if (map) map[from + e] = unique - 1;
        }
      } else {
        I last = x[0];
        unique = 0;
        order.run(x, n, [&](size_t, size_t position, I index) {
          unique += unique == 0 || index != last;
          last = index;
          map[from + position] = unique - 1;
        });
      }
      out_indptr[i + 1] = unique;
    }
  });
}

// Second phase where the values are to be summed elsewhere: place[e] = the entry of the result that entry e adds to.
// out_indptr and map come from cs_count_unique, map not null. Cost: O(nnz).
template <class I>
void cs_unique_places(CsPattern<I> a, const I* map, const I* out_indptr, I* out_indices, I* place) {
  const I *indptr = a.indptr, *indices = a.indices;
  const int parts = plan_parts(2 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      for (I e = indptr[i]; e < indptr[i + 1]; ++e) {
        const I at = out_indptr[i] + map[e];
        place[e] = at;
        out_indices[at] = indices[e];
      }
    }
  });
}

// One entry for each distinct index of n sorted ones, values summed in input order (RunningSum); returns how many. In
// place is allowed.
template <class T, class I>
size_t sum_equal(size_t n, const I* indices, const void* values, I* out_indices, void* out_values) {
  const T* data = static_cast<const T*>(values);
  T* out = static_cast<T*>(out_values);
  size_t slot = 0;
  for (size_t e = 0; e < n; ++slot) {
    const I index = indices[e];
    T value = data[e++];
    if (e < n && indices[e] == index) {
      if (e + 1 == n || indices[e + 1] != index) { // of two, as accurate as any
        value = add(value, data[e++]);
      } else {
        RunningSum<T> sum(value);
        do sum.add(data[e]); while (++e < n && indices[e] == index);
        value = sum.value();
      }
    }
    out_indices[slot] = index;
    out[slot] = value;
  }
  return slot;
}

// sum_equal for values of this dtype: all else here only moves them, so that types of one width W share it.
template <class I>
using SumEqual = size_t (*)(size_t n, const I* indices, const void* values, I* out_indices, void* out_values);
template <class I>
SumEqual<I> sum_equal_of(mx::Dtype dtype) {
  SumEqual<I> found;
  dispatch_unsigned(dtype, [&](auto t) { found = &sum_equal<typename decltype(t)::type, I>; });
  return found;
}

// Second phase: one entry per distinct index of a sorted slice. out_indptr comes from cs_count_unique. No aliasing.
// Cost: O(nnz).
template <class W, class I>
void cs_sum_duplicates(CsView<W, I> a, SumEqual<I> sum, CsOut<W, I> out) {
  const I *indptr = a.indptr, *indices = a.indices, *out_indptr = out.indptr;
  const W* data = a.data;
  I* out_indices = out.indices;
  W* out_data = out.data;
  const int parts = plan_parts(2 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [&](int p) {
    Watch watch;
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const size_t from = static_cast<size_t>(indptr[i]), to = static_cast<size_t>(out_indptr[i]);
      size_t same = i; // slices i .. same have no duplicates: copied together
      while (same < bounds[p + 1] && static_cast<size_t>(indptr[same + 1]) - out_indptr[same + 1] == from - to) ++same;
      if (same > i) {
        const size_t count = static_cast<size_t>(indptr[same]) - from;
        std::copy_n(indices + from, count, out_indices + to);
        std::copy_n(data + from, count, out_data + to);
        i = same - 1;
        continue;
      }
      const size_t n = static_cast<size_t>(indptr[i + 1]) - from;
      watch(2 * n + 1);
      sum(n, indices + from, data + from, out_indices + to, out_data + to);
    }
  });
}

// Writes slices with sorted, distinct indices. `in_place`: into the buffers that they are in, not behind their starts.
template <class W, class I>
class CanonicalSlice {
 public:
  CanonicalSlice(SumEqual<I> sum, bool in_place) : sum_(sum), in_place_(in_place) {}

  // Returns the new length.
  size_t operator()(size_t n, const I* indices, const W* data, I* out_indices, W* out_data) {
    const Order order = slice_order(indices, indices + n);
    if (order == Order::strict) {
      if (out_indices == indices) return n;
      std::memmove(out_indices, indices, n * sizeof(I));
      std::memmove(out_data, data, n * sizeof(W));
      return n;
    }
    if (order == Order::loose) return sum_(n, indices, data, out_indices, out_data);
    if (in_place_) {
      values_.assign(data, data + n);
      data = values_.data();
    }
    bool distinct = true;
    order_.run(indices, n, [&](size_t rank, size_t position, I index) {
      distinct &= rank == 0 || index != out_indices[rank - 1];
      out_indices[rank] = index;
      out_data[rank] = data[position];
    });
    return distinct ? n : sum_(n, out_indices, out_data, out_indices, out_data);
  }

 private:
  SumEqual<I> sum_;
  bool in_place_;
  SliceOrder<I> order_;
  std::vector<W> values_;
};

// Sorts each slice and sums its duplicates in place, for buffers that nothing else can see; returns the number of
// entries left. Cost: O(nnz log slice).
template <class W, class I>
size_t cs_canonicalize(size_t n_major, CsOut<W, I> a, SumEqual<I> sum) {
  I *indptr = a.indptr, *indices = a.indices;
  W* data = a.data;
  const int parts = plan_parts(2 * static_cast<size_t>(indptr[n_major]) + n_major);
  const auto bounds = balance(indptr, n_major, parts);
  std::vector<size_t> first(parts), kept(parts);
  for (int p = 0; p < parts; ++p) first[p] = static_cast<size_t>(indptr[bounds[p]]);
  const size_t nnz = static_cast<size_t>(indptr[n_major]);
  run_parts(parts, [&](int p) {
    CanonicalSlice<W, I> canonical(sum, true);
    Watch watch;
    size_t slot = first[p], from = first[p];
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      // The next part's first entry of indptr is being rewritten by its owner.
      const size_t end = i + 1 < bounds[p + 1] ? static_cast<size_t>(indptr[i + 1]) : p + 1 < parts ? first[p + 1] : nnz;
      watch(4 * (end - from) + 1);
      const size_t length = canonical(end - from, indices + from, data + from, indices + slot, data + slot);
      indptr[i] = static_cast<I>(length);
      slot += length;
      from = end;
    }
    kept[p] = slot - first[p];
  });
  size_t total = kept[0];
  for (int p = 1; p < parts; total += kept[p++]) {
    if (total == first[p]) continue;
    std::memmove(indices + total, indices + first[p], kept[p] * sizeof(I));
    std::memmove(data + total, data + first[p], kept[p] * sizeof(W));
  }
  size_t at = 0;
  for (size_t i = 0; i < n_major; ++i) {
    const size_t length = static_cast<size_t>(indptr[i]);
    indptr[i] = static_cast<I>(at);
    at += length;
  }
  indptr[n_major] = static_cast<I>(at);
  return total;
}

} // namespace sp
