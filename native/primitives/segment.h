// Reductions of rows over segments, and what their derivatives need: the spreading of one row per segment back over its
// rows, weights, and the affine scan behind products. Together they are closed under differentiation.
#pragma once

#include "../kernels/view.h"
#include "node.h"

namespace sp {

// Segment m holds rows offsets[m] .. offsets[m + 1]: of x itself, or of x[order] where the rows of a segment are
// scattered (ids are given then). ids[t] is the segment of row t, one past the last for a row in none. Everything is
// int32; offsets start at 0, never fall and do not pass the number of rows; order is a permutation. Callers see to that.
// CPU kernels add up rows by their ids alone, with no offsets: ids up to `count` of them, in any order.
struct Segments {
  int count;
  std::optional<mx::array> offsets, ids, order;
};

// Such segments, of parts whose dtypes and shapes are checked.
Segments make_segments(int count, const std::optional<mx::array>& offsets, const std::optional<mx::array>& ids,
                       const std::optional<mx::array>& order);
// Such segments, of ids up to `count` in any order: they are sorted, stably.
Segments sort_by_ids(const mx::array& ids, int count, mx::Stream s);

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
// is -inf; ties: 1 where x equals y[id] or is NaN, else 0, y (S, C).
enum class SegmentWeight { exp, ties };
mx::array segment_weight(SegmentWeight kind, const mx::array& x, const mx::array& y, const Segments& segments, mx::Stream s);

// Along each segment: out[t] = h, then h = a[t] h + b[t]; h starts at 0, or without b at 1 (products of the rows
// before, or with `reverse` after, row t). a, b and the result are (T, C).
mx::array segment_scan(const mx::array& a, const std::optional<mx::array>& b, bool reverse, const Segments& segments,
                       mx::Stream s);

class SegmentOffsets : public Node {
 public:
  SegmentOffsets(mx::Stream s, bool lengths) : Node(s, uses_shaders(s)), lengths_(lengths) {}
  const char* name() const override { return "SegmentOffsets"; }

 private:
  std::vector<int64_t> key() const override { return {lengths_}; }
  std::vector<Output> results(const Arrays& inputs) const override;
  std::vector<Output> scratch(const Arrays& inputs) const override; // totals of chunks
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  Arrays apply(const Arrays& inputs) override { return {make(inputs)[0]}; }
  bool has_derivative(int) const override { return false; }

  bool lengths_;
};

// Inputs: one or two dense operands, then either ids alone (`by_ids`), or offsets, ids and order as far as they are there.
class SegmentNode : public Node {
 protected:
  SegmentNode(mx::Stream s, int operands, const Segments& segments, bool siblings = false)
      : Node(s, siblings), operands_(operands), count_(segments.count), by_ids_(!segments.offsets) {}

  bool has_derivative(int input) const override { return input < operands_; }
  std::optional<Batched> batched(const Arrays& inputs, const Axes& axes) override; // more columns

  Segments segments(const Arrays& inputs) const;
  SegmentPattern<int32_t> pattern(const Arrays& inputs, int rows) const; // of contiguous inputs
  int ids_input() const { return operands_ + (by_ids_ ? 0 : 1); }

  int operands_, count_;
  bool by_ids_;
};

class SegmentReduce : public SegmentNode {
 public:
  SegmentReduce(mx::Stream s, SegmentKind kind, const Segments& segments)
      : SegmentNode(s, 1, segments, uses_shaders(s)), kind_(kind) {}
  const char* name() const override { return "SegmentReduce"; }

 private:
  std::vector<int64_t> key() const override { return {static_cast<int64_t>(kind_), count_, by_ids_}; }
  std::vector<Output> results(const Arrays& inputs) const override;
  // Two unused results of other dtypes, part, and carry, weight, place of long segments.
  std::vector<Output> scratch(const Arrays& inputs) const override;
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  Arrays apply(const Arrays& inputs) override;
  mx::array gradient(int input, const Arrays& primals, const mx::array& cotangent, const Arrays& outputs) override;
  mx::array tangent(int input, const Arrays& primals, const mx::array& rate) override;

  SegmentKind kind_;
};

class SegmentSpread : public SegmentNode {
 public:
  SegmentSpread(mx::Stream s, const Segments& segments) : SegmentNode(s, 1, segments) {}
  const char* name() const override { return "SegmentSpread"; }

 private:
  std::vector<int64_t> key() const override { return {count_, by_ids_}; }
  std::vector<Output> results(const Arrays& inputs) const override;
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  Arrays apply(const Arrays& inputs) override;
  mx::array gradient(int input, const Arrays& primals, const mx::array& cotangent, const Arrays& outputs) override;
};

class SegmentWeights : public SegmentNode {
 public:
  SegmentWeights(mx::Stream s, SegmentWeight kind, const Segments& segments) : SegmentNode(s, 2, segments), kind_(kind) {}
  const char* name() const override { return kind_ == SegmentWeight::exp ? "SegmentExp" : "SegmentTies"; }

 private:
  std::vector<int64_t> key() const override { return {static_cast<int64_t>(kind_), count_, by_ids_}; }
  std::vector<Output> results(const Arrays& inputs) const override { return {{inputs[0].shape(), inputs[0].dtype()}}; }
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  Arrays apply(const Arrays& inputs) override;
  Arrays gradients(const std::vector<int>& inputs, const Arrays& primals, const mx::array& cotangent,
                   const Arrays& outputs) override;
  mx::array tangent(int input, const Arrays& primals, const mx::array& rate) override;

  SegmentWeight kind_;
};

class SegmentScan : public SegmentNode {
 public:
  SegmentScan(mx::Stream s, bool reverse, bool has_b, const Segments& segments)
      : SegmentNode(s, has_b ? 2 : 1, segments), reverse_(reverse) {}
  const char* name() const override { return "SegmentScan"; }

 private:
  std::vector<int64_t> key() const override { return {operands_, reverse_, count_, by_ids_}; }
  std::vector<Output> results(const Arrays& inputs) const override { return {{inputs[0].shape(), inputs[0].dtype()}}; }
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  Arrays apply(const Arrays& inputs) override;
  Arrays gradients(const std::vector<int>& inputs, const Arrays& primals, const mx::array& cotangent,
                   const Arrays& outputs) override;
  mx::array tangent(int input, const Arrays& primals, const mx::array& rate) override;

  bool reverse_;
};

} // namespace sp
