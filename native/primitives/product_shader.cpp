#include "product_shader.h"

#include "../launch.h"
#include "convert.h"
#include "reduce.h"

namespace sp {

namespace {

// Positions (entries + slices) of one chunk: large where a group stages one column, small where it walks k of them.
constexpr int kVectorChunk = 2048, kMatrixChunk = 512;
int chunk_size(int64_t k) { return k == 1 ? kVectorChunk : kMatrixChunk; }
int chunk_count(int64_t nnz, int64_t n_major, int chunk) { return static_cast<int>((nnz + n_major + chunk - 1) / chunk); }

void allocate(std::vector<mx::array>& outputs) {
  for (auto& out : outputs) out.set_data(mx::allocator::malloc(out.nbytes()));
}

// The structure sorted by minor index, and the permutation that takes the values there.
Plan::Transposed transposed(const Pattern& p, const mx::array& s0, const mx::array& s1, mx::Stream s) {
  if (p.plan && p.plan->transposed) return *p.plan->transposed;
  auto order = stable_argsort(s0, s);
  auto indices = mx::take(expand(s1, s0.size(), s), order, 0, s);
  const int64_t n_minor = p.layout == Layout::block ? p.n_minor / p.c : p.n_minor; // slices of the result
  auto indptr = compress(mx::take(s0, order, 0, s), n_minor, s);
  Plan::Transposed made{order, indices, indptr, std::make_shared<Plan>()};
  if (p.plan && !s0.is_tracer() && !s1.is_tracer()) {
    mx::eval({made.order, made.indices, made.indptr});
    p.plan->transposed = made;
  }
  return made;
}

// data in transposed order. Values that come again (a solver's A.T @ x, a layer's backward pass) are permuted once: the
// gather costs more than the product. The first use keeps nothing but the name of the values, since most change.
mx::array transposed_values(const Pattern& p, const mx::array& data, const mx::array& order, mx::Stream s) {
  if (!p.plan || data.is_tracer() || !data.is_available()) return permute(data, order, s);
  auto& kept = p.plan->permuted;
  if (!kept || kept->source.id() != data.id()) {
    kept = Plan::Permuted{data, std::nullopt};
    return permute(data, order, s);
  }
  if (!kept->values) {
    auto values = permute(data, order, s);
    mx::eval({values});
    kept->values = values;
  }
  return *kept->values;
}

// The plan's chunks for this size, made now if the structure has been evaluated (reading its longest slice
// synchronises once per pattern); null otherwise.
const Plan::Chunks* planned_chunks(const Pattern& p, const mx::array& indptr, int64_t nnz, int chunk, mx::Stream s) {
  if (!p.plan || indptr.is_tracer() || !indptr.is_available() || p.n_major == 0) return nullptr;
  auto found = p.plan->chunks.find(chunk);
  if (found == p.plan->chunks.end()) {
    const int n = static_cast<int>(p.n_major);
    auto lengths = mx::subtract(mx::slice(indptr, {1}, {n + 1}, s), mx::slice(indptr, {0}, {n}, s), s);
    auto longest = mx::astype(mx::max(lengths, false, s), mx::int64, s);
    auto part = partition(indptr, chunk_count(nnz, p.n_major, chunk), chunk, s);
    mx::eval({longest, part});
    found = p.plan->chunks.emplace(chunk, Plan::Chunks{part, longest.item<int64_t>() > chunk / 8}).first;
  }
  return &found->second;
}

} // namespace

std::vector<mx::Shape> segment_scratch(int64_t nnz, int64_t n_major, int64_t batch, int64_t k, bool has_part,
                                       bool long_slices) {
  const int chunks = chunk_count(nnz, n_major, chunk_size(k));
  return {{has_part ? 1 : chunks + 1},
          long_slices ? mx::Shape{static_cast<int>(batch), chunks, static_cast<int>(k)} : mx::Shape{1, 1, 1}};
}

void launch_segments(const mx::array& data, const mx::array& indices, const mx::array& indptr, const mx::array* x,
                     const mx::array* part, bool long_slices, std::vector<mx::array>& outputs, mx::Stream s) {
  const auto& y = outputs[0];
  if (y.size() == 0) return allocate(outputs);
  const int batch = y.ndim() == (x && x->ndim() > 1 ? 3 : 2) ? y.shape(0) : 1;
  const int k = x && x->ndim() > 1 ? y.shape(-1) : 1, chunk = chunk_size(k);
  const int chunks = chunk_count(data.shape(-1), static_cast<int64_t>(indptr.size()) - 1, chunk);
  const TemplateArgs args{{"CHUNK", chunk}, {"has_x", x != nullptr}};
  const auto& operand = x ? *x : data;

  std::vector<mx::array> owned{outputs[1]}, carry{outputs[2]}, out{y};
  if (part) {
    allocate(owned);
  } else {
    const Shader& sh = shader("cs_partition");
    launch(sh, {indptr}, owned, args, {chunks + 1, 1, 1}, {sh.group, 1, 1}, s);
  }
  const auto& owners = part ? *part : owned[0];
  if (long_slices) {
    const Shader& sh = shader("cs_carry");
    launch(sh, {data, indices, indptr, operand, owners}, carry, args,
           {chunks * sh.group, (k + sh.group - 1) / sh.group, batch}, {sh.group, 1, 1}, s);
  } else {
    allocate(carry);
  }
  const Shader& sum = shader(k == 1 ? "cs_matmul_vector" : "cs_matmul_matrix");
  launch(sum, {data, indices, indptr, operand, owners, carry[0]}, out, args,
         {chunks * sum.group, (k + sum.group - 1) / sum.group, batch}, {sum.group, 1, 1}, s);
}

mx::array shader_product(ProductKind kind, const Pattern& p, const mx::array& data, const mx::array& s0,
                         const mx::array& s1, const mx::array& x, mx::Stream s) {
  if (p.layout == Layout::coordinate) {
    auto cs = coo_to_cs(data, s0, s1, p.n_major, s);
    return shader_product(kind, {Layout::compressed, p.n_major, p.n_minor, nullptr}, cs.data, cs.indices, cs.indptr, x, s);
  }
  if (p.layout == Layout::block || p.layout == Layout::diagonal) {
    std::vector<mx::array> inputs{data, s0, s1, x};
    if (p.layout == Layout::block && kind == ProductKind::rmatmul) {
      auto t = transposed(p, s0, s1, s);
      inputs.insert(inputs.end(), {t.order, t.indices, t.indptr});
    }
    auto node = std::make_shared<Product>(s, kind, p, false);
    return mx::array(node->output_shapes(inputs)[0], data.dtype(), node, inputs);
  }
  if (kind == ProductKind::rmatmul) {
    auto t = transposed(p, s0, s1, s);
    const Pattern flipped{Layout::compressed, p.n_minor, p.n_major, t.plan};
    return shader_product(ProductKind::matmul, flipped, transposed_values(p, data, t.order, s), t.indices, t.indptr, x, s);
  }
  std::vector<mx::array> inputs{data, s0, s1, x};
  const int64_t k = x.ndim() > 1 ? x.shape(-1) : 1;
  const auto* chunks = planned_chunks(p, s1, s0.size(), chunk_size(k), s);
  if (chunks) inputs.push_back(chunks->part);
  auto node = std::make_shared<Product>(s, kind, p, false, !chunks || chunks->long_slices);
  return mx::array::make_arrays(node->output_shapes(inputs), node->output_dtypes(inputs), node, inputs)[0];
}

mx::array shader_major_sum(const mx::array& data, const mx::array& indptr, mx::Stream s) {
  auto node = std::make_shared<AxisSum>(s, true, static_cast<int64_t>(indptr.size()) - 1);
  return mx::array::make_arrays(node->output_shapes({data, indptr}), {data.dtype(), indptr.dtype(), acc_dtype(data.dtype())},
                                node, {data, indptr})[0];
}

namespace {

void launch_block(bool flipped, const std::vector<mx::array>& in, std::vector<mx::array>& outputs, mx::Stream s) {
  const auto &data = in[0], &indices = flipped ? in[5] : in[1], &indptr = flipped ? in[6] : in[2], &x = in[3];
  const auto& order = flipped ? in[4] : indices;
  const Shader& sh = shader("bsr_matmul");
  const auto& y = outputs[0];
  const int batch = x.ndim() > 1 && y.ndim() == 3 ? y.shape(0) : 1, k = x.ndim() > 1 ? x.shape(-1) : 1;
  const int n_out = static_cast<int>(y.size()) / batch / k, slices = static_cast<int>(indptr.size()) - 1;
  const int team = 32, teams = data.shape(-1) * data.shape(-2) <= team ? slices : n_out;
  const int64_t threads = k == 1 ? int64_t(teams) * team : int64_t(n_out) * k;
  const int64_t groups = (threads + sh.group - 1) / sh.group, most = int64_t(1) << 20; // along x, as the shader counts
  const int wide = static_cast<int>(std::min(groups, most)), high = static_cast<int>((groups + most - 1) / most);
  launch(sh, {data, indices, indptr, order, x}, outputs, {{"transposed", flipped}}, {wide * sh.group, high, batch},
         {sh.group, 1, 1}, s);
}

void launch_diagonal(bool flipped, const std::vector<mx::array>& in, std::vector<mx::array>& outputs, mx::Stream s) {
  const auto& y = outputs[0];
  const int batch = in[3].ndim() > 1 && y.ndim() == 3 ? y.shape(0) : 1;
  const Shader& sh = shader("dia_matmul");
  launch(sh, {in[0], in[1], in[3]}, outputs, {{"transposed", flipped}}, {static_cast<int>(y.size()) / batch, 1, batch},
         {sh.group, 1, 1}, s);
}

} // namespace

void Product::eval_shader(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const bool wide = pattern_.layout == Layout::block || pattern_.layout == Layout::diagonal;
  if (wide && outputs[0].size() == 0) return allocate(outputs);
  if (wide && kind_ != ProductKind::sddmm) {
    const bool flipped = kind_ == ProductKind::rmatmul;
    return pattern_.layout == Layout::block ? launch_block(flipped, inputs, outputs, stream())
                                            : launch_diagonal(flipped, inputs, outputs, stream());
  }
  if (wide) {
    const int batch = per_batch_ ? outputs[0].shape(0) : 1;
    const bool block = pattern_.layout == Layout::block;
    const Shader& sh = shader(block ? "bsr_sddmm" : "dia_sddmm");
    std::vector<mx::array> in{inputs[0], inputs[2], inputs[3]};
    if (block) in.insert(in.begin(), inputs[4]);
    return launch(sh, in, outputs, {{"per_batch", per_batch_}}, {static_cast<int>(outputs[0].size()) / batch, 1, batch},
                  {sh.group, 1, 1}, stream());
  }
  if (kind_ != ProductKind::sddmm) {
    return launch_segments(inputs[0], inputs[1], inputs[2], &inputs[3], inputs.size() == 5 ? &inputs[4] : nullptr,
                           long_slices_, outputs, stream());
  }
  if (outputs[0].size() == 0) return allocate(outputs);
  const Shader& sh = shader("coo_sddmm");
  const auto& u = inputs[2];
  const int nnz = static_cast<int>(inputs[0].size()), k = u.ndim() > 1 ? u.shape(-1) : 1, lanes = k < 16 ? 1 : 8;
  const int per_group = sh.group / lanes, groups = (nnz + per_group - 1) / per_group;
  launch(sh, inputs, outputs, {{"per_batch", per_batch_}},
         {groups * sh.group, 1, per_batch_ ? outputs[0].shape(0) : 1}, {sh.group, 1, 1}, stream());
}

} // namespace sp
