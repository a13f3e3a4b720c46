// The product family: A @ X, A^T @ X and the sampled product, closed under differentiation.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "common.h"

namespace sp {

enum class ProductKind { matmul, rmatmul, sddmm };

// How the stored entries are addressed. compressed: (indices, indptr) over the major axis; coordinate: (major, minor);
// block: compressed, an entry is an r x c block; diagonal: (offsets, offsets), an entry is a diagonal of c values.
enum class Layout { compressed, coordinate, block, diagonal };

// What shaders derive from one sparsity pattern, made on first use and shared by every array with that pattern.
struct Plan {
  struct Transposed { mx::array order, indices, indptr; std::shared_ptr<Plan> plan; };
  std::optional<Transposed> transposed; // entries sorted by minor index: shaders add without atomics

  // The values that the last transposed product had, and from their second use on those values in transposed order.
  struct Permuted { mx::array source; std::optional<mx::array> values; };
  std::optional<Permuted> permuted;

  // Which slices each chunk of a segmented sum owns; long_slices: some slice reaches across chunks.
  struct Chunks { mx::array part; bool long_slices; };
  std::map<int, Chunks> chunks; // by chunk size
};

// One sparsity pattern of n_major x n_minor.
struct Pattern {
  Layout layout;
  int64_t n_major, n_minor;
  std::shared_ptr<Plan> plan; // may be null: nothing is kept then
  int64_t r = 1, c = 1; // shape of one entry: blocks r x c, diagonals 1 x c

  // Rank of the values, which a batch raises by one.
  int rank() const { return layout == Layout::block ? 3 : layout == Layout::diagonal ? 2 : 1; }
  // Values per entry, and the shape of all values.
  int64_t width() const { return r * c; }
  mx::Shape values_shape(int64_t entries) const {
    const int n = static_cast<int>(entries), height = static_cast<int>(r), length = static_cast<int>(c);
    if (layout == Layout::block) return {n, height, length};
    return layout == Layout::diagonal ? mx::Shape{n, length} : mx::Shape{n};
  }
  bool operator==(const Pattern& o) const {
    return layout == o.layout && n_major == o.n_major && n_minor == o.n_minor && r == o.r && c == o.c;
  }
};

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
