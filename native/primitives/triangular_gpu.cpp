// Triangular solves as shaders: what a structure's levels are, how a solve is cut by them, and its launches.
#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "../launch.h"
#include "product_shader.h"
#include "triangular_solve.h"

namespace sp {

namespace {

// As in cs_solve_triangular.metal.
constexpr int kGroup = 256, kTile = 1024, kRows = 128, kSlots = 1024;
constexpr int kBegin = 0, kAll = 1, kBatch = 2, kOut = 3; // modes
constexpr int kGroups = 396;                              // at the most: what 132 multiprocessors hold of them at a time
constexpr size_t kRight = 3, kLeveled = 4;                // where inputs begin

using Leveled = Plan::Leveled;

// Metal has fewer elements in another address space, and nobody has an empty buffer.
mx::array kept(int64_t n, mx::Dtype dtype) {
  auto made = fresh(roomy(n), dtype);
  std::memset(made.data<char>(), 0, made.nbytes());
  return made;
}

// order: of which entry of the values each one is, if not in place.
Leveled leveled(const mx::array& given, const mx::array& given_indptr, const std::optional<mx::array>& given_order, bool lower) {
  const auto indices = host_ready(given), indptr = host_ready(given_indptr);
  const auto order = given_order ? std::optional(host_ready(*given_order)) : std::nullopt;
  const auto dtype = indices.dtype();
  const auto n = static_cast<int64_t>(indptr.size()) - 1;
  return dispatch_index(dtype, [&](auto i) {
    using I = typename decltype(i)::type;
    auto to = [](mx::array& a) { return reinterpret_cast<I*>(a.data<char>()); };
    auto from = [](const mx::array& a) { return reinterpret_cast<const I*>(a.data<char>()); };
    const auto size = static_cast<size_t>(n);
    const CsPattern<I> a{size, size, from(indptr), from(indices)};
    auto places = kept(n, dtype), starts = kept(n + 1, dtype), diagonal = kept(n, dtype);
    std::vector<I> begins(size + 1);
    const size_t count = cs_levels(a, lower, to(places), begins.data());
    auto levels = kept(static_cast<int64_t>(count) + 1, dtype);
    std::copy_n(begins.data(), count + 1, to(levels));

    const I* which = order ? from(*order) : nullptr;
    cs_by_levels<I>(a, lower, which, from(places), {to(starts), nullptr, nullptr, nullptr});
    const auto entries_of_all = static_cast<int64_t>(from(starts)[n]);
    auto entries = kept(entries_of_all, dtype), columns = kept(entries_of_all, dtype);
    cs_by_levels<I>(a, lower, which, from(places), {to(starts), to(entries), to(columns), to(diagonal)});

    const auto on_diagonal = n - std::count(from(diagonal), from(diagonal) + n, I(-1));
    Leveled made{entries, columns, starts, places, diagonal, levels, {}, {}, on_diagonal};
    for (size_t l = 0; l <= count; ++l) {
      made.slices_before.push_back(begins[l]);
      made.entries_before.push_back(from(starts)[begins[l]]);
    }
    return made;
  });
}

// Of op(A), which is A or its transpose.
std::shared_ptr<const Leveled> levels_of(const TriangleForm& form, const Structure& a, mx::Stream s) {
  static auto& mutex = *new std::mutex; // for looking and for keeping, not for making
  using Locked = std::lock_guard<std::mutex>;
  std::optional<mx::array> order;
  auto indices = a.inner, indptr = a.outer;
  auto plan = a.pattern.plan;
  if (form.transposed) {
    auto t = transposed(a, s);
    order = t.order, indices = t.indices, indptr = t.indptr, plan = t.plan;
  }
  const bool lower = form.lower != form.transposed;
  auto place = [&]() -> auto& { return lower ? plan->lower : plan->upper; };
  if (plan) {
    const Locked lock(mutex);
    if (place()) return place();
  }
  auto made = std::make_shared<const Leveled>(leveled(indices, indptr, order, lower));
  if (!plan) return made;
  const Locked lock(mutex);
  if (!place()) place() = made;
  return place();
}

} // namespace

LevelSchedule::LevelSchedule(const std::vector<int64_t>& slices, const std::vector<int64_t>& entries, const TriangleForm& form,
                             int64_t k) {
  const int64_t n = slices.back();
  const auto count = slices.size() - 1;
  // Few enough that a group stages what they have at once, as a rule.
  int rows = static_cast<int>(std::min<int64_t>(kRows, kSlots / std::min<int64_t>(std::max<int64_t>(k, 1), kGroup)));
  while (rows > 1 && rows * entries.back() > kTile * n) rows /= 2;
  std::vector<int> first_levels;
  int64_t so_far = 0;
  for (size_t level = 0, next; level < count; level = next) {
    first_levels.push_back(static_cast<int>(level));
    chunks.push_back(static_cast<int>(so_far));
    next = level + 1;
    auto joins = [&](size_t l) { return slices[l + 1] - slices[level] <= rows && entries[l + 1] - entries[level] <= kTile; };
    while (next < count && joins(next)) ++next;
    so_far += (slices[next] - slices[level] + rows - 1) / rows;
  }
  first_levels.push_back(static_cast<int>(count));
  chunks.push_back(to_dim(so_far));
  code = {to_dim(n), to_dim(k), form.unit, form.conjugate, rows, 0, chunks.back(), 0};
  for (size_t b = 0; b < chunks.size(); ++b) code.insert(code.end(), {first_levels[b], chunks[b]});
}

int LevelSchedule::groups(int batch) const {
  int groups = 1;
  while (groups < chunks[batch + 1] - chunks[batch]) groups *= 2;
  return groups;
}

int LevelSchedule::all_groups() const { return std::min(chunks.back(), kGroups); }

std::vector<int32_t> LevelSchedule::turns(bool separate, bool in_memory, int from, int into) const {
  std::vector<int32_t> words;
  for (int batch = 0; batch < (separate ? batches() : 1); ++batch) {
    words.insert(words.end(), {separate ? kBatch : kAll, in_memory, from, into, batch, all_groups(), 0, 0});
  }
  return words;
}

TriangularShape triangular_shape(const TriangleForm& form, const Structure& a, mx::Stream s) {
  const auto l = levels_of(form, a, s);
  return {static_cast<int64_t>(l->count()), l->entries_before.back() + l->on_diagonal == a.entries(),
          l->on_diagonal == a.pattern.n_major};
}

Arrays triangular_arrays(const TriangleForm& form, const Structure& a, mx::Stream s) {
  const auto l = levels_of(form, a, s);
  return {l->entries, l->columns, l->starts, l->places, l->diagonal, l->levels};
}

mx::array solve_by_levels(const TriangleForm& form, const Structure& a, const mx::array& data, const mx::array& b, mx::Stream s) {
  const Compressed whole{data, a.inner, a.outer};
  const bool single = data.dtype() == mx::float32 || data.dtype() == mx::complex64;
  if (!uses_shaders(s) || !single) return solve_triangular(form, whole, b, std::nullopt, s);
  check_operands({form, whole, std::nullopt}, b);
  const bool separate = launches_separately(s);
  const auto l = levels_of(form, a, s);
  LevelSchedule schedule(l->slices_before, l->entries_before, form, b.ndim() == 2 ? b.shape(1) : 1);
  const int out_groups = static_cast<int>(std::min<int64_t>((b.size() + kGroup - 1) / kGroup, kGroups));
  std::vector<int32_t> words{kBegin, 0, 0, 0, 0, 1, 0, 0, kOut, 1, 0, 0, 0, out_groups, 0, 0};
  const auto turns = schedule.turns(separate, separate, 0, 0);
  words.insert(words.end(), turns.begin(), turns.end());
  words.insert(words.end(), schedule.code.begin(), schedule.code.end());
  Arrays inputs{data, a.inner, a.outer, b, l->entries, l->columns, l->starts, l->places, l->diagonal, l->levels,
                mx::array(words.data(), {to_dim(words.size())}, mx::int32)};
  if (separate) { // else what is strided would be copied at every launch
    for (int i : {0, 3}) inputs[i] = mx::contiguous(inputs[i], false, s);
  }
  return node<TriangularSolve>(std::move(inputs), s, form, a.pattern, std::make_shared<const LevelSchedule>(std::move(schedule)),
                               separate);
}

// The solution where batches are launches of their own, and counters.
std::vector<Output> TriangularSolve::scratch(const Arrays& in) const {
  return {{roomy(separate_ ? static_cast<int64_t>(in[kRight].size()) : 0), in[0].dtype()}, {roomy(kCounters), mx::int32}};
}

void TriangularSolve::shader(const Arrays& in, Arrays& out) {
  if (out[0].size() == 0) return allocate_all(out);
  const auto s = stream();
  const auto &right = in[kRight], &words = in.back();
  const auto dtype = in[0].dtype();
  const auto& sh = sp::shader("cs_solve_triangular");
  const auto code_size = static_cast<int64_t>(schedule_->code.size());
  const auto code = roomy(words, words, static_cast<int64_t>(words.size()) - code_size, code_size);
  const auto any = roomy(right, right);
  auto turn = [&](int number) { return roomy(words, words, int64_t{kTurnWords} * number, kTurnWords); };
  // Nobody reads or writes what it is for: to bring launches in order, which are given what the one before has made.
  auto token = [](mx::Dtype of) { return mx::array(roomy(0), of, nullptr, {}); };

  Arrays inputs{in[0].size() ? in[0] : any};
  inputs.insert(inputs.end(), in.begin() + kLeveled, in.end() - 1);
  const auto begin = turn(0); // whose first word is a zero, too: nothing has ended
  inputs.insert(inputs.end(), {right, code, begin, begin, any, any, begin});
  Arrays first{out[1], out[2]};
  launch(sh, inputs, first, {}, {kGroup, 1, 1}, s);
  inputs[LevelInput::state] = out[2];
  if (!separate_) {
    inputs[LevelInput::turn] = turn(2);
    Arrays all{out[0], token(mx::int32)};
    return launch(sh, inputs, all, {}, {kGroup * schedule_->all_groups(), 1, 1}, s);
  }
  inputs[LevelInput::memory] = out[1];
  inputs[LevelInput::before] = out[1];
  std::map<int, Prepared> prepared; // by number of groups, of which those beyond the chunks return
  for (int batch = 0; batch < schedule_->batches(); ++batch) {
    inputs[LevelInput::turn] = turn(2 + batch);
    Arrays made{token(dtype), token(mx::int32)};
    const int groups = schedule_->groups(batch);
    auto found = prepared.find(groups);
    if (found == prepared.end()) {
      found = prepared.try_emplace(groups, sh, inputs, made, TemplateArgs{}, std::array{groups * kGroup, 1, 1}, s).first;
    }
    found->second.run(inputs, made);
    inputs[LevelInput::before] = made[0];
  }
  inputs[LevelInput::turn] = turn(1);
  Arrays last{out[0], token(mx::int32)};
  launch(sh, inputs, last, {}, {kGroup * static_cast<int>(std::min<size_t>((out[0].size() + kGroup - 1) / kGroup, kGroups)), 1, 1}, s);
}

} // namespace sp
