// Matchings of bipartite graphs by weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>
#include <vector>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// All slices, of which there are at most as many as minor indices, by edges whose weights have the least sum. R. Jonker,
// A. Volgenant, Computing 38 (1987): a slice after the other, along the path of least reduced weight, by Dijkstra's method;
// I. S. Duff, J. Koster, SIAM Journal on Matrix Analysis and Applications 22 (2001): edges beyond the nearest free minor index
// are not followed. Weights of zero or infinity are no edges; no duplicates. Cost: O(M (E + N log N)), usually far less.
template <class I>
class LeastMatching {
 public:
  // sign: -1 for the greatest sum; minor_of[m]: what each slice is matched with.
  LeastMatching(CsView<double, I> a, double sign, int32_t* minor_of)
      : a_(a), sign_(sign), minor_of_(minor_of), major_of_(a.n_minor, -1), part_of_(a.n_major), price_(a.n_minor, 0),
        length_(a.n_minor, kFar), from_(a.n_minor), edge_(a.n_minor), done_(a.n_minor, 0),
        dense_(4 * a.nnz() > a.n_major * a.n_minor) {}

  // False where there is no such matching.
  bool run() {
    std::fill_n(minor_of_, a_.n_major, -1);
    if (a_.n_major == a_.n_minor) {
      std::fill(price_.begin(), price_.end(), kFar);
      for (size_t m = 0; m < a_.n_major; ++m) {
        watch_(2 * (a_.end(m) - a_.begin(m)) + 1);
        for (size_t e = a_.begin(m); e < a_.end(m); ++e) price_[a_.indices[e]] = std::min(price_[a_.indices[e]], weight(e));
      }
    }
    std::vector<int32_t> free(a_.n_major);
    std::iota(free.begin(), free.end(), 0);
    free = bid(std::move(free));
    return std::all_of(free.begin(), free.end(), [this](int32_t m) { return augment(m); });
  }

 private:
  static constexpr double kFar = std::numeric_limits<double>::infinity();

  double weight(size_t e) const { return a_.data[e] == 0 ? kFar : sign_ * a_.data[e]; }

  // Each slice takes the minor index of least reduced weight, and makes it so dear that the next one would do as well: for
  // all others, if there is no next one. Who had it before comes then. Returns those that are left without.
  std::vector<int32_t> bid(std::vector<int32_t> free) {
    std::vector<int32_t> left;
    size_t steps = 4 * free.size(); // so that a price does not rise forever by almost nothing
    for (size_t i = 0; i < free.size();) {
      const int32_t m = free[i++];
      watch_(4 * (a_.end(m) - a_.begin(m)) + 8);
      double least = kFar, second = kFar;
      size_t at = 0, then = 0;
      for (size_t e = a_.begin(m), end = a_.end(m); e < end; ++e) {
        const double reduced = weight(e) - price_[a_.indices[e]];
        if (!(reduced < second)) continue;
        if (reduced < least) {
          second = least;
          then = at;
          least = reduced;
          at = e;
        } else {
          second = reduced;
          then = e;
        }
      }
      if (least == kFar || steps == 0) {
        left.push_back(m);
        continue;
      }
      --steps;
      int32_t other = major_of_[a_.indices[at]];
      if (least < second) {
        price_[a_.indices[at]] -= second - least;
      } else if (other >= 0) {
        at = then;
        other = major_of_[a_.indices[at]];
      }
      match(m, static_cast<int32_t>(a_.indices[at]), at);
      if (other < 0) continue;
      minor_of_[other] = -1;
      if (least < second) free[--i] = other; else left.push_back(other);
    }
    return left;
  }

  void match(int32_t m, int32_t j, size_t e) {
    minor_of_[m] = j;
    major_of_[j] = m;
    part_of_[m] = weight(e);
  }

  bool augment(int32_t start) {
    using Entry = std::pair<double, int32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    double best = kFar, reach = -kFar; // the way to the nearest that is free; how far all nearer ones are known
    int32_t last = -1;
    auto follow = [&](int32_t m, double base) {
      watch_(4 * (a_.end(m) - a_.begin(m)) + 8);
      for (size_t e = a_.begin(m), end = a_.end(m); e < end; ++e) {
        const auto j = static_cast<int32_t>(a_.indices[e]);
        const double next = base + (weight(e) - price_[j]);
        if (!(next < best) || !(next < length_[j]) || done_[j]) continue;
        if (length_[j] == kFar) touched_.push_back(j);
        length_[j] = next;
        from_[j] = m;
        edge_[j] = static_cast<I>(e);
        if (major_of_[j] < 0) {
          best = next;
          last = j;
        } else if (next <= reach) {
          near_.push_back(j);
        } else if (!dense_) {
          queue.emplace(next, j);
        }
      }
    };
    auto find_next = [&] {
      if (!dense_) {
        if (queue.empty() || !(queue.top().first < best)) return;
        reach = queue.top().first;
        near_.push_back(queue.top().second);
        return queue.pop();
      }
      double least = best;
      for (int32_t j : touched_) {
        if (done_[j] || !(length_[j] <= least) || major_of_[j] < 0) continue;
        if (length_[j] < least) near_.clear();
        least = length_[j];
        near_.push_back(j);
      }
      if (least < best) reach = least; else near_.clear();
    };
    near_.clear();
    follow(start, 0);
    for (find_next(); !near_.empty() && reach < best;) {
      const int32_t j = near_.back();
      near_.pop_back();
      if (!done_[j]) {
        done_[j] = 1;
        const int32_t m = major_of_[j];
        follow(m, length_[j] - (part_of_[m] - price_[j]));
      }
      if (near_.empty()) find_next();
    }
    for (int32_t j : touched_) {
      if (done_[j] && last >= 0) price_[j] += length_[j] - best;
      length_[j] = kFar;
      done_[j] = 0;
    }
    touched_.clear();
    if (last < 0) return false;
    for (int32_t j = last, m = -1; m != start;) {
      m = from_[j];
      const int32_t before = minor_of_[m];
      match(m, j, static_cast<size_t>(edge_[j]));
      j = before;
    }
    return true;
  }

  CsView<double, I> a_;
  double sign_;
  int32_t* minor_of_;
  std::vector<int32_t> major_of_;
  std::vector<double> part_of_, price_, length_; // weights of matched edges; dual values; ways from the slice at hand
  std::vector<int32_t> from_;
  std::vector<I> edge_;
  std::vector<uint8_t> done_;
  std::vector<int32_t> touched_, near_; // minor indices that have a length, and those as near as the search has come
  bool dense_; // whether to look through all of them for the nearest, as few slices have less than that many entries
  Watch watch_;
};

} // namespace sp
