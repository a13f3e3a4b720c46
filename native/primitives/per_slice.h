// One value per slice of the major axis, out of a kernel alone: what an operation without derivatives needs to be a node.
//
// A kernel is a struct K with
//   static constexpr const char* name;            its own name, and that of its shader
//   static constexpr bool has_shader;
//   template <class T> using Result = ...;        type of the results for values of type T
//   std::vector<int64_t> key() const;             its parameters
//   template <class T, class I> void operator()(CsView<T, I> a, Result<T>* out) const;
// Its shader, shaders/NAME.metal, takes data, indices and indptr, and has one thread for each slice.
#pragma once

#include "../launch.h"
#include "node.h"
#include "views.h"

namespace sp {

template <class K>
class PerSlice : public Node {
 public:
  PerSlice(mx::Stream s, K kernel, Pattern pattern) : Node(s), kernel_(kernel), pattern_(std::move(pattern)) {}
  const char* name() const override { return K::name; }

 private:
  std::vector<int64_t> key() const override {
    auto found = kernel_.key();
    found.insert(found.end(), {pattern_.n_major, pattern_.n_minor});
    return found;
  }
  std::vector<Output> results(const Arrays& in) const override {
    const auto dtype = dispatch_value(in[0].dtype(), [](auto t) -> mx::Dtype {
      return dtype_of<typename K::template Result<typename decltype(t)::type>>();
    });
    return {{{to_dim(pattern_.n_major)}, dtype}};
  }
  bool has_shader() const override { return K::has_shader; }
  Arrays apply(const Arrays& in) override { return {node<PerSlice<K>>(in, stream(), kernel_, pattern_)}; }
  mx::array tangent(int input, const Arrays& in, const mx::array& rate) override { return gradient(input, in, rate, {}); }
  void kernel(const Arrays& in, Arrays& out) const override {
    const auto a = on_host(pattern_, in[1], in[2]);
    dispatch_index(a.index, [&](auto i) {
      dispatch_value(in[0].dtype(), [&](auto t) {
        using T = typename decltype(t)::type;
        using I = typename decltype(i)::type;
        kernel_(CsView<T, I>{cs_pattern<I>(a), in[0].data<T>()}, out[0].data<typename K::template Result<T>>());
      });
    });
  }
  void shader(const Arrays& in, Arrays& out) override { launch_each(K::name, {in[0], in[2], in[1]}, out, {}, stream()); }

  K kernel_;
  Pattern pattern_;
};

// kernel over the compressed structure `a` with values `data`. One without a shader runs on the CPU, and at once where its
// operands are there, as what finds its size does.
template <class K>
mx::array per_slice(K kernel, const Structure& a, const mx::array& data, mx::Stream s) {
  if constexpr (K::has_shader) return node<PerSlice<K>>({data, a.outer, a.inner}, s, kernel, a.pattern);
  const auto cpu = s.device == mx::Device::gpu ? mx::default_stream(mx::Device::cpu) : s;
  return evaluated_at_once(node<PerSlice<K>>({data, a.outer, a.inner}, cpu, kernel, a.pattern), ~size_t{0});
}

} // namespace sp
