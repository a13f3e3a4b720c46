// How the segment family runs: CPU kernels, and the shaders with their scratch.
#include "../kernels/segment.h"
#include "../launch.h"
#include "segment.h"

namespace sp {

namespace {

// Positions (rows + segments) of one chunk, as in cs_partition.
int chunk_size(int columns) { return columns < 8 ? 2048 : 512; }
constexpr int kOffsetChunk = 2048; // elements that one group of segment_offsets adds up
int chunk_count(int64_t rows, int64_t segments, int chunk) { return static_cast<int>((rows + segments + chunk - 1) / chunk); }

// Which of the shader's results (x's dtype, its accumulator, an index) a kind has.
int result_slot(SegmentKind kind) { return kind == SegmentKind::logsumexp ? 1 : kind >= SegmentKind::argmax ? 2 : 0; }

const int32_t* order_of(const std::vector<mx::array>& in, size_t operands) {
  return in.size() > operands + 2 ? in[operands + 2].data<int32_t>() : nullptr;
}

template <class T>
void reduce_on_cpu(SegmentKind kind, const std::vector<mx::array>& in, mx::array& out) {
  auto run = [&]<class Op>(Tag<Op>) {
    segment_reduce<Op, T, int32_t>(in[1].size() - 1, in[1].data<int32_t>(), order_of(in, 1), in[0].data<T>(),
                                   in[0].shape(1), out.data<typename Op::Out>());
  };
  constexpr bool ordered = !std::is_same_v<T, complex64_t>, floating = ordered && !std::is_integral_v<T>;
  if (kind == SegmentKind::sum) return run(Tag<SegmentSum<T>>{});
  if (kind == SegmentKind::prod) return run(Tag<SegmentProd<T>>{});
  if constexpr (floating || !ordered) if (kind == SegmentKind::mean) return run(Tag<SegmentMean<T>>{});
  if constexpr (floating) if (kind == SegmentKind::logsumexp) return run(Tag<SegmentLogSumExp<T>>{});
  if constexpr (ordered) {
    if (kind == SegmentKind::max) return run(Tag<SegmentExtreme<T, true>>{});
    if (kind == SegmentKind::min) return run(Tag<SegmentExtreme<T, false>>{});
    if (kind == SegmentKind::argmax) return run(Tag<SegmentArg<T, true>>{});
    if (kind == SegmentKind::argmin) return run(Tag<SegmentArg<T, false>>{});
  }
  throw std::invalid_argument("this reduction has no meaning for the dtype of x");
}

template <class T>
void reduce_by_ids_on_cpu(SegmentKind kind, const std::vector<mx::array>& in, mx::array& out) {
  auto run = [&]<class Op>(Tag<Op>) {
    segment_reduce_by_ids<Op, T, int32_t>(in[0].shape(0), out.shape(0), in[1].data<int32_t>(), in[0].data<T>(),
                                          in[0].shape(1), out.data<T>());
  };
  if (kind == SegmentKind::sum) return run(Tag<SegmentSum<T>>{});
  if constexpr (!std::is_same_v<T, complex64_t>) {
    if (kind == SegmentKind::max) return run(Tag<SegmentExtreme<T, true>>{});
    if (kind == SegmentKind::min) return run(Tag<SegmentExtreme<T, false>>{});
  }
  throw std::invalid_argument("this reduction has no meaning for the dtype of x, or needs offsets");
}

// f(Tag<T>) for floats; integers and complex numbers have no weights.
template <class F>
void dispatch_floating(mx::Dtype dtype, F&& f) {
  dispatch_value(dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    if constexpr (!std::is_same_v<T, complex64_t>) f(t);
    else throw std::invalid_argument("complex numbers have no order");
  });
}

} // namespace

void SegmentReduce::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (scratch_) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [kind = kind_, by_ids = by_ids_](auto& in, auto& out) {
    auto run = [&](auto t) {
      using T = typename decltype(t)::type;
      if (by_ids) reduce_by_ids_on_cpu<T>(kind, in, out[0]);
      else reduce_on_cpu<T>(kind, in, out[0]);
    };
    dispatch_value(in[0].dtype(), run);
  });
}

void SegmentSpread::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (shaders_on_host()) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [ids = by_ids_ ? 1 : 2](auto& in, auto& out) {
    dispatch_value(out[0].dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      segment_spread<T, int32_t>(in[ids].size(), in[0].shape(0), in[ids].template data<int32_t>(),
                                 in[0].template data<T>(), in[0].shape(1), out[0].template data<T>());
    });
  });
}

void SegmentWeights::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (shaders_on_host()) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [kind = kind_, ids = by_ids_ ? 2 : 3](auto& in, auto& out) {
    dispatch_floating(in[0].dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      auto kernel = kind == SegmentWeight::exp ? segment_exp<T, int32_t> : segment_ties<T, int32_t>;
      kernel(in[ids].size(), in[1].shape(0), in[ids].template data<int32_t>(), in[0].template data<T>(),
             in[1].template data<acc_t<T>>(), in[0].shape(1), out[0].template data<T>());
    });
  });
}

void SegmentScan::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (shaders_on_host()) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [operands = operands_, reverse = reverse_](auto& in, auto& out) {
    dispatch_value(in[0].dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      segment_scan<T, int32_t>(in[0].shape(0), in[operands].size() - 1, in[operands].template data<int32_t>(),
                               order_of(in, operands), in[0].template data<T>(),
                               operands == 2 ? in[1].template data<T>() : nullptr, in[0].shape(1), reverse,
                               out[0].template data<T>());
    });
  });
}

void SegmentOffsets::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (scratch_) return eval_gpu(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [lengths = lengths_](auto& in, auto& out) {
    (lengths ? offsets_of_lengths : offsets_in_order)(in[0].size(), in[0].template data<int32_t>(),
                                                      *in[1].template data<int32_t>(), out[0].template data<int32_t>());
  });
}

// ---- shaders -----------------------------------------------------------------------------------------------

std::vector<mx::Dtype> SegmentReduce::output_dtypes(const std::vector<mx::array>& in) const {
  const auto t = in[0].dtype(), a = acc_dtype(t), i = in[1].dtype();
  std::vector<mx::Dtype> found{t, a, i};
  if (scratch_) {
    std::swap(found[0], found[result_slot(kind_)]);
    found.insert(found.end(), {i, a, a, i});
    return found;
  }
  return {found[result_slot(kind_)]};
}

std::vector<mx::Shape> SegmentReduce::output_shapes(const std::vector<mx::array>& in) {
  const int k = in[0].shape(1), n = count_;
  std::vector<mx::Shape> shapes{kind_ == SegmentKind::logsumexp ? mx::Shape{n, 2, k} : mx::Shape{n, k}};
  if (scratch_) {
    const int chunks = chunk_count(in[0].shape(0), n, chunk_size(k));
    const mx::Shape carry{chunks, k}, none{1};
    shapes.insert(shapes.end(), {none, none, {chunks + 1}, carry, kind_ == SegmentKind::logsumexp ? carry : none,
                                 result_slot(kind_) == 2 ? carry : none});
  }
  return shapes;
}

std::vector<mx::array> SegmentReduce::siblings(const std::vector<mx::array>& in) {
  std::vector<mx::array> found;
  const auto dtypes = output_dtypes(in);
  for (size_t i = 1; i < dtypes.size(); ++i) found.push_back(mx::zeros({1}, dtypes[i], stream()));
  return found;
}

std::vector<mx::Shape> SegmentOffsets::output_shapes(const std::vector<mx::array>& in) {
  const int n = in[0].shape(0) - (lengths_ ? 0 : 1);
  if (!scratch_) return {{n + 1}};
  return {{n + 1}, {std::max(1, (n + kOffsetChunk - 1) / kOffsetChunk)}};
}

void SegmentOffsets::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const Shader &sum = shader("segment_totals"), &scan = shader("segment_offsets");
  const TemplateArgs args{{"CHUNK", kOffsetChunk}, {"lengths", lengths_}};
  const int chunks = outputs[1].shape(0);
  std::vector<mx::array> offsets{outputs[0]}, total{outputs[1]};
  launch(sum, inputs, total, args, {chunks * sum.group, 1, 1}, stream());
  launch(scan, {inputs[0], inputs[1], total[0]}, offsets, args, {chunks * scan.group, 1, 1}, stream());
}

void SegmentReduce::eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const auto &x = inputs[0], &offsets = inputs[1];
  const bool has_order = inputs.size() > 3;
  const auto& order = has_order ? inputs[3] : offsets;
  const int k = x.shape(1), chunk = chunk_size(k), chunks = chunk_count(x.shape(0), offsets.shape(0) - 1, chunk);
  const TemplateArgs args{{"CHUNK", chunk}, {"OP", static_cast<int>(kind_)}, {"has_order", has_order}};
  std::vector<mx::array> results{outputs[0], outputs[1], outputs[2]}, part{outputs[3]};
  std::vector<mx::array> carries{outputs[4], outputs[5], outputs[6]};
  std::swap(results[0], results[result_slot(kind_)]);

  const Shader &owners = shader("cs_partition"), &carry = shader("segment_carry"), &reduce = shader("segment_reduce");
  launch(owners, {offsets}, part, args, {chunks + 1, 1, 1}, stream());
  launch(carry, {x, offsets, order, part[0]}, carries, args, {chunks * carry.group, (k + carry.group - 1) / carry.group, 1},
         stream());
  launch(reduce, {x, offsets, order, part[0], carries[0], carries[1], carries[2]}, results, args,
         {chunks * reduce.group, (k + reduce.group - 1) / reduce.group, 1}, stream());
}

namespace {

// Elements of `out` on a grid of groups of 256 along x, and as much again along y as that runs out.
void launch_elements(const char* name, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
                     const TemplateArgs& args, size_t elements, mx::Stream s, bool zeroed = false) {
  const Shader& sh = shader(name);
  const int64_t groups = (elements + sh.group - 1) / sh.group, most = int64_t(1) << 20;
  const int wide = static_cast<int>(std::min(groups, most)), high = static_cast<int>((groups + most - 1) / most);
  launch(sh, inputs, outputs, args, {wide * sh.group, high, 1}, s, zeroed);
}

} // namespace

void SegmentSpread::eval_shader(const std::vector<mx::array>& in, std::vector<mx::array>& outputs) {
  launch_elements("segment_spread", {in[0], in[2]}, outputs, {}, outputs[0].size(), stream());
}

void SegmentWeights::eval_shader(const std::vector<mx::array>& in, std::vector<mx::array>& outputs) {
  launch_elements("segment_weight", {in[0], in[1], in[3]}, outputs, {{"is_exp", kind_ == SegmentWeight::exp}},
                  outputs[0].size(), stream());
}

void SegmentScan::eval_shader(const std::vector<mx::array>& in, std::vector<mx::array>& outputs) {
  const auto& offsets = in[operands_];
  const bool has_b = operands_ == 2, has_order = in.size() > operands_ + 2;
  launch_elements("segment_scan", {in[0], has_b ? in[1] : in[0], offsets, has_order ? in[operands_ + 2] : offsets}, outputs,
                  {{"has_b", has_b}, {"has_order", has_order}, {"reverse", reverse_}},
                  (offsets.size() - 1) * static_cast<size_t>(in[0].shape(1)), stream(), true);
}

} // namespace sp
