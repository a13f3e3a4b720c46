#include "segment.h"

#include "../launch.h"
#include "convert.h"
#include "reduce.h"

namespace sp {

namespace {

// Offsets of one segment more: that of the rows in none.
mx::array closed(const Segments& segments, int rows, mx::Stream s) {
  return mx::concatenate({*segments.offsets, mx::full({1}, rows, segments.offsets->dtype(), s)}, 0, s);
}

std::vector<mx::array> node_inputs(std::vector<mx::array> operands, const Segments& segments) {
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
  auto found = mx::array({one_more.count, x.shape(1)}, x.dtype(), std::make_shared<SegmentReduce>(s, kind, one_more),
                         node_inputs({x}, one_more));
  return mx::slice(found, {0, 0}, {segments.count, x.shape(1)}, s);
}

// What an empty segment gives.
mx::array of_nothing(SegmentKind kind, mx::Dtype dtype, mx::Shape shape, mx::Stream s) {
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
  if (kind == SegmentKind::logsumexp && (dtype == mx::float16 || dtype == mx::bfloat16)) return mx::float32;
  return dtype;
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

mx::array segment_offsets(const mx::array& given, bool lengths, int rows, mx::Stream s) {
  if (given.shape(0) == (lengths ? 0 : 1)) return mx::zeros({1}, mx::int32, s);
  auto narrow = given;
  if (given.dtype() != mx::int32) {
    const auto most = mx::array(int64_t{std::numeric_limits<int>::max()}, mx::int64);
    narrow = mx::astype(mx::clip(given, mx::array(int64_t{0}, mx::int64), most, s), mx::int32, s);
  }
  const std::vector<mx::array> inputs{narrow, mx::array({rows}, mx::int32)};
  auto node = std::make_shared<SegmentOffsets>(s, lengths);
  const auto shapes = node->output_shapes(inputs);
  return mx::array::make_arrays(shapes, std::vector<mx::Dtype>(shapes.size(), mx::int32), node, inputs)[0];
}

Segments with_ids(const Segments& segments, int rows, mx::Stream s) {
  if (segments.ids) return segments;
  return {segments.count, segments.offsets, expand(closed(segments, rows, s), rows, s), std::nullopt};
}

mx::array segment_reduce(SegmentKind kind, const mx::array& x, const Segments& segments, mx::Stream s) {
  mx::Shape shape{segments.count, x.shape(1)};
  if (kind == SegmentKind::logsumexp) shape.insert(shape.begin() + 1, 2);
  if (x.size() == 0 || shape[0] == 0) return of_nothing(kind, reduced_dtype(kind, x.dtype()), shape, s);
  const bool scattered = (kind == SegmentKind::sum || is_extreme(kind)) && !uses_shaders(s) &&
      (segments.order || !segments.offsets);
  auto used = scattered ? Segments{segments.count, std::nullopt, segments.ids, std::nullopt} : segments;
  if (!used.offsets && !scattered) throw std::invalid_argument("only sums, maxima and minima on the CPU do without offsets");
  if (kind == SegmentKind::sum && x.shape(1) == 1) return sum_column(x, used, s);
  if (scattered) return by_ids(kind, x, used, s);
  auto node = std::make_shared<SegmentReduce>(s, kind, segments);
  auto inputs = node_inputs({x}, segments);
  return mx::array::make_arrays(node->output_shapes(inputs), node->output_dtypes(inputs), node, inputs)[0];
}

mx::array segment_spread(const mx::array& y, const Segments& segments, int rows, mx::Stream s) {
  const mx::Shape shape{rows, y.shape(1)};
  if (y.size() == 0 || rows == 0) return mx::zeros(shape, y.dtype(), s);
  return mx::array(shape, y.dtype(), std::make_shared<SegmentSpread>(s, segments), node_inputs({y}, with_ids(segments, rows, s)));
}

mx::array segment_weight(SegmentWeight kind, const mx::array& x, const mx::array& y, const Segments& segments, mx::Stream s) {
  if (x.size() == 0 || y.size() == 0) return mx::zeros(x.shape(), x.dtype(), s);
  return mx::array(x.shape(), x.dtype(), std::make_shared<SegmentWeights>(s, kind, segments),
                   node_inputs({x, y}, with_ids(segments, x.shape(0), s)));
}

mx::array segment_scan(const mx::array& a, const std::optional<mx::array>& b, bool reverse, const Segments& segments,
                       mx::Stream s) {
  if (a.size() == 0 || segments.count == 0) return mx::zeros(a.shape(), a.dtype(), s);
  std::vector<mx::array> operands{a};
  if (b) operands.push_back(*b);
  return mx::array(a.shape(), a.dtype(), std::make_shared<SegmentScan>(s, reverse, b.has_value(), segments),
                   node_inputs(operands, segments));
}

// ---- every node --------------------------------------------------------------------------------------------

Segments SegmentNode::segments(const std::vector<mx::array>& in) const {
  if (by_ids_) return {count_, std::nullopt, in[operands_], std::nullopt};
  Segments found{count_, in[operands_], std::nullopt, std::nullopt};
  if (in.size() > operands_ + 1) found.ids = in[operands_ + 1];
  if (in.size() > operands_ + 2) found.order = in[operands_ + 2];
  return found;
}

void SegmentNode::check(const std::vector<int>& argnums) const {
  for (int i : argnums) {
    if (i >= static_cast<int>(operands_)) throw std::invalid_argument("segments are not differentiable");
  }
}

std::vector<mx::array> SegmentNode::with_siblings(mx::array y, const std::vector<mx::array>& inputs) {
  std::vector<mx::array> outs{std::move(y)};
  for (auto& a : siblings(inputs)) outs.push_back(a);
  return outs;
}

void SegmentNode::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  eval_shader(inputs, outputs);
}

// A batch of operands is more columns.
std::pair<std::vector<mx::array>, std::vector<int>> SegmentNode::vmap(const std::vector<mx::array>& in,
                                                                      const std::vector<int>& axes) {
  const auto s = stream();
  const bool by_slice = std::any_of(axes.begin() + operands_, axes.end(), [](int a) { return a >= 0; });
  auto inputs = in;
  int batch = 0, wide = 0;
  auto y = [&] {
    if (by_slice) return stack_slices(in, axes, s, [&](const std::vector<mx::array>& one) { return apply(one); });
    for (size_t i = 0; i < operands_; ++i) if (axes[i] >= 0) batch = in[i].shape(axes[i]);
    for (size_t i = 0; i < operands_; ++i) {
      auto x = axes[i] >= 0 ? mx::moveaxis(in[i], axes[i], -2, s) : mx::expand_dims(in[i], -2, s);
      auto shape = x.shape();
      wide = shape.back();
      *(shape.end() - 2) = batch;
      x = mx::broadcast_to(x, shape, s);
      shape.pop_back();
      shape.back() = batch * wide;
      inputs[i] = mx::reshape(x, shape, s);
    }
    auto flat = apply(inputs);
    auto shape = flat.shape();
    shape.back() = batch;
    shape.push_back(wide);
    return mx::reshape(flat, shape, s);
  }();
  auto outs = with_siblings(y, in);
  std::vector<int> out_axes(outs.size(), -1);
  out_axes[0] = by_slice ? 0 : static_cast<int>(outs[0].ndim()) - 2;
  return {outs, out_axes};
}

// ---- reductions --------------------------------------------------------------------------------------------

mx::array SegmentReduce::apply(const std::vector<mx::array>& in) {
  return segment_reduce(kind_, in[0], segments(in), stream());
}

std::vector<mx::array> SegmentReduce::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                          const std::vector<int>& argnums, const std::vector<mx::array>& outputs) {
  check(argnums);
  const auto s = stream();
  const auto &x = primals[0], &y = outputs[0];
  if (is_arg(kind_)) return {mx::zeros_like(x, s)};
  const int rows = x.shape(0);
  const auto given = segments(primals), seg = with_ids(given, rows, s);
  auto g = cotangents[0];
  if (kind_ == SegmentKind::logsumexp) g = mx::astype(logarithms(g, s), x.dtype(), s);
  if (kind_ == SegmentKind::mean) {
    const int n = seg.count;
    auto lengths = mx::subtract(mx::slice(*seg.offsets, {1}, {n + 1}, s), mx::slice(*seg.offsets, {0}, {n}, s), s);
    auto count = mx::astype(mx::maximum(lengths, mx::array(1, mx::int32), s), acc_dtype(x.dtype()), s);
    g = mx::astype(mx::divide(g, mx::expand_dims(count, 1, s), s), x.dtype(), s);
  }
  auto spread = segment_spread(g, seg, rows, s);
  if (kind_ == SegmentKind::prod) return {mx::multiply(conj(others(x, seg, s), s), spread, s)};
  if (is_extreme(kind_)) return {mx::multiply(ties(x, mx::astype(y, acc_dtype(x.dtype()), s), seg, s), spread, s)};
  if (kind_ == SegmentKind::logsumexp) return {mx::multiply(segment_weight(SegmentWeight::exp, x, y, seg, s), spread, s)};
  return {spread};
}

std::vector<mx::array> SegmentReduce::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                          const std::vector<int>& argnums) {
  check(argnums);
  const auto s = stream();
  const auto& x = primals[0];
  const auto given = segments(primals);
  auto rate = [&]() -> mx::array {
    if (kind_ == SegmentKind::sum || kind_ == SegmentKind::mean) return segment_reduce(kind_, tangents[0], given, s);
    if (is_arg(kind_)) return mx::zeros({given.count, x.shape(1)}, mx::int32, s);
    const auto seg = with_ids(given, x.shape(0), s);
    if (kind_ == SegmentKind::prod) return sum(mx::multiply(others(x, seg, s), tangents[0], s), seg, s);
    auto y = segment_reduce(kind_, x, given, s);
    auto weights = is_extreme(kind_) ? ties(x, mx::astype(y, acc_dtype(x.dtype()), s), seg, s)
                                     : segment_weight(SegmentWeight::exp, x, y, seg, s);
    auto dy = mx::astype(sum(mx::multiply(weights, tangents[0], s), seg, s), y.dtype(), s);
    return is_extreme(kind_) ? dy : below_zeros(dy, s);
  }();
  return with_siblings(rate, primals);
}

bool SegmentReduce::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const SegmentReduce&>(other);
  if (scratch_ || o.scratch_) return kMergeSiblings;
  return kind_ == o.kind_ && same_segments(o);
}

// ---- offsets -----------------------------------------------------------------------------------------------

std::pair<std::vector<mx::array>, std::vector<int>> SegmentOffsets::vmap(const std::vector<mx::array>& inputs,
                                                                         const std::vector<int>& axes) {
  const auto s = stream();
  auto y = stack_slices({inputs[0]}, {axes[0]}, s, [&](auto& in) {
    return segment_offsets(in[0], lengths_, inputs[1].item<int>(), s);
  });
  if (!scratch_) return {{y}, {0}};
  return {{y, mx::zeros({1}, mx::int32, s)}, {0, -1}}; // nobody reads the scratch
}

bool SegmentOffsets::is_equivalent(const Primitive& other) const {
  return scratch_ ? kMergeSiblings : lengths_ == static_cast<const SegmentOffsets&>(other).lengths_;
}

// ---- spreading ---------------------------------------------------------------------------------------------

mx::array SegmentSpread::apply(const std::vector<mx::array>& in) {
  const auto seg = segments(in);
  return segment_spread(in[0], seg, seg.ids->shape(0), stream());
}

std::vector<mx::array> SegmentSpread::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                          const std::vector<int>& argnums, const std::vector<mx::array>&) {
  check(argnums);
  return {sum(cotangents[0], segments(primals), stream())};
}

std::vector<mx::array> SegmentSpread::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                          const std::vector<int>& argnums) {
  check(argnums);
  auto inputs = primals;
  inputs[0] = tangents[0];
  return {apply(inputs)};
}

bool SegmentSpread::is_equivalent(const Primitive& other) const {
  return same_segments(static_cast<const SegmentSpread&>(other));
}

std::vector<mx::Shape> SegmentSpread::output_shapes(const std::vector<mx::array>& in) {
  return {{segments(in).ids->shape(0), in[0].shape(1)}};
}

// ---- weights -----------------------------------------------------------------------------------------------

mx::array SegmentWeights::apply(const std::vector<mx::array>& in) {
  return segment_weight(kind_, in[0], in[1], segments(in), stream());
}

std::vector<mx::array> SegmentWeights::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                           const std::vector<int>& argnums, const std::vector<mx::array>& outputs) {
  check(argnums);
  const auto s = stream();
  std::vector<mx::array> found;
  for (int i : argnums) {
    if (kind_ == SegmentWeight::ties) {
      found.push_back(mx::zeros_like(primals[i], s));
      continue;
    }
    auto rate = mx::multiply(cotangents[0], outputs[0], s);
    if (i == 0) found.push_back(rate);
    else found.push_back(below_zeros(mx::astype(mx::negative(sum(rate, segments(primals), s), s), primals[1].dtype(), s), s));
  }
  return found;
}

std::vector<mx::array> SegmentWeights::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                           const std::vector<int>& argnums) {
  check(argnums);
  const auto s = stream();
  const auto& x = primals[0];
  if (kind_ == SegmentWeight::ties) return {mx::zeros_like(x, s)};
  const auto seg = segments(primals);
  auto rate = mx::zeros_like(x, s);
  for (size_t n = 0; n < argnums.size(); ++n) {
    if (argnums[n] == 0) rate = mx::add(rate, tangents[n], s);
    else rate = mx::subtract(rate, segment_spread(mx::astype(logarithms(tangents[n], s), x.dtype(), s), seg, x.shape(0), s), s);
  }
  return {mx::multiply(apply(primals), rate, s)};
}

bool SegmentWeights::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const SegmentWeights&>(other);
  return kind_ == o.kind_ && same_segments(o);
}

// ---- scans -------------------------------------------------------------------------------------------------

mx::array SegmentScan::apply(const std::vector<mx::array>& in) {
  const auto b = operands_ == 2 ? std::optional(in[1]) : std::nullopt;
  return segment_scan(in[0], b, reverse_, segments(in), stream());
}

// The adjoint of a scan is the scan in the other direction of the cotangents.
std::vector<mx::array> SegmentScan::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                        const std::vector<int>& argnums, const std::vector<mx::array>& outputs) {
  check(argnums);
  const auto s = stream();
  auto back = segment_scan(conj(primals[0], s), cotangents[0], !reverse_, segments(primals), s);
  std::vector<mx::array> found;
  for (int i : argnums) found.push_back(i == 0 ? mx::multiply(conj(outputs[0], s), back, s) : back);
  return found;
}

std::vector<mx::array> SegmentScan::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                        const std::vector<int>& argnums) {
  check(argnums);
  const auto s = stream();
  auto rate = mx::zeros_like(primals[0], s);
  for (size_t n = 0; n < argnums.size(); ++n) {
    rate = mx::add(rate, argnums[n] == 0 ? mx::multiply(tangents[n], apply(primals), s) : tangents[n], s);
  }
  return {segment_scan(primals[0], rate, reverse_, segments(primals), s)};
}

bool SegmentScan::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const SegmentScan&>(other);
  return operands_ == o.operands_ && reverse_ == o.reverse_ && same_segments(o);
}

} // namespace sp
