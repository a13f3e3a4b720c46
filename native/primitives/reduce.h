// Sums of stored values over one axis: one output per major slice (segments) or per minor index (scatter).
#pragma once

#include "evaluate.h"

namespace sp {

// data (nnz,) or (b, nnz) -> (n_major,) or (b, n_major).
mx::array major_sum(const mx::array& data, const mx::array& indptr, mx::Stream s);
// data (nnz,) or (b, nnz) -> (n_minor,) or (b, n_minor).
mx::array minor_sum(const mx::array& data, const mx::array& indices, int64_t n_minor, mx::Stream s);

// The sum of all values, of any shape.
mx::array total(const mx::array& data, mx::Stream s);

class AxisSum : public mx::Primitive {
 public:
  AxisSum(mx::Stream s, bool major, int64_t n_out)
      : Primitive(s), major_(major), scratch_(major && uses_shaders(s)), n_out_(n_out) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  void eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  std::vector<mx::array> vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums, const std::vector<mx::array>& outputs) override;
  std::vector<mx::array> jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override;
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override;
  bool is_equivalent(const Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override;
  const char* name() const override { return major_ ? "SparseMajorSum" : "SparseMinorSum"; }

 private:
  mx::array apply(const mx::array& data, const mx::array& index);
  std::vector<mx::array> with_scratch(mx::array sums, const mx::array& data, const mx::array& index);

  bool major_, scratch_; // scratch: outputs (sums, part, carry)
  int64_t n_out_;
};

} // namespace sp
