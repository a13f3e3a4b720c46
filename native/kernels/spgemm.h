// Sparse @ sparse by Gustavson's algorithm: slice i of C is the sum of the slices of B that slice i of A names.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "canonical.h"

namespace sp {

struct Release {
  size_t mapped = 0;
  void operator()(void* p) const {
    if (mapped) munmap(p, mapped); else std::free(p);
  }
};
template <class A> using Zeroed = std::unique_ptr<A, Release>;

// n zeros. Dense: most of them will be touched, so they are written here; a page that is read first costs two faults, and
// the second interrupts the other cores. Otherwise a large block is mapped by itself: what is never touched costs nothing.
template <class A>
Zeroed<A> zeroed(size_t n, bool dense) {
  constexpr size_t page = size_t{1} << 21;
  const size_t bytes = (n + 1) * sizeof(A);
  if (!dense && bytes >= page / 2) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    return Zeroed<A>(static_cast<A*>(p), Release{bytes});
  }
  const size_t rounded = (bytes + page - 1) & ~(page - 1);
  void* p = bytes < page ? std::calloc(bytes, 1) : std::aligned_alloc(page, rounded);
  if (!p) throw std::bad_alloc();
  if (bytes >= page) {
#ifdef MADV_HUGEPAGE
    madvise(p, rounded, MADV_HUGEPAGE);
#endif
    std::memset(p, 0, bytes);
  }
  return Zeroed<A>(static_cast<A*>(p));
}

// A is (n_major, n_inner), B is (n_inner, n_minor).
template <class T, class I>
struct SpgemmInput {
  CsView<T, I> a, b; // no data: structure only
  const uint8_t* b_steps = nullptr; // slice_steps of B; null: do without
};

// How a slice differs from the one before: not at all (0), every index larger by one (1), in another way (2).
template <class I>
void slice_steps(CsPattern<I> b, uint8_t* steps) {
  const I *indptr = b.indptr, *indices = b.indices;
  parallel_for(b.n_major, plan_parts(b.nnz() / 2 + b.n_major), [&](size_t lo, size_t hi) {
    for (size_t k = lo; k < hi; ++k) {
      steps[k] = 2;
      if (k == 0) continue;
      const I *x = indices + indptr[k], *before = indices + indptr[k - 1], *end = indices + indptr[k + 1];
      if (x == end || end - x != x - before) continue;
      const I step = *x - *before;
      if (step != 0 && step != 1) continue;
      bool same = true;
      for (; x < end; ++x, ++before) same &= *x - *before == step;
      if (same) steps[k] = static_cast<uint8_t>(step);
    }
  });
}

// On grids and in bands most slices of A @ B are the slice before, moved. The step from slice i - 1 of the result to
// slice i, product by product; 2 where there is none.
template <class T, class I>
unsigned result_step(const SpgemmInput<T, I>& in, size_t i) {
  const I *x = in.a.indices + in.a.indptr[i], *before = in.a.indices + in.a.indptr[i - 1];
  const I* const end = in.a.indices + in.a.indptr[i + 1];
  if (x == end || end - x != x - before) return 2;
  auto step = [&] { return *x == *before ? 0u : *x - *before == 1 ? unsigned{in.b_steps[*x]} : 2u; };
  const unsigned first = step();
  while (first < 2 && ++x < end) {
    ++before;
    if (step() != first) return 2;
  }
  return first;
}

// The slices of a run have one pattern, which moves: where each product goes is looked up once.
template <class T, class I>
class RepeatedSlice {
 public:
  // How often a slice must have repeated before a lookup is worth its cost.
  static constexpr int patience = 3;

  // Learns slice i; false where that would take too much room.
  bool learn(const SpgemmInput<T, I>& in, size_t i) {
    constexpr size_t most = 4096;
    products_.clear();
    for (I e = in.a.indptr[i]; e < in.a.indptr[i + 1]; ++e) {
      const I k = in.a.indices[e];
      if (products_.size() + static_cast<size_t>(in.b.indptr[k + 1] - in.b.indptr[k]) > most) return false;
      products_.insert(products_.end(), in.b.indices + in.b.indptr[k], in.b.indices + in.b.indptr[k + 1]);
    }
    pattern_ = products_;
    std::sort(pattern_.begin(), pattern_.end());
    pattern_.erase(std::unique(pattern_.begin(), pattern_.end()), pattern_.end());
    slots_.clear();
    for (I j : products_) {
      slots_.push_back(static_cast<uint16_t>(std::lower_bound(pattern_.begin(), pattern_.end(), j) - pattern_.begin()));
    }
    sums_.reset(new acc_t<T>[pattern_.size()]);
    moved_ = 0;
    return true;
  }

  void move(unsigned step) { moved_ += static_cast<I>(step); }

  // Slice i into index and value; returns its length without zeros.
  size_t write(const SpgemmInput<T, I>& in, size_t i, I* index, T* value) {
    using A = acc_t<T>;
    const size_t n = pattern_.size();
    const I *pattern = pattern_.data(), moved = moved_;
    for (size_t r = 0; r < n; ++r) index[r] = pattern[r] + moved;
    if (!in.a.data) return n;
    A* sums = sums_.get();
    std::fill_n(sums, n, A{});
    const uint16_t* slot = slots_.data();
    for (I e = in.a.indptr[i], end = in.a.indptr[i + 1]; e < end; ++e) {
      const A a = static_cast<A>(in.a.data[e]);
      const I k = in.a.indices[e];
      const T *b = in.b.data + in.b.indptr[k], *b_end = in.b.data + in.b.indptr[k + 1];
      for (; b < b_end; ++b, ++slot) sums[*slot] = add(sums[*slot], mul(a, static_cast<A>(*b)));
    }
    size_t zeros = 0;
    for (size_t r = 0; r < n; ++r) {
      value[r] = static_cast<T>(sums[r]);
      zeros += !nonzero(value[r]);
    }
    return zeros ? drop_zeros(n, index, value) : n;
  }

 private:
  static size_t drop_zeros(size_t n, I* index, T* value) {
    size_t kept = 0;
    for (size_t r = 0; r < n; ++r) {
      if (!nonzero(value[r])) continue;
      index[kept] = index[r];
      value[kept++] = value[r];
    }
    return kept;
  }

  std::vector<I> products_, pattern_;
  std::vector<uint16_t> slots_;
  std::unique_ptr<acc_t<T>[]> sums_;
  I moved_ = 0;
};

// Which minors a slice has touched: bit j of the lowest level, and above it one bit per 64 of the level below.
class TouchedSet {
 public:
  TouchedSet(size_t n, bool dense) : words_(new uint32_t[n / 64 + 5]) {
    do {
      n = (n + 63) / 64;
      levels_.push_back(zeroed<uint64_t>(n, dense));
    } while (n > 1 || levels_.size() < 3);
    low_ = levels_[0].get();
    next_ = levels_[1].get();
    third_ = levels_[2].get();
  }

  void insert(size_t j) {
    uint64_t& word = low_[j >> 6];
    if (word == 0) raise(j);
    word |= uint64_t{1} << (j & 63);
  }

  // visit(j) in increasing order; leaves the set empty.
  template <class F>
  void drain(F&& visit) {
    uint32_t* const words = words_.get();
    const uint32_t* const end = list_words(levels_.size() - 1, 0, words);
    for (const uint32_t* word = words; word < end; ++word) {
      uint64_t bits = low_[*word];
      low_[*word] = 0;
      do visit(size_t{*word} * 64 + std::countr_zero(bits)); while (bits &= bits - 1);
    }
  }

 private:
  // The first two levels above are marked whether or not they are already: asking would be a coin's toss.
  void raise(size_t j) {
    next_[j >> 12] |= uint64_t{1} << ((j >> 6) & 63);
    const uint64_t before = third_[j >> 18];
    third_[j >> 18] = before | uint64_t{1} << ((j >> 12) & 63);
    if (before != 0) return;
    j >>= 18;
    for (size_t level = 3; level < levels_.size(); ++level, j >>= 6) {
      uint64_t& word = levels_[level].get()[j >> 6];
      const bool stop = word != 0;
      word |= uint64_t{1} << (j & 63);
      if (stop) return;
    }
  }

  // The words of the lowest level below word `at` of a level that hold something, in order, into list; returns its end.
  // Four are listed at a time: how many there are is hard to foretell.
  uint32_t* list_words(size_t level, size_t at, uint32_t* list) {
    uint64_t bits = levels_[level].get()[at];
    levels_[level].get()[at] = 0;
    if (level > 1) {
      for (; bits; bits &= bits - 1) list = list_words(level - 1, at * 64 + std::countr_zero(bits), list);
      return list;
    }
    uint32_t* const end = list + std::popcount(bits);
    while (bits) {
      for (int step = 0; step < 4; ++step, bits &= bits - 1) {
        *list++ = static_cast<uint32_t>(at * 64 + static_cast<size_t>(std::countr_zero(bits)));
      }
    }
    return end;
  }

  std::unique_ptr<uint32_t[]> words_; // of the lowest level, while draining
  std::vector<Zeroed<uint64_t>> levels_;
  uint64_t *low_, *next_, *third_;
};

// f(k, e) for the entries e of slice i of A, k their minor; slices of B that come soon are fetched ahead.
template <class T, class I, class F>
void each_factor(const SpgemmInput<T, I>& in, size_t i, F&& f) {
  constexpr size_t near = 4, far = 12;
  const size_t last = static_cast<size_t>(in.a.indptr[in.a.n_major]) - 1, end = static_cast<size_t>(in.a.indptr[i + 1]);
  for (size_t e = static_cast<size_t>(in.a.indptr[i]); e < end; ++e) {
    __builtin_prefetch(in.b.indptr + in.a.indices[std::min(e + far, last)]);
    const I *soon = in.b.indptr + in.a.indices[std::min(e + near, last)];
    __builtin_prefetch(in.b.indices + soon[0]);
    __builtin_prefetch(in.b.indices + soon[1]);
    if (in.b.data) {
      const char* const first = reinterpret_cast<const char*>(in.b.data + soon[0]);
      __builtin_prefetch(first);
      __builtin_prefetch(in.b.data + soon[1]);
      if constexpr (sizeof(T) == 16) { // ten entries take up to four lines
        __builtin_prefetch(first + 64);
        __builtin_prefetch(first + 128);
      }
    }
    f(static_cast<size_t>(in.a.indices[e]), e);
  }
}

// body(lo, hi, scratch) over ranges of slices, more ranges than workers; make() builds a worker's scratch, which is
// handed on from range to range.
template <class T, class I, class Make, class Body>
void spgemm_ranges(const SpgemmInput<T, I>& in, Make&& make, Body&& body) {
  const int workers = plan_parts(8 * static_cast<size_t>(in.a.indptr[in.a.n_major]) + in.a.n_major);
  const auto bounds = balance(in.a.indptr, in.a.n_major, workers > 1 ? 8 * workers : 1);
  std::mutex mutex;
  std::vector<decltype(make())> spare;
  run_parts(static_cast<int>(bounds.size()) - 1, [&](int p) {
    decltype(make()) scratch;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!spare.empty()) {
        scratch = std::move(spare.back());
        spare.pop_back();
      }
    }
    if (!scratch) scratch = make();
    body(bounds[p], bounds[p + 1], *scratch);
    std::lock_guard<std::mutex> lock(mutex);
    spare.push_back(std::move(scratch));
  });
}

// Products of an entry of A, on average.
template <class T, class I>
size_t products_each(const SpgemmInput<T, I>& in) {
  return 1 + 2 * in.b.nnz() / std::max<size_t>(in.b.n_major, 1);
}

// Whether the products reach most of a worker's scratch.
template <class T, class I>
bool fills_scratch(const SpgemmInput<T, I>& in) {
  return static_cast<size_t>(in.a.indptr[in.a.n_major]) >= in.b.n_minor;
}

// Phase 1. lengths[i] = number of minors that slice i of A @ B reaches. A and B in any order, duplicates allowed; values
// are not read. Cost: O(products); scratch O(n_minor) a worker.
template <class T, class I>
void spgemm_symbolic(const SpgemmInput<T, I>& in, I* lengths) {
  spgemm_ranges(in, [&] { return std::make_unique<Zeroed<I>>(zeroed<I>(in.b.n_minor, fills_scratch(in))); },
                [&](size_t lo, size_t hi, Zeroed<I>& block) {
    I* seen = block.get(); // seen[j] == i + 1: slice i has reached j
    Watch watch;
    const size_t each = products_each(in);
    for (size_t i = lo; i < hi; ++i) {
      if (in.a.indptr[i + 1] == in.a.indptr[i]) { // most slices of tall arrays
        lengths[i] = 0;
        continue;
      }
      watch(1 + each * static_cast<size_t>(in.a.indptr[i + 1] - in.a.indptr[i]));
      if (in.b_steps && i > lo && result_step(in, i) < 2) {
        lengths[i] = lengths[i - 1];
        continue;
      }
      const I mark = static_cast<I>(i + 1);
      I n = 0;
      each_factor(in, i, [&](size_t k, size_t) {
        for (I f = in.b.indptr[k], end = in.b.indptr[k + 1]; f < end; ++f) {
          I& s = seen[in.b.indices[f]];
          n += s != mark;
          s = mark;
        }
      });
      lengths[i] = n;
    }
  });
}

// One worker's sums over all minors. Memory that no slice touches is never committed.
template <class T, class I>
struct Accumulator {
  Accumulator(size_t n, bool dense) : touched(n, dense), sums(zeroed<acc_t<T>>(n, dense)) {}
  TouchedSet touched;
  Zeroed<acc_t<T>> sums;
  RepeatedSlice<T, I> repeated;
};

// One slice of phase 2 into index and value; returns its length without zeros.
template <class T, class I>
size_t spgemm_slice(const SpgemmInput<T, I>& in, size_t i, Accumulator<T, I>& acc, I* index, T* value) {
  using A = acc_t<T>;
  A* sums = acc.sums.get();
  size_t n = 0;
  if (!in.a.data) {
    each_factor(in, i, [&](size_t k, size_t) {
      for (I f = in.b.indptr[k], end = in.b.indptr[k + 1]; f < end; ++f) {
        acc.touched.insert(static_cast<size_t>(in.b.indices[f]));
      }
    });
    acc.touched.drain([&](size_t j) { index[n++] = static_cast<I>(j); });
    return n;
  }
  each_factor(in, i, [&](size_t k, size_t e) {
    const A a = static_cast<A>(in.a.data[e]);
    for (I f = in.b.indptr[k], end = in.b.indptr[k + 1]; f < end; ++f) {
      const size_t j = static_cast<size_t>(in.b.indices[f]);
      acc.touched.insert(j);
      sums[j] = add(sums[j], mul(a, static_cast<A>(in.b.data[f])));
    }
  });
  acc.touched.drain([&](size_t j) {
    index[n] = static_cast<I>(j);
    value[n] = static_cast<T>(sums[j]);
    n += nonzero(value[n]);
    sums[j] = A{};
  });
  return n;
}

// Phase 2. C = A @ B with sorted indices, no duplicates and, as in SciPy, no entry whose sum is exactly zero; with null
// values the structure alone, every position that is reached. out_indptr: phase 1's lengths summed, and in the end
// those of C. Sums run in the order of the entries, in float32 for 16-bit floats. Returns nnz(C): where that is less than
// phase 1's, the buffers' ends are unused. No aliasing. Cost: O(products + nnz(C)); scratch O(n_minor) per worker.
template <class T, class I>
size_t spgemm_numeric(const SpgemmInput<T, I>& in, CsOut<T, I> out) {
  I *out_indptr = out.indptr, *out_indices = out.indices;
  T* out_data = out.data;
  std::unique_ptr<I[]> kept(new I[in.a.n_major]);
  std::atomic<bool> short_slices{false};
  spgemm_ranges(in, [&] { return std::make_unique<Accumulator<T, I>>(in.b.n_minor, fills_scratch(in)); },
                [&](size_t lo, size_t hi, Accumulator<T, I>& acc) {
    bool some = false, known = false;
    int repeats = 0;
    Watch watch;
    const size_t each = products_each(in);
    for (size_t i = lo; i < hi; ++i) {
      if (in.a.indptr[i + 1] == in.a.indptr[i]) {
        kept[i] = 0;
        repeats = 0;
        continue;
      }
      watch(1 + each * static_cast<size_t>(in.a.indptr[i + 1] - in.a.indptr[i]));
      const size_t at = static_cast<size_t>(out_indptr[i]);
      I* index = out_indices + at;
      T* value = out_data ? out_data + at : nullptr;
      const unsigned step = in.b_steps && i > lo ? result_step(in, i) : 2;
      repeats = step < 2 ? std::min(repeats + 1, acc.repeated.patience + 1) : 0;
      if (repeats == acc.repeated.patience) known = acc.repeated.learn(in, i);
      if (repeats > acc.repeated.patience) acc.repeated.move(step);
      const bool again = known && repeats >= acc.repeated.patience;
      kept[i] = static_cast<I>(again ? acc.repeated.write(in, i, index, value) : spgemm_slice(in, i, acc, index, value));
      some |= kept[i] != out_indptr[i + 1] - out_indptr[i];
    }
    if (some) short_slices = true;
  });
  if (!short_slices) return static_cast<size_t>(out_indptr[in.a.n_major]);
  size_t total = 0;
  for (size_t i = 0; i < in.a.n_major; ++i) {
    const size_t from = static_cast<size_t>(out_indptr[i]), n = static_cast<size_t>(kept[i]);
    std::copy(out_indices + from, out_indices + from + n, out_indices + total);
    std::copy(out_data + from, out_data + from + n, out_data + total);
    out_indptr[i] = static_cast<I>(total);
    total += n;
  }
  out_indptr[in.a.n_major] = static_cast<I>(total);
  return total;
}

} // namespace sp
