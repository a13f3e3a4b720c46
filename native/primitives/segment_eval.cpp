// How the segment family runs: CPU kernels, and the shaders with their scratch.
#include "../kernels/segment.h"
#include "../launch.h"
#include "segment.h"

namespace sp {

namespace {

// Positions (rows + segments) of one chunk, as in cs_partition.
int chunk_size(int columns) { return columns < 8 ? 2048 : 512; }
constexpr int kOffsetChunk = 2048; // elements that one group of segment_offsets adds up
int chunk_count(int64_t rows, int64_t segments, int chunk) { return to_dim((rows + segments + chunk - 1) / chunk); }

// Which of the shader's results (x's dtype, its accumulator, an index) a kind has.
int result_slot(SegmentKind kind) { return kind == SegmentKind::logsumexp ? 1 : kind >= SegmentKind::argmax ? 2 : 0; }

bool is_ring(SegmentKind kind) { return kind == SegmentKind::sum || kind == SegmentKind::prod; }

// Signed integers wrap as unsigned ones do, so that no kernel is compiled for both.
template <class T>
void ring_on_cpu(SegmentKind kind, SegmentPattern<int32_t> segments, const mx::array& x, mx::array& out) {
  auto run = [&]<class Op>(Op op) { segment_reduce(op, segments, x.data<T>(), x.shape(1), out.data<T>()); };
  if (kind == SegmentKind::sum) run(SegmentSum<T>{}); else run(SegmentProd<T>{});
}

// What integers do not have.
template <class T>
void inexact_on_cpu(SegmentKind kind, SegmentPattern<int32_t> segments, const mx::array& x, mx::array& out) {
  auto run = [&]<class Op>(Op op) {
    segment_reduce(op, segments, x.data<T>(), x.shape(1), out.data<typename Op::Out>());
  };
  if constexpr (!std::is_integral_v<T>) if (kind == SegmentKind::mean) return run(SegmentMean<T>{});
  if constexpr (!std::is_integral_v<T> && !is_complex_v<T>) {
    if (kind == SegmentKind::logsumexp) return run(SegmentLogSumExp<T>{});
  }
  throw std::invalid_argument("this reduction has no meaning for the dtype of x");
}

// Maxima and minima, and where they stand.
template <class T, class Ranking>
void extreme_on_cpu(Ranking ranking, bool where, SegmentPattern<int32_t> segments, const mx::array& x, mx::array& out) {
  if constexpr (!is_complex_v<T>) {
    if (where) segment_reduce(SegmentArg<T, Ranking>{ranking}, segments, x.data<T>(), x.shape(1), out.data<int32_t>());
    else segment_reduce(SegmentExtreme<T, Ranking>(ranking), segments, x.data<T>(), x.shape(1), out.data<T>());
  } else throw std::invalid_argument("complex numbers have no order");
}

template <class T>
void ring_by_ids_on_cpu(SegmentPattern<int32_t> segments, const mx::array& x, mx::array& out) {
  segment_reduce_by_ids(SegmentSum<T>{}, segments, x.data<T>(), x.shape(1), out.data<T>());
}

template <class T, class Ranking>
void extreme_by_ids_on_cpu(Ranking ranking, SegmentPattern<int32_t> segments, const mx::array& x, mx::array& out) {
  if constexpr (!is_complex_v<T>) {
    T* y = out.data<T>();
    segment_reduce_by_ids(SegmentExtreme<T, Ranking>(ranking), segments, x.data<T>(), x.shape(1), y);
    if constexpr (std::is_integral_v<T>) {
      parallel_for(out.size(), plan_parts(out.size()), [=](size_t lo, size_t hi) {
        std::transform(y + lo, y + hi, y + lo, ranking);
      });
    }
  } else throw std::invalid_argument("complex numbers have no order");
}

// f(Tag<T>) for floats; integers and complex numbers have no weights.
template <class F>
void dispatch_floating(mx::Dtype dtype, F&& f) {
  dispatch_value(dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    if constexpr (!is_complex_v<T>) f(t);
    else throw std::invalid_argument("complex numbers have no order");
  });
}

} // namespace

SegmentPattern<int32_t> SegmentNode::pattern(const Arrays& in, int rows) const {
  auto part = [&](size_t i) { return i < in.size() ? in[i].data<int32_t>() : nullptr; };
  const size_t n = rows, count = count_, at = operands_;
  if (by_ids_) return {n, count, nullptr, nullptr, part(at)};
  return {n, count, part(at), part(at + 2), part(at + 1)};
}

void SegmentReduce::kernel(const Arrays& in, Arrays& out) const {
  const auto segments = pattern(in, in[0].shape(0));
  const bool extreme = kind_ == SegmentKind::max || kind_ == SegmentKind::min;
  if (by_ids_ && kind_ != SegmentKind::sum && !extreme) throw std::invalid_argument("this reduction needs offsets");
  if (by_ids_ && kind_ == SegmentKind::sum) {
    return dispatch_unsigned(in[0].dtype(), [&]<class T>(Tag<T>) { ring_by_ids_on_cpu<T>(segments, in[0], out[0]); });
  }
  if (!by_ids_ && is_ring(kind_)) {
    return dispatch_unsigned(in[0].dtype(), [&]<class T>(Tag<T>) { ring_on_cpu<T>(kind_, segments, in[0], out[0]); });
  }
  if (kind_ == SegmentKind::mean || kind_ == SegmentKind::logsumexp) {
    return dispatch_value(in[0].dtype(), [&]<class T>(Tag<T>) { inexact_on_cpu<T>(kind_, segments, in[0], out[0]); });
  }
  const bool max = kind_ == SegmentKind::max || kind_ == SegmentKind::argmax;
  dispatch_ranking(in[0].dtype(), max, [&]<class T>(Tag<T>, auto ranking) {
    if (by_ids_) extreme_by_ids_on_cpu<T>(ranking, segments, in[0], out[0]);
    else extreme_on_cpu<T>(ranking, !extreme, segments, in[0], out[0]);
  });
}

void SegmentSpread::kernel(const Arrays& in, Arrays& out) const {
  const auto segments = pattern(in, out[0].shape(0));
  dispatch_width(out[0].dtype(), [&]<class T>(Tag<T>) {
    segment_spread(segments, in[0].data<T>(), in[0].shape(1), out[0].data<T>());
  });
}

void SegmentWeights::kernel(const Arrays& in, Arrays& out) const {
  const auto segments = pattern(in, in[0].shape(0));
  dispatch_floating(in[0].dtype(), [&]<class T>(Tag<T>) {
    (kind_ == SegmentWeight::exp ? segment_exp<T, int32_t> : segment_ties<T, int32_t>)(
        segments, in[0].data<T>(), in[1].data<acc_t<T>>(), in[0].shape(1), out[0].data<T>());
  });
}

void SegmentScan::kernel(const Arrays& in, Arrays& out) const {
  const auto segments = pattern(in, in[0].shape(0));
  dispatch_unsigned(in[0].dtype(), [&]<class T>(Tag<T>) {
    const T* b = operands_ == 2 ? in[1].data<T>() : nullptr;
    segment_scan(segments, in[0].data<T>(), b, in[0].shape(1), reverse_, out[0].data<T>());
  });
}

void SegmentOffsets::kernel(const Arrays& in, Arrays& out) const {
  (lengths_ ? offsets_of_lengths : offsets_in_order)(in[0].size(), in[0].data<int32_t>(), *in[1].data<int32_t>(),
                                                     out[0].data<int32_t>());
}

// ---- shaders -----------------------------------------------------------------------------------------------

std::vector<Output> SegmentReduce::scratch(const Arrays& in) const {
  const auto acc = acc_dtype(in[0].dtype());
  mx::Dtype results[] = {in[0].dtype(), acc, mx::int32};
  std::swap(results[0], results[result_slot(kind_)]);
  const int k = in[0].shape(1), chunks = chunk_count(in[0].shape(0), count_, chunk_size(k));
  const mx::Shape carry{chunks, k}, none{1};
  return {{none, results[1]}, {none, results[2]}, {{chunks + 1}, mx::int32}, {carry, acc},
          {kind_ == SegmentKind::logsumexp ? carry : none, acc}, {result_slot(kind_) == 2 ? carry : none, mx::int32}};
}

std::vector<Output> SegmentOffsets::scratch(const Arrays& in) const {
  const int n = in[0].shape(0) - (lengths_ ? 0 : 1);
  return {{{std::max(1, (n + kOffsetChunk - 1) / kOffsetChunk)}, mx::int32}};
}

void SegmentOffsets::shader(const Arrays& inputs, Arrays& outputs) {
  const Shader &sum = sp::shader("segment_totals"), &scan = sp::shader("segment_offsets");
  const TemplateArgs args{{"CHUNK", kOffsetChunk}, {"lengths", lengths_}};
  const int chunks = outputs[1].shape(0);
  Arrays offsets{outputs[0]}, total{outputs[1]};
  launch(sum, inputs, total, args, {chunks * sum.group, 1, 1}, stream());
  launch(scan, {inputs[0], inputs[1], total[0]}, offsets, args, {chunks * scan.group, 1, 1}, stream());
}

void SegmentReduce::shader(const Arrays& inputs, Arrays& outputs) {
  const auto &x = inputs[0], &offsets = inputs[1];
  const bool has_order = inputs.size() > 3;
  const auto& order = has_order ? inputs[3] : offsets;
  const int k = x.shape(1), chunk = chunk_size(k), chunks = chunk_count(x.shape(0), count_, chunk);
  const TemplateArgs args{{"CHUNK", chunk}, {"OP", static_cast<int>(kind_)}, {"has_order", has_order}};
  Arrays results{outputs[0], outputs[1], outputs[2]}, part{outputs[3]}, carries{outputs[4], outputs[5], outputs[6]};
  std::swap(results[0], results[result_slot(kind_)]);

  const Shader &owners = sp::shader("cs_partition"), &carry = sp::shader("segment_carry"),
               &reduce = sp::shader("segment_reduce");
  launch(owners, {offsets}, part, args, {chunks + 1, 1, 1}, stream());
  launch(carry, {x, offsets, order, part[0]}, carries, args, {chunks * carry.group, (k + carry.group - 1) / carry.group, 1},
         stream());
  launch(reduce, {x, offsets, order, part[0], carries[0], carries[1], carries[2]}, results, args,
         {chunks * reduce.group, (k + reduce.group - 1) / reduce.group, 1}, stream());
}

namespace {

// Elements of `out` on a grid of groups of 256 along x, and as much again along y as that runs out.
void launch_elements(const char* name, const Arrays& inputs, Arrays& outputs, const TemplateArgs& args, size_t elements,
                     mx::Stream s, bool zeroed = false) {
  const Shader& sh = shader(name);
  const int64_t groups = (elements + sh.group - 1) / sh.group, most = int64_t(1) << 20;
  const int wide = static_cast<int>(std::min(groups, most)), high = static_cast<int>((groups + most - 1) / most);
  launch(sh, inputs, outputs, args, {wide * sh.group, high, 1}, s, zeroed);
}

} // namespace

void SegmentSpread::shader(const Arrays& in, Arrays& outputs) {
  launch_elements("segment_spread", {in[0], in[ids_input()]}, outputs, {}, outputs[0].size(), stream());
}

void SegmentWeights::shader(const Arrays& in, Arrays& outputs) {
  launch_elements("segment_weight", {in[0], in[1], in[ids_input()]}, outputs, {{"is_exp", kind_ == SegmentWeight::exp}},
                  outputs[0].size(), stream());
}

void SegmentScan::shader(const Arrays& in, Arrays& outputs) {
  const size_t at = operands_;
  const bool has_b = at == 2, has_order = in.size() > at + 2;
  const auto& offsets = in[at];
  launch_elements("segment_scan", {in[0], has_b ? in[1] : in[0], offsets, has_order ? in[at + 2] : offsets}, outputs,
                  {{"has_b", has_b}, {"has_order", has_order}, {"reverse", reverse_}},
                  count_ * static_cast<size_t>(in[0].shape(1)), stream(), true);
}

} // namespace sp
