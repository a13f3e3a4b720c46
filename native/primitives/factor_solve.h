// Solves with a Hermitian matrix that has been factored, as nodes of the graph.
#pragma once

#include <memory>

#include "inverse_product.h"

namespace sp {

// A factorisation that solves, whatever its dtype and its form are.
class HeldFactor {
 public:
  virtual ~HeldFactor() = default;
  virtual int64_t n() const = 0;
  virtual mx::Dtype dtype() const = 0;
  // A X = B, both n x r stored by rows, which may be the same memory.
  virtual void solve(const void* b, void* x, int64_t r) const = 0;
};
using SharedHeldFactor = std::shared_ptr<const HeldFactor>;

// op(B)^-1 b for the rows B of `a`, the columns of the matrix that was factored: B^T is that matrix, and so is conj(B).
// Lazy and differentiable in b and the values, all of which count as independent. On the CPU only; of float32 by a factor of
// float64, as a GPU has no such arrays, in float64.
mx::array solve_by_factor(const SharedHeldFactor& factor, const InverseForm& op, const Compressed& a, const mx::array& b,
                          mx::Stream s);

} // namespace sp
