// Element-wise binary operations on two canonical structures of one shape. A merge of the structures leaves one byte per
// entry of the union, from which values are made without looking at indices.
#pragma once

#include <cstring>
#include <vector>

#include "../dispatch.h"
#include "../parallel.h"
#include "canonical.h"
#include "scan.h"

namespace sp {

// A tag says where an entry of the union comes from, and whether its result was zero.
constexpr uint8_t kInA = 1, kInB = 2, kZero = 4;

// One merged slice; returns its length. Branches follow the runs in which the operands' entries mostly come.
template <class I>
size_t merge_slice(const I* a, const I* a_end, const I* b, const I* b_end, I* indices, uint8_t* tags) {
  const size_t na = static_cast<size_t>(a_end - a);
  if (a_end - a == b_end - b && na && a[0] == b[0] && std::equal(a, a_end, b)) {
    for (size_t k = 0; k < na; ++k) {
      indices[k] = a[k];
      tags[k] = kInA | kInB;
    }
    return na;
  }
  I* out = indices;
  auto put = [&](I index, uint8_t tag) {
    *out++ = index;
    *tags++ = tag;
  };
  while (a < a_end && b < b_end) {
    if (*a < *b) put(*a++, kInA);
    else if (*b < *a) put(*b++, kInB);
    else put(*a++, kInA | kInB), ++b;
  }
  while (a < a_end) put(*a++, kInA);
  while (b < b_end) put(*b++, kInB);
  return static_cast<size_t>(out - indices);
}

// Step 1. The union of two canonical structures: out_indptr, out_indices[0 .. n) and tags[0 .. n); returns n. Both
// buffers have room for nnz_a + nnz_b. No aliasing. Cost: O(nnz_a + nnz_b + n_major).
template <class I>
size_t cs_union(CsPattern<I> a, CsPattern<I> b, I* out_indptr, I* out_indices, uint8_t* tags) {
  const I *a_indptr = a.indptr, *a_indices = a.indices, *b_indptr = b.indptr, *b_indices = b.indices;
  const size_t n_major = a.n_major, entries = a.nnz() + b.nnz();
  const int parts = plan_parts(2 * entries + n_major);
  const auto bounds = balance(a_indptr[n_major] >= b_indptr[n_major] ? a_indptr : b_indptr, n_major, parts);
  std::vector<size_t> lengths(parts);
  auto start = [&](int p) {
    return static_cast<size_t>(a_indptr[bounds[p]]) + static_cast<size_t>(b_indptr[bounds[p]]);
  };
  run_parts(parts, [&](int p) {
    size_t slot = start(p);
    Watch watch;
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const size_t n = merge_slice(a_indices + a_indptr[i], a_indices + a_indptr[i + 1], b_indices + b_indptr[i],
                                   b_indices + b_indptr[i + 1], out_indices + slot, tags + slot);
      out_indptr[i + 1] = static_cast<I>(n);
      slot += n;
      watch(2 * n + 2);
    }
    lengths[p] = slot - start(p);
  });
  size_t end = 0;
  for (int p = 0; p < parts; end += lengths[p++]) {
    if (end == start(p)) continue;
    std::memmove(tags + end, tags + start(p), lengths[p]);
    std::memmove(out_indices + end, out_indices + start(p), lengths[p] * sizeof(I));
  }
  return lengths_to_indptr(n_major, out_indptr);
}

// Where a worker begins: entry k of the union is preceded by a entries of A and b of B.
struct TagCut {
  size_t k = 0, a = 0, b = 0;
};

// How many of n tags have the bit; eight at a time, in byte counters that are emptied before they can overflow.
inline size_t count_bit(size_t n, const uint8_t* tags, int bit) {
  constexpr uint64_t ones = 0x0101010101010101ull, even = 0x00ff00ff00ff00ffull;
  size_t total = 0, k = 0;
  while (n - k >= 8) {
    uint64_t bytes = 0;
    for (int step = 0; step < 255 && n - k >= 8; ++step, k += 8) {
      uint64_t word;
      std::memcpy(&word, tags + k, 8);
      bytes += (word >> bit) & ones;
    }
    total += (((bytes & even) + ((bytes >> 8) & even)) * 0x0001000100010001ull) >> 48;
  }
  for (; k < n; ++k) total += (tags[k] >> bit) & 1;
  return total;
}

// parts + 1 cuts of tags[0 .. n), equal in length.
inline std::vector<TagCut> cut_tags(size_t n, const uint8_t* tags, int parts) {
  std::vector<TagCut> cuts(parts + 1);
  run_parts(parts, [&](int p) {
    const size_t lo = n * p / parts, length = n * (p + 1) / parts - lo;
    cuts[p + 1] = {length, count_bit(length, tags + lo, 0), count_bit(length, tags + lo, 1)};
  });
  for (int p = 0; p < parts; ++p) {
    cuts[p + 1].k += cuts[p].k;
    cuts[p + 1].a += cuts[p].a;
    cuts[p + 1].b += cuts[p].b;
  }
  return cuts;
}

enum class MergeOp { plus, minus, multiply, maximum, minimum, ne, lt, gt, le, ge };

constexpr bool is_comparison(MergeOp op) { return op >= MergeOp::ne; }

// SciPy's rule: maximum and minimum keep the first operand when unordered.
template <MergeOp op, class T>
auto merge_apply(T x, T y) {
  if constexpr (op == MergeOp::plus) return add(x, y);
  else if constexpr (op == MergeOp::multiply) return mul(x, y);
  else if constexpr (op == MergeOp::maximum) return x < y ? y : x;
  else if constexpr (op == MergeOp::minimum) return y < x ? y : x;
  else if constexpr (op == MergeOp::ne) {
    if constexpr (is_complex_v<T>) return (x.real() != y.real()) | (x.imag() != y.imag());
    else return x != y;
  }
  else if constexpr (op == MergeOp::lt) return x < y;
  else if constexpr (op == MergeOp::gt) return y < x;
  else if constexpr (op == MergeOp::le) return x <= y;
  else if constexpr (op == MergeOp::ge) return y <= x;
  else {
    static_assert(op == MergeOp::minus);
    if constexpr (std::is_same_v<T, bool>) return x != y;
    else if constexpr (is_complex_v<T>) return T{x.real() - y.real(), x.imag() - y.imag()};
    else return static_cast<T>(x - y);
  }
}

// x where keep is 1, zero where it is 0, without a branch.
template <class T>
T masked(const T& x, unsigned keep) {
  using W = std::conditional_t<sizeof(T) == 1, uint8_t, std::conditional_t<sizeof(T) == 2, uint16_t,
            std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
  if constexpr (sizeof(T) > sizeof(W)) return {masked(x.real(), keep), masked(x.imag(), keep)};
  W bits;
  std::memcpy(&bits, &x, sizeof(W));
  bits = static_cast<W>(bits & (W{0} - static_cast<W>(keep)));
  T out;
  std::memcpy(static_cast<void*>(&out), &bits, sizeof(W));
  return out;
}

// Entries k .. end of the union, whose operands begin at a and b; returns the number of zeros. Reads a and b one past
// what the tags name.
template <MergeOp op, class T, class U>
size_t merge_block(size_t k, size_t end, const uint8_t* tags, const T*& a, const T*& b, U* out) {
  const T *x = a, *y = b;
  size_t zeros = 0;
  for (; k < end; ++k) {
    const unsigned tag = tags[k], in_a = tag & 1, in_b = (tag >> 1) & 1;
    const U z = merge_apply<op, T>(masked(*x, in_a), masked(*y, in_b));
    out[k] = z;
    zeros += !nonzero(z);
    x += in_a;
    y += in_b;
  }
  a = x;
  b = y;
  return zeros;
}

// The same where all n entries are in both operands: vectorised.
template <MergeOp op, class T, class U>
size_t merge_both(size_t n, const T* a, const T* b, U* out) {
  size_t zeros = 0;
  for (size_t e = 0; e < n; ++e) {
    const U z = merge_apply<op, T>(a[e], b[e]);
    out[e] = z;
    zeros += !nonzero(z);
  }
  return zeros;
}

// The values of both operands, of one type.
struct MergeOperands {
  const void* a;
  size_t nnz_a;
  const void* b;
  size_t nnz_b;
};

// Step 2. out[k] = op(a or 0, b or 0) for the n entries that tags describe; U is bool for comparisons, else T. Marks
// zero results in tags and returns how many there are. Cost: O(n).
template <MergeOp op, class T, class U>
size_t merge_values(size_t n, uint8_t* tags, MergeOperands from, U* out) {
  constexpr size_t block = 16;
  constexpr uint64_t both = 0x0303030303030303ull;
  const T *x = static_cast<const T*>(from.a), *const x_end = x + from.nnz_a;
  const T *y = static_cast<const T*>(from.b), *const y_end = y + from.nnz_b;
  size_t total = 0;
  for (size_t k = 0, end; k < n; k = end) {
    end = std::min(k + block, n);
    size_t zero = 0;
    uint64_t head[2] = {0, 0};
    if (end == k + block) std::memcpy(head, tags + k, block);
    if (head[0] == both && head[1] == both) {
      zero = merge_both<op>(block, x, y, out + k);
      x += block;
      y += block;
    } else if (x_end - x > std::ptrdiff_t(block) && y_end - y > std::ptrdiff_t(block)) {
      zero = merge_block<op>(k, end, tags, x, y, out);
    } else { // an operand ends here: read from copies that may be overrun
      T u[block + 1] = {}, v[block + 1] = {};
      std::copy(x, x + std::min<std::ptrdiff_t>(block, x_end - x), u);
      std::copy(y, y + std::min<std::ptrdiff_t>(block, y_end - y), v);
      const T *from_u = u, *from_v = v;
      zero = merge_block<op>(k, end, tags, from_u, from_v, out);
      x += from_u - u;
      y += from_v - v;
    }
    total += zero;
    if (!zero) continue;
    for (size_t e = k; e < end; ++e) tags[e] = static_cast<uint8_t>((tags[e] & 3) | (nonzero(out[e]) ? 0 : kZero));
  }
  return total;
}

template <class T>
size_t merge_values(MergeOp op, size_t n, uint8_t* tags, MergeOperands from, void* out) {
  // What works alike on other types of the width shares their code: wrapping, and equality.
  using R = typename Unsigned<T>::type;
  auto* y = static_cast<T*>(out);
  auto* r = static_cast<R*>(out);
  auto* flag = static_cast<bool*>(out);
  switch (op) {
    case MergeOp::plus: return merge_values<MergeOp::plus, R>(n, tags, from, r);
    case MergeOp::minus: return merge_values<MergeOp::minus, R>(n, tags, from, r);
    case MergeOp::multiply: return merge_values<MergeOp::multiply, R>(n, tags, from, r);
    case MergeOp::maximum: return merge_values<MergeOp::maximum, T>(n, tags, from, y);
    case MergeOp::minimum: return merge_values<MergeOp::minimum, T>(n, tags, from, y);
    case MergeOp::ne: return merge_values<MergeOp::ne, R>(n, tags, from, flag);
    case MergeOp::lt: return merge_values<MergeOp::lt, T>(n, tags, from, flag);
    case MergeOp::gt: return merge_values<MergeOp::gt, T>(n, tags, from, flag);
    case MergeOp::le: return merge_values<MergeOp::le, T>(n, tags, from, flag);
    case MergeOp::ge: return merge_values<MergeOp::ge, T>(n, tags, from, flag);
  }
  return 0;
}

// merge_values for values of this dtype.
using MergeValues = size_t (*)(MergeOp op, size_t n, uint8_t* tags, MergeOperands from, void* out);
inline MergeValues merge_values_of(mx::Dtype dtype) {
  MergeValues found;
  dispatch_value(dtype, [&](auto t) { found = &merge_values<typename decltype(t)::type>; });
  return found;
}

// indptr of the entries that are not marked zero; returns their number. In place is allowed.
template <class I>
size_t cs_union_drop(size_t n_major, const uint8_t* tags, const I* indptr, I* out_indptr) {
  size_t total = 0, k = 0;
  for (size_t i = 0; i < n_major; ++i) {
    const size_t end = static_cast<size_t>(indptr[i + 1]);
    out_indptr[i] = static_cast<I>(total);
    for (; k < end; ++k) total += !(tags[k] & kZero);
  }
  out_indptr[n_major] = static_cast<I>(total);
  return total;
}

// Step 3, when there were zeros: compact() what is not marked, values and indices alike, with what stands before each
// piece.
inline std::vector<size_t> unmarked_before(size_t n, const uint8_t* tags) {
  auto unmarked = [=](size_t lo, size_t hi) { return hi - lo - count_bit(hi - lo, tags + lo, 2); };
  return counted_before(n, plan_parts(n), unmarked);
}

// Steps 2 and 3 where values are to be combined elsewhere: which entry of each operand an entry of the union comes from;
// the number of its entries where it has none.
template <class I>
void union_places(size_t n, const uint8_t* tags, size_t nnz_a, size_t nnz_b, I* in_a, I* in_b) {
  const int parts = plan_parts(2 * n);
  const auto cuts = cut_tags(n, tags, parts);
  run_parts(parts, [&](int p) {
    size_t a = cuts[p].a, b = cuts[p].b;
    for (size_t k = cuts[p].k; k < cuts[p + 1].k; ++k) {
      in_a[k] = static_cast<I>(tags[k] & kInA ? a++ : nnz_a);
      in_b[k] = static_cast<I>(tags[k] & kInB ? b++ : nnz_b);
    }
  });
}

// One slice of an operand.
template <class T, class I>
struct SliceEntries {
  const I *index, *end;
  const T* value;
};

// One slice of cs_merge into index and value; returns its length. Branches follow the runs in which entries mostly come.
template <MergeOp op, class T, class I>
size_t merge_values_slice(SliceEntries<T, I> left, SliceEntries<T, I> right, I* index, T* value) {
  const I *x = left.index, *const x_end = left.end, *y = right.index, *const y_end = right.end;
  const T *a = left.value, *b = right.value;
  size_t n = 0;
  auto put = [&](I j, T z) {
    index[n] = j;
    value[n] = z;
    n += nonzero(z);
  };
  while (x < x_end && y < y_end) {
    if (*x < *y) put(*x++, merge_apply<op, T>(*a++, T{}));
    else if (*y < *x) put(*y++, merge_apply<op, T>(T{}, *b++));
    else ++y, put(*x++, merge_apply<op, T>(*a++, *b++));
  }
  while (x < x_end) put(*x++, merge_apply<op, T>(*a++, T{}));
  while (y < y_end) put(*y++, merge_apply<op, T>(T{}, *b++));
  return n;
}

// Steps 1 to 3 at once, for the operations and value types that are worth their own code: C = op(A, B) on canonical
// structures, without the entries that are zero (NaN is kept). Buffers have room for nnz_a + nnz_b. Returns nnz(C).
// No aliasing. Cost: O(nnz_a + nnz_b + n_major).
template <MergeOp op, class T, class I>
size_t cs_merge(CsView<T, I> a, CsView<T, I> b, CsOut<T, I> out) {
  const I *a_indptr = a.indptr, *b_indptr = b.indptr;
  const size_t n_major = a.n_major, entries = a.nnz() + b.nnz();
  const int parts = plan_parts(2 * entries + n_major);
  const auto bounds = balance(a_indptr[n_major] >= b_indptr[n_major] ? a_indptr : b_indptr, n_major, parts);
  std::vector<size_t> lengths(parts);
  auto start = [&](int p) {
    return static_cast<size_t>(a_indptr[bounds[p]]) + static_cast<size_t>(b_indptr[bounds[p]]);
  };
  run_parts(parts, [&](int p) {
    size_t slot = start(p);
    Watch watch;
    for (size_t i = bounds[p]; i < bounds[p + 1]; ++i) {
      const I i0 = a_indptr[i], i1 = a_indptr[i + 1], j0 = b_indptr[i], j1 = b_indptr[i + 1];
      const size_t n = merge_values_slice<op, T, I>({a.indices + i0, a.indices + i1, a.data + i0},
                                                    {b.indices + j0, b.indices + j1, b.data + j0}, out.indices + slot,
                                                    out.data + slot);
      out.indptr[i + 1] = static_cast<I>(n);
      slot += n;
      watch(static_cast<size_t>(i1 - i0) + static_cast<size_t>(j1 - j0) + 2);
    }
    lengths[p] = slot - start(p);
  });
  run_parts(parts > 1 ? 2 : 0, [&](int which) {
    size_t end = 0;
    for (int p = 0; p < parts; end += lengths[p++]) {
      if (end == start(p)) continue;
      if (which) std::memmove(out.indices + end, out.indices + start(p), lengths[p] * sizeof(I));
      else std::memmove(static_cast<void*>(out.data + end), out.data + start(p), lengths[p] * sizeof(T));
    }
  });
  return lengths_to_indptr(n_major, out.indptr);
}

// op of the values where both structures are the same; returns the number of zeros.
template <MergeOp op, class T>
size_t merge_same(size_t n, const T* a, const T* b, T* out) {
  std::atomic<size_t> zeros{0};
  parallel_for(n, plan_parts(n), [&](size_t lo, size_t hi) { zeros += merge_both<op>(hi - lo, a + lo, b + lo, out + lo); });
  return zeros;
}

// Whether two structures are the same: their values can then be combined without a merge.
template <class I>
bool cs_same_structure(CsPattern<I> a, CsPattern<I> b) {
  if (a.nnz() != b.nnz()) return false;
  auto same = [](size_t n, const I* a, const I* b) {
    using U = std::make_unsigned_t<I>;
    return first_negative(n, [=](size_t e) {
      const U d = U(a[e]) ^ U(b[e]);
      return static_cast<I>(d | (U(0) - d)); // negative unless 0
    }) == n;
  };
  return same(a.n_major, a.indptr, b.indptr) && same(a.nnz(), a.indices, b.indices);
}

} // namespace sp
