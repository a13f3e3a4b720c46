// A diagonal of a sparsity pattern and its adjoint: diagonal sums the stored values on it, spread writes one value per
// element to each of them, and zeros elsewhere.
#pragma once

#include "product.h"

namespace sp {

// data of p.values_shape (compressed, coordinate or block) -> (length of the k-th diagonal,), which must not be negative.
mx::array diagonal(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1, int64_t k,
                   mx::Stream s);

// On the CPU only: with shaders a diagonal is a graph of other operations.
class Diagonal : public mx::Primitive {
 public:
  Diagonal(mx::Stream s, bool spread, Pattern pattern, int64_t k)
      : Primitive(s), spread_(spread), pattern_(std::move(pattern)), k_(k) {}

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
  const char* name() const override { return spread_ ? "SparseDiagonalSpread" : "SparseDiagonal"; }

 private:
  mx::array node(bool spread, const mx::array& x, const mx::array& s0, const mx::array& s1);

  bool spread_;
  Pattern pattern_;
  int64_t k_;
};

} // namespace sp
