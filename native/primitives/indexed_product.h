// Products of blocks that index arrays pick, summed by an index of the output: matvec, rmatvec and outer product are the
// three partial derivatives of one trilinear form (kernels/indexed_product.h), so the family is closed.
#pragma once

#include <array>
#include <optional>

#include "evaluate.h"

namespace sp {

enum class IndexedKind;

// How entries with the same output index are added. An index marked sorted is nondecreasing; the others are grouped by a
// stable sort. atomic: in the order of a GPU's scheduling, for float32 (otherwise as grouped).
struct IndexedOrder {
  bool atomic = false;
  std::array<bool, 3> sorted{}; // of the indices of x, a and y
};

// By kind (left, right -> result): matvec (a, y -> x), rmatvec (a, x -> y), outer (x, y -> a), for a (*, G, M, C),
// x (*, G, M), y (*, G, C). An index left out is the identity. The result has n_out rows.
mx::array indexed_product(IndexedKind kind, const mx::array& left, const mx::array& right,
                          const std::optional<mx::array>& left_index, const std::optional<mx::array>& right_index,
                          const std::optional<mx::array>& out_index, int64_t n_out, const IndexedOrder& order,
                          mx::Stream s);

// Inputs (left, right, left_index, right_index, out_index, offsets, entry_order); an index of rank 2 stands for the
// identity. Outputs (result), for a shader (result, part, carry).
class IndexedProduct : public mx::Primitive {
 public:
  IndexedProduct(mx::Stream s, IndexedKind kind, IndexedOrder order)
      : Primitive(s), kind_(kind), order_(order), scratch_(uses_shaders(s) && !order.atomic) {}

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
  const char* name() const override;

 private:
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs);
  mx::array apply(const std::vector<mx::array>& inputs, const mx::array& left, const mx::array& right);
  std::vector<mx::array> with_scratch(mx::array y, const std::vector<mx::array>& inputs);

  IndexedKind kind_;
  IndexedOrder order_;
  bool scratch_;
};

} // namespace sp
