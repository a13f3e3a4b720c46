// Changes of layout: counting sorts of entries by key, and indptr <-> major index of each entry.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>

#include "../dispatch.h"
#include "../parallel.h"

namespace sp {

// Turns counts into slots. in: counts[p][k] of part p and key k; out: the first slot of that part and key.
// The last part's counts stand in out_indptr + 1, so that when its slots have been used up out_indptr is complete.
template <class I>
void counts_to_slots(size_t n_keys, int parts, I* scratch, I* out_indptr) {
  auto counts = [&](int p) { return p + 1 < parts ? scratch + size_t(p) * n_keys : out_indptr + 1; };
  std::vector<size_t> first(parts + 1, 0);
  run_parts(parts, [&](int b) {
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

// emit(slot, entry, slice) for every entry in the order of the transposed structure.
template <class I, class Emit>
void transpose_entries(size_t n_major, size_t n_minor, const I* indptr, const I* indices, int parts, I* out_indptr,
                       Emit&& emit) {
  const auto bounds = balance(indptr, n_major, parts);
  counting_sort(
      n_minor, parts, out_indptr,
      [&](int p, I* n) {
        const size_t end = static_cast<size_t>(indptr[bounds[p + 1]]);
        for (size_t e = static_cast<size_t>(indptr[bounds[p]]); e < end; ++e) ++n[indices[e]];
      },
      [&](int p, I* next) {
        for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
          const size_t end = static_cast<size_t>(indptr[i + 1]);
          for (size_t e = static_cast<size_t>(indptr[i]); e < end; ++e) {
            emit(static_cast<size_t>(next[indices[e]]++), e, i);
          }
        }
      });
}

// The same entries compressed along the other axis. Any order, duplicates allowed and kept; stable, so the slices of
// the result are sorted. No aliasing. Cost: O(nnz + n_major + parts * n_minor).
template <class W, class I>
void cs_transpose(size_t n_major, size_t n_minor, size_t nnz, const I* indptr, const I* indices, const W* data,
                  I* out_indptr, I* out_indices, W* out_data) {
  const int parts = plan_sort<I>(nnz, n_minor, nnz * (sizeof(I) + sizeof(W)));
  transpose_entries(n_major, n_minor, indptr, indices, parts, out_indptr, [=](size_t slot, size_t e, size_t i) {
    out_indices[slot] = static_cast<I>(i);
    out_data[slot] = data[e];
  });
}

// out_major[e] = the slice that entry e lies in.
template <class I>
void cs_expand(size_t n_major, const I* indptr, I* out_major) {
  const int parts = plan_parts(static_cast<size_t>(indptr[n_major]) + n_major);
  const auto bounds = balance(indptr, n_major, parts);
  run_parts(parts, [&](int p) {
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      std::fill(out_major + indptr[i], out_major + indptr[i + 1], static_cast<I>(i));
    }
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

// out_indptr[i] = how many of the nondecreasing sorted_major are below i.
template <class I>
void cs_compress(size_t nnz, size_t n_major, const I* sorted_major, I* out_indptr) {
  parallel_for(nnz, plan_parts(nnz + n_major), [&](size_t lo, size_t hi) {
    for (size_t e = lo; e < hi; ++e) {
      const size_t from = e ? static_cast<size_t>(sorted_major[e - 1]) + 1 : 0;
      for (size_t i = from; i <= static_cast<size_t>(sorted_major[e]); ++i) out_indptr[i] = static_cast<I>(e);
    }
  });
  for (size_t i = nnz ? static_cast<size_t>(sorted_major[nnz - 1]) + 1 : 0; i <= n_major; ++i) {
    out_indptr[i] = static_cast<I>(nnz);
  }
}

template <class U>
void copy_values(size_t n, const U* from, U* to) {
  parallel_for(n, plan_parts(n * sizeof(U) / 16), [&](size_t lo, size_t hi) {
    if (lo < hi) std::memcpy(to + lo, from + lo, (hi - lo) * sizeof(U));
  });
}

// emit(slot, entry) for every entry in stable order of major; major must not be nondecreasing already.
template <class I, class Emit>
void coo_entries(size_t nnz, size_t n_major, const I* major, int parts, I* out_indptr, Emit&& emit) {
  counting_sort(
      n_major, parts, out_indptr,
      [&](int p, I* n) {
        for (size_t e = nnz * p / parts; e < nnz * (p + 1) / parts; ++e) ++n[major[e]];
      },
      [&](int p, I* next) {
        for (size_t e = nnz * p / parts; e < nnz * (p + 1) / parts; ++e) {
          emit(static_cast<size_t>(next[major[e]]++), e);
        }
      });
}

// Coordinates in any order -> compressed along major. Stable: a slice keeps the input's order; duplicates are kept.
// No aliasing. Cost: O(nnz + parts * n_major); entries whose major is sorted already are copied.
template <class W, class I>
void coo_to_cs(size_t nnz, size_t n_major, const I* major, const I* minor, const W* data, I* out_indptr,
               I* out_indices, W* out_data) {
  if (is_nondecreasing(nnz, major)) {
    cs_compress(nnz, n_major, major, out_indptr);
    copy_values(nnz, minor, out_indices);
    return copy_values(nnz, data, out_data);
  }
  const int parts = plan_sort<I>(nnz, n_major, nnz * (sizeof(I) + sizeof(W)));
  coo_entries(nnz, n_major, major, parts, out_indptr, [=](size_t slot, size_t e) {
    out_indices[slot] = minor[e];
    out_data[slot] = data[e];
  });
}

} // namespace sp
