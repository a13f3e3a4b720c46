#include "factor_solve.h"

#include <cstring>

namespace sp {

namespace {

class FactorSolve : public InverseProduct {
 public:
  FactorSolve(mx::Stream s, InverseForm op, SharedHeldFactor factor) : InverseProduct(s, op), factor_(std::move(factor)) {}
  const char* name() const override { return "SparseFactorSolve"; }

 private:
  std::vector<int64_t> key() const override {
    return {reinterpret_cast<int64_t>(factor_.get()), op_.transposed, op_.conjugate};
  }

  mx::array solved(InverseForm op, const Arrays& in, const mx::array& values, const mx::array& b) override {
    return node<FactorSolve>({values, in[1], in[2], b}, stream(), op, factor_);
  }

  void kernel(const Arrays& in, Arrays& out) const override {
    const auto& b = in[3];
    void* x = out[0].data<char>();
    const int64_t r = b.ndim() == 2 ? b.shape(1) : 1;
    if (op_.transposed != op_.conjugate || !is_complex(b.dtype())) return factor_->solve(b.data<char>(), x, r);
    const auto* from = b.data<complex64_t>(); // conj(A) x = b
    auto* to = static_cast<complex64_t*>(x);
    for (size_t i = 0; i < b.size(); ++i) to[i] = std::conj(from[i]);
    factor_->solve(x, x, r);
    for (size_t i = 0; i < b.size(); ++i) to[i] = std::conj(to[i]);
  }

  SharedHeldFactor factor_;
};

} // namespace

mx::array solve_by_factor(const SharedHeldFactor& factor, const InverseForm& op, const Compressed& a, const mx::array& b,
                          mx::Stream s) {
  if (s.device == mx::Device::gpu) s = mx::default_stream(mx::Device::cpu);
  const bool fits = b.ndim() >= 1 && b.ndim() <= 2 && b.shape(0) == factor->n() && a.indptr.size() > 0 &&
      static_cast<int64_t>(a.n_major()) == factor->n() && a.data.size() == a.indices.size();
  const bool narrow = factor->dtype() == mx::float64 && b.dtype() == mx::float32; // as a GPU has it
  const auto dtype = narrow ? mx::Dtype(mx::float32) : factor->dtype();
  if (!fits || b.dtype() != dtype || a.data.dtype() != dtype) {
    throw std::invalid_argument("the factors, the values and the right-hand sides do not fit each other");
  }
  if (!narrow) return node<FactorSolve>({a.data, a.indices, a.indptr, b}, s, op, factor);
  const auto wide = [&](const mx::array& x) { return mx::astype(x, factor->dtype(), s); };
  return mx::astype(node<FactorSolve>({wide(a.data), a.indices, a.indptr, wide(b)}, s, op, factor), dtype, s);
}

} // namespace sp
