#include "indexed_product.h"

#include "../kernels/indexed_product.h"
#include "../launch.h"
#include "sort_by_key.h"

namespace sp {

namespace {

constexpr int kChunk = 64; // positions of one chunk: see cs_partition

// The slots of the trilinear form, and which of them each kind takes and gives.
enum Slot { X, A, Y };
struct Slots { Slot left, right, out; };
Slots slots(IndexedKind kind) {
  if (kind == IndexedKind::outer) return {X, Y, A};
  return kind == IndexedKind::matvec ? Slots{A, Y, X} : Slots{A, X, Y};
}
IndexedKind giving(Slot out) {
  return out == X ? IndexedKind::matvec : out == Y ? IndexedKind::rmatvec : IndexedKind::outer;
}

bool is_identity(const mx::array& index) { return index.ndim() == 2; }
std::optional<mx::array> given(const mx::array& index) {
  return is_identity(index) ? std::nullopt : std::optional(index);
}

mx::Shape out_shape(IndexedKind kind, const mx::array& left, const mx::array& right, int n_out) {
  const int groups = std::max(left.shape(1), right.shape(1)), m = left.shape(2), c = right.shape(2);
  if (kind == IndexedKind::outer) return {n_out, groups, m, c};
  return kind == IndexedKind::matvec ? mx::Shape{n_out, groups, m} : mx::Shape{n_out, groups, left.shape(3)};
}

[[noreturn]] void refuse(const char* what) { throw std::invalid_argument(std::string("indexed product: ") + what); }

void check_operands(IndexedKind kind, const mx::array& left, const mx::array& right) {
  const bool outer = kind == IndexedKind::outer;
  if (left.dtype() != right.dtype()) refuse("operands of different dtypes");
  if (left.ndim() != (outer ? 3 : 4) || right.ndim() != 3) refuse("operands of the wrong rank");
  if (!outer && left.shape(kind == IndexedKind::matvec ? 3 : 2) != right.shape(2)) refuse("blocks that do not fit");
  const int most = std::max(left.shape(1), right.shape(1));
  if (left.shape(1) && right.shape(1) && (most % left.shape(1) || most % right.shape(1))) refuse("groups that do not fit");
}

void no_index_gradient(bool asked) {
  if (asked) throw std::invalid_argument("index arrays are not differentiable; take the gradient with respect to a or b");
}

// (n, k * groups, ...) -> (n, groups, ...): the gradient of an operand whose groups were repeated.
mx::array sum_repeats(const mx::array& g, const mx::array& primal, mx::Stream s) {
  if (g.shape() == primal.shape()) return g;
  auto shape = primal.shape();
  shape.insert(shape.begin() + 1, primal.shape(1) ? g.shape(1) / primal.shape(1) : 0);
  return mx::sum(mx::reshape(g, shape, s), 1, false, s);
}

mx::Dtype index_dtype(const std::optional<mx::array>& i, const std::optional<mx::array>& j,
                      const std::optional<mx::array>& k) {
  for (auto* index : {&i, &j, &k}) {
    if (*index) return (*index)->dtype();
  }
  return mx::int32;
}

} // namespace

mx::array indexed_product(IndexedKind kind, const mx::array& left, const mx::array& right,
                          const std::optional<mx::array>& left_index, const std::optional<mx::array>& right_index,
                          const std::optional<mx::array>& out_index, int64_t n_out, const IndexedOrder& order,
                          mx::Stream s) {
  check_operands(kind, left, right);
  const auto dtype = index_dtype(left_index, right_index, out_index);
  const int64_t rows[] = {left.shape(0), right.shape(0), n_out};
  const std::optional<mx::array>* indices[] = {&left_index, &right_index, &out_index};
  std::optional<int64_t> count;
  for (int i = 0; i < 3; ++i) {
    const auto& index = *indices[i];
    if (index && (index->ndim() != 1 || index->dtype() != dtype)) refuse("index arrays of different dtypes");
    const int64_t n = index ? static_cast<int64_t>(index->size()) : rows[i];
    if (n != count.value_or(n)) refuse("index arrays of different lengths");
    count = n;
  }
  auto shape = out_shape(kind, left, right, static_cast<int>(n_out));
  if (*count == 0 || left.size() == 0 || right.size() == 0 || n_out == 0) return mx::zeros(shape, left.dtype(), s);

  const mx::array identity({0}, {1, 1}, dtype);
  IndexedOrder how = order;
  how.atomic = order.atomic && s.device == mx::Device::gpu && left.dtype() == mx::float32 && out_index;
  if (order.atomic && shaders_on_host() && left.dtype() == mx::float32 && out_index) how.atomic = true;
  std::vector<mx::array> inputs{left, right, left_index.value_or(identity), right_index.value_or(identity),
                                out_index.value_or(identity), identity, identity};
  if (!out_index) {
    inputs[5] = mx::arange(0, n_out + 1, 1, dtype, s);
  } else if (!how.atomic && order.sorted[slots(kind).out]) {
    inputs[5] = offsets_of_sorted(*out_index, n_out, s);
  } else if (!how.atomic) {
    auto groups = sort_by_key(*out_index, n_out, s);
    inputs[5] = groups.offsets;
    inputs[6] = groups.order;
  } else { // the atomic shader needs the number of rows alone
    inputs[5] = mx::zeros({static_cast<int>(n_out + 1)}, dtype, s);
  }
  auto node = std::make_shared<IndexedProduct>(s, kind, how);
  auto shapes = node->output_shapes(inputs);
  if (shapes.size() == 1) return mx::array(shape, left.dtype(), node, inputs);
  return mx::array::make_arrays(shapes, {left.dtype(), dtype, acc_dtype(left.dtype())}, node, inputs)[0];
}

void IndexedProduct::eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  if (scratch_ || order_.atomic) return eval_shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [kind = kind_](auto& in, auto& out) {
    const auto &left = in[0], &right = in[1], &offsets = in[5];
    auto run = [&]<class T, class I>(Tag<T>, Tag<I>) {
      auto index = [](const mx::array& a) { return is_identity(a) ? nullptr : a.template data<I>(); };
      const bool outer = kind == IndexedKind::outer;
      const IndexedOperands<T, I> o{
          reinterpret_cast<const T*>(left.template data<char>()), reinterpret_cast<const T*>(right.template data<char>()),
          index(in[2]), index(in[3]), index(in[6]), size_t(left.shape(0)), size_t(right.shape(0)), size_t(left.shape(1)),
          size_t(right.shape(1)), size_t(out[0].shape(1)), size_t(left.shape(2)), size_t(outer ? right.shape(2) : left.shape(3))};
      const size_t n_out = offsets.size() - 1;
      T* y = reinterpret_cast<T*>(out[0].template data<char>());
      if (outer) indexed_product<IndexedKind::outer>(n_out, offsets.template data<I>(), o, y);
      else if (kind == IndexedKind::matvec) indexed_product<IndexedKind::matvec>(n_out, offsets.template data<I>(), o, y);
      else indexed_product<IndexedKind::rmatvec>(n_out, offsets.template data<I>(), o, y);
    };
    dispatch_unsigned(left.dtype(), [&](auto t) { dispatch_index(offsets.dtype(), [&](auto i) { run(t, i); }); });
  });
}

void IndexedProduct::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  eval_shader(inputs, outputs);
}

void IndexedProduct::eval_shader(const std::vector<mx::array>& in, std::vector<mx::array>& outputs) {
  const bool outer = kind_ == IndexedKind::outer, transposed = kind_ == IndexedKind::rmatvec;
  // The blocks of one entry, and how the shaders deal them to the threads of a group (indexed_shape.inc).
  const int m = in[0].shape(2), c = outer ? in[1].shape(2) : in[0].shape(3);
  // Rows of a block that a thread holds: all of them up to 32, which divide the rows if such a number is near.
  int rows = 32;
  while (rows > 4 && (rows / 2 >= m || (m % rows && m % (rows / 2) == 0))) rows /= 2;
  // Blocks of few rows get fewer lanes, so that a thread has enough to do.
  int most_lanes = 32, lanes = 1;
  while (!(outer || transposed) && most_lanes > 8 && most_lanes / 2 * (32 / rows) >= c) most_lanes /= 2;
  while (lanes < c && lanes < most_lanes) lanes *= 2;
  // Compilers are told the shape of small blocks, which gives each shape its own kernel; larger ones share theirs.
  const bool small = m <= 64 && c <= 64;
  const Shader& sum = shader("indexed_product");
  const int64_t units = int64_t(outputs[0].shape(1)) * (outer || transposed ? (c + lanes - 1) / lanes : 1) *
      (transposed ? 1 : (m + rows - 1) / rows);
  const int64_t high = (units * lanes + sum.group - 1) / sum.group;
  if (high > 65535) throw std::invalid_argument("the blocks of an indexed product are too large for a GPU");
  const TemplateArgs args{{"CHUNK", kChunk}, {"ROWS", rows}, {"LANES", lanes}, {"HEIGHT", small ? m : 0},
                          {"WIDTH", small ? c : 0}, {"outer", outer}, {"transposed", transposed}};
  auto run = [&](const char* name, std::vector<mx::array> inputs, mx::array& out, int64_t groups, bool zeroed) {
    const Shader& sh = shader(name);
    std::vector<mx::array> one{out};
    launch(sh, inputs, one, args, {static_cast<int>(groups * sh.group), static_cast<int>(high), 1}, stream(), zeroed);
  };
  if (order_.atomic) {
    const int64_t entries = in[4].size();
    return run("indexed_product_atomic", {in[0], in[1], in[2], in[3], in[4], in[6]}, outputs[0], (entries + kChunk - 1) / kChunk, true);
  }
  const int chunks = outputs[1].shape(0) - 1;
  if (int64_t(chunks) * sum.group > std::numeric_limits<int>::max()) {
    throw std::invalid_argument("an indexed product on a GPU takes fewer than 2**31 entries and output rows together");
  }
  std::vector<mx::array> part{outputs[1]}, carry{outputs[2]};
  const Shader& cut = shader("cs_partition");
  launch(cut, {in[5]}, part, args, {chunks + 1, 1, 1}, stream());
  const std::vector<mx::array> operands{in[0], in[1], in[2], in[3], in[5], in[6], part[0]};
  if (carry[0].shape(0) > 1) run("indexed_product_carry", operands, carry[0], chunks, false);
  else carry[0].set_data(mx::allocator::malloc(carry[0].nbytes()));
  auto all = operands;
  all.push_back(carry[0]);
  run("indexed_product", all, outputs[0], chunks, false);
}

mx::array IndexedProduct::apply(const std::vector<mx::array>& in, const mx::array& left, const mx::array& right) {
  return indexed_product(kind_, left, right, given(in[2]), given(in[3]), given(in[4]),
                         static_cast<int64_t>(in[5].shape(0)) - 1, order_, stream());
}

std::vector<mx::array> IndexedProduct::vjp(const std::vector<mx::array>& primals, const std::vector<mx::array>& cotangents,
                                           const std::vector<int>& argnums, const std::vector<mx::array>&) {
  const auto s = stream();
  const auto slot = slots(kind_);
  std::vector<mx::array> grads;
  for (int arg : argnums) {
    no_index_gradient(arg > 1);
    // The operand and the result change places.
    const Slot wanted = arg == 0 ? slot.left : slot.right, other = arg == 0 ? slot.right : slot.left;
    std::array<std::optional<mx::array>, 3> operand, index;
    operand[slot.out] = cotangents[0];
    operand[other] = conj(primals[1 - arg], s);
    index[slot.out] = given(primals[4]);
    index[other] = given(primals[3 - arg]);
    const auto kind = giving(wanted);
    const auto take = slots(kind);
    auto g = indexed_product(kind, *operand[take.left], *operand[take.right], index[take.left], index[take.right],
                             given(primals[2 + arg]), primals[arg].shape(0), order_, s);
    grads.push_back(sum_repeats(g, primals[arg], s));
  }
  return grads;
}

std::vector<mx::array> IndexedProduct::jvp(const std::vector<mx::array>& primals, const std::vector<mx::array>& tangents,
                                           const std::vector<int>& argnums) {
  std::optional<mx::array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    no_index_gradient(argnums[i] > 1);
    auto term = apply(primals, argnums[i] == 0 ? tangents[i] : primals[0], argnums[i] == 1 ? tangents[i] : primals[1]);
    total = total ? mx::add(*total, term, stream()) : term;
  }
  return with_scratch(*total, primals);
}

std::pair<std::vector<mx::array>, std::vector<int>> IndexedProduct::vmap(const std::vector<mx::array>& inputs,
                                                                         const std::vector<int>& axes) {
  const auto s = stream();
  auto answer = [&](mx::array y, int axis) {
    auto outs = with_scratch(std::move(y), inputs);
    std::vector<int> out_axes(outs.size(), -1);
    out_axes[0] = axis;
    return std::make_pair(std::move(outs), std::move(out_axes));
  };
  for (size_t i = 2; i < axes.size(); ++i) {
    if (axes[i] < 0) continue;
    return answer(stack_slices(inputs, axes, s, [&](auto& in) { return apply(in, in[0], in[1]); }), 0);
  }
  // A mapped operand's axis joins its groups, in front; one that is not mapped repeats its groups.
  auto rank = [&](int i) { return static_cast<int>(inputs[i].ndim()) - (axes[i] >= 0); };
  auto groups = [&](int i) { return inputs[i].shape(axes[i] >= 0 && axes[i] <= 1 ? 2 : 1); };
  const int most = std::max(groups(0), groups(1));
  int batch = 0;
  auto fold = [&](int i) {
    if (axes[i] < 0) return inputs[i];
    auto a = mx::moveaxis(inputs[i], axes[i], 1, s);
    batch = a.shape(1);
    if (groups(i) < most) { // repeated within one batch: only whole sets of groups can be folded
      auto shape = a.shape();
      shape.insert(shape.begin() + 2, most / groups(i));
      a = mx::broadcast_to(mx::expand_dims(a, 2, s), shape, s);
    }
    auto shape = a.shape();
    mx::Shape folded{shape[0], batch * most};
    folded.insert(folded.end(), shape.end() - (rank(i) - 2), shape.end());
    return mx::reshape(a, folded, s);
  };
  auto left = fold(0), right = fold(1);
  auto y = apply(inputs, left, right);
  auto shape = y.shape();
  shape[1] = most;
  shape.insert(shape.begin() + 1, batch);
  return answer(mx::reshape(y, shape, s), 1);
}

bool IndexedProduct::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const IndexedProduct&>(other);
  if (scratch_ || o.scratch_) return kMergeSiblings;
  return kind_ == o.kind_ && order_.atomic == o.order_.atomic && order_.sorted == o.order_.sorted;
}

std::vector<mx::Shape> IndexedProduct::output_shapes(const std::vector<mx::array>& in) {
  const int n_out = in[5].shape(0) - 1;
  std::vector<mx::Shape> shapes{out_shape(kind_, in[0], in[1], n_out)};
  if (scratch_) {
    int64_t entries = n_out;
    for (int i : {2, 3, 4}) {
      if (!is_identity(in[i])) entries = static_cast<int64_t>(in[i].size());
    }
    const int chunks = static_cast<int>((entries + n_out + kChunk - 1) / kChunk);
    auto carry = shapes[0];
    carry[0] = chunks;
    shapes.push_back({chunks + 1});
    // Groups of one entry reach across no chunk.
    shapes.push_back(is_identity(in[4]) || chunks == 1 ? mx::Shape{1} : carry);
  }
  return shapes;
}

std::vector<mx::array> IndexedProduct::with_scratch(mx::array y, const std::vector<mx::array>& inputs) {
  std::vector<mx::array> outs{std::move(y)};
  if (scratch_) { // nobody reads it, but each output needs an answer
    outs.push_back(mx::zeros({1}, inputs[5].dtype(), stream()));
    outs.push_back(mx::zeros({1}, acc_dtype(inputs[0].dtype()), stream()));
  }
  return outs;
}

const char* IndexedProduct::name() const {
  return kind_ == IndexedKind::outer    ? "SparseIndexedOuter"
      : kind_ == IndexedKind::matvec    ? "SparseIndexedMatvec"
                                        : "SparseIndexedRmatvec";
}

} // namespace sp
