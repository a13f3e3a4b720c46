// The product family: A @ X, A^T @ X and the sampled product, closed under differentiation.
#pragma once

#include "structure.h"

namespace sp {

enum class ProductKind { matmul, rmatmul, sddmm };

// Throws where buffers of blocks or diagonals do not fit each other.
void check_values(const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1);

// data of p.values_shape, with a leading batch axis perhaps; x (n,), (n, k) or (..., n, k). matmul: n = n_minor; rmatmul: n = n_major.
mx::array product(ProductKind kind, const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1,
                  const mx::array& x, mx::Stream s);

// out[p] = sum_b sum_j u[b, major(p), j] * v[b, minor(p), j] in p.values_shape; per_batch keeps the b axis in front.
mx::array sddmm(const Pattern& p, const mx::array& s0, const mx::array& s1, const mx::array& u, const mx::array& v,
                bool per_batch, mx::Stream s);

// (batch, n, k) of a dense operand of rank 1, 2 or 3; batch 0 means "shared by every batch".
struct Dense { int64_t batch, n, k; };
inline Dense dense_extents(const mx::array& x) {
  if (x.ndim() == 1) return {0, x.shape(0), 1};
  if (x.ndim() == 2) return {0, x.shape(0), x.shape(1)};
  return {x.shape(0), x.shape(1), x.shape(2)};
}

// One evaluation on the CPU: in = (data, s0, s1, x), or (s0, s1, u, v) for sddmm.
void product_task(ProductKind kind, const Pattern& p, const std::vector<mx::array>& in, mx::array& out);
void sddmm_task(const Pattern& p, bool per_batch, const std::vector<mx::array>& in, mx::array& out);

// Entries of a structure: stored values, blocks or diagonals.
inline int64_t entry_count(const Pattern& p, const mx::array& data) { return data.shape(-p.rank()); }

// The kernels, on host pointers: used by eval_cpu and, without a graph node, for NumPy operands.
void product_host(ProductKind kind, const Pattern& p, mx::Dtype dtype, mx::Dtype index, size_t nnz, const void* data,
                  const void* s0, const void* s1, const void* x, void* y, size_t k);
void block_product_host(ProductKind kind, const Pattern& p, mx::Dtype dtype, mx::Dtype index, const void* data,
                        const void* indices, const void* indptr, const void* x, void* y, size_t k);
void block_sddmm_host(const Pattern& p, mx::Dtype dtype, mx::Dtype index, const void* indices, const void* indptr,
                      const void* u, const void* v, void* out, size_t k, size_t batch, size_t u_step, size_t v_step);
void diagonal_product_host(ProductKind kind, const Pattern& p, mx::Dtype dtype, mx::Dtype index, size_t n_diagonals,
                           const void* data, const void* offsets, const void* x, void* y, size_t k);
void diagonal_sddmm_host(const Pattern& p, mx::Dtype dtype, mx::Dtype index, size_t n_diagonals, const void* offsets,
                         const void* u, const void* v, void* out, size_t k, size_t batch, size_t u_step, size_t v_step);

class Product : public mx::Primitive {
 public:
  // A compressed shader product takes the chunks' `part` as a fifth input when its plan has it (long_slices: see Plan);
  // a transposed block shader product takes the transposed structure (order, indices, indptr), a sampled one each block's row.
  Product(mx::Stream s, ProductKind kind, Pattern pattern, bool per_batch, bool long_slices = true)
      : Primitive(s), kind_(kind), pattern_(std::move(pattern)), per_batch_(per_batch), long_slices_(long_slices),
        scratch_(kind == ProductKind::matmul && pattern_.layout == Layout::compressed && uses_shaders(s)) {}

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
  std::vector<mx::Dtype> output_dtypes(const std::vector<mx::array>& inputs) const;
  const char* name() const override;

 private:
  void eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs);
  // Rules that answer for y fill in the scratch outputs behind it, which nobody reads.
  std::vector<mx::array> with_scratch(mx::array y, const std::vector<mx::array>& primals);

  ProductKind kind_;
  Pattern pattern_;
  bool per_batch_, long_slices_;
  bool scratch_; // a shader product: outputs (y, part, carry)
};

} // namespace sp
