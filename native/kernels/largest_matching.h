// Matchings of bipartite graphs: edges of which no two share a slice or a minor index.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "../interrupt.h"
#include "view.h"

namespace sp {

// As many edges as possible, along paths that alternate between edges in and out of the matching. J. E. Hopcroft, R. M. Karp,
// SIAM Journal on Computing 2 (1973): in rounds, along shortest paths, as many as share nothing. Cost: O(E sqrt(N)). Between
// rounds slices are searched from one by one, for as long as a few rounds take: what a search meets that finds nothing is
// left out for good, which is most of the graph where many slices end without a partner.
template <class I>
class LargestMatching {
 public:
  // minor_of[m], major_of[j]: what each is matched with, -1 for none.
  LargestMatching(CsPattern<I> a, int32_t* minor_of, int32_t* major_of)
      : a_(a), minor_of_(minor_of), major_of_(major_of), level_(new int32_t[a.n_major]), queue_(new int32_t[a.n_major]),
        at_(new I[a.n_major]), from_(new int32_t[a.n_minor]), met_(a.n_minor, 0) {}

  void run() {
    std::fill_n(minor_of_, a_.n_major, -1);
    std::fill_n(major_of_, a_.n_minor, -1);
    for (size_t m = 0; m < a_.n_major; ++m) {
      size_t e = a_.begin(m);
      const size_t end = a_.end(m);
      while (e < end && major_of_[a_.indices[e]] >= 0) ++e;
      watch_(2 * (e - a_.begin(m)) + 4);
      if (e < end) match(static_cast<int32_t>(m), static_cast<int32_t>(a_.indices[e]));
    }
    for (size_t m = 0; m < a_.n_major; ++m) {
      if (minor_of_[m] < 0) free_.push_back(static_cast<int32_t>(m));
    }
    for (;;) {
      size_t steps = 0;
      const size_t most = 8 * (a_.nnz() + a_.n_major);
      std::erase_if(free_, [&](int32_t m) {
        if (steps >= most) return false;
        steps += search(m);
        return true;
      });
      if (free_.empty() || !find_levels()) break;
      std::copy_n(a_.indptr, a_.n_major, at_.get());
      std::erase_if(free_, [this](int32_t m) { return augment(m); });
    }
  }

 private:
  static constexpr int32_t kFar = std::numeric_limits<int32_t>::max();

  void match(int32_t m, int32_t j) {
    minor_of_[m] = j;
    major_of_[j] = m;
  }

  // One search breadth first. Returns how long it took to find a path; 0 where it finds none, which happens to no edge twice.
  size_t search(int32_t start) {
    queue_[0] = start;
    reached_.clear();
    for (size_t first = 0, end = 1, edges = 0; first < end; ++first) {
      const int32_t m = queue_[first];
      edges += a_.end(m) - a_.begin(m) + 1;
      watch_(4 * (a_.end(m) - a_.begin(m)) + 8);
      for (size_t e = a_.begin(m); e < a_.end(m); ++e) {
        const auto j = static_cast<int32_t>(a_.indices[e]);
        if (met_[j]) continue;
        met_[j] = 1;
        from_[j] = m;
        reached_.push_back(j);
        if (major_of_[j] >= 0) {
          queue_[end++] = major_of_[j];
          continue;
        }
        for (int32_t last = j, of = -1; of != start;) {
          of = from_[last];
          const int32_t before = minor_of_[of];
          match(of, last);
          last = before;
        }
        for (int32_t k : reached_) met_[k] = 0;
        return edges;
      }
    }
    return 0;
  }

  // How far slices are from those that are free; false where no path leads on to a free minor index.
  bool find_levels() {
    std::fill_n(level_.get(), a_.n_major, kFar);
    for (int32_t m : free_) level_[m] = 0;
    std::copy(free_.begin(), free_.end(), queue_.get());
    deepest_ = kFar;
    for (size_t first = 0, end = free_.size(); first < end; ++first) {
      const int32_t m = queue_[first];
      if (level_[m] >= deepest_) break;
      watch_(4 * (a_.end(m) - a_.begin(m)) + 8);
      for (size_t e = a_.begin(m); e < a_.end(m); ++e) {
        if (met_[a_.indices[e]]) continue;
        const int32_t other = major_of_[a_.indices[e]];
        if (other < 0) {
          deepest_ = level_[m];
          break;
        }
        if (level_[other] != kFar) continue;
        level_[other] = level_[m] + 1;
        queue_[end++] = other;
      }
    }
    return deepest_ != kFar;
  }

  // Whether a path from the slice leads to a free minor index by levels; it is taken. No edge is followed twice a round.
  bool augment(int32_t start) {
    size_t depth = 0;
    int32_t* const path = queue_.get();
    path[0] = start;
    for (;;) {
      const int32_t m = path[depth];
      int32_t next = kFar;
      I e = at_[m];
      for (const I end = a_.indptr[m + 1]; e < end; ++e) {
        const int32_t other = major_of_[a_.indices[e]];
        if (level_[m] == deepest_ ? other < 0 : other >= 0 && level_[other] == level_[m] + 1) {
          next = other;
          break;
        }
      }
      watch_(2 * static_cast<size_t>(e - at_[m]) + 8);
      at_[m] = e;
      if (next == kFar) {
        if (depth == 0) return false;
        ++at_[path[--depth]];
      } else if (next >= 0) {
        path[++depth] = next;
      } else {
        for (size_t d = 0; d <= depth; ++d) match(path[d], static_cast<int32_t>(a_.indices[at_[path[d]]++]));
        return true;
      }
    }
  }

  CsPattern<I> a_;
  int32_t *minor_of_, *major_of_;
  std::unique_ptr<int32_t[]> level_, queue_; // of slices; memory that is not needed is not touched
  std::unique_ptr<I[]> at_; // of each slice, the edge that is next
  std::unique_ptr<int32_t[]> from_; // of each minor index, the slice that a search came from
  std::vector<uint8_t> met_; // minor indices from which no path leads on
  std::vector<int32_t> free_, reached_; // slices without a partner; what a search has met
  int32_t deepest_ = kFar; // level from which free minor indices are reached
  Watch watch_;
};

} // namespace sp
