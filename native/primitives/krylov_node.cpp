// Recorded recurrences as nodes of MLX's graph.
#include <cstring>

#include "krylov.h"

namespace sp {

std::vector<int64_t> Krylov::key() const {
  std::vector<int64_t> key{reinterpret_cast<int64_t>(kind_.recording.get()), kind_.guess, kind_.single, kind_.maxiter};
  key.insert(key.end(), kind_.sizes.begin(), kind_.sizes.end());
  return key;
}

std::vector<Output> Krylov::results(const Arrays& in) const {
  const auto& b = in[0];
  const mx::Shape columns(b.shape().begin() + 1, b.shape().end());
  const bool wide = b.dtype() == mx::float64;
  return {{b.shape(), b.dtype()}, {columns, mx::int32}, {columns, mx::int32}, {columns, wide ? mx::float64 : mx::float32}};
}

std::vector<KrylovOperator> Krylov::operators(const Arrays& in) const {
  std::vector<KrylovOperator> made;
  auto next = in.begin() + (kind_.guess ? 3 : 2);
  for (int size : kind_.sizes) {
    made.emplace_back(next, next + size);
    next += size;
  }
  return made;
}

void Krylov::kernel(const Arrays& in, Arrays& out) const {
  const auto& b = in[0];
  const auto operators = this->operators(in);
  const size_t n = b.shape(0), k = kind_.single ? 1 : b.shape(1);
  std::vector<double> tolerance(k);
  for (size_t j = 0; j < k; ++j) tolerance[j] = in[1].dtype() == mx::float64 ? in[1].data<double>()[j] : in[1].data<float>()[j];
  if (kind_.guess) std::memcpy(out[0].data<char>(), in[2].data<char>(), b.nbytes());
  const auto found = krylov_host({*kind_.recording, operators, b.dtype(), {n, n}, k, kind_.single, kind_.guess,
                                  b.data<char>(), out[0].data<char>(), tolerance.data(), kind_.maxiter, false});
  for (size_t j = 0; j < k; ++j) {
    out[1].data<int32_t>()[j] = found.codes[j];
    out[2].data<int32_t>()[j] = found.steps[j];
    if (out[3].dtype() == mx::float64) out[3].data<double>()[j] = found.norms[j];
    else out[3].data<float>()[j] = static_cast<float>(found.norms[j]);
  }
}

Arrays Krylov::apply(const Arrays& inputs) {
  return std::make_shared<Krylov>(stream(), kind_)->make(inputs);
}

// Mapped right-hand sides are columns; whatever else is mapped is taken apart.
std::optional<std::pair<Arrays, Axes>> Krylov::batched_results(const Arrays& inputs, const Axes& axes) {
  const int vectors = kind_.guess ? 3 : 2;
  for (size_t i = vectors; i < inputs.size(); ++i) if (axes[i] >= 0) return std::nullopt;
  const auto s = stream();
  int count = 0;
  for (int i = 0; i < vectors; ++i) if (axes[i] >= 0) count = inputs[i].shape(axes[i]);
  Arrays all = inputs;
  for (int i = 0; i < vectors; ++i) { // (n, count), (n, k * count), or without n
    auto& a = all[i];
    if (axes[i] >= 0) {
      a = mx::moveaxis(a, axes[i], -1, s);
    } else {
      auto shape = a.shape();
      shape.push_back(count);
      a = mx::broadcast_to(mx::expand_dims(a, -1, s), shape, s);
    }
    if (!kind_.single) a = i == 1 ? mx::flatten(a, 0, -1, s) : mx::flatten(a, 1, -1, s);
  }
  auto kind = kind_;
  kind.single = false;
  auto found = std::make_shared<Krylov>(s, std::move(kind))->make(std::move(all));
  Axes mapped;
  for (auto& out : found) {
    if (!kind_.single) out = mx::unflatten(out, -1, {-1, count}, s);
    mapped.push_back(static_cast<int>(out.ndim()) - 1);
  }
  return std::pair{std::move(found), std::move(mapped)};
}

namespace {

struct Described {
  KrylovKind kind;
  Arrays inputs;
};

Described described(const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators, const mx::array& b,
                  const std::optional<mx::array>& x, const mx::array& tolerance, int64_t maxiter, mx::Stream s) {
  const bool single = b.ndim() == 1;
  require_fit(static_cast<int>(operators.size()) == recording->operators && (single || b.ndim() == 2));
  require_fit(tolerance.ndim() == b.ndim() - 1 && (single || tolerance.size() == static_cast<size_t>(b.shape(1))));
  require_fit(tolerance.dtype() == mx::float32 || tolerance.dtype() == mx::float64);
  const bool as_shaders = uses_shaders(s) && (b.dtype() == mx::float32 || b.dtype() == mx::complex64);
  Arrays inputs{b, as_shaders ? mx::astype(tolerance, mx::float32, s) : tolerance};
  if (x) {
    require_fit(x->shape() == b.shape() && x->dtype() == b.dtype());
    inputs.push_back(*x);
  }
  std::vector<int> sizes;
  for (const auto& a : operators) {
    sizes.push_back(static_cast<int>(a.size()));
    inputs.insert(inputs.end(), a.begin(), a.end());
  }
  if (as_shaders) { // which would copy what is strided at every launch
    for (auto& in : inputs) in = mx::contiguous(in, false, s);
  }
  return {{recording, std::move(sizes), x.has_value(), single, maxiter, as_shaders, nullptr}, std::move(inputs)};
}

Arrays solution(Described given, mx::Stream s) {
  return std::make_shared<Krylov>(s, std::move(given.kind))->make(std::move(given.inputs));
}

} // namespace

Arrays krylov(const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators, const mx::array& b,
              const std::optional<mx::array>& x, const mx::array& tolerance, int64_t maxiter, mx::Stream s) {
  return solution(described(recording, operators, b, x, tolerance, maxiter, s), s);
}

KrylovFound krylov_on_device(const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators,
                             const mx::array& b, const std::optional<mx::array>& x, const mx::array& tolerance,
                             int64_t maxiter, mx::Stream s) {
  auto history = std::make_shared<std::vector<float>>();
  auto given = described(recording, operators, b, x, tolerance, maxiter, s);
  given.kind.history = history;
  auto found = solution(std::move(given), s);
  wait_for({found[0], found[1]});
  const auto codes = host_ready(found[1]);
  const auto* first = codes.data<int32_t>();
  return {found[0], {first, first + codes.size()}, std::move(*history)};
}

} // namespace sp
