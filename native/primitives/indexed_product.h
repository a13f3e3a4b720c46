// Products of blocks that index arrays pick, summed by an index of the output: matvec, rmatvec and outer product are the
// three partial derivatives of one trilinear form (kernels/indexed_product.h), so the family is closed.
#pragma once

#include <array>

#include "../kernels/view.h"
#include "node.h"

namespace sp {

// The row of an operand that takes part in product t is row rows[t]; without `rows`, row t. sorted: they never decrease.
struct Index {
  std::optional<mx::array> rows;
  bool sorted = false;
};

// What is multiplied and where products add up. Those with the same output row are added in order where the index of the
// output is sorted, and else in groups of a stable sort. atomic: in the order of a GPU's scheduling, for float32 (otherwise
// as grouped).
struct Indices {
  Index left, right, out;
  bool atomic = false;
};

// By kind (left, right -> result): matvec (a, y -> x), rmatvec (a, x -> y), outer (x, y -> a), for a (*, G, M, C),
// x (*, G, M), y (*, G, C). The result has n_out rows.
mx::array indexed_product(IndexedKind kind, const mx::array& left, const mx::array& right, const Indices& indices,
                          int64_t n_out, mx::Stream s);

// Inputs (left, right, left_index, right_index, out_index, offsets, entry_order); an index of rank 2 stands for the
// identity.
class IndexedProduct : public Node {
 public:
  IndexedProduct(mx::Stream s, IndexedKind kind, const Indices& indices)
      : Node(s, uses_shaders(s) && !indices.atomic), kind_(kind), atomic_(indices.atomic),
        sorted_{indices.left.sorted, indices.right.sorted, indices.out.sorted} {}
  const char* name() const override;

 private:
  std::vector<int64_t> key() const override;
  std::vector<Output> results(const Arrays& inputs) const override;
  std::vector<Output> scratch(const Arrays& inputs) const override; // part, carry
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  Arrays apply(const Arrays& inputs) override;
  bool has_derivative(int input) const override { return input < 2; }
  mx::array gradient(int input, const Arrays& primals, const mx::array& cotangent, const Arrays& outputs) override;
  std::optional<Batched> batched(const Arrays& inputs, const Axes& axes) override;

  IndexedKind kind_;
  bool atomic_;
  std::array<bool, 3> sorted_; // left, right, out
};

} // namespace sp
