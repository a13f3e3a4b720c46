// Minimum degree ordering of small graphs, whose rows of what is left to eliminate are sets of bits: joining the neighbours of
// a pivot to each other takes a few instructions for each, and few branches.
// Cost: for each pivot its neighbours times n / 64.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/elimination.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define SP_COUNTING __attribute__((target("avx2,popcnt")))
#endif

namespace sp {

constexpr int32_t kBits = 768; // most nodes: their rows take 72 kB

// Of a graph of at most 64 W nodes. Degrees are exact. What is joined to nothing but the neighbours of a pivot goes with it.
template <int W>
__attribute__((always_inline)) inline EliminationGroups bit_minimum_degree_groups(const Graph& g) {
  const int32_t n = g.n();
  struct Row { uint64_t word[W]; };
  std::vector<Row> rows(n, Row{});
  std::vector<int32_t> degree(n), head(n, -1), next(n), last(n), joined(n); // lists of the nodes by degree
  auto bit = [](int32_t i) { return uint64_t{1} << i % 64; };
  int32_t least = n;
  auto insert = [&](int32_t i) {
    int32_t& first = head[degree[i]];
    next[i] = first;
    last[i] = -1;
    if (first >= 0) last[first] = i;
    first = i;
    least = std::min(least, degree[i]);
  };
  auto remove = [&](int32_t i) {
    if (next[i] >= 0) last[next[i]] = last[i];
    (last[i] >= 0 ? next[last[i]] : head[degree[i]]) = next[i];
  };
  for (int32_t i = n - 1; i >= 0; --i) { // of equal degrees the first is taken first: on grids that fills least
    for (int64_t k = g.start[i]; k < g.start[i + 1]; ++k) rows[i].word[g.to[k] / 64] |= bit(g.to[k]);
    degree[i] = static_cast<int32_t>(g.start[i + 1] - g.start[i]);
    insert(i);
  }
  EliminationGroups out;
  out.of.assign(n, -1);
  for (int32_t left = n; left > 0;) {
    while (head[least] < 0) ++least;
    const int32_t p = head[least], group = static_cast<int32_t>(out.first.size());
    remove(p);
    Row element = rows[p], gone{};
    int32_t count = 0, kept = 0;
    for (int32_t w = 0; w < W; ++w) {
      for (uint64_t bits = element.word[w]; bits; bits &= bits - 1) joined[count++] = 64 * w + std::countr_zero(bits);
    }
    out.of[p] = group;
    for (int32_t c = 0; c < count; ++c) {
      const int32_t i = joined[c];
      Row& to = rows[i];
      int32_t sum = 0;
      for (int32_t w = 0; w < W; ++w) to.word[w] |= element.word[w];
      for (int32_t w = 0; w < W; ++w) sum += std::popcount(to.word[w]);
      to.word[i / 64] &= ~bit(i);
      to.word[p / 64] &= ~bit(p);
      remove(i);
      if (sum - 2 >= count) { // itself, and p
        degree[i] = sum - 2;
        joined[kept++] = i;
        continue;
      }
      out.of[i] = group;
      gone.word[i / 64] |= bit(i);
    }
    const int32_t width = 1 + count - kept;
    for (int32_t c = 0; c < kept; ++c) {
      const int32_t i = joined[c];
      for (int32_t w = 0; w < W; ++w) rows[i].word[w] &= ~gone.word[w];
      degree[i] -= width - 1;
      insert(i);
    }
    for (int32_t w = 0; w < W; ++w) rows[p].word[w] = element.word[w] & ~gone.word[w]; // kept: the rows below this group
    out.first.push_back(p);
    out.width.push_back(width);
    out.below.push_back(kept);
    left -= width;
  }
  for (int32_t p : out.first) {
    int32_t up = n;
    for (int32_t w = 0; w < W; ++w) {
      for (uint64_t bits = rows[p].word[w]; bits; bits &= bits - 1) up = std::min(up, out.of[64 * w + std::countr_zero(bits)]);
    }
    out.parent.push_back(up == n ? -1 : up);
  }
  return out;
}

template <int W>
EliminationGroups bit_minimum_degree_plain(const Graph& g) { return bit_minimum_degree_groups<W>(g); }

#ifdef SP_COUNTING
template <int W>
SP_COUNTING EliminationGroups bit_minimum_degree_counting(const Graph& g) { return bit_minimum_degree_groups<W>(g); }
#endif

template <int W>
Elimination bit_minimum_degree_of(const Graph& g) {
#ifdef SP_COUNTING // else an instruction that counts bits takes a dozen
  static const bool counts = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
  if (counts) return columns_of(bit_minimum_degree_counting<W>(g));
#endif
  return columns_of(bit_minimum_degree_plain<W>(g));
}

inline Elimination bit_minimum_degree(const Graph& g) {
  if (g.n() <= 256) return bit_minimum_degree_of<4>(g);
  return g.n() <= 512 ? bit_minimum_degree_of<8>(g) : bit_minimum_degree_of<12>(g);
}

} // namespace sp
