// Level sets of a triangular structure: the rows of a level depend on rows of earlier levels only.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "../parallel.h"
#include "view.h"

namespace sp {

// Slices in an order in which they can be computed: those of level l stand at starts[l] .. starts[l + 1] of `order`.
template <class I>
struct Levels {
  size_t count;
  const I *order, *starts;
};

// order: room for n slices, starts: for n + 1. Returns the number of levels. Entries on the other side of the diagonal do
// not count. O(nnz + n), serial.
template <class I>
size_t cs_levels(CsPattern<I> a, bool lower, I* order, I* starts) {
  const size_t n = a.n_major;
  std::vector<I> level(n);
  size_t count = 0;
  Watch watch;
  for (size_t step = 0; step < n; ++step) {
    const size_t i = lower ? step : n - 1 - step;
    I mine = 0;
    for (size_t p = a.begin(i); p < a.end(i); ++p) {
      const auto j = static_cast<size_t>(a.indices[p]);
      if (lower ? j < i : j > i) mine = std::max<I>(mine, level[j] + 1);
    }
    level[i] = mine;
    count = std::max(count, static_cast<size_t>(mine) + 1);
    watch(2 * (a.end(i) - a.begin(i)) + 4);
  }
  std::fill(starts, starts + count + 1, I{0});
  for (size_t i = 0; i < n; ++i) ++starts[level[i] + 1];
  for (size_t l = 0; l < count; ++l) starts[l + 1] += starts[l];
  std::vector<I> next(starts, starts + count);
  for (size_t i = 0; i < n; ++i) order[next[level[i]]++] = static_cast<I>(i);
  return count;
}

// The slices of a triangle one after the other in the order `places`, each without its diagonal.
template <class I>
struct LevelOut {
  I *starts;             // n + 1
  I *entries, *columns;  // which entry of A it was, and its minor index
  I *diagonal;           // n: the entry on it, or -1
};

// order: null, or which entry of A each of `a` is. Called twice: without entries it finds starts. O(nnz + n).
template <class I>
void cs_by_levels(CsPattern<I> a, bool lower, const I* order, const I* places, LevelOut<I> out) {
  const size_t n = a.n_major;
  const bool counts = out.entries == nullptr;
  if (counts) out.starts[0] = 0;
  parallel_for(n, plan_parts(a.nnz() + n), [&](size_t first, size_t last) {
    for (size_t r = first; r < last; ++r) {
      const auto i = static_cast<size_t>(places[r]);
      size_t to = counts ? 0 : static_cast<size_t>(out.starts[r]);
      if (!counts) out.diagonal[r] = I(-1);
      for (size_t p = a.begin(i); p < a.end(i); ++p) {
        const auto j = static_cast<size_t>(a.indices[p]);
        const I entry = order ? order[p] : static_cast<I>(p);
        if (lower ? j < i : j > i) {
          if (!counts) out.entries[to] = entry, out.columns[to] = static_cast<I>(j);
          ++to;
        } else if (j == i && !counts) {
          out.diagonal[r] = entry;
        }
      }
      if (counts) out.starts[r + 1] = static_cast<I>(to);
    }
  });
  if (!counts) return;
  for (size_t r = 0; r < n; ++r) out.starts[r + 1] += out.starts[r];
}

// rows(first, last) over positions of `order`, level after level, on the pool; chunk: positions at a time. A worker takes
// the next chunk there is and waits for the levels before it, which are done or in the hands of others that run: whoever is
// late finds nothing left to do, and a single one does it all.
template <class I>
void in_levels(const Levels<I>& levels, size_t chunk, RangeRef rows) {
  const int workers = planned_threads();
  std::atomic<size_t> next{0}, done{0};
  std::atomic<bool> stopped{false};
  run_parts(workers, [&](int) {
    size_t level = 0, first = 0; // chunks before this level
    auto chunks = [&](size_t l) { return (static_cast<size_t>(levels.starts[l + 1] - levels.starts[l]) + chunk - 1) / chunk; };
    try {
      for (size_t looked = 0;; ++looked) {
        const size_t mine = next.fetch_add(1, std::memory_order_relaxed);
        while (level < levels.count && mine >= first + chunks(level)) first += chunks(level++);
        if (level == levels.count) return;
        for (int spin = 0; done.load(std::memory_order_acquire) < first; ++spin) {
          if (stopped.load(std::memory_order_relaxed)) return;
          if (spin > 2000) std::this_thread::yield();
        }
        if (looked % 64 == 0) check_interrupt();
        const auto begin = static_cast<size_t>(levels.starts[level]) + (mine - first) * chunk;
        rows(begin, std::min(begin + chunk, static_cast<size_t>(levels.starts[level + 1])));
        done.fetch_add(1, std::memory_order_release);
      }
    } catch (...) {
      stopped = true;
      throw;
    }
  });
}

} // namespace sp
