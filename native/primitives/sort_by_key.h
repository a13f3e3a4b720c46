// Lazy grouping of the positions of an index array by the values of its elements.
#pragma once

#include "evaluate.h"

namespace sp {

// offsets has length n + 1: order[offsets[i] .. offsets[i + 1]) are the positions whose element is i, ascending. Elements
// outside [0, n) are in no group. Not differentiable.
struct Groups { mx::array order, offsets; };
Groups group(const mx::array& index, int64_t n, mx::Stream s);

// The offsets alone, of an index that is nondecreasing (else: of no use, but in bounds).
mx::array offsets_of_sorted(const mx::array& sorted_index, int64_t n, mx::Stream s);

class SortByKey : public mx::Primitive {
 public:
  SortByKey(mx::Stream s, bool sorted, int64_t n) : Primitive(s), sorted_(sorted), n_(n) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  void eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override;
  const char* name() const override { return sorted_ ? "SparseGroupOffsets" : "SparseGroup"; }

 private:
  bool sorted_; // outputs (offsets) of a sorted index; otherwise (order, offsets), on the CPU only
  int64_t n_;
};

} // namespace sp
