// Selection and assignment on compressed storage, over (major, minor). Kernels that only move values are templated on
// their width W. A counting kernel leaves the lengths of the result's slices, in out_indptr + 1; when they have been
// summed, the kernel after it fills in the entries.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "compact.h"
#include "sum.h"
#include "view.h"

namespace sp {

// Positions (major[s], minor[s]) for s < n.
struct Pairs {
  size_t n;
  const int64_t *major, *minor;
};

// Slice k of the result is slice row(k): lengths, in out_indptr + 1. O(n).
template <class I, class Row>
void cs_take_major_count(CsPattern<I> a, size_t n, Row row, I* out_indptr) {
  const I* indptr = a.indptr;
  parallel_for(n, plan_parts(4 * n), [=](size_t lo, size_t hi) {
    for (size_t k = lo; k < hi; ++k) out_indptr[k + 1] = indptr[row(k) + 1] - indptr[row(k)];
  });
}

// One copy per slice, balanced over the result's entries. O(entries + n).
template <class W, class I, class Row>
void cs_take_major(CsView<W, I> a, size_t n, Row row, CsOut<W, I> out) {
  const I *indptr = a.indptr, *indices = a.indices;
  const W* data = a.data;
  const int parts = plan_parts(static_cast<size_t>(out.indptr[n]) + 4 * n);
  const auto bounds = balance(out.indptr, n, parts);
  run_parts(parts, [=, &bounds](int p) {
    Watch watch;
    for (size_t k = bounds[p]; k < bounds[p + 1]; ++k) {
      if (k + 8 < bounds[p + 1]) {
        const auto ahead = indptr[row(k + 8)];
        __builtin_prefetch(indices + ahead);
        __builtin_prefetch(data + ahead);
      }
      const size_t from = indptr[row(k)], to = out.indptr[k], count = out.indptr[k + 1] - to;
      watch(4 + count);
      std::copy_n(indices + from, count, out.indices + to);
      std::copy_n(data + from, count, out.data + to);
    }
  });
}

// The first of the sorted indices [begin, end) that is not below `bound`. Short slices are counted, without branches.
template <class I>
const I* first_not_below(const I* begin, const I* end, I bound) {
  if (end - begin > 24) return std::lower_bound(begin, end, bound);
  ptrdiff_t below = 0;
  for (const I* p = begin; p < end; ++p) below += *p < bound;
  return begin + below;
}

// Sorted slices, minor indices in [first, last): where each slice's part begins, and its length, in out_indptr + 1.
template <class I>
void cs_window_count(CsPattern<I> a, I first, I last, I* begins, I* out_indptr) {
  const I *indptr = a.indptr, *indices = a.indices;
  const int parts = plan_parts(a.nnz() / 2 + 4 * a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      const I *b = indices + indptr[m], *e = indices + indptr[m + 1];
      const I* from = first_not_below(b, e, first);
      begins[m] = static_cast<I>(from - indices);
      out_indptr[m + 1] = static_cast<I>(first_not_below(from, e, last) - from);
    }
  });
}

template <class W, class I>
void cs_window(CsView<W, I> a, const I* begins, I first, CsOut<W, I> out) {
  const I* indices = a.indices;
  const W* data = a.data;
  I* out_indices = out.indices;
  const int parts = plan_parts(static_cast<size_t>(out.indptr[a.n_major]) + 2 * a.n_major);
  const auto bounds = balance(out.indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      const size_t from = begins[m], to = out.indptr[m], count = out.indptr[m + 1] - to;
      for (size_t q = 0; q < count; ++q) out_indices[to + q] = indices[from + q] - first;
      std::copy_n(data + from, count, out.data + to);
    }
  });
}

// place(j): where minor index j goes, negative when it is dropped. An arithmetic progression start, start + step, ...
template <class I>
struct StridePlace {
  I start;
  bool backward;
  uint64_t span, step, magic = 0; // multiplication by magic divides and tests divisibility, below 2^32

  StridePlace(int64_t first, int64_t n, int64_t by)
      : start(static_cast<I>(first)), backward(by < 0), step(static_cast<uint64_t>(by < 0 ? -by : by)) {
    span = n > 0 ? static_cast<uint64_t>(n - 1) * step : 0;
    if (step > 1 && span < (uint64_t{1} << 32) && step < (uint64_t{1} << 32)) magic = ~uint64_t{0} / step + 1;
  }
  I operator()(I j) const {
    const uint64_t x = static_cast<uint64_t>(backward ? int64_t{start} - j : int64_t{j} - start);
    if (x > span) return -1;
    if (step == 1) return static_cast<I>(x);
    if (magic) return magic * x < magic ? static_cast<I>((static_cast<unsigned __int128>(magic) * x) >> 64) : I{-1};
    return x % step ? I{-1} : static_cast<I>(x / step);
  }
};

// Any list without repetitions.
template <class I>
struct TablePlace {
  const I* table;
  I operator()(I j) const { return table[j]; }
};

// The entries whose minor index place() keeps, for cs_filter.
template <class I, class Place>
struct PlacedEntries {
  static constexpr bool by_slice = false;
  const I* indices;
  Place to;
  bool kept(size_t, size_t e) const { return to(indices[e]) >= 0; }
  I place(size_t e) const { return to(indices[e]); }
};

// A list with repetitions: which results an index goes to, as a range of `order`, which has one element more than that:
// the first of an empty range can be read.
template <class I>
struct TableGroups {
  const I *first, *order;
  std::pair<const I*, const I*> operator()(I j) const { return {order + first[j], order + first[j + 1]}; }
};

// The same for an axis that is too long for a table: keys are sorted.
template <class I>
struct SearchGroups {
  const int64_t* keys;
  size_t n;
  const I* order;
  std::pair<const I*, const I*> operator()(I j) const {
    const auto found = std::equal_range(keys, keys + n, static_cast<int64_t>(j));
    return {order + (found.first - keys), order + (found.second - keys)};
  }
};

template <class I, class Groups>
void cs_repeat_count(CsPattern<I> a, Groups groups, I* out_indptr) {
  const I *indptr = a.indptr, *indices = a.indices;
  const int parts = plan_parts(4 * a.nnz() + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    Watch watch;
    for (size_t m = bounds[p]; m < bounds[p + 1]; ++m) {
      watch(4 * static_cast<size_t>(indptr[m + 1] - indptr[m]) + 1);
      size_t n = 0;
      for (I e = indptr[m]; e < indptr[m + 1]; ++e) {
        const auto g = groups(indices[e]);
        n += g.second - g.first;
      }
      out_indptr[m + 1] = static_cast<I>(n);
    }
  });
}

template <class W, class I, class Groups>
void cs_repeat(CsView<W, I> a, Groups groups, CsOut<W, I> out) {
  const I *indptr = a.indptr, *indices = a.indices;
  const W* data = a.data;
  I* out_indices = out.indices;
  W* out_data = out.data;
  const int parts = plan_parts(4 * static_cast<size_t>(out.indptr[a.n_major]) + a.n_major);
  const auto bounds = balance(indptr, a.n_major, parts);
  run_parts(parts, [=, &bounds](int p) {
    Watch watch;
    constexpr size_t block = 64; // to look for an interrupt costs more than an entry
    size_t n = out.indptr[bounds[p]];
    const size_t last = out.indptr[bounds[p + 1]];
    for (size_t e = indptr[bounds[p]]; n < last;) {
      const size_t before = n;
      for (const size_t stop = std::min<size_t>(indptr[bounds[p + 1]], e + block); e < stop && n < last; ++e) {
        auto [k, end] = groups(indices[e]);
        out_indices[n] = *k; // overwritten by the next entry where the group is empty, which is a coin's toss
        out_data[n] = data[e];
        for (n += k < end; ++k < end; ++n) {
          out_indices[n] = *k;
          out_data[n] = data[e];
        }
      }
      watch(4 * block + n - before);
    }
  });
}

// f(e) for every entry e of slice [b, e) whose minor index is j.
template <class I, class F>
void for_entries_at(const I* indices, I b, I e, I j, bool sorted, F&& f) {
  if (sorted) {
    for (const I* p = first_not_below(indices + b, indices + e, j); p < indices + e && *p == j; ++p) f(static_cast<I>(p - indices));
  } else {
    for (I q = b; q < e; ++q) if (indices[q] == j) f(q);
  }
}

// out[s] = sum of the entries at (major[s], minor[s]); 0 where there is none. O(log slice) each when sorted.
template <class T, class I>
void cs_sum_at(CsView<T, I> a, Pairs at, bool sorted, T* out) {
  const I *indptr = a.indptr, *indices = a.indices;
  const T* data = a.data;
  const int64_t* major = at.major;
  parallel_for(at.n, plan_parts(20 * at.n), [=](size_t lo, size_t hi) {
    Watch watch;
    for (size_t s = lo; s < hi; ++s) {
      if (!sorted) watch(static_cast<size_t>(indptr[major[s] + 1] - indptr[major[s]]));
      if (s % 64 == 0) watch(64 * 20);
      if (s + 8 < hi) __builtin_prefetch(indptr + major[s + 8]);
      if (s + 4 < hi) __builtin_prefetch(indices + indptr[major[s + 4]]);
      RunningSum<T> total;
      for_entries_at(indices, indptr[major[s]], indptr[major[s] + 1], static_cast<I>(at.minor[s]), sorted,
                     [&](I e) { total.add(data[e]); });
      out[s] = total.value();
    }
  });
}

// positions[s] = the entry at (at.major[s], at.minor[s]), or -1. False when one of these places is stored more than once.
// Places are read where users may change them, so their slices are looked at again.
template <class At, class I>
bool cs_locate(CsPattern<I> a, const At& at, bool sorted, I* positions) {
  std::vector<char> repeated(static_cast<size_t>(std::max(1, n_threads())) + 1, 0);
  const int parts = std::min(plan_parts(20 * at.n), n_threads());
  run_parts(std::max(parts, 1), [&](int p) {
    Watch watch;
    for (size_t s = at.n * p / parts; s < at.n * (p + 1) / parts; ++s) {
      I found = -1;
      const int64_t m = at.major[s];
      if (static_cast<uint64_t>(m) >= a.n_major) throw std::out_of_range("index out of range");
      watch(sorted ? 20 : 20 + static_cast<size_t>(a.indptr[m + 1] - a.indptr[m]));
      for_entries_at(a.indices, a.indptr[m], a.indptr[m + 1], static_cast<I>(at.minor[s]), sorted, [&](I e) {
        if (found >= 0) repeated[p] = 1;
        found = e;
      });
      positions[s] = found;
    }
  });
  return std::none_of(repeated.begin(), repeated.end(), [](char r) { return r; });
}

// A new entry: where it goes, and the number of its value.
struct NewEntry { int64_t major, minor; size_t value; };

// Merge new entries, sorted by place and without repetitions, into the slices: at their place in sorted ones, else at the
// end. None of the places is stored yet. O(entries + n log slice).
template <class W, class I>
void cs_insert(CsView<W, I> a, bool sorted, const std::vector<NewEntry>& entries, const W* values, CsOut<W, I> out) {
  size_t from = 0, to = 0;
  auto copy_until = [&](size_t stop) {
    std::copy(a.indices + from, a.indices + stop, out.indices + to);
    std::copy(a.data + from, a.data + stop, out.data + to);
    to += stop - from;
    from = stop;
  };
  size_t m = 0;
  for (size_t k = 0; k < entries.size(); ++k) {
    const auto& x = entries[k];
    for (; m <= static_cast<size_t>(x.major); ++m) out.indptr[m] = static_cast<I>(a.indptr[m] + k);
    const I *b = a.indices + a.indptr[x.major], *e = a.indices + a.indptr[x.major + 1];
    copy_until((sorted ? std::lower_bound(b, e, static_cast<I>(x.minor)) : e) - a.indices);
    out.indices[to] = static_cast<I>(x.minor);
    out.data[to++] = values[x.value];
  }
  for (; m <= a.n_major; ++m) out.indptr[m] = static_cast<I>(a.indptr[m] + entries.size());
  copy_until(a.nnz());
}

// A progression on each of several axes; an entry is kept when all of them keep it.
template <class I>
struct BoxPlace {
  using U = std::make_unsigned_t<I>;
  std::vector<StridePlace<I>> axes;
  std::vector<char> whole; // the axis keeps everything where it is

  // keep[q] for the entries [lo, lo + n), an axis at a time so that the common step of 1 runs in vector registers.
  void mark(const std::vector<const I*>& coords, size_t lo, size_t n, uint8_t* keep) const {
    std::fill_n(keep, n, uint8_t{1});
    for (size_t a = 0; a < axes.size(); ++a) {
      if (whole[a]) continue;
      const I* c = coords[a] + lo;
      const auto& place = axes[a];
      if (place.span == 0) {
        for (size_t q = 0; q < n; ++q) keep[q] &= c[q] == place.start;
      } else if (place.step == 1 && !place.backward) {
        const U start = static_cast<U>(place.start), span = static_cast<U>(place.span);
        for (size_t q = 0; q < n; ++q) keep[q] &= static_cast<U>(static_cast<U>(c[q]) - start) <= span;
      } else {
        for (size_t q = 0; q < n; ++q) keep[q] &= place(c[q]) >= 0;
      }
    }
  }
};

constexpr size_t kBlock = 2048;

// Entries in coordinate form inside a box: how many each of `parts` equal pieces of the input has, in out_counts + 1.
template <class I>
void coo_filter_count(size_t nnz, const std::vector<const I*>& coords, const BoxPlace<I>& box, int parts,
                      int64_t* out_counts) {
  run_parts(parts, [&](int p) {
    uint8_t keep[kBlock];
    size_t total = 0;
    for (size_t lo = nnz * p / parts, end = nnz * (p + 1) / parts; lo < end; lo += kBlock) {
      const size_t n = std::min(kBlock, end - lo);
      box.mark(coords, lo, n, keep);
      uint32_t kept = 0;
      for (size_t q = 0; q < n; ++q) kept += keep[q];
      total += kept;
    }
    out_counts[p + 1] = static_cast<int64_t>(total);
  });
}

// Moves them, in their order, with coordinates relative to the box. counts[p]: how many stand before piece p.
template <class W, class I>
void coo_filter(size_t nnz, const std::vector<const I*>& coords, const W* data, const BoxPlace<I>& box,
                const std::vector<size_t>& counts, const std::vector<I*>& out_coords, W* out_data) {
  const int parts = static_cast<int>(counts.size()) - 1;
  run_parts(parts, [&](int p) {
    uint8_t keep[kBlock];
    uint32_t kept[kBlock + 1];
    size_t to = counts[p];
    for (size_t lo = nnz * p / parts, end = nnz * (p + 1) / parts; lo < end && to < counts[p + 1]; lo += kBlock) {
      const size_t n = std::min(kBlock, end - lo);
      box.mark(coords, lo, n, keep);
      uint32_t count = 0;
      for (uint32_t q = 0; q < n; ++q) {
        kept[count] = q;
        count += keep[q];
      }
      for (size_t a = 0; a < coords.size(); ++a) {
        const I* c = coords[a] + lo;
        I* out = out_coords[a] + to;
        const auto& place = box.axes[a];
        if (place.step == 1 && !place.backward) for (uint32_t q = 0; q < count; ++q) out[q] = c[kept[q]] - place.start;
        else for (uint32_t q = 0; q < count; ++q) out[q] = place(c[kept[q]]);
      }
      for (uint32_t q = 0; q < count; ++q) out_data[to + q] = data[lo + kept[q]];
      to += count;
    }
  });
}

} // namespace sp
