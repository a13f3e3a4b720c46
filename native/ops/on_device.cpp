#include "ops/on_device.h"

#include <limits>
#include <stdexcept>

#include "primitives/convert.h"
#include "primitives/reduce.h"
#include "primitives/segment.h"
#include "primitives/spgemm.h"
#include "primitives/union.h"

namespace sp {

namespace {

constexpr int kMost = std::numeric_limits<int>::max();

// One element of each; one synchronisation.
std::vector<int64_t> read_all(Arrays scalars, mx::Stream s) {
  for (auto& x : scalars) x = mx::astype(mx::reshape(x, {1}, s), mx::int64, s);
  wait_for(scalars);
  std::vector<int64_t> found;
  for (auto& x : scalars) found.push_back(x.item<int64_t>());
  return found;
}
int64_t read(const mx::array& scalar, mx::Stream s) { return read_all({scalar}, s)[0]; }

mx::array last_of(const mx::array& a, mx::Stream s) { return mx::slice(a, {a.shape(0) - 1}, {a.shape(0)}, s); }

// Running sums of `lengths`, from 0 on.
mx::array running(const mx::array& lengths, mx::Stream s) { return segment_offsets(lengths, true, kMost, s); }

mx::array not_zero(const mx::array& x, mx::Stream s) { return mx::not_equal(x, mx::zeros({1}, x.dtype(), s), s); }

mx::array number(int64_t n, mx::Dtype dtype) { return mx::array(n, dtype); }

// The positions that a mask keeps, and how many of those stand before each position; none where it keeps all.
struct Kept { mx::array at, before; };
std::optional<Kept> kept_by(const mx::array& mask, mx::Dtype index, mx::Stream s) {
  refuse_traced(mask);
  const auto n = read(mx::sum(mask, s), s);
  if (n == static_cast<int64_t>(mask.size())) return std::nullopt;
  const auto before = mx::astype(running(mx::astype(mask, mx::int32, s), s), index, s);
  return Kept{expand(before, n, s), before};
}

bool is_empty(const Compressed& a) { return a.indices.size() == 0; }

Compressed cut_to(const Compressed& a, int64_t entries, mx::Stream s) {
  auto first = [&](const mx::array& x) { return mx::slice(x, {0}, {to_dim(entries)}, s); };
  return {first(a.data), first(a.indices), a.indptr};
}

// Of each slice, whose bounds are int32.
mx::array of_slices(SegmentKind kind, const mx::array& data, const mx::array& indptr, mx::Stream s) {
  const int n = indptr.shape(0) - 1;
  return mx::reshape(segment_reduce(kind, mx::reshape(data, {-1, 1}, s), {n, indptr, std::nullopt, std::nullopt}, s), {n}, s);
}

mx::array slice_of_each(const Compressed& a, mx::Stream s) { return expand(a.indptr, a.indices.size(), s); }

} // namespace

std::optional<mx::Stream> shader_stream(mx::Dtype values) {
  const auto s = mx::default_stream(mx::default_device());
  return uses_shaders(s, values) ? std::optional(s) : std::nullopt;
}

std::optional<mx::array> true_positions(const mx::array& mask, mx::Dtype index, mx::Stream s) {
  const auto kept = kept_by(mask, index, s);
  return kept ? std::optional(kept->at) : std::nullopt;
}

std::optional<Compressed> nonzero_entries(const Compressed& a, mx::Stream s) {
  const auto kept = kept_by(not_zero(a.data, s), a.indices.dtype(), s);
  if (!kept) return std::nullopt;
  return Compressed{gathered(a.data, kept->at, s), mx::take(a.indices, kept->at, 0, s), mx::take(kept->before, a.indptr, 0, s)};
}

Compressed slices_between(const Compressed& a, int64_t start, int64_t n, mx::Stream s) {
  auto part = [&](const mx::array& x, int64_t lo, int64_t hi) { return mx::slice(x, {to_dim(lo)}, {to_dim(hi)}, s); };
  const auto ends = read_all({part(a.indptr, start, start + 1), part(a.indptr, start + n, start + n + 1)}, s);
  const auto indptr = mx::subtract(part(a.indptr, start, start + n + 1), number(ends[0], a.indptr.dtype()), s);
  return {part(a.data, ends[0], ends[1]), part(a.indices, ends[0], ends[1]), indptr};
}

namespace {

// Where the slices `rows` begin and how long they are, which reads no other slice.
struct Bounds { mx::array starts, lengths; };
Bounds bounds_of(const mx::array& indptr, const mx::array& rows, mx::Stream s) {
  const int n = indptr.shape(0) - 1;
  const auto starts = mx::take(mx::slice(indptr, {0}, {n}, s), rows, 0, s);
  return {starts, mx::subtract(mx::take(mx::slice(indptr, {1}, {n + 1}, s), rows, 0, s), starts, s)};
}

// Slices of these bounds, which have `entries` entries together; before: the running sums of their lengths.
Compressed gathered_slices(const Compressed& a, const Bounds& slices, const mx::array& before, int64_t entries, mx::Stream s) {
  const auto type = a.indptr.dtype();
  if (entries > kMost) room_for(static_cast<size_t>(entries), type); // which says so
  return take_entries(a, mx::astype(before, type, s), slices.starts, entries, s);
}

mx::array lengths_of(const mx::array& indptr, mx::Stream s) {
  const int n = indptr.shape(0) - 1;
  return mx::subtract(mx::slice(indptr, {1}, {n + 1}, s), mx::slice(indptr, {0}, {n}, s), s);
}

mx::array total_of(const mx::array& lengths, mx::Stream s) { return mx::sum(mx::astype(lengths, mx::int64, s), s); }

} // namespace

Compressed take_slices(const Compressed& a, const mx::array& rows, mx::Stream s) {
  const auto slices = bounds_of(a.indptr, rows, s);
  return gathered_slices(a, slices, running(slices.lengths, s), read(total_of(slices.lengths, s), s), s);
}

Compressed stepped_slices(const Compressed& a, int64_t start, int64_t n, int64_t step, mx::Stream s) {
  const int64_t past = start + (n - 1) * step + (step > 0 ? 1 : -1), size = a.indptr.shape(0);
  const int by = n == 1 ? 1 : to_dim(std::abs(step)) * (step > 0 ? 1 : -1);
  auto every = [&](int64_t ahead) { // a step that leads past the front ends at -1, which MLX takes less the size
    const int64_t stop = n == 1 ? start + 1 + ahead : past + ahead;
    return mx::slice(a.indptr, {to_dim(start + ahead)}, {static_cast<int>(stop < 0 ? stop - size : stop)}, {by}, s);
  };
  const auto starts = every(0);
  const Bounds slices{starts, mx::subtract(every(1), starts, s)};
  const auto before = running(slices.lengths, s); // no more than the entries of a, as no slice is taken twice
  return gathered_slices(a, slices, before, read(last_of(before, s), s), s);
}

Compressed masked_slices(const Compressed& a, const mx::array& mask, mx::Stream s) {
  const auto all = lengths_of(a.indptr, s);
  const auto before = running(mx::astype(mask, mx::int32, s), s);
  const auto total = mx::sum(mx::where(mask, all, number(0, all.dtype()), s), s); // at most the entries of a
  const auto n = read_all({last_of(before, s), total}, s);
  const auto slices = bounds_of(a.indptr, expand(before, n[0], s), s);
  return gathered_slices(a, slices, running(slices.lengths, s), n[1], s);
}

Compressed listed_slices(const Compressed& a, const mx::array& list, mx::Stream s) {
  const auto n = static_cast<int64_t>(a.n_major());
  const auto none = number(0, list.dtype()), slices = number(n, list.dtype());
  const auto wrapped = mx::where(mx::less(list, none, s), mx::add(list, slices, s), list, s);
  const auto rows = mx::clip(wrapped, none, number(n - 1, list.dtype()), s); // whatever is asked for, until it is checked
  const auto bounds = bounds_of(a.indptr, rows, s);
  const auto found = read_all({mx::min(list, s), mx::max(list, s), total_of(bounds.lengths, s)}, s);
  for (const auto index : {found[1], found[0]}) {
    if (index >= n || index < -n) throw std::out_of_range("index (" + std::to_string(index) + ") out of range");
  }
  return gathered_slices(a, bounds, running(bounds.lengths, s), found[2], s);
}

bool ascends(const mx::array& indices, const mx::array& indptr, bool strictly, mx::Stream s) {
  const int n = indices.shape(0);
  if (n < 2) return true;
  const auto major = expand(indptr, n, s);
  auto first = [&](const mx::array& a) { return mx::slice(a, {0}, {n - 1}, s); };
  auto second = [&](const mx::array& a) { return mx::slice(a, {1}, {n}, s); };
  const auto x = first(indices), y = second(indices);
  const auto rises = strictly ? mx::less(x, y, s) : mx::less_equal(x, y, s);
  const auto apart = mx::not_equal(first(major), second(major), s); // or behind the last slice
  const auto behind = mx::equal(second(major), mx::array(to_dim(indptr.size() - 1), major.dtype()), s);
  return read(mx::all(mx::logical_or(mx::logical_or(rises, apart, s), behind, s), s), s) != 0;
}

bool is_combined(MergeOp op, mx::Dtype values) {
  const bool order = op != MergeOp::plus && op != MergeOp::minus && op != MergeOp::multiply && op != MergeOp::ne;
  return !(order && is_complex(values));
}

bool is_traced(const mx::array& x, const mx::array& y) { return x.is_tracer() || y.is_tracer(); }

// An operand that is not ordered leaves the first, as in SciPy.
mx::array combined(MergeOp op, const mx::array& x, const mx::array& y, mx::Stream s) {
  switch (op) {
    case MergeOp::plus: return mx::add(x, y, s);
    case MergeOp::minus: return x.dtype() == mx::bool_ ? mx::not_equal(x, y, s) : mx::subtract(x, y, s);
    case MergeOp::multiply: return mx::multiply(x, y, s);
    case MergeOp::maximum: return is_traced(x, y) ? mx::maximum(x, y, s) : mx::where(mx::less(x, y, s), y, x, s);
    case MergeOp::minimum: return is_traced(x, y) ? mx::minimum(x, y, s) : mx::where(mx::less(y, x, s), y, x, s);
    case MergeOp::ne: return mx::not_equal(x, y, s);
    case MergeOp::lt: return mx::less(x, y, s);
    case MergeOp::gt: return mx::less(y, x, s);
    case MergeOp::le: return mx::less_equal(x, y, s);
    case MergeOp::ge: return mx::less_equal(y, x, s);
  }
  return x;
}

namespace {

// The entries of one operand of a merge: where they stand in the other, what op gives there, and which of them remain.
struct Operand {
  Ranks in_other;
  mx::array values, before; // running sums of those that remain
};

// first: op takes this operand first. Entries that the other has too remain `with_common`, the others `with_own`; none
// does whose value is 0, but of traced values, which cannot be looked at.
Operand operand_of(MergeOp op, const Compressed& x, const Compressed& other, bool first, bool with_common, bool with_own,
                   mx::Stream s) {
  const auto in_other = ranks(slice_of_each(x, s), x.indices, other.indptr, other.indices, s);
  const auto common = not_zero(in_other.found, s);
  const auto zero = mx::zeros({1}, x.data.dtype(), s);
  auto opposite = zero;
  if (with_common) {
    const auto at = mx::minimum(in_other.rank, number(other.data.shape(0) - 1, in_other.rank.dtype()), s);
    opposite = gathered(other.data, at, s);
    if (with_own) opposite = mx::where(common, opposite, zero, s);
  }
  const auto values = first ? combined(op, x.data, opposite, s) : combined(op, opposite, x.data, s);
  std::optional<mx::array> remains;
  if (!with_own) remains = common;
  if (!with_common) remains = mx::logical_not(common, s);
  if (!is_traced(x.data, other.data)) {
    const auto counts = not_zero(values, s);
    remains = remains ? mx::logical_and(*remains, counts, s) : counts;
  }
  const auto kept = remains ? mx::astype(*remains, mx::int32, s) : mx::ones(x.indices.shape(), mx::int32, s);
  return {in_other, values, running(kept, s)};
}

} // namespace

Compressed merge_on_device(MergeOp op, const Compressed& a, const Compressed& b, mx::Stream s) {
  const auto type = a.indices.dtype();
  if (is_empty(a) || is_empty(b)) {
    const auto& x = is_empty(b) ? a : b;
    if (op != MergeOp::multiply) {
      const auto zero = mx::zeros({1}, a.data.dtype(), s);
      const Compressed found{is_empty(b) ? combined(op, a.data, zero, s) : combined(op, zero, b.data, s), x.indices, x.indptr};
      return is_traced(a.data, b.data) ? found : nonzero_entries(found, s).value_or(found);
    }
    auto none = [&](const mx::array& from) { return mx::slice(from, {0}, {0}, s); };
    return {none(a.data), none(a.indices), mx::zeros(a.indptr.shape(), type, s)};
  }
  // Whether some entries stand behind the last slice: they take no part.
  auto longer = [&](int64_t n_a, int64_t n_b) { return n_a != a.indices.shape(0) || n_b != b.indices.shape(0); };
  auto cut = [&](int64_t n_a, int64_t n_b) { return merge_on_device(op, cut_to(a, n_a, s), cut_to(b, n_b, s), s); };
  const auto last_a = last_of(a.indptr, s), last_b = last_of(b.indptr, s);
  if (op == MergeOp::multiply) { // the entries of the shorter operand are looked for in the other
    const bool of_a = a.indices.size() <= b.indices.size();
    const auto &x = of_a ? a : b, &other = of_a ? b : a;
    const auto found = operand_of(op, x, other, of_a, true, false, s);
    const auto n = read_all({last_of(found.before, s), last_a, last_b}, s);
    if (longer(n[1], n[2])) return cut(n[1], n[2]);
    const auto at = expand(mx::astype(found.before, type, s), n[0], s);
    const auto indices = mx::take(x.indices, at, 0, s);
    const auto indptr = mx::astype(mx::take(found.before, x.indptr, 0, s), type, s);
    if (!is_traced(a.data, b.data)) return {mx::take(found.values, at, 0, s), indices, indptr};
    // Cotangents of what is left out would be zeros times values that need not be finite.
    const auto there = gathered(other.data, mx::take(found.in_other.rank, at, 0, s), s);
    return {combined(op, gathered(x.data, at, s), there, s), indices, indptr};
  }
  const auto x = operand_of(op, a, b, true, true, true, s), y = operand_of(op, b, a, false, false, true, s);
  const auto ends = read_all({last_of(x.before, s), last_of(y.before, s), last_a, last_b}, s);
  if (longer(ends[2], ends[3])) return cut(ends[2], ends[3]);
  const auto n = ends[0] + ends[1];
  if (n > kMost) room_for(static_cast<size_t>(n), type); // which says so
  const auto all = union_of({a.indices, x.in_other.rank, x.before}, {b.indices, y.in_other.rank, y.before}, n, s);
  auto before = [&](const Operand& o, const mx::array& indptr) { return mx::astype(mx::take(o.before, indptr, 0, s), type, s); };
  return {gathered(mx::concatenate({x.values, y.values}, 0, s), all.from, s), all.minor,
          mx::add(before(x, a.indptr), before(y, b.indptr), s)};
}

std::optional<Compressed> matmul_on_device(const Compressed& a, const Compressed& b, mx::Stream s) {
  if (is_empty(a) || is_empty(b)) return std::nullopt;
  const auto of_entries = mx::take(lengths_of(b.indptr, s), a.indices, 0, s);
  const auto offsets = running(of_entries, s), starts = mx::take(offsets, a.indptr, 0, s);
  const auto sizes = read_all({mx::max(lengths_of(starts, s), s), total_of(of_entries, s)}, s);
  if (sizes[0] > kSliceProducts || sizes[1] + a.indptr.shape(0) > kMost) return std::nullopt;
  const auto plan = spgemm_plan(offsets, starts, sizes[1], s);
  const auto begins = running(spgemm_count(a, b, plan, s), s);
  const auto n = read(last_of(begins, s), s);
  const auto [indices, data] = spgemm_fill(a, b, plan, begins, n, s);
  const Compressed found{data, indices, mx::astype(begins, a.indptr.dtype(), s)};
  return nonzero_entries(found, s).value_or(found);
}

mx::array major_extreme_on_device(const Compressed& a, int64_t length, bool max, bool ignore_nan, bool explicit_only,
                                  mx::Stream s) {
  refuse_traced(a.data);
  const int n = a.indptr.shape(0) - 1;
  const auto dtype = a.data.dtype();
  const auto zero = mx::zeros({1}, dtype, s);
  if (is_empty(a) || n == 0) return mx::zeros({n}, dtype, s);
  const auto indptr = mx::astype(a.indptr, mx::int32, s);
  const auto lengths = mx::subtract(mx::slice(indptr, {1}, {n + 1}, s), mx::slice(indptr, {0}, {n}, s), s);
  auto data = a.data;
  std::optional<mx::array> only_nan; // slices of nothing else
  if (ignore_nan && mx::issubdtype(dtype, mx::floating)) {
    const auto nan = mx::isnan(data, s);
    const float last = max ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
    data = mx::where(nan, mx::array(last, dtype), data, s);
    only_nan = mx::equal(major_sum(mx::astype(nan, mx::int32, s), indptr, s), lengths, s);
  }
  auto best = of_slices(max ? SegmentKind::max : SegmentKind::min, data, indptr, s);
  if (only_nan) best = mx::where(*only_nan, mx::array(std::numeric_limits<float>::quiet_NaN(), dtype), best, s);
  const auto no_entry = mx::equal(lengths, number(0, mx::int32), s);
  if (!explicit_only) { // where a position has no entry, 0 takes part; a NaN stays unless it is ignored
    auto zero_wins = max ? mx::less(best, zero, s) : mx::less(zero, best, s);
    if (only_nan) zero_wins = mx::logical_or(zero_wins, *only_nan, s);
    const auto bare = mx::equal(mx::astype(lengths, mx::int64, s), number(length, mx::int64), s);
    best = mx::where(mx::logical_and(zero_wins, mx::logical_not(bare, s), s), zero, best, s);
  }
  return mx::where(no_entry, zero, best, s);
}

mx::array major_where_on_device(MajorWhere kernel, const Compressed& a, int64_t length, mx::Stream s) {
  const int n = a.indptr.shape(0) - 1;
  if (is_empty(a) || n == 0) return mx::zeros({n}, mx::int64, s);
  const auto indptr = mx::astype(a.indptr, mx::int32, s);
  const auto lengths = mx::subtract(mx::slice(indptr, {1}, {n + 1}, s), mx::slice(indptr, {0}, {n}, s), s);
  const auto entry = of_slices(kernel.max ? SegmentKind::argmax : SegmentKind::argmin, a.data, indptr, s); // -1: none
  const auto at = mx::maximum(entry, number(0, mx::int32), s);
  const auto none = number(0, mx::int64);
  auto found = mx::astype(mx::take(a.indices, at, 0, s), mx::int64, s);
  if (!kernel.explicit_only) {
    // Entries that stand at their own position in the slice are those before the first position without one.
    const auto inside = places(a.indptr, mx::zeros({n + 1}, a.indptr.dtype(), s), a.indices.size(), s);
    const auto full = mx::astype(mx::equal(inside, a.indices, s), mx::int32, s);
    const auto gap = mx::astype(major_sum(full, indptr, s), mx::int64, s);
    const auto value = mx::take(a.data, at, 0, s), zero = mx::zeros({1}, a.data.dtype(), s);
    const auto further = kernel.max ? mx::less(zero, value, s) : mx::less(value, zero, s);
    const auto first = mx::logical_and(mx::equal(value, zero, s), mx::less(found, gap, s), s);
    const auto bare = mx::equal(lengths, number(length, mx::int64), s);
    found = mx::where(mx::logical_or(mx::logical_or(further, first, s), bare, s), found, gap, s);
  }
  return mx::where(mx::less(entry, number(0, mx::int32), s), none, found, s);
}

} // namespace sp
