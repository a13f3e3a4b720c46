#include "product_shader.h"

#include <mutex>

#include "../launch.h"
#include "convert.h"
#include "wait.h"
#include "sort_by_key.h"

namespace sp {

namespace {

// Positions (entries + slices) of one chunk: large where a group stages one column, small where it walks k of them.
constexpr int kVectorChunk = 2048, kMatrixChunk = 512;
int chunk_size(int64_t k) { return k == 1 ? kVectorChunk : kMatrixChunk; }
int chunk_count(int64_t nnz, int64_t n_major, int chunk) { return to_dim((nnz + n_major + chunk - 1) / chunk); }

// Of what plans keep: held for looking and for keeping, not for making. What is kept has been evaluated, so that any
// thread may use it.
std::mutex& plans() {
  static auto& mutex = *new std::mutex;
  return mutex;
}
using Locked = std::lock_guard<std::mutex>;

// data in transposed order. Values that come again (a solver's A.T @ x, a layer's backward pass) are permuted once: the
// gather costs more than the product. The first use keeps nothing but the name of the values, since most change.
mx::array transposed_values(const Pattern& p, const mx::array& data, const mx::array& order, mx::Stream s) {
  if (!p.plan || data.is_tracer() || !data.is_available()) return permute(data, order, s);
  auto& kept = p.plan->permuted;
  const auto are_kept = [&] { return kept && kept->source.id() == data.id(); };
  {
    const Locked lock(plans());
    if (!are_kept()) {
      kept = Plan::Permuted{data, std::nullopt};
      return permute(data, order, s);
    }
    if (kept->values) return *kept->values;
  }
  auto values = permute(data, order, s);
  wait_for({values});
  const Locked lock(plans());
  if (are_kept()) kept->values = values;
  return values;
}

// The plan's chunks for this size, made now if the structure has been evaluated (reading its longest slice
// synchronises once per pattern); nothing otherwise.
std::optional<Plan::Chunks> planned_chunks(const Pattern& p, const mx::array& indptr, int64_t nnz, int chunk, mx::Stream s) {
  if (!p.plan || indptr.is_tracer() || !indptr.is_available() || p.n_major == 0) return std::nullopt;
  auto& kept = p.plan->chunks;
  {
    const Locked lock(plans());
    if (auto found = kept.find(chunk); found != kept.end()) return found->second;
  }
  const int n = to_dim(p.n_major);
  auto lengths = mx::subtract(mx::slice(indptr, {1}, {n + 1}, s), mx::slice(indptr, {0}, {n}, s), s);
  auto longest = mx::astype(mx::max(lengths, false, s), mx::int64, s);
  auto part = partition(indptr, chunk_count(nnz, p.n_major, chunk), chunk, s);
  wait_for({longest, part});
  const Locked lock(plans());
  return kept.emplace(chunk, Plan::Chunks{part, longest.item<int64_t>() > chunk / 8}).first->second;
}

} // namespace

Plan::Transposed transposed(const Structure& a, mx::Stream s) {
  const auto& plan = a.pattern.plan;
  if (plan) {
    const Locked lock(plans());
    if (plan->transposed) return *plan->transposed;
  }
  auto sorted = sort_by_key(a.inner, a.pattern.inner_slices(), s);
  auto indices = mx::take(expand(a.outer, a.entries(), s), sorted.order, 0, s);
  Plan::Transposed made{sorted.order, indices, sorted.offsets, std::make_shared<Plan>()};
  if (!plan || a.inner.is_tracer() || a.outer.is_tracer()) return made;
  wait_for({made.order, made.indices, made.indptr});
  const Locked lock(plans());
  if (!plan->transposed) plan->transposed = made;
  return *plan->transposed;
}

std::vector<Output> segment_scratch(const SegmentExtents& e, mx::Dtype index, mx::Dtype values) {
  const int chunks = chunk_count(e.nnz, e.n_major, chunk_size(e.k));
  const mx::Shape carry{to_dim(e.batch), chunks, to_dim(e.k)};
  return {{{e.has_part ? 1 : chunks + 1}, index}, {e.long_slices ? carry : mx::Shape{1, 1, 1}, acc_dtype(values)}};
}

void launch_segments(const SegmentOperands& in, Arrays& outputs, mx::Stream s) {
  const auto& y = outputs[0];
  if (y.size() == 0) return allocate_all(outputs);
  const auto* x = in.x;
  const int batch = y.ndim() == (x && x->ndim() > 1 ? 3 : 2) ? y.shape(0) : 1;
  const int k = x && x->ndim() > 1 ? y.shape(-1) : 1, chunk = chunk_size(k);
  const int chunks = chunk_count(in.data.shape(-1), static_cast<int64_t>(in.indptr.size()) - 1, chunk);
  const TemplateArgs args{{"CHUNK", chunk}, {"has_x", x != nullptr}};
  const auto& operand = x ? *x : in.data;

  Arrays owned{outputs[1]}, carry{outputs[2]}, out{y};
  if (in.part) {
    allocate_all(owned);
  } else {
    launch(shader("cs_partition"), {in.indptr}, owned, args, {chunks + 1, 1, 1}, s);
  }
  const auto& owners = in.part ? *in.part : owned[0];
  if (in.long_slices) {
    const Shader& sh = shader("cs_carry");
    launch(sh, {in.data, in.indices, in.indptr, operand, owners}, carry, args,
           {chunks * sh.group, (k + sh.group - 1) / sh.group, batch}, s);
  } else {
    allocate_all(carry);
  }
  const Shader& sum = shader(k == 1 ? "cs_matmul_vector" : "cs_matmul_matrix");
  launch(sum, {in.data, in.indices, in.indptr, operand, owners, carry[0]}, out, args,
         {chunks * sum.group, (k + sum.group - 1) / sum.group, batch}, s);
}

mx::array shader_product(ProductKind kind, const Structure& a, const mx::array& data, const mx::array& x, mx::Stream s) {
  const auto& p = a.pattern;
  if (p.layout == Layout::coordinate) {
    auto cs = coo_to_cs(data, a.outer, a.inner, p.n_major, s);
    return shader_product(kind, {{Layout::compressed, p.n_major, p.n_minor, nullptr}, cs.indptr, cs.indices}, cs.data, x, s);
  }
  Arrays inputs{data, a.outer, a.inner, x};
  if (p.layout == Layout::block || p.layout == Layout::diagonal) {
    if (p.layout == Layout::block && kind == ProductKind::rmatmul) {
      auto t = transposed(a, s);
      inputs.insert(inputs.end(), {t.order, t.indices, t.indptr});
    }
    return node<Product>(inputs, s, kind, p);
  }
  if (kind == ProductKind::rmatmul) {
    auto t = transposed(a, s);
    const Structure flipped{{Layout::compressed, p.n_minor, p.n_major, t.plan}, t.indptr, t.indices};
    return shader_product(ProductKind::matmul, flipped, transposed_values(p, data, t.order, s), x, s);
  }
  const int64_t k = x.ndim() > 1 ? x.shape(-1) : 1;
  const auto chunks = planned_chunks(p, a.outer, a.entries(), chunk_size(k), s);
  if (chunks) inputs.push_back(chunks->part);
  return node<Product>(inputs, s, kind, p, false, !chunks || chunks->long_slices);
}

namespace {

void launch_block(bool flipped, const Arrays& in, Arrays& outputs, mx::Stream s) {
  const auto &data = in[0], &indices = flipped ? in[5] : in[2], &indptr = flipped ? in[6] : in[1], &x = in[3];
  const auto& order = flipped ? in[4] : indices;
  const Shader& sh = shader("bsr_matmul");
  const auto& y = outputs[0];
  const int batch = x.ndim() > 1 && y.ndim() == 3 ? y.shape(0) : 1, k = x.ndim() > 1 ? x.shape(-1) : 1;
  const int n_out = to_dim(y.size()) / batch / k, slices = to_dim(indptr.size()) - 1;
  const int team = 32, teams = data.shape(-1) * data.shape(-2) <= team ? slices : n_out;
  const int64_t threads = k == 1 ? int64_t(teams) * team : int64_t(n_out) * k;
  const int64_t groups = (threads + sh.group - 1) / sh.group, most = int64_t(1) << 20; // along x, as the shader counts
  const int wide = static_cast<int>(std::min(groups, most)), high = static_cast<int>((groups + most - 1) / most);
  launch(sh, {data, indices, indptr, order, x}, outputs, {{"transposed", flipped}}, {wide * sh.group, high, batch}, s);
}

void launch_diagonal(bool flipped, const Arrays& in, Arrays& outputs, mx::Stream s) {
  const auto& y = outputs[0];
  const int batch = in[3].ndim() > 1 && y.ndim() == 3 ? y.shape(0) : 1;
  launch(shader("dia_matmul"), {in[0], in[2], in[3]}, outputs, {{"transposed", flipped}},
         {to_dim(y.size()) / batch, 1, batch}, s);
}

} // namespace

void Product::shader(const Arrays& in, Arrays& outputs) {
  if (sampled()) return sampled_shader(in, outputs);
  const bool flipped = kind_ == ProductKind::rmatmul;
  if (pattern_.layout == Layout::compressed) {
    return launch_segments({in[0], in[2], in[1], &in[3], in.size() == 5 ? &in[4] : nullptr, long_slices_}, outputs, stream());
  }
  if (outputs[0].size() == 0) return allocate_all(outputs);
  if (pattern_.layout == Layout::block) launch_block(flipped, in, outputs, stream());
  else launch_diagonal(flipped, in, outputs, stream());
}

void Product::sampled_shader(const Arrays& in, Arrays& outputs) {
  if (outputs[0].size() == 0) return allocate_all(outputs);
  const int batch = per_batch_ ? outputs[0].shape(0) : 1, each = to_dim(outputs[0].size()) / batch;
  const TemplateArgs args{{"per_batch", per_batch_}};
  const auto &u = in[2], &v = in[3];
  if (pattern_.layout == Layout::block) {
    return launch(sp::shader("bsr_sddmm"), {in[4], in[1], u, v}, outputs, args, {each, 1, batch}, stream());
  }
  if (pattern_.layout == Layout::diagonal) {
    return launch(sp::shader("dia_sddmm"), {in[1], u, v}, outputs, args, {each, 1, batch}, stream());
  }
  const Shader& sh = sp::shader("coo_sddmm");
  const int k = u.ndim() > 1 ? u.shape(-1) : 1, lanes = k < 16 ? 1 : 8, per_group = sh.group / lanes;
  const int groups = (each + per_group - 1) / per_group;
  launch(sh, {in[0], in[1], u, v}, outputs, args, {groups * sh.group, 1, batch}, stream());
}

} // namespace sp
