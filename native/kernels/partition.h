// How the entries of a compressed structure are divided among workers, huge slices included.
#pragma once

#include <algorithm>
#include <memory>

#include "../dispatch.h"
#include "../parallel.h"
#include "sum.h"

namespace sp {

// A position in (slice, entry) order; indptr[slice] <= entry, and entry > indptr[slice] means "inside that slice".
struct Cut {
  size_t slice, entry;
};

// Slices up to this many entries stay whole. Longer ones are folded in blocks of so many, from their first entry on, and
// the states of blocks joined in pairs: so results do not depend on who folds what, and errors of sums stay small.
constexpr size_t kWholeSlice = 4096;
inline size_t block_count(size_t entries) { return (entries + kWholeSlice - 1) / kWholeSlice; }

// fold(lo, hi, k states) adds a block of entries to states.
template <class State>
using Fold = FunctionRef<void(size_t lo, size_t hi, State* states)>;

// fold for each block of the entries lo .. hi.
template <class State>
void fold_blocks(size_t lo, size_t hi, size_t k, State* states, Fold<std::type_identity_t<State>> fold) {
  for (; lo < hi; lo += kWholeSlice, states += k) fold(lo, std::min(hi, lo + kWholeSlice), states);
}

// The k states of one slice of the entries lo .. hi.
template <class State, class Join>
std::unique_ptr<State[]> fold_slice(size_t lo, size_t hi, size_t k, State start, Fold<std::type_identity_t<State>> fold,
                                    Join&& join) {
  const size_t blocks = block_count(hi - lo);
  std::unique_ptr<State[]> states(new State[blocks * k]);
  std::fill_n(states.get(), blocks * k, start);
  fold_blocks(lo, hi, k, states.get(), fold);
  join_in_pairs(states.get(), blocks, k, join);
  return states;
}

// y[0 .. k) = the sums over one long slice.
template <class A, class T>
void sum_long_slice(size_t lo, size_t hi, size_t k, T* y, Fold<A> piece) {
  const auto sums = fold_slice(lo, hi, k, A{}, piece, [](A& sum, const A& more) { sum = add(sum, more); });
  for (size_t j = 0; j < k; ++j) y[j] = rounded<T>(sums[j]);
}

// Cut p of `parts`, by (entries + slices). Only a slice above kWholeSlice is ever cut inside, between two blocks.
template <class I>
Cut cut_at(const I* indptr, size_t n_major, int p, int parts) {
  if (p <= 0) return {0, static_cast<size_t>(indptr[0])};
  if (p >= parts) return {n_major, static_cast<size_t>(indptr[n_major])};
  const size_t goal = (static_cast<size_t>(indptr[n_major]) + n_major) * p / parts;
  size_t lo = 0, hi = n_major;
  while (lo < hi) {
    const size_t mid = (lo + hi) / 2;
    if (static_cast<size_t>(indptr[mid]) + mid < goal) lo = mid + 1; else hi = mid;
  }
  const size_t end = static_cast<size_t>(indptr[lo]);
  if (lo > 0) {
    const size_t entry = goal - (lo - 1), begin = static_cast<size_t>(indptr[lo - 1]);
    if (end - begin > kWholeSlice && entry < end) return {lo - 1, begin + (entry - begin) / kWholeSlice * kWholeSlice};
  }
  return {lo, end};
}

// Workers' states of k columns for the blocks of slices that a cut falls into; who has such a slice writes it once.
template <class State, class I>
class Carries {
 public:
  Carries(const I* indptr, size_t n_major, int parts, size_t k, State start)
      : indptr_(indptr), parts_(parts), k_(k), cuts_(new Cut[parts + 1]), first_(new size_t[parts + 1]) {
    for (int p = 0; p <= parts; ++p) cuts_[p] = cut_at(indptr, n_major, p, parts);
    first_[0] = 0;
    for (int p = 0; p < parts; ++p) first_[p + 1] = first_[p] + head_blocks(p) + tail_blocks(p);
    if (first_[parts] == 0) return;
    states_.reset(new State[k * first_[parts]]);
    std::fill_n(states_.get(), k * first_[parts], start);
  }

  // rows(lo, hi) does slices, long ones as fold_slice does; piece(lo, hi, states) folds one block into k states.
  void run(int p, RangeRef rows, Fold<State> piece) {
    const Cut from = cuts_[p], to = cuts_[p + 1];
    State* states = states_.get() + k_ * first_[p];
    if (inside(p)) fold_blocks(from.entry, head_end(p), k_, states, piece);
    const size_t first = from.slice + inside(p);
    if (first < to.slice) rows(first, to.slice);
    if (has_tail(p)) {
      fold_blocks(static_cast<size_t>(indptr_[to.slice]), to.entry, k_, states + k_ * head_blocks(p), piece);
    }
  }

  // Joins the blocks of every slice that was cut, then write(slice, states).
  template <class Join, class Write>
  void finish(Join&& join, Write&& write) {
    for (int p = 1; p < parts_; ++p) {
      if (!inside(p)) continue;
      const size_t slice = cuts_[p].slice;
      State* states = states_.get() + k_ * (first_[p] - tail_blocks(p - 1));
      while (p + 1 < parts_ && inside(p + 1) && cuts_[p + 1].slice == slice) ++p;
      const size_t blocks = block_count(static_cast<size_t>(indptr_[slice + 1] - indptr_[slice]));
      join_in_pairs(states, blocks, k_, join);
      write(slice, states);
    }
  }

 private:
  bool inside(int p) const {
    return p > 0 && p < parts_ && cuts_[p].entry > static_cast<size_t>(indptr_[cuts_[p].slice]);
  }
  size_t head_end(int p) const {
    return std::min(static_cast<size_t>(indptr_[cuts_[p].slice + 1]), cuts_[p + 1].entry);
  }
  bool has_tail(int p) const { return inside(p + 1) && !(inside(p) && cuts_[p + 1].slice == cuts_[p].slice); }
  size_t head_blocks(int p) const { return inside(p) ? block_count(head_end(p) - cuts_[p].entry) : 0; }
  size_t tail_blocks(int p) const {
    return has_tail(p) ? block_count(cuts_[p + 1].entry - static_cast<size_t>(indptr_[cuts_[p + 1].slice])) : 0;
  }

  const I* indptr_;
  int parts_;
  size_t k_;
  std::unique_ptr<Cut[]> cuts_;
  std::unique_ptr<size_t[]> first_; // of a part's blocks: those of the slice that it begins in, then of the one it ends in
  std::unique_ptr<State[]> states_;
};

// Sums, held in A: rows and piece as in Carries::run, on `parts` workers.
template <class A, class T, class I>
void for_slices(const I* indptr, size_t n_major, int parts, size_t k, T* y, RangeRef rows, Fold<A> piece) {
  auto pieces = [&](size_t first, size_t last) { in_pieces(indptr, first, last, k / 8, rows); };
  if (parts <= 1) return pieces(size_t{0}, n_major);
  Carries<A, I> carries(indptr, n_major, parts, k, A{});
  run_parts(parts, [&](int p) { carries.run(p, pieces, piece); });
  carries.finish([](A& sum, const A& more) { sum = add(sum, more); },
                 [=](size_t slice, const A* sum) {
                   for (size_t j = 0; j < k; ++j) y[slice * k + j] = rounded<T>(sum[j]);
                 });
}

} // namespace sp
