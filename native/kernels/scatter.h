// Sums (or other reductions) into y where entries may meet. How they are joined depends on sizes and on the places where
// entries go, never on the number of workers.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "../parallel.h"
#include "sum.h"
#include "tile.h"

namespace sp {

// What entries do where they meet: products are held in acc_t, values alone in wide_t. Other reductions of the same
// members can stand in its place.
template <class State>
struct Adding {
  using A = State;
  static A start() { return A{}; }
  static void join(A& s, const A& o) { s = add(s, o); }
};

// Where entries add when nobody else is there: rows of y, of which `width` columns are held.
template <class A>
struct Direct {
  static constexpr bool partial = false;
  A* y;
  size_t width;
  A* at(size_t c, size_t k) const { return y + c * (k == 1 ? 1 : width); }
};

// The same for one worker of several, whose outputs are low .. low + count; others get null, or room that is spare.
template <class A>
struct Zoned {
  static constexpr bool partial = true;
  A* y;
  size_t width, low, count;
  A* spare;
  A* at(size_t c, size_t k) const {
    const bool mine = c - low < count;
    if (k == 1) return mine ? y + c : spare + c % 8;
    return mine ? y + c * width : nullptr;
  }
};

struct FreeBlock {
  void operator()(void* p) const { std::free(p); }
};
template <class A>
using Started = std::unique_ptr<A, FreeBlock>;

template <class Op, class A = typename Op::A>
Started<A> started(size_t n) {
  Started<A> buffer(static_cast<A*>(std::calloc(n + 1, sizeof(A))));
  if (!buffer) throw std::bad_alloc();
  if (!(Op::start() == A{})) std::fill_n(buffer.get(), n, Op::start());
  return buffer;
}

// range(e0, e1, j0, j1, sink) adds columns j0 .. j1 of entries e0 .. e1 at sink.at(out_index[e], k), which may be null
// for a `partial` sink.
template <class A>
struct RangeAdder {
  template <class Range>
  RangeAdder(const Range& range) : direct(range), zoned(range) {}
  FunctionRef<void(size_t e0, size_t e1, size_t j0, size_t j1, Direct<A>)> direct;
  FunctionRef<void(size_t e0, size_t e1, size_t j0, size_t j1, Zoned<A>)> zoned;
};

// Where entries go: entry e of nnz to row out_index[e] of n_out, k columns each. workers: how many are worth starting;
// in_bytes: the size of the operands, a quarter of which wide copies of y may take.
template <class I>
struct ScatterPlan {
  size_t nnz, n_out, k;
  const I* out_index;
  int workers;
  size_t in_bytes;
};

// Columns j0 .. j1 of y, the only ones that stand there.
template <class A>
struct Columns {
  A* y;
  size_t j0, j1;
  size_t width() const { return j1 - j0; }
  Direct<A> sink(A* rows) const { return {rows - j0, width()}; }
};

constexpr size_t kScatterChunk = 8192;   // entries that stay in the cache
constexpr size_t kBlockedEntries = 256;  // from so many entries an output on, they are added up in blocks

// Whether entries near each other go to outputs near each other, as far as some of them tell.
template <class I>
bool is_local(const ScatterPlan<I>& plan) {
  constexpr size_t samples = 64;
  const size_t step = plan.nnz / samples;
  if (step == 0) return true;
  size_t before = 0, travelled = 0;
  for (size_t s = 0; s < samples; ++s) {
    const size_t c = static_cast<size_t>(plan.out_index[s * step + s * 40503 % step]);
    if (s > 0) travelled += c > before ? c - before : before - c;
    before = c;
  }
  return travelled <= 6 * plan.n_out;
}

// Entries lo .. hi, piece by piece: between them the user may stop it.
template <class A>
void in_order(size_t lo, size_t hi, size_t j0, size_t j1, RangeAdder<A> range, Direct<A> sink) {
  const size_t piece = 1 + (size_t{1} << 18) / (1 + (j1 - j0) / 8);
  for (size_t e = lo; e < hi; e += piece) {
    check_interrupt();
    range.direct(e, std::min(hi, e + piece), j0, j1, sink);
  }
}

// The entries in order, for every output: what one worker does alone. Several take some columns of all entries or, of a
// local structure, have a zone of outputs each and look at the chunks of entries that reach into it.
template <class Op, class I, class A>
void scatter_in_order(const ScatterPlan<I>& plan, Columns<A> to, bool local, RangeAdder<A> range) {
  const size_t nnz = plan.nnz, n_out = plan.n_out, width = to.width();
  const I* out_index = plan.out_index;
  const int n = nnz < 2 * kScatterChunk ? 1 : plan.workers, shares = static_cast<int>(std::min<size_t>(n, width / 8));
  if (!local && shares > 1) {
    return parallel_for(width, shares, [&](size_t j0, size_t j1) {
      for (size_t c = 0; c < n_out; ++c) std::fill(to.y + c * width + j0, to.y + c * width + j1, Op::start());
      in_order(size_t{0}, nnz, to.j0 + j0, to.j0 + j1, range, to.sink(to.y));
    });
  }
  if (n == 1 || !local) {
    std::fill_n(to.y, n_out * width, Op::start());
    return in_order(size_t{0}, nnz, to.j0, to.j1, range, to.sink(to.y));
  }
  const size_t chunks = (nnz + kScatterChunk - 1) / kScatterChunk;
  std::vector<std::pair<size_t, size_t>> bounds(chunks);
  parallel_for(chunks, n, [&](size_t lo, size_t hi) {
    for (size_t c = lo; c < hi; ++c) bounds[c] = index_bounds(out_index, c * kScatterChunk, std::min(nnz, (c + 1) * kScatterChunk));
  });
  std::vector<size_t> zones(n + 1, 0);
  for (int p = 1; p < n; ++p) zones[p] = std::max(zones[p - 1], static_cast<size_t>(out_index[nnz * p / n]));
  zones[n] = n_out;
  run_parts(n, [&](int p) {
    const size_t low = zones[p], high = zones[p + 1];
    if (low == high) return;
    std::fill(to.y + low * width, to.y + high * width, Op::start());
    A spare[8] = {};
    for (size_t c = 0; c < chunks; ++c) {
      const auto [least, most] = bounds[c];
      if (most < low || least >= high) continue;
      check_interrupt();
      const size_t from = c * kScatterChunk, until = std::min(nnz, from + kScatterChunk);
      if (least >= low && most < high) range.direct(from, until, to.j0, to.j1, to.sink(to.y));
      else range.zoned(from, until, to.j0, to.j1, Zoned<A>{to.y - to.j0, width, low, high - low, spare});
    }
  });
}

// A copy of y for each of `copies` equal parts of the entries, joined one after the other. blocked: in blocks within.
template <class Op, class I, class A>
void scatter_copies(const ScatterPlan<I>& plan, Columns<A> to, int copies, bool blocked, RangeAdder<A> range) {
  const size_t nnz = plan.nnz, size = plan.n_out * to.width();
  const size_t block = blocked ? std::max<size_t>(4096, 64 * plan.n_out) : nnz;
  std::vector<Started<A>> rows(copies);
  run_parts(copies, [&](int p) {
    const size_t lo = nnz * p / copies, hi = nnz * (p + 1) / copies;
    A* mine = to.y;
    if (p > 0) mine = (rows[p] = started<Op>(size)).get();
    else std::fill_n(mine, size, Op::start());
    in_order(lo, std::min(hi, lo + block), to.j0, to.j1, range, to.sink(mine));
    if (hi - lo <= block) return;
    const auto more = started<Op>(size);
    for (size_t e = lo + block; e < hi; e += block) {
      in_order(e, std::min(hi, e + block), to.j0, to.j1, range, to.sink(more.get()));
      for (size_t j = 0; j < size; ++j) Op::join(mine[j], std::exchange(more.get()[j], Op::start()));
    }
  });
  if (copies == 1) return;
  parallel_for(size, plan_parts(size * copies), [&](size_t lo, size_t hi) {
    for (int p = 1; p < copies; ++p) {
      for (size_t j = lo; j < hi; ++j) Op::join(to.y[j], rows[p].get()[j]);
    }
  });
}

// y[out_index[e], :] += what range adds for entry e; y is overwritten. Copies of y cost what it takes to add them up,
// so there are several entries an output for each of them.
template <class Op, class I, class A>
void scatter_columns(const ScatterPlan<I>& plan, Columns<A> to, RangeAdder<A> range) {
  const size_t each = plan.nnz / plan.n_out;
  const bool blocked = each >= kBlockedEntries, local = !blocked && is_local(plan);
  const int copies = static_cast<int>(std::min<size_t>({16, std::max<size_t>(each / 5, each >= 4 ? 2 : 1), plan.nnz / kScatterChunk}));
  if (blocked || (!local && copies > 1)) scatter_copies<Op>(plan, to, std::max(copies, 1), blocked, range);
  else scatter_in_order<Op>(plan, to, local, range);
}

// Sums are compiled once, in primitives/scatter.cpp.
#define SP_SCATTER_SUM(WORD, A)                                                                             \
  WORD template void scatter_columns<Adding<A>>(const ScatterPlan<int32_t>&, Columns<A>, RangeAdder<A>); \
  WORD template void scatter_columns<Adding<A>>(const ScatterPlan<int64_t>&, Columns<A>, RangeAdder<A>);
#define SP_SCATTER_SUMS(WORD)                                                                        \
  SP_SCATTER_SUM(WORD, bool) SP_SCATTER_SUM(WORD, uint8_t) SP_SCATTER_SUM(WORD, uint16_t)           \
  SP_SCATTER_SUM(WORD, uint32_t) SP_SCATTER_SUM(WORD, uint64_t) SP_SCATTER_SUM(WORD, float)         \
  SP_SCATTER_SUM(WORD, double) SP_SCATTER_SUM(WORD, complex64_t) SP_SCATTER_SUM(WORD, WideComplex)
SP_SCATTER_SUMS(extern)

// As scatter_columns for any T. What is held in another type than T goes through a copy of some columns of y at a time.
template <class T, class Op = Adding<acc_t<T>>, class I>
void scatter(ScatterPlan<I> plan, T* y, RangeAdder<typename Op::A> range) {
  using A = typename Op::A;
  const size_t n_out = plan.n_out, k = plan.k;
  if constexpr (std::is_same_v<A, T>) {
    scatter_columns<Op>(plan, Columns<A>{y, 0, k}, range);
  } else {
    const size_t afford = (plan.in_bytes + n_out * k * sizeof(T)) / 4 / (n_out * sizeof(A));
    const size_t width = std::min(k, std::max<size_t>(afford, 16));
    Started<A> wide = started<Op>(n_out * width);
    for (size_t j0 = 0; j0 < k; j0 += width) {
      const Columns<A> to{wide.get(), j0, std::min(k, j0 + width)};
      scatter_columns<Op>(plan, to, range);
      parallel_for(n_out, plan_parts(n_out * to.width()), [=](size_t lo, size_t hi) {
        for (size_t c = lo; c < hi; ++c) {
          for (size_t j = j0; j < to.j1; ++j) y[c * k + j] = rounded<T>(to.y[c * to.width() + j - j0]);
        }
      });
    }
  }
}

} // namespace sp
