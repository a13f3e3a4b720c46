#include "segment.h"

#include "../launch.h"
#include "convert.h"
#include "reduce.h"
#include "sort_by_key.h"

namespace sp {

namespace {

void expect(bool right, const char* text) {
  if (!right) throw std::invalid_argument(text);
}

// Offsets of one segment more: that of the rows in none.
mx::array closed(const Segments& segments, int rows, mx::Stream s) {
  return mx::concatenate({*segments.offsets, mx::full({1}, rows, segments.offsets->dtype(), s)}, 0, s);
}

Arrays node_inputs(Arrays operands, const Segments& segments) {
  if (segments.offsets) operands.push_back(*segments.offsets);
  if (segments.ids) operands.push_back(*segments.ids);
  if (segments.order) operands.push_back(*segments.order);
  return operands;
}

mx::array sum(const mx::array& x, const Segments& segments, mx::Stream s) {
  return segment_reduce(SegmentKind::sum, x, segments, s);
}

// One column is what sparse arrays sum over an axis. The rows in no segment make one more sum, which is dropped.
mx::array sum_column(const mx::array& x, const Segments& segments, mx::Stream s) {
  auto column = mx::reshape(x, {x.shape(0)}, s);
  const int n = segments.count;
  auto sums = !segments.offsets ? minor_sum(column, *segments.ids, n + 1, s)
              : segments.order  ? major_sum(permute(column, *segments.order, s), closed(segments, x.shape(0), s), s)
                                : major_sum(column, closed(segments, x.shape(0), s), s);
  return mx::reshape(mx::slice(sums, {0}, {n}, s), {n, 1}, s);
}

mx::array by_ids(SegmentKind kind, const mx::array& x, const Segments& segments, mx::Stream s) {
  const Segments one_more{segments.count + 1, std::nullopt, segments.ids, std::nullopt};
  auto found = node<SegmentReduce>(node_inputs({x}, one_more), s, kind, one_more);
  return mx::slice(found, {0, 0}, {segments.count, x.shape(1)}, s);
}

// What an empty segment gives.
mx::array of_nothing(SegmentKind kind, mx::Dtype dtype, mx::Shape shape, mx::Stream s) {
  expect_memory(bytes_of(shape, dtype));
  auto filled = [&](auto value) { return mx::full(shape, mx::array(value, dtype), dtype, s); };
  switch (kind) {
    case SegmentKind::sum: case SegmentKind::mean: return mx::zeros(shape, dtype, s);
    case SegmentKind::prod: return mx::ones(shape, dtype, s);
    case SegmentKind::argmax: case SegmentKind::argmin: return mx::full(shape, -1, dtype, s);
    case SegmentKind::logsumexp: return filled(-std::numeric_limits<float>::infinity());
    default: break;
  }
  const bool lowest = kind == SegmentKind::max;
  return dispatch_value(dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    if constexpr (std::is_integral_v<T>) {
      using L = std::numeric_limits<T>;
      return filled(lowest ? L::lowest() : L::max());
    } else {
      return filled(lowest ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity());
    }
  });
}

bool is_arg(SegmentKind kind) { return kind >= SegmentKind::argmax; }
bool is_extreme(SegmentKind kind) { return kind == SegmentKind::max || kind == SegmentKind::min; }

mx::Dtype reduced_dtype(SegmentKind kind, mx::Dtype dtype) {
  if (is_arg(kind)) return mx::int32;
  return kind == SegmentKind::logsumexp ? acc_dtype(dtype) : dtype;
}

mx::Shape reduced_shape(SegmentKind kind, int count, int columns) {
  return kind == SegmentKind::logsumexp ? mx::Shape{count, 2, columns} : mx::Shape{count, columns};
}

// Shares of the cotangent among the rows that tie for an extreme y.
mx::array ties(const mx::array& x, const mx::array& y, const Segments& segments, mx::Stream s) {
  auto at = segment_weight(SegmentWeight::ties, x, y, segments, s);
  auto count = mx::maximum(sum(at, segments, s), mx::array(1, x.dtype()), s);
  return mx::multiply(at, segment_spread(mx::reciprocal(count, s), segments, x.shape(0), s), s);
}

// The logarithms in the result of a logsumexp, and a change of them alone: the maxima count as constants.
mx::array logarithms(const mx::array& y, mx::Stream s) { return mx::take(y, 1, 1, s); }
mx::array below_zeros(const mx::array& dy, mx::Stream s) { return mx::stack({mx::zeros_like(dy, s), dy}, 1, s); }

// Of each row, the product of the other rows of its segment: right with any number of zeros, as no division is made.
mx::array others(const mx::array& x, const Segments& segments, mx::Stream s) {
  return mx::multiply(segment_scan(x, std::nullopt, false, segments, s),
                      segment_scan(x, std::nullopt, true, segments, s), s);
}

} // namespace

Segments make_segments(int count, const std::optional<mx::array>& offsets, const std::optional<mx::array>& ids,
                       const std::optional<mx::array>& order) {
  for (const auto* part : {&offsets, &ids, &order}) {
    expect(!*part || ((*part)->dtype() == mx::int32 && (*part)->ndim() == 1), "segments are vectors of int32");
  }
  expect(!offsets || offsets->shape(0) == count + 1, "offsets are one more than segments");
  expect(ids || (offsets && !order), "segments need offsets or ids");
  return {count, offsets, ids, order};
}

Segments sort_by_ids(const mx::array& ids, int count, mx::Stream s) {
  const auto groups = sort_by_key(ids, count + 1, s); // one more, so that the order is of all rows
  return {count, mx::slice(groups.offsets, {0}, {count + 1}, s), ids, groups.order};
}

mx::array segment_offsets(const mx::array& given, bool lengths, int rows, mx::Stream s) {
  expect(given.ndim() == 1 && (given.dtype() == mx::int32 || given.dtype() == mx::int64) && (lengths || given.size() > 0),
         "lengths or offsets are a vector of int32 or int64");
  if (given.shape(0) == (lengths ? 0 : 1)) return mx::zeros({1}, mx::int32, s);
  auto narrow = given;
  if (given.dtype() != mx::int32) {
    const auto most = mx::array(int64_t{std::numeric_limits<int>::max()}, mx::int64);
    narrow = mx::astype(mx::clip(given, mx::array(int64_t{0}, mx::int64), most, s), mx::int32, s);
  }
  return node<SegmentOffsets>({narrow, mx::array({rows}, mx::int32)}, s, lengths);
}

Segments with_ids(const Segments& segments, int rows, mx::Stream s) {
  if (segments.ids) return segments;
  return {segments.count, segments.offsets, expand(closed(segments, rows, s), rows, s), std::nullopt};
}

mx::array segment_reduce(SegmentKind kind, const mx::array& x, const Segments& segments, mx::Stream s) {
  expect(x.ndim() == 2, "segments are reduced in two dimensions");
  if (x.size() == 0 || segments.count == 0) {
    return of_nothing(kind, reduced_dtype(kind, x.dtype()), reduced_shape(kind, segments.count, x.shape(1)), s);
  }
  const bool scattered = (kind == SegmentKind::sum || is_extreme(kind)) && !uses_shaders(s) &&
      (segments.order || !segments.offsets);
  auto used = scattered ? Segments{segments.count, std::nullopt, segments.ids, std::nullopt} : segments;
  expect(used.offsets || scattered, "only sums, maxima and minima on the CPU do without offsets");
  if (kind == SegmentKind::sum && x.shape(1) == 1) return sum_column(x, used, s);
  if (scattered) return by_ids(kind, x, used, s);
  return node<SegmentReduce>(node_inputs({x}, segments), s, kind, segments);
}

mx::array segment_spread(const mx::array& y, const Segments& segments, int rows, mx::Stream s) {
  if (y.size() == 0 || rows == 0) return mx::zeros({rows, y.shape(1)}, y.dtype(), s);
  return node<SegmentSpread>(node_inputs({y}, with_ids(segments, rows, s)), s, segments);
}

mx::array segment_weight(SegmentWeight kind, const mx::array& x, const mx::array& y, const Segments& segments, mx::Stream s) {
  expect(x.ndim() == 2 && y.ndim() == (kind == SegmentWeight::exp ? 3 : 2) && y.shape(0) == segments.count,
         "x is what was reduced, and y what segment_reduce gave");
  if (x.size() == 0 || y.size() == 0) return mx::zeros(x.shape(), x.dtype(), s);
  return node<SegmentWeights>(node_inputs({x, y}, with_ids(segments, x.shape(0), s)), s, kind, segments);
}

mx::array segment_scan(const mx::array& a, const std::optional<mx::array>& b, bool reverse, const Segments& segments,
                       mx::Stream s) {
  if (a.size() == 0 || segments.count == 0) return mx::zeros(a.shape(), a.dtype(), s);
  Arrays operands{a};
  if (b) operands.push_back(*b);
  return node<SegmentScan>(node_inputs(operands, segments), s, reverse, b.has_value(), segments);
}

// ---- every node --------------------------------------------------------------------------------------------

Segments SegmentNode::segments(const Arrays& in) const {
  if (by_ids_) return {count_, std::nullopt, in[operands_], std::nullopt};
  const size_t at = operands_;
  Segments found{count_, in[at], std::nullopt, std::nullopt};
  if (in.size() > at + 1) found.ids = in[at + 1];
  if (in.size() > at + 2) found.order = in[at + 2];
  return found;
}

std::optional<Node::Batched> SegmentNode::batched(const Arrays& in, const Axes& axes) {
  if (std::any_of(axes.begin() + operands_, axes.end(), [](int a) { return a >= 0; })) return std::nullopt;
  const auto s = stream();
  auto inputs = in;
  int batch = 0, wide = 0;
  for (int i = 0; i < operands_; ++i) if (axes[i] >= 0) batch = in[i].shape(axes[i]);
  for (int i = 0; i < operands_; ++i) {
    auto x = axes[i] >= 0 ? mx::moveaxis(in[i], axes[i], -2, s) : mx::expand_dims(in[i], -2, s);
    auto shape = x.shape();
    wide = shape.back();
    *(shape.end() - 2) = batch;
    x = mx::broadcast_to(x, shape, s);
    shape.pop_back();
    shape.back() = batch * wide;
    inputs[i] = mx::reshape(x, shape, s);
  }
  auto flat = apply(inputs)[0];
  auto shape = flat.shape();
  shape.back() = batch;
  shape.push_back(wide);
  const int axis = static_cast<int>(shape.size()) - 2;
  return Batched{mx::reshape(flat, std::move(shape), s), axis};
}

// ---- offsets -----------------------------------------------------------------------------------------------

std::vector<Output> SegmentOffsets::results(const Arrays& in) const {
  return {{{in[0].shape(0) + (lengths_ ? 1 : 0)}, mx::int32}};
}

// ---- reductions --------------------------------------------------------------------------------------------

std::vector<Output> SegmentReduce::results(const Arrays& in) const {
  return {{reduced_shape(kind_, count_, in[0].shape(1)), reduced_dtype(kind_, in[0].dtype())}};
}

Arrays SegmentReduce::apply(const Arrays& in) { return {segment_reduce(kind_, in[0], segments(in), stream())}; }

mx::array SegmentReduce::gradient(int, const Arrays& primals, const mx::array& cotangent, const Arrays& outputs) {
  const auto s = stream();
  const auto &x = primals[0], &y = outputs[0];
  if (is_arg(kind_)) return mx::zeros_like(x, s); // an integer, constant wherever it has a derivative, as mx.argmax's
  const auto seg = with_ids(segments(primals), x.shape(0), s);
  auto g = cotangent;
  if (kind_ == SegmentKind::logsumexp) g = mx::astype(logarithms(g, s), x.dtype(), s);
  if (kind_ == SegmentKind::mean) {
    const int n = seg.count;
    auto lengths = mx::subtract(mx::slice(*seg.offsets, {1}, {n + 1}, s), mx::slice(*seg.offsets, {0}, {n}, s), s);
    auto count = mx::astype(mx::maximum(lengths, mx::array(1, mx::int32), s), acc_dtype(x.dtype()), s);
    g = mx::astype(mx::divide(g, mx::expand_dims(count, 1, s), s), x.dtype(), s);
  }
  auto spread = segment_spread(g, seg, x.shape(0), s);
  if (kind_ == SegmentKind::prod) return mx::multiply(conj(others(x, seg, s), s), spread, s);
  if (is_extreme(kind_)) return mx::multiply(ties(x, mx::astype(y, acc_dtype(x.dtype()), s), seg, s), spread, s);
  if (kind_ == SegmentKind::logsumexp) return mx::multiply(segment_weight(SegmentWeight::exp, x, y, seg, s), spread, s);
  return spread;
}

mx::array SegmentReduce::tangent(int, const Arrays& primals, const mx::array& rate) {
  const auto s = stream();
  const auto& x = primals[0];
  const auto given = segments(primals);
  if (kind_ == SegmentKind::sum || kind_ == SegmentKind::mean) return segment_reduce(kind_, rate, given, s);
  if (is_arg(kind_)) return mx::zeros({given.count, x.shape(1)}, mx::int32, s);
  const auto seg = with_ids(given, x.shape(0), s);
  if (kind_ == SegmentKind::prod) return sum(mx::multiply(others(x, seg, s), rate, s), seg, s);
  auto y = segment_reduce(kind_, x, given, s);
  auto weights = is_extreme(kind_) ? ties(x, mx::astype(y, acc_dtype(x.dtype()), s), seg, s)
                                   : segment_weight(SegmentWeight::exp, x, y, seg, s);
  auto dy = mx::astype(sum(mx::multiply(weights, rate, s), seg, s), y.dtype(), s);
  return is_extreme(kind_) ? dy : below_zeros(dy, s);
}

// ---- spreading ---------------------------------------------------------------------------------------------

std::vector<Output> SegmentSpread::results(const Arrays& in) const {
  return {{{in[ids_input()].shape(0), in[0].shape(1)}, in[0].dtype()}};
}

Arrays SegmentSpread::apply(const Arrays& in) {
  return {segment_spread(in[0], segments(in), in[ids_input()].shape(0), stream())};
}

mx::array SegmentSpread::gradient(int, const Arrays& primals, const mx::array& cotangent, const Arrays&) {
  const auto given = segments(primals);
  const bool sorts = !given.offsets && shaders(); // which add up by offsets only
  return sum(cotangent, sorts ? sort_by_ids(*given.ids, count_, stream()) : given, stream());
}

// ---- weights -----------------------------------------------------------------------------------------------

Arrays SegmentWeights::apply(const Arrays& in) {
  return {segment_weight(kind_, in[0], in[1], segments(in), stream())};
}

Arrays SegmentWeights::gradients(const std::vector<int>& inputs, const Arrays& primals, const mx::array& cotangent,
                                 const Arrays& outputs) {
  const auto s = stream();
  const auto rate = mx::multiply(cotangent, outputs[0], s);
  Arrays found;
  for (int i : inputs) {
    if (kind_ == SegmentWeight::ties) found.push_back(mx::zeros_like(primals[i], s)); // steps: flat between them
    else if (i == 0) found.push_back(rate);
    else found.push_back(below_zeros(mx::astype(mx::negative(sum(rate, segments(primals), s), s), primals[1].dtype(), s), s));
  }
  return found;
}

mx::array SegmentWeights::tangent(int input, const Arrays& primals, const mx::array& rate) {
  const auto s = stream();
  const auto& x = primals[0];
  if (kind_ == SegmentWeight::ties) return mx::zeros_like(x, s);
  if (input == 0) return mx::multiply(apply(primals)[0], rate, s);
  auto below = mx::astype(mx::negative(logarithms(rate, s), s), x.dtype(), s);
  return mx::multiply(apply(primals)[0], segment_spread(below, segments(primals), x.shape(0), s), s);
}

// ---- scans -------------------------------------------------------------------------------------------------

Arrays SegmentScan::apply(const Arrays& in) {
  const auto b = operands_ == 2 ? std::optional(in[1]) : std::nullopt;
  return {segment_scan(in[0], b, reverse_, segments(in), stream())};
}

// The adjoint of a scan is the scan in the other direction of the cotangents.
Arrays SegmentScan::gradients(const std::vector<int>& inputs, const Arrays& primals, const mx::array& cotangent,
                              const Arrays& outputs) {
  const auto s = stream();
  auto back = segment_scan(conj(primals[0], s), cotangent, !reverse_, segments(primals), s);
  Arrays found;
  for (int i : inputs) found.push_back(i == 0 ? mx::multiply(conj(outputs[0], s), back, s) : back);
  return found;
}

mx::array SegmentScan::tangent(int input, const Arrays& primals, const mx::array& rate) {
  const auto s = stream();
  auto added = input == 0 ? mx::multiply(rate, apply(primals)[0], s) : rate;
  return segment_scan(primals[0], added, reverse_, segments(primals), s);
}

} // namespace sp
