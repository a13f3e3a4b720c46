#include "convert.h"

#include "../kernels/convert.h"
#include "../launch.h"

namespace sp {

namespace {

template <class F>
void with_index(const mx::array& a, F f) { dispatch_index(a.dtype(), f); }

int as_dim(int64_t n) {
  if (n > std::numeric_limits<int>::max()) throw std::overflow_error("a dimension of a compressed array exceeds 2**31 - 2");
  return static_cast<int>(n);
}

// Siblings of traced values count as traced too: cut the structure loose, or every later rule is asked for its gradient.
Compressed detached(const mx::array& data, const std::vector<mx::array>& out) {
  if (!data.is_tracer()) return {out[0], out[1], out[2]};
  const auto s = out[0].primitive().stream();
  return {out[0], mx::stop_gradient(out[1], s), mx::stop_gradient(out[2], s)};
}

// Stable order by key. MLX's argsort is a library sort on every back end.
Compressed sorted_by(const mx::array& data, const mx::array& key, const mx::array& other, int64_t n, mx::Stream s) {
  auto order = stable_argsort(key, s);
  return {permute(data, order, s), mx::take(other, order, 0, s), compress(mx::take(key, order, 0, s), n, s)};
}

} // namespace

mx::array stable_argsort(const mx::array& key, mx::Stream s) {
  return mx::astype(mx::argsort(key, 0, s), key.dtype(), s);
}

mx::array permute(const mx::array& x, const mx::array& order, mx::Stream s) {
  return mx::array(x.shape(), x.dtype(), std::make_shared<Convert>(s, ConvertKind::permute, order.size()), {x, order});
}

mx::array expand(const mx::array& indptr, int64_t nnz, mx::Stream s) {
  return mx::array({as_dim(nnz)}, indptr.dtype(), std::make_shared<Convert>(s, ConvertKind::expand, nnz), {indptr});
}

mx::array compress(const mx::array& sorted_major, int64_t n_major, mx::Stream s) {
  return mx::array({as_dim(n_major + 1)}, sorted_major.dtype(),
                   std::make_shared<Convert>(s, ConvertKind::compress, n_major), {sorted_major});
}

mx::array partition(const mx::array& indptr, int64_t chunks, int chunk, mx::Stream s) {
  return mx::array({as_dim(chunks + 1)}, indptr.dtype(),
                   std::make_shared<Convert>(s, ConvertKind::partition, chunks, chunk), {indptr});
}

Compressed transpose(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_minor,
                     mx::Stream s) {
  if (uses_shaders(s)) return sorted_by(data, indices, expand(indptr, indices.size(), s), n_minor, s);
  auto out = mx::array::make_arrays({data.shape(), indices.shape(), {as_dim(n_minor + 1)}},
                                    {data.dtype(), indices.dtype(), indptr.dtype()},
                                    std::make_shared<Convert>(s, ConvertKind::transpose, n_minor),
                                    {data, indices, indptr});
  return detached(data, out);
}

Compressed coo_to_cs(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major,
                     mx::Stream s) {
  if (uses_shaders(s)) return sorted_by(data, major, minor, n_major, s);
  auto out = mx::array::make_arrays({data.shape(), minor.shape(), {as_dim(n_major + 1)}},
                                    {data.dtype(), minor.dtype(), major.dtype()},
                                    std::make_shared<Convert>(s, ConvertKind::coo_to_cs, n_major),
                                    {data, major, minor});
  return detached(data, out);
}

void Convert::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const bool shader_only = kind_ == ConvertKind::partition || kind_ == ConvertKind::permute;
  if (shader_only || (shaders_on_host() && has_shader())) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [kind = kind_, n = n_](auto& in, auto& out) {
    with_index(in.back(), [&](auto i) {
      using I = typename decltype(i)::type;
      if (kind == ConvertKind::expand) return cs_expand<I>(in[0].size() - 1, in[0].template data<I>(), out[0].template data<I>());
      if (kind == ConvertKind::compress) return cs_compress<I>(in[0].size(), n, in[0].template data<I>(), out[0].template data<I>());
      const size_t nnz = in[1].size();
      const I *s0 = in[1].template data<I>(), *s1 = in[2].template data<I>();
      I *indices = out[1].template data<I>(), *indptr = out[2].template data<I>();
      dispatch_width(in[0].dtype(), [&](auto w) {
        using W = typename decltype(w)::type;
        const W* data = reinterpret_cast<const W*>(in[0].template data<char>());
        W* moved = reinterpret_cast<W*>(out[0].template data<char>());
        if (kind == ConvertKind::transpose) cs_transpose<W, I>(in[2].size() - 1, n, nnz, s1, s0, data, indptr, indices, moved);
        else coo_to_cs<W, I>(nnz, n, s0, s1, data, indptr, indices, moved);
      });
    });
  });
}

void Convert::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  eval_shader(inputs, outputs);
}

void Convert::eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const int n = static_cast<int>(outputs[0].size());
  if (n == 0) return outputs[0].set_data(mx::allocator::malloc(0));
  constexpr const char* names[] = {"cs_expand", "cs_compress", "cs_partition", "permute"};
  const Shader& sh = shader(names[static_cast<int>(kind_)]);
  const int batch = outputs[0].ndim() > 1 ? outputs[0].shape(0) : 1;
  launch(sh, inputs, outputs, {{"CHUNK", chunk_}}, {n / batch, 1, batch}, {sh.group, 1, 1}, stream());
}

Compressed Convert::apply(const mx::array& data, const mx::array& s0, const mx::array& s1) {
  return kind_ == ConvertKind::transpose ? transpose(data, s0, s1, n_, stream()) : coo_to_cs(data, s0, s1, n_, stream());
}

mx::array Convert::order(const mx::array& s0, const mx::array& s1) {
  const int nnz = static_cast<int>(kind_ == ConvertKind::transpose ? s0.size() : s1.size());
  return apply(mx::arange(0, nnz, 1, mx::uint32, stream()), s0, s1).data;
}

std::vector<mx::array> Convert::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<mx::array>&) {
  if (argnums.size() != 1 || argnums[0] != 0 || primals.size() == 1) {
    throw std::invalid_argument("the structure of a sparse array is not differentiable");
  }
  if (kind_ == ConvertKind::permute) return {permute(cotangents[0], stable_argsort(primals[1], stream()), stream())};
  auto zeros = mx::zeros_like(primals[0], stream());
  return {mx::put_along_axis(zeros, order(primals[1], primals[2]), cotangents[0], 0, stream())};
}

std::vector<mx::array> Convert::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                    const std::vector<int>& argnums) {
  if (argnums.size() != 1 || argnums[0] != 0 || primals.size() == 1) {
    throw std::invalid_argument("the structure of a sparse array is not differentiable");
  }
  if (kind_ == ConvertKind::permute) return {permute(tangents[0], primals[1], stream())};
  auto moved = apply(tangents[0], primals[1], primals[2]);
  return {moved.data, mx::zeros_like(moved.indices, stream()), mx::zeros_like(moved.indptr, stream())};
}

std::pair<std::vector<mx::array>, std::vector<int>> Convert::vmap(const std::vector<mx::array>& in,
                                                                  const std::vector<int>& axes) {
  if (in.size() == 1) {
    auto one = [&](const std::vector<mx::array>& slice) {
      auto node = std::make_shared<Convert>(stream(), kind_, n_, chunk_);
      return mx::array(output_shapes(slice)[0], slice[0].dtype(), node, slice);
    };
    return {{stack_slices(in, axes, stream(), one)}, {0}};
  }
  if (in.size() == 3 && (axes[1] >= 0 || axes[2] >= 0)) {
    std::vector<mx::array> indices, indptr;
    auto data = stack_slices(in, axes, stream(), [&](const std::vector<mx::array>& slice) {
      auto moved = apply(slice[0], slice[1], slice[2]);
      indices.push_back(moved.indices);
      indptr.push_back(moved.indptr);
      return moved.data;
    });
    return {{data, mx::stack(indices, 0, stream()), mx::stack(indptr, 0, stream())}, {0, 0, 0}};
  }
  if (axes[1] >= 0) {
    auto one = [&](const std::vector<mx::array>& slice) { return permute(slice[0], slice[1], stream()); };
    return {{stack_slices(in, axes, stream(), one)}, {0}};
  }
  if (kind_ == ConvertKind::permute) {
    auto x = mx::moveaxis(in[0], axes[0], 0, stream());
    auto y = permute(mx::reshape(x, {-1, x.shape(-1)}, stream()), in[1], stream());
    return {{mx::reshape(y, x.shape(), stream())}, {0}};
  }
  auto one = mx::take(in[0], 0, axes[0], stream());
  auto moved = apply(one, in[1], in[2]);
  auto data = mx::take(mx::moveaxis(in[0], axes[0], 0, stream()), order(in[1], in[2]), 1, stream());
  return {{data, moved.indices, moved.indptr}, {0, -1, -1}};
}

bool Convert::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const Convert&>(other);
  if (!has_shader()) return kMergeSiblings;
  return kind_ == o.kind_ && n_ == o.n_ && chunk_ == o.chunk_;
}

std::vector<mx::Shape> Convert::output_shapes(const std::vector<mx::array>& in) {
  if (kind_ == ConvertKind::expand) return {{as_dim(n_)}};
  if (in.size() == 1) return {{as_dim(n_ + 1)}};
  if (kind_ == ConvertKind::permute) return {in[0].shape()};
  return {in[0].shape(), in[1].shape(), {as_dim(n_ + 1)}};
}

const char* Convert::name() const {
  constexpr const char* names[] = {"SparseExpand",  "SparseCompress",  "SparsePartition",
                                   "SparsePermute", "SparseTranspose", "SparseCooToCs"};
  return names[static_cast<int>(kind_)];
}

} // namespace sp
