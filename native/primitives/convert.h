// Lazy changes of layout: outputs whose sizes follow from the inputs' shapes. Entries are moved, never summed.
#pragma once

#include "structure.h"

namespace sp {

// indptr -> major index of each of the nnz entries.
mx::array expand(const mx::array& indptr, int64_t nnz, mx::Stream s);
// sorted major indices -> indptr of length n_major + 1.
mx::array compress(const mx::array& sorted_major, int64_t n_major, mx::Stream s);

// The permutation that sorts `key`, equal keys in input order.
mx::array stable_argsort(const mx::array& key, mx::Stream s);
// x[..., order] for a permutation; its gradient gathers too, where MLX's take would scatter (GPUs cannot for complex64).
mx::array permute(const mx::array& x, const mx::array& order, mx::Stream s);

// The same entries, compressed along the other axis; stable, so slices of the result are sorted.
Compressed transpose(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_minor,
                     mx::Stream s);
// Coordinates in any order -> compressed along `major`; stable within a slice; duplicates stay.
Compressed coo_to_cs(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major,
                     mx::Stream s);

// First slice that each chunk owns (shaders only: see cs_partition). Length chunks + 1.
mx::array partition(const mx::array& indptr, int64_t chunks, int chunk, mx::Stream s);

enum class ConvertKind { expand, compress, partition, permute, transpose, coo_to_cs };

class Convert : public mx::Primitive {
 public:
  Convert(mx::Stream s, ConvertKind kind, int64_t n, int chunk = 0) : Primitive(s), kind_(kind), n_(n), chunk_(chunk) {}

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
  Compressed apply(const mx::array& data, const mx::array& s0, const mx::array& s1);
  mx::array order(const mx::array& s0, const mx::array& s1);

  ConvertKind kind_;
  // The others have several outputs and are sorts, which GPUs do through MLX.
  bool has_shader() const { return kind_ <= ConvertKind::permute; }

  int64_t n_; // expand, permute: nnz; compress, coo_to_cs: n_major; transpose: n_minor; partition: chunks
  int chunk_;
};

} // namespace sp
