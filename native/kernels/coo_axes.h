// Coordinates of n-D entries as one linear key, and back: folding, reshaping and ordering of coo arrays.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"

namespace sp {

constexpr size_t kKeyBlock = 2048; // keys kept in the first-level cache between passes over the axes

// keys[e] = sum over the axes a of coords[a][lo + e] * strides[a]. No axes: zeros.
template <class I>
void ravel_block(size_t lo, size_t n, const std::vector<const I*>& coords, const std::vector<int64_t>& strides,
                 int64_t* keys) {
  std::fill(keys, keys + n, int64_t{0});
  for (size_t a = 0; a < coords.size(); ++a) {
    const I* c = coords[a] + lo;
    const int64_t s = strides[a];
    if (s == 1) {
      for (size_t e = 0; e < n; ++e) keys[e] += c[e];
    } else {
      for (size_t e = 0; e < n; ++e) keys[e] += static_cast<int64_t>(c[e]) * s;
    }
  }
}

// The inverse for C order over `dims` (no entries where one of them is 0); keys are used up. Below 2^52 a division is a
// multiplication by the reciprocal in double, whose quotient is at most one off.
template <class O>
void unravel_block(size_t lo, size_t n, int64_t* keys, const std::vector<int64_t>& dims, bool narrow,
                   const std::vector<O*>& out) {
  for (size_t a = dims.size(); a-- > 1;) {
    const int64_t d = dims[a];
    O* o = out[a] + lo;
    if (d == 1) {
      std::fill(o, o + n, O{0});
    } else if (narrow) {
      const double inverse = 1.0 / static_cast<double>(d);
      for (size_t e = 0; e < n; ++e) {
        int64_t q = static_cast<int64_t>(static_cast<double>(keys[e]) * inverse);
        int64_t r = keys[e] - q * d;
        const int64_t off = static_cast<int64_t>(r >= d) - static_cast<int64_t>(r < 0);
        q += off;
        r -= off * d;
        o[e] = static_cast<O>(r);
        keys[e] = q;
      }
    } else {
      for (size_t e = 0; e < n; ++e) {
        const int64_t q = keys[e] / d;
        o[e] = static_cast<O>(keys[e] - q * d);
        keys[e] = q;
      }
    }
  }
  for (size_t e = 0; e < n; ++e) out[0][lo + e] = static_cast<O>(keys[e]);
}

// out = the coordinates in C order over `dims` of the entries whose linear position is coords . strides; with no dims,
// out[0] is that position itself. One pass, blocks over the pool.
template <class I, class O>
void coo_reshape(size_t nnz, const std::vector<const I*>& coords, const std::vector<int64_t>& strides,
                 const std::vector<int64_t>& dims, bool narrow, const std::vector<O*>& out) {
  parallel_for(nnz, plan_parts(nnz * (coords.size() + 2 * dims.size())), [&](size_t lo, size_t hi) {
    int64_t keys[kKeyBlock];
    for (; lo < hi; lo += kKeyBlock) {
      const size_t n = std::min(kKeyBlock, hi - lo);
      ravel_block(lo, n, coords, strides, keys);
      unravel_block(lo, n, keys, dims, narrow, out);
    }
  });
}

// (least, largest) of x[0 .. n), n > 0.
template <class I>
std::pair<I, I> extent(size_t n, const I* x) {
  const int parts = plan_parts(n / 4);
  std::vector<std::pair<I, I>> found(parts, {x[0], x[0]});
  run_parts(parts, [&](int p) {
    I low = x[0], high = x[0];
    for (size_t e = n * p / parts, end = n * (p + 1) / parts; e < end; ++e) {
      low = std::min(low, x[e]);
      high = std::max(high, x[e]);
    }
    found[p] = {low, high};
  });
  for (auto& f : found) found[0] = {std::min(found[0].first, f.first), std::max(found[0].second, f.second)};
  return found[0];
}

} // namespace sp
