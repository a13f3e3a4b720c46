// Sets of nodes of a graph.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sp {

// A set of nodes, a bit for each: what is asked for in no order fits a cache.
class NodeSet {
 public:
  explicit NodeSet(size_t n) : words_(n / 64 + 1, 0) {}

  bool has(size_t v) const { return words_[v / 64] >> v % 64 & 1; }
  void add(size_t v) { words_[v / 64] |= uint64_t{1} << v % 64; }
  void remove(size_t v) { words_[v / 64] &= ~(uint64_t{1} << v % 64); }

  // Makes `rank` tell how many nodes of the set are below v; returns how many there are.
  size_t count() {
    size_t total = 0;
    below_.reserve(words_.size());
    for (const uint64_t word : words_) {
      below_.push_back(static_cast<uint32_t>(total));
      total += static_cast<size_t>(std::popcount(word));
    }
    return total;
  }
  size_t rank(size_t v) const {
    return below_[v / 64] + static_cast<size_t>(std::popcount(words_[v / 64] & ((uint64_t{1} << v % 64) - 1)));
  }

 private:
  std::vector<uint64_t> words_;
  std::vector<uint32_t> below_; // each word
};

} // namespace sp
