// The product family: A @ X, A^T @ X and the sampled product, closed under differentiation.
#pragma once

#include "node.h"
#include "views.h"

namespace sp {

enum class ProductKind { matmul, rmatmul, sddmm };

// Throws where buffers of blocks or diagonals do not fit each other.
void check_values(const Structure& a, const mx::array& data);

// Entries of a structure: stored values, blocks or diagonals.
inline int64_t entry_count(const Pattern& p, const mx::array& data) { return data.shape(-p.rank()); }
// Whether there is a batch of values in front.
inline bool batched_values(const Pattern& p, const mx::array& data) { return static_cast<int>(data.ndim()) > p.rank(); }

// data of pattern.values_shape, with a leading batch axis perhaps; x (n,), (n, k) or (..., n, k). matmul: n = n_minor;
// rmatmul: n = n_major.
mx::array product(ProductKind kind, const Structure& a, const mx::array& data, const mx::array& x, mx::Stream s);

// out[p] = sum_b sum_j u[b, major(p), j] * v[b, minor(p), j] in pattern.values_shape; per_batch keeps the b axis in front.
mx::array sddmm(const Structure& a, const mx::array& u, const mx::array& v, bool per_batch, mx::Stream s);

// (batch, n, k) of a dense operand of rank 1, 2 or 3; batch 0 means "shared by every batch".
struct Extents { int64_t batch, n, k; };
inline Extents dense_extents(const mx::array& x) {
  if (x.ndim() == 1) return {0, x.shape(0), 1};
  if (x.ndim() == 2) return {0, x.shape(0), x.shape(1)};
  return {x.shape(0), x.shape(1), x.shape(2)};
}

// The kernels on host pointers, for one batch: used by nodes and, without a graph, for NumPy operands. k columns of x.
struct HostProduct {
  HostStructure a;
  mx::Dtype dtype;
  const void *data, *x;
  void* y;
  size_t k;
};
void product_host(ProductKind kind, const HostProduct& p);
void block_product_host(ProductKind kind, const HostProduct& p);
void diagonal_product_host(ProductKind kind, const HostProduct& p);
void gram_host(const HostProduct& p); // A^H A x of a compressed A, one column

// Sums over the batches; steps count elements.
struct HostSddmm {
  HostStructure a;
  mx::Dtype dtype;
  const void *u, *v;
  void* out;
  size_t k, batch, u_step, v_step;

  template <class T>
  DensePair<T> pair() const {
    return {static_cast<const T*>(u), static_cast<const T*>(v), k, batch, u_step, v_step};
  }
};
void sddmm_host(const HostSddmm& p);
void block_sddmm_host(const HostSddmm& p);
void diagonal_sddmm_host(const HostSddmm& p);

// Inputs (data, outer, inner, x), or (outer, inner, u, v) of a sampled product. What shaders need besides stands behind:
// the chunks' `part` of a compressed product when its plan has it (long_slices: see Plan), the transposed structure
// (order, indices, indptr) of a transposed block product, each block's row of a sampled one.
class Product : public Node {
 public:
  Product(mx::Stream s, ProductKind kind, Pattern pattern, bool per_batch = false, bool long_slices = true)
      : Node(s, kind == ProductKind::matmul && pattern.layout == Layout::compressed && uses_shaders(s)),
        kind_(kind), pattern_(std::move(pattern)), per_batch_(per_batch), long_slices_(long_slices) {}
  const char* name() const override;
  Output result(const Arrays& inputs) const;

 private:
  bool sampled() const { return kind_ == ProductKind::sddmm; }
  Structure structure(const Arrays& in) const {
    const int first = sampled() ? 0 : 1;
    return {pattern_, in[first], in[first + 1]};
  }
  std::vector<int64_t> key() const override {
    return {static_cast<int64_t>(kind_), per_batch_, static_cast<int64_t>(pattern_.layout), pattern_.n_major,
            pattern_.n_minor, pattern_.r, pattern_.c};
  }
  std::vector<Output> results(const Arrays& inputs) const override { return {result(inputs)}; }
  std::vector<Output> scratch(const Arrays& inputs) const override;
  bool has_derivative(int input) const override { return input == 3 || input == (sampled() ? 2 : 0); }
  Arrays apply(const Arrays& inputs) override;
  mx::array gradient(int input, const Arrays& primals, const mx::array& g, const Arrays& outputs) override;
  std::optional<Batched> batched(const Arrays& inputs, const Axes& axes) override;
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void sampled_kernel(const Arrays& inputs, mx::array& out) const;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  void sampled_shader(const Arrays& inputs, Arrays& outputs);

  ProductKind kind_;
  Pattern pattern_;
  bool per_batch_, long_slices_;
};

} // namespace sp
