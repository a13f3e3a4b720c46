// Dense form of a sparsity pattern and its adjoint: todense adds entries into an (n_major, n_minor) array, sample reads
// a dense array at the stored positions.
#pragma once

#include "product.h"

namespace sp {

// data (nnz,) or (b, nnz) -> (n_major, n_minor) or (b, n_major, n_minor); duplicates are summed.
mx::array todense(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1, mx::Stream s);
// dense (n_major, n_minor) or (b, n_major, n_minor) -> (nnz,) or (b, nnz).
mx::array sample(const Pattern& p, const mx::array& dense, const mx::array& s0, const mx::array& s1, mx::Stream s);

class DenseForm : public mx::Primitive {
 public:
  DenseForm(mx::Stream s, bool sample, Pattern pattern) : Primitive(s), sample_(sample), pattern_(std::move(pattern)) {}

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
  const char* name() const override { return sample_ ? "SparseSample" : "SparseToDense"; }

 private:
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs);
  mx::array apply(const mx::array& x, const mx::array& s0, const mx::array& s1);

  bool sample_;
  Pattern pattern_;
};

} // namespace sp
