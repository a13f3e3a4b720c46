// How the entries of a compressed structure are divided among workers, huge slices included.
#pragma once

#include <algorithm>
#include <memory>

#include "../dispatch.h"
#include "../parallel.h"

namespace sp {

// A position in (slice, entry) order; indptr[slice] <= entry, and entry > indptr[slice] means "inside that slice".
struct Cut {
  size_t slice, entry;
};

// Slices up to this many entries stay whole.
constexpr size_t kWholeSlice = 4096;

// Cut p of `parts`, by (entries + slices). Only a slice above kWholeSlice is ever cut inside.
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
    const size_t entry = goal - (lo - 1);
    if (end - static_cast<size_t>(indptr[lo - 1]) > kWholeSlice && entry < end) return {lo - 1, entry};
  }
  return {lo, end};
}

// Workers' states of k columns over the pieces of slices that a cut falls into; the owner of the piece writes them once.
template <class State, class I>
class Carries {
 public:
  Carries(const I* indptr, size_t n_major, int parts, size_t k, State start)
      : indptr_(indptr), parts_(parts), k_(k), cuts_(new Cut[parts + 1]) {
    bool any = false;
    for (int p = 0; p <= parts; ++p) {
      cuts_[p] = cut_at(indptr, n_major, p, parts);
      any = any || inside(p);
    }
    if (any) {
      states_.reset(new State[2 * k * parts]);
      std::fill_n(states_.get(), 2 * k * parts, start);
    }
  }

  // rows(lo, hi) does whole slices; piece(lo, hi, states) folds entries of one slice into k states.
  template <class Rows, class Piece>
  void run(int p, Rows&& rows, Piece&& piece) {
    const Cut from = cuts_[p], to = cuts_[p + 1];
    size_t first = from.slice;
    if (inside(p)) {
      const size_t end = static_cast<size_t>(indptr_[from.slice + 1]);
      piece(from.entry, std::min(end, to.entry), head(p));
      ++first;
    }
    if (first < to.slice) rows(first, to.slice);
    if (inside(p + 1) && to.slice >= first) piece(static_cast<size_t>(indptr_[to.slice]), to.entry, tail(p));
  }

  // join(state, later) for every piece of every slice that was cut, then write(slice, states).
  template <class Join, class Write>
  void finish(Join&& join, Write&& write) {
    for (int p = 1; p < parts_; ++p) {
      if (!inside(p)) continue;
      const size_t slice = cuts_[p].slice;
      State* state = tail(p - 1);
      for (;; ++p) {
        for (size_t j = 0; j < k_; ++j) join(state[j], head(p)[j]);
        if (p + 1 >= parts_ || !inside(p + 1) || cuts_[p + 1].slice != slice) break;
      }
      write(slice, state);
    }
  }

 private:
  bool inside(int p) const {
    return p > 0 && p < parts_ && cuts_[p].entry > static_cast<size_t>(indptr_[cuts_[p].slice]);
  }
  State* head(int p) { return states_.get() + 2 * k_ * p; }
  State* tail(int p) { return head(p) + k_; }

  const I* indptr_;
  int parts_;
  size_t k_;
  std::unique_ptr<Cut[]> cuts_;
  std::unique_ptr<State[]> states_;
};

// Sums: rows and piece as in Carries::run, on `parts` workers.
template <class T, class I, class Rows, class Piece>
void for_slices(const I* indptr, size_t n_major, int parts, size_t k, T* y, Rows&& rows, Piece&& piece) {
  using A = acc_t<T>;
  auto pieces = [&](size_t first, size_t last) { in_pieces(indptr, first, last, k / 8, rows); };
  if (parts <= 1) return pieces(size_t{0}, n_major);
  Carries<A, I> carries(indptr, n_major, parts, k, A{});
  run_parts(parts, [&](int p) { carries.run(p, pieces, piece); });
  carries.finish([](A& sum, const A& more) { sum = add(sum, more); },
                 [=](size_t slice, const A* sum) {
                   for (size_t j = 0; j < k; ++j) y[slice * k + j] = static_cast<T>(sum[j]);
                 });
}

} // namespace sp
