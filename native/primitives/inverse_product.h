// Nodes that solve with a square matrix: their derivatives and batches, whatever solves.
#pragma once

#include "convert.h"
#include "node.h"
#include "product.h"

namespace sp {

// What is solved with, over the rows B of a compressed array: B, or its transpose, or the conjugate of either.
struct InverseForm { bool transposed, conjugate; };

// op(B)^-1 b. Inputs: the values, indices and indptr of B, then b, (n,) or (n, k), then what else the family needs.
class InverseProduct : public Node {
 protected:
  InverseProduct(mx::Stream s, InverseForm op, bool siblings = false) : Node(s, siblings), op_(op) {}

  // The node of the same family for another form, other values or other right-hand sides.
  virtual mx::array solved(InverseForm op, const Arrays& in, const mx::array& values, const mx::array& b) = 0;
  // Throws where the values have no derivative.
  virtual void require_derivative(const Arrays&) const {}
  // The values without those that the result does not depend on.
  virtual mx::array that_count(const mx::array& values, const Arrays&) { return values; }

  std::vector<Output> results(const Arrays& in) const override { return {{in[3].shape(), in[0].dtype()}}; }
  bool has_shader() const override { return false; }
  bool has_derivative(int input) const override { return input == 0 || input == 3; }
  Arrays apply(const Arrays& in) override { return {solved(op_, in, in[0], in[3])}; }

  // With w = op(B)^-H g: w for b, and -w x^H for op(B), at the stored places.
  mx::array gradient(int input, const Arrays& in, const mx::array& g, const Arrays& outputs) override {
    return gradients({input}, in, g, outputs)[0];
  }
  Arrays gradients(const std::vector<int>& inputs, const Arrays& in, const mx::array& g, const Arrays& out) override {
    const auto s = stream();
    const auto w = solved({!op_.transposed, is_complex(g.dtype()) && !op_.conjugate}, in, in[0], g);
    Arrays found;
    for (int input : inputs) {
      if (input == 3) {
        found.push_back(w);
        continue;
      }
      auto u = mx::negative(w, s), v = conj(out[0], s);
      if (op_.transposed) std::swap(u, v);
      const auto places = sddmm(structure(in), u, v, false, s);
      found.push_back(that_count(op_.conjugate ? conj(places, s) : places, in));
    }
    return found;
  }
  // x' = op(B)^-1 b', or -op(B)^-1 op(B') x.
  mx::array tangent(int input, const Arrays& in, const mx::array& rate) override {
    if (input == 3) return solved(op_, in, in[0], rate);
    const auto s = stream();
    const auto kind = op_.transposed ? ProductKind::rmatmul : ProductKind::matmul;
    auto change = that_count(rate, in);
    if (op_.conjugate) change = conj(change, s);
    return mx::negative(solved(op_, in, in[0], product(kind, structure(in), change, apply(in)[0], s)), s);
  }
  // Right-hand sides are columns.
  std::optional<Batched> batched(const Arrays& in, const Axes& axes) override {
    bool structure_mapped = false;
    for (size_t i = 1; i < axes.size(); ++i) structure_mapped = structure_mapped || (i != 3 && axes[i] >= 0);
    refuse_mapped_structure(structure_mapped);
    if (axes[0] >= 0) return std::nullopt;
    const auto s = stream();
    const auto b = mx::moveaxis(in[3], axes[3], -1, s);
    const auto flat = mx::reshape(b, {b.shape(0), to_dim(b.size() / std::max(b.shape(0), 1))}, s);
    return Batched{mx::reshape(solved(op_, in, in[0], flat), b.shape(), s), static_cast<int>(b.ndim()) - 1};
  }

  InverseForm op_;

 private:
  Structure structure(const Arrays& in) const {
    require_derivative(in);
    const auto n = static_cast<int64_t>(in[2].size()) - 1;
    return {{Layout::compressed, n, n, nullptr}, in[2], in[1]};
  }
};

} // namespace sp
