// Sums (or other reductions) into y where workers may meet: each adds to its own zone of y directly and elsewhere to
// private blocks.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "../parallel.h"
#include "tile.h"

namespace sp {

// What entries do where they meet. A reduction of the same members can stand in its place.
template <class T>
struct Adding {
  using A = acc_t<T>;
  static A start() { return A{}; }
  static void join(A& s, const A& o) { s = add(s, o); }
};

// Where entries add when nobody else is there: y itself.
template <class A>
struct Direct {
  A* y;
  A* at(size_t c, size_t k) const { return y + c * k; }
};

// Where entries add near others: a table of blocks of 2^shift outputs, some in y and some private.
template <class A>
struct Blocked {
  A* const* blocks;
  int shift;
  A* at(size_t c, size_t k) const { return blocks[c >> shift] + (c & ((size_t{1} << shift) - 1)) * k; }
};

struct FreeBlock {
  void operator()(void* p) const { std::free(p); }
};
template <class A>
using Buffer = std::unique_ptr<A, FreeBlock>;

template <class Op, class A = typename Op::A>
Buffer<A> started(size_t n) {
  Buffer<A> buffer(static_cast<A*>(std::calloc(n + 1, sizeof(A))));
  if (!buffer) throw std::bad_alloc();
  if (Op::start() != A{}) std::fill_n(buffer.get(), n, Op::start());
  return buffer;
}

// y cut into blocks of 2^shift outputs of k columns, some 16 kB each.
template <class A>
struct Target {
  A* y;
  size_t n_out, k;
  int shift;
  size_t n_blocks;

  Target(A* y_, size_t n_out_, size_t k_) : y(y_), n_out(n_out_), k(k_), shift(0) {
    while (shift < 12 && (k << (shift + 1)) * sizeof(A) <= 16384) ++shift;
    n_blocks = ((n_out - 1) >> shift) + 1;
  }
  size_t start(size_t block) const { return std::min(n_out, block << shift) * k; }
};

// One worker's blocks: zone .. end of them are y's, the others are made when they are first needed.
template <class Op>
class Part {
  using A = typename Op::A;

 public:
  size_t zone = 0, end = 0; // blocks

  void open(const Target<A>& t) {
    blocks_.assign(t.n_blocks, nullptr);
    for (size_t b = zone; b < end; ++b) blocks_[b] = t.y + t.start(b);
    std::fill(t.y + t.start(zone), t.y + t.start(end), Op::start());
  }
  // A sink for outputs least .. most.
  Blocked<A> sink(const Target<A>& t, size_t least, size_t most) {
    for (size_t b = least >> t.shift; b <= most >> t.shift; ++b) {
      if (blocks_[b]) continue;
      owned_.push_back(started<Op>(t.k << t.shift));
      blocks_[b] = owned_.back().get();
    }
    return {blocks_.data(), t.shift};
  }
  void add_to(const Target<A>& t, size_t b) const {
    if (!blocks_[b] || (b >= zone && b < end)) return;
    A* out = t.y + t.start(b);
    for (size_t j = 0; j < t.start(b + 1) - t.start(b); ++j) Op::join(out[j], blocks_[b][j]);
  }
  size_t owned() const { return owned_.size(); }

 private:
  std::vector<A*> blocks_;
  std::vector<Buffer<A>> owned_;
};

// Zones for n workers, whose first entries hint at where they add.
template <class Op, class I>
std::vector<Part<Op>> make_zones(const Target<typename Op::A>& t, size_t nnz, const I* out_index, int n) {
  std::vector<Part<Op>> parts(n);
  for (int p = 1; p < n; ++p) {
    const size_t hint = static_cast<size_t>(out_index[nnz * p / n]) >> t.shift;
    parts[p].zone = parts[p - 1].end = std::max(parts[p - 1].zone, hint);
  }
  parts[n - 1].end = t.n_blocks;
  return parts;
}

// At most this many private blocks are made: exact for a band, more than the truth otherwise.
template <class Op, class I>
size_t private_blocks(const Target<typename Op::A>& t, size_t nnz, const I* out_index, const std::vector<Part<Op>>& parts) {
  const int n = static_cast<int>(parts.size());
  std::vector<size_t> counts(n);
  run_parts(n, [&](int p) {
    const auto [least, most] = index_bounds(out_index, nnz * p / n, nnz * (p + 1) / n);
    const size_t lo = least >> t.shift, hi = (most >> t.shift) + 1;
    const size_t shared = std::min(hi, parts[p].end), first = std::max(lo, parts[p].zone);
    counts[p] = hi - lo - (shared > first ? shared - first : 0);
  });
  size_t total = 0;
  for (size_t count : counts) total += count;
  return total;
}

// Worker q adds entries [nnz * q / n, nnz * (q + 1) / n), in chunks that stay in the cache: all but those that
// leave the worker's zone go straight to y.
template <class Op, class I, class Range>
void scatter_blocks(const Target<typename Op::A>& t, size_t nnz, const I* out_index, std::vector<Part<Op>>& parts,
                    Range&& range) {
  using A = typename Op::A;
  constexpr size_t chunk = 8192;
  const int n = static_cast<int>(parts.size());
  run_parts(n, [&](int q) {
    Part<Op>& part = parts[q];
    part.open(t);
    for (size_t e = nnz * q / n, last = nnz * (q + 1) / n; e < last;) {
      check_interrupt();
      const size_t next = std::min(last, e + chunk);
      const auto [least, most] = index_bounds(out_index, e, next);
      if (least >> t.shift >= part.zone && most >> t.shift < part.end) {
        range(e, next, size_t{0}, t.k, Direct<A>{t.y});
      } else {
        range(e, next, size_t{0}, t.k, part.sink(t, least, most));
      }
      e = next;
    }
  });
  size_t owned = 0;
  for (const auto& part : parts) owned += part.owned();
  parallel_for(t.n_blocks, plan_parts((owned * t.k << t.shift) + t.n_blocks), [&](size_t lo, size_t hi) {
    for (const auto& part : parts) {
      for (size_t b = lo; b < hi; ++b) part.add_to(t, b);
    }
  });
}

// Where entries go: entry e of nnz to row out_index[e] of n_out, k columns each. workers: how many are worth starting;
// in_bytes: the size of the operands, a quarter of which, and of y, private blocks may take.
template <class I>
struct ScatterPlan {
  size_t nnz, n_out, k;
  const I* out_index;
  int workers;
  size_t in_bytes;
};

// y[out_index[e], :] += what range adds for entry e; y is overwritten. range(e0, e1, j0, j1, sink) adds columns [j0, j1)
// of entries e0 .. e1 at sink.at(out_index[e], k). budget: bytes that private blocks may take.
template <class Op, class I, class Range, class A = typename Op::A>
void scatter_parts(ScatterPlan<I> plan, size_t budget, A* y, Range&& range) {
  const size_t nnz = plan.nnz, n_out = plan.n_out, k = plan.k;
  const I* out_index = plan.out_index;
  auto all_entries = [&](size_t j0, size_t j1) {
    const size_t chunk = 1 + (size_t{1} << 18) / (1 + (j1 - j0) / 8);
    for (size_t e = 0; e < nnz; e += chunk) {
      check_interrupt();
      range(e, std::min(nnz, e + chunk), j0, j1, Direct<A>{y});
    }
  };
  int n = plan.workers;
  if (n > 1 && nnz >= static_cast<size_t>(n)) {
    const Target<A> t(y, n_out, k);
    const size_t block = (k << t.shift) * sizeof(A), whole = t.n_blocks * block;
    auto parts = make_zones<Op>(t, nnz, out_index, n);
    if ((n - 1) * whole > budget && private_blocks(t, nnz, out_index, parts) * block > budget) {
      const int columns = static_cast<int>(std::min<size_t>(n, k * sizeof(A) / 32));
      const int afford = static_cast<int>(std::min<size_t>(n, 1 + budget / whole));
      if (columns > 1 && columns >= afford) { // a worker takes some columns of all entries
        return parallel_for(k, columns, [&](size_t j0, size_t j1) {
          for (size_t c = 0; c < n_out; ++c) std::fill(y + c * k + j0, y + c * k + j1, Op::start());
          all_entries(j0, j1);
        });
      }
      n = afford;
      if (n > 1) parts = make_zones<Op>(t, nnz, out_index, n);
    }
    if (n > 1) return scatter_blocks(t, nnz, out_index, parts, range);
  }
  std::fill(y, y + n_out * k, Op::start());
  all_entries(size_t{0}, k);
}

// As scatter_parts for any T: sums of 16-bit floats go through a float copy of y.
template <class T, class Op = Adding<T>, class I, class Range>
void scatter(ScatterPlan<I> plan, T* y, Range&& range) {
  using A = typename Op::A;
  const size_t n = plan.n_out * plan.k, budget = (plan.in_bytes + n * sizeof(T)) / 4;
  if constexpr (std::is_same_v<A, T>) {
    scatter_parts<Op>(plan, budget, y, range);
  } else {
    Buffer<A> wide = started<Op>(n);
    scatter_parts<Op>(plan, budget, wide.get(), range);
    for (size_t j = 0; j < n; ++j) y[j] = static_cast<T>(wide.get()[j]);
  }
}

} // namespace sp
