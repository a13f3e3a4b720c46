// Reductions of rows over segments, and what their derivatives need: the spreading of one row per segment back over its
// rows, weights, and the affine scan behind products. Together they are closed under differentiation.
#pragma once

#include <optional>

#include "evaluate.h"

namespace sp {

// Segment m holds rows offsets[m] .. offsets[m + 1]: of x itself, or of x[order] where the rows of a segment are
// scattered (ids are given then). ids[t] is the segment of row t, one past the last for a row in none. Everything is
// int32; offsets start at 0, never fall and do not pass the number of rows; order is a permutation. Callers see to that.
// CPU kernels add up rows by their ids alone, with no offsets: ids up to `count` of them, in any order.
struct Segments {
  int count;
  std::optional<mx::array> offsets, ids, order;
};

// Such offsets, of any `given` lengths (S,) or else offsets (S + 1,), int32 or int64: negative lengths count as 0, what
// falls or passes `rows` is brought to the offset before or to `rows`. Not differentiable.
mx::array segment_offsets(const mx::array& given, bool lengths, int rows, mx::Stream s);

// `segments` with ids, for `rows` rows.
Segments with_ids(const Segments& segments, int rows, mx::Stream s);

// In the order of `shaders/segment_*`, whose OP this is.
enum class SegmentKind { sum, mean, prod, max, min, logsumexp, argmax, argmin };

// x (T, C) -> (S, C) of x's dtype; argmax and argmin: int32 rows of x, -1 for an empty segment; logsumexp: (S, 2, C) in
// what x accumulates in, the maximum (a constant to every rule) and the logarithm of the rest, to be added up.
mx::array segment_reduce(SegmentKind kind, const mx::array& x, const Segments& segments, mx::Stream s);

// y (S, C) -> (T, C): y[id of row t], zeros for a row in no segment. The transpose of the sum.
mx::array segment_spread(const mx::array& y, const Segments& segments, int rows, mx::Stream s);

// x (T, C); y in what x accumulates in. exp: exp(x - y[id, 0] - y[id, 1]) for y (S, 2, C) from logsumexp, with 0 where x
// is -inf; ties: 1 where x equals y[id] or is NaN, else 0 (no gradient), y (S, C).
enum class SegmentWeight { exp, ties };
mx::array segment_weight(SegmentWeight kind, const mx::array& x, const mx::array& y, const Segments& segments, mx::Stream s);

// Along each segment: out[t] = h, then h = a[t] h + b[t]; h starts at 0, or without b at 1 (products of the rows
// before, or with `reverse` after, row t). a, b and the result are (T, C).
mx::array segment_scan(const mx::array& a, const std::optional<mx::array>& b, bool reverse, const Segments& segments,
                       mx::Stream s);

class SegmentOffsets : public mx::Primitive {
 public:
  SegmentOffsets(mx::Stream s, bool lengths) : Primitive(s), lengths_(lengths), scratch_(uses_shaders(s)) {}
  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  void eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override;
  const char* name() const override { return "SegmentOffsets"; }

 private:
  bool lengths_;
  bool scratch_; // outputs (offsets, totals of chunks)
};

// The inputs of a node are its `operands` dense ones, then offsets (unless `by_ids`), ids and order as far as they are there.
class SegmentNode : public mx::Primitive {
 public:
  SegmentNode(mx::Stream s, size_t operands, const Segments& segments)
      : Primitive(s), operands_(operands), count_(segments.count), by_ids_(!segments.offsets) {}
  void eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override;

 protected:
  // The result for other inputs of the same kinds.
  virtual mx::array apply(const std::vector<mx::array>& inputs) = 0;
  virtual void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) = 0;
  // Extra outputs that the result's siblings have on a shader; rules answer them with zeros that nobody reads.
  virtual std::vector<mx::array> siblings(const std::vector<mx::array>&) { return {}; }
  Segments segments(const std::vector<mx::array>& inputs) const;
  // The derivative of `argnums` is asked for: throws where one of them is part of the segments.
  void check(const std::vector<int>& argnums) const;
  std::vector<mx::array> with_siblings(mx::array y, const std::vector<mx::array>& inputs);

  bool same_segments(const SegmentNode& o) const { return count_ == o.count_ && by_ids_ == o.by_ids_; }

  size_t operands_;
  int count_;
  bool by_ids_;
};

class SegmentReduce : public SegmentNode {
 public:
  SegmentReduce(mx::Stream s, SegmentKind kind, const Segments& segments)
      : SegmentNode(s, 1, segments), kind_(kind), scratch_(uses_shaders(s)) {}
  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::vector<mx::array> vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums, const std::vector<mx::array>& outputs) override;
  std::vector<mx::array> jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override;
  std::vector<mx::Dtype> output_dtypes(const std::vector<mx::array>& inputs) const;
  const char* name() const override { return "SegmentReduce"; }

 private:
  mx::array apply(const std::vector<mx::array>& inputs) override;
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::vector<mx::array> siblings(const std::vector<mx::array>& inputs) override;

  SegmentKind kind_;
  bool scratch_; // outputs (result, two unused results of other dtypes, part, and carry, weight, place of long segments)
};

class SegmentSpread : public SegmentNode {
 public:
  SegmentSpread(mx::Stream s, const Segments& segments) : SegmentNode(s, 1, segments) {}
  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::vector<mx::array> vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums, const std::vector<mx::array>& outputs) override;
  std::vector<mx::array> jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override;
  const char* name() const override { return "SegmentSpread"; }

 private:
  mx::array apply(const std::vector<mx::array>& inputs) override;
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
};

class SegmentWeights : public SegmentNode {
 public:
  SegmentWeights(mx::Stream s, SegmentWeight kind, const Segments& segments) : SegmentNode(s, 2, segments), kind_(kind) {}
  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::vector<mx::array> vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums, const std::vector<mx::array>& outputs) override;
  std::vector<mx::array> jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override { return {inputs[0].shape()}; }
  const char* name() const override { return kind_ == SegmentWeight::exp ? "SegmentExp" : "SegmentTies"; }

 private:
  mx::array apply(const std::vector<mx::array>& inputs) override;
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;

  SegmentWeight kind_;
};

class SegmentScan : public SegmentNode {
 public:
  SegmentScan(mx::Stream s, bool reverse, bool has_b, const Segments& segments)
      : SegmentNode(s, has_b ? 2 : 1, segments), reverse_(reverse) {}
  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::vector<mx::array> vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums, const std::vector<mx::array>& outputs) override;
  std::vector<mx::array> jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override { return {inputs[0].shape()}; }
  const char* name() const override { return "SegmentScan"; }

 private:
  mx::array apply(const std::vector<mx::array>& inputs) override;
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;

  bool reverse_;
};

} // namespace sp
