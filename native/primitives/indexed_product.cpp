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

// (n, k * groups, ...) -> (n, groups, ...): the gradient of an operand whose groups were repeated.
mx::array sum_repeats(const mx::array& g, const mx::array& primal, mx::Stream s) {
  if (g.shape() == primal.shape()) return g;
  auto shape = primal.shape();
  shape.insert(shape.begin() + 1, primal.shape(1) ? g.shape(1) / primal.shape(1) : 0);
  return mx::sum(mx::reshape(g, shape, s), 1, false, s);
}

template <class T, class I>
void product_on_cpu(IndexedKind kind, const Arrays& in, mx::array& out) {
  const auto &left = in[0], &right = in[1], &offsets = in[5];
  auto values = [](const mx::array& a) { return reinterpret_cast<const T*>(a.data<char>()); };
  auto index = [](const mx::array& a) { return is_identity(a) ? nullptr : a.data<I>(); };
  const bool outer = kind == IndexedKind::outer;
  const IndexedOperands<T, I> o{
      values(left), values(right), index(in[2]), index(in[3]), index(in[6]), size_t(left.shape(0)), size_t(right.shape(0)),
      size_t(left.shape(1)), size_t(right.shape(1)), size_t(out.shape(1)), size_t(left.shape(2)),
      size_t(outer ? right.shape(2) : left.shape(3))};
  const size_t n_out = offsets.size() - 1;
  T* y = reinterpret_cast<T*>(out.data<char>());
  if (outer) indexed_product<IndexedKind::outer>(n_out, offsets.data<I>(), o, y);
  else if (kind == IndexedKind::matvec) indexed_product<IndexedKind::matvec>(n_out, offsets.data<I>(), o, y);
  else indexed_product<IndexedKind::rmatvec>(n_out, offsets.data<I>(), o, y);
}

} // namespace

mx::array indexed_product(IndexedKind kind, const mx::array& left, const mx::array& right, const Indices& indices,
                          int64_t n_out, mx::Stream s) {
  check_operands(kind, left, right);
  const Index* each[] = {&indices.left, &indices.right, &indices.out};
  const int64_t rows[] = {left.shape(0), right.shape(0), n_out};
  auto dtype = mx::int32;
  for (const Index* index : each) if (index->rows) dtype = index->rows->dtype();
  const mx::array identity({0}, {1, 1}, dtype);
  Arrays inputs{left, right};
  std::optional<int64_t> count;
  for (int i = 0; i < 3; ++i) {
    const auto& index = each[i]->rows;
    if (index && (index->ndim() != 1 || index->dtype() != dtype)) refuse("index arrays of different dtypes");
    const int64_t n = index ? static_cast<int64_t>(index->size()) : rows[i];
    if (n != count.value_or(n)) refuse("index arrays of different lengths");
    count = n;
    inputs.push_back(index.value_or(identity));
  }
  if (*count == 0 || left.size() == 0 || right.size() == 0 || n_out == 0) {
    const auto shape = out_shape(kind, left, right, to_dim(n_out));
    expect_memory(bytes_of(shape, left.dtype()));
    return mx::zeros(shape, left.dtype(), s);
  }

  const auto& out_index = indices.out.rows;
  Indices how = indices;
  how.atomic = indices.atomic && uses_shaders(s) && left.dtype() == mx::float32 && out_index;
  Sorted groups{identity, identity};
  if (!out_index) groups.offsets = mx::arange(0, n_out + 1, 1, dtype, s);
  else if (how.atomic) groups.offsets = mx::zeros({to_dim(n_out + 1)}, dtype, s); // its shape says n_out
  else if (indices.out.sorted) groups.offsets = offsets_of_sorted(*out_index, n_out, s);
  else groups = sort_by_key(*out_index, n_out, s);
  inputs.push_back(groups.offsets);
  inputs.push_back(groups.order);
  return node<IndexedProduct>(inputs, s, kind, how);
}

std::vector<int64_t> IndexedProduct::key() const {
  return {static_cast<int64_t>(kind_), atomic_, sorted_[0], sorted_[1], sorted_[2]};
}

std::vector<Output> IndexedProduct::results(const Arrays& in) const {
  return {{out_shape(kind_, in[0], in[1], in[5].shape(0) - 1), in[0].dtype()}};
}

std::vector<Output> IndexedProduct::scratch(const Arrays& in) const {
  auto carry = results(in)[0].shape;
  const int n_out = carry[0];
  int64_t entries = n_out;
  for (int i : {2, 3, 4}) {
    if (!is_identity(in[i])) entries = static_cast<int64_t>(in[i].size());
  }
  carry[0] = to_dim((entries + n_out + kChunk - 1) / kChunk);
  const mx::Shape part{carry[0] + 1};
  if (is_identity(in[4]) || carry[0] == 1) carry = {1}; // groups of one entry reach across no chunk
  return {{part, in[5].dtype()}, {carry, acc_dtype(in[0].dtype())}};
}

void IndexedProduct::kernel(const Arrays& in, Arrays& out) const {
  dispatch_unsigned(in[0].dtype(), [&]<class T>(Tag<T>) {
    dispatch_index(in[5].dtype(), [&]<class I>(Tag<I>) { product_on_cpu<T, I>(kind_, in, out[0]); });
  });
}

void IndexedProduct::shader(const Arrays& in, Arrays& outputs) {
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
  const Shader& sum = sp::shader("indexed_product");
  const int64_t units = int64_t(outputs[0].shape(1)) * (outer || transposed ? (c + lanes - 1) / lanes : 1) *
      (transposed ? 1 : (m + rows - 1) / rows);
  const int64_t high = (units * lanes + sum.group - 1) / sum.group;
  if (high > 65535) throw std::invalid_argument("the blocks of an indexed product are too large for a GPU");
  const TemplateArgs args{{"CHUNK", kChunk}, {"ROWS", rows}, {"LANES", lanes}, {"HEIGHT", small ? m : 0},
                          {"WIDTH", small ? c : 0}, {"outer", outer}, {"transposed", transposed}};
  auto run = [&](const char* name, Arrays inputs, mx::array& out, int64_t groups, bool zeroed) {
    const Shader& sh = sp::shader(name);
    Arrays one{out};
    launch(sh, inputs, one, args, {to_dim(groups * sh.group), to_dim(high), 1}, stream(), zeroed);
  };
  if (atomic_) {
    const int64_t entries = in[4].size();
    return run("indexed_product_atomic", {in[0], in[1], in[2], in[3], in[4], in[6]}, outputs[0], (entries + kChunk - 1) / kChunk, true);
  }
  const int chunks = outputs[1].shape(0) - 1;
  if (int64_t(chunks) * sum.group > std::numeric_limits<int>::max()) {
    throw std::invalid_argument("an indexed product on a GPU takes fewer than 2**31 entries and output rows together");
  }
  Arrays part{outputs[1]}, carry{outputs[2]};
  const Shader& cut = sp::shader("cs_partition");
  launch(cut, {in[5]}, part, args, {chunks + 1, 1, 1}, stream());
  const Arrays operands{in[0], in[1], in[2], in[3], in[5], in[6], part[0]};
  if (carry[0].shape(0) > 1) run("indexed_product_carry", operands, carry[0], chunks, false);
  else allocate_all(carry);
  auto all = operands;
  all.push_back(carry[0]);
  run("indexed_product", all, outputs[0], chunks, false);
}

// The grouping of `inputs` is kept.
Arrays IndexedProduct::apply(const Arrays& inputs) {
  if (inputs[0].size() && inputs[1].size()) return {make(inputs)[0]};
  return {mx::zeros(results(inputs)[0].shape, inputs[0].dtype(), stream())};
}

// The operand and the result change places.
mx::array IndexedProduct::gradient(int input, const Arrays& primals, const mx::array& cotangent, const Arrays&) {
  const auto s = stream();
  const auto mine = slots(kind_);
  std::array<Index, 3> index;
  index[mine.left] = {given(primals[2]), sorted_[0]};
  index[mine.right] = {given(primals[3]), sorted_[1]};
  index[mine.out] = {given(primals[4]), sorted_[2]};
  std::array<std::optional<mx::array>, 3> operand;
  operand[mine.out] = cotangent;
  operand[input == 0 ? mine.right : mine.left] = conj(primals[1 - input], s);
  const auto kind = giving(input == 0 ? mine.left : mine.right);
  const auto take = slots(kind);
  auto g = indexed_product(kind, *operand[take.left], *operand[take.right],
                           {index[take.left], index[take.right], index[take.out], atomic_}, primals[input].shape(0), s);
  return sum_repeats(g, primals[input], s);
}

std::optional<Node::Batched> IndexedProduct::batched(const Arrays& inputs, const Axes& axes) {
  if (std::any_of(axes.begin() + 2, axes.end(), [](int a) { return a >= 0; })) return std::nullopt;
  const auto s = stream();
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
  auto wide = inputs;
  for (int i : {0, 1}) wide[i] = fold(i);
  auto y = apply(wide)[0];
  auto shape = y.shape();
  shape[1] = most;
  shape.insert(shape.begin() + 1, batch);
  return Batched{mx::reshape(y, std::move(shape), s), 1};
}

const char* IndexedProduct::name() const {
  return kind_ == IndexedKind::outer    ? "SparseIndexedOuter"
      : kind_ == IndexedKind::matvec    ? "SparseIndexedMatvec"
                                        : "SparseIndexedRmatvec";
}

} // namespace sp
