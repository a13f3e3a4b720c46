#include "krylov_device.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "../interrupt.h"

namespace sp {

namespace {

// As in krylov_pass.metal.
constexpr int kGroup = 256, kSlots = 2048, kHeader = 20;
constexpr int kGroups = 660;                      // at the most: what 132 multiprocessors hold of them at a time
constexpr int kJoined = 1 << 19;                  // elements of vectors at the most, so that a launch costs more than reading two
constexpr int kShort = 8, kLanes = 32;            // of a product: entries of a row that one thread takes; threads of a row at the most
constexpr int kChunk = 8; // products that come before the operations on their rows, of a thread: caches still hold them
constexpr int kSubmitted = 24;                    // launches that the device is handed at once
constexpr size_t kBefore = 7;                       // which of the shader's inputs is `before`
constexpr int kAtOnce = 0, kVectors = 1, kScalars = 2, kIn = 3, kOut = 4; // phases
constexpr int kSolve = 5;                                                 // a launch of cs_solve_triangular
constexpr size_t kTriangle = 7;           // arrays of what is solved with: values, and those of triangular_arrays
constexpr size_t kStarts = 3, kLevels = 6; // of these

template <class V>
mx::array filled(const std::vector<V>& values, mx::Dtype dtype) {
  auto made = fresh(roomy(static_cast<int64_t>(values.size() * sizeof(V) / dtype.size())), dtype);
  std::memset(made.data<char>(), 0, made.nbytes());
  std::memcpy(made.data<char>(), values.data(), values.size() * sizeof(V));
  return made;
}

} // namespace

KrylovDevice::KrylovDevice(Task task)
    : r_(task.recording), stream_(task.stream), n_(task.n), rows_(std::max(n_[0], n_[1])), k_(task.k), single_(task.single),
      guess_(task.x.has_value()), given_(task.given), steps_at_most_(task.steps), right_(roomy(task.b, task.b)),
      x_(guess_ ? roomy(*task.x, *task.x) : right_),
      bounds_(task.bounds ? roomy(*task.bounds, *task.bounds) : filled(std::vector<float>(k_, 0), mx::float32)),
      memory_(right_), scalars_(right_), state_(right_), norms_(right_), operators_(std::move(task.operators)),
      writer_(r_, k_ == 1 && n_[0] <= kJoined && square(), given_), separate_(launches_separately(stream_)), before_(right_),
      code_(right_), turns_(right_), counters_(filled(std::vector<int32_t>(kCounters, 0), mx::int32)) {
  check();
  write(task.right);
  const auto dtype = right_.dtype();
  scalars_ = start_scalars(dtype);
  std::vector<int32_t> state(kState + 3 * k_, 0);
  std::fill_n(&state[kState], 2 * k_, 1); // open, and codes of what has not converged
  state_ = filled(state, mx::int32);
  const auto kept = static_cast<size_t>(k_) * (1 + kRing * std::max(1, given_));
  norms_ = filled(std::vector<float>(kept, std::numeric_limits<float>::quiet_NaN()), mx::float32);
  memory_ = on_device(places(), dtype, nothing_[0]);
}

KrylovDevice::~KrylovDevice() { // what was launched still uses arrays of ours
  try {
    mx::synchronize(stream_);
  } catch (...) {
  }
}

void KrylovDevice::check() const {
  for (size_t i = 0; i < operators_.size(); ++i) {
    const auto& a = operators_[i];
    const auto arrays = static_cast<size_t>(r_.arrays[i]);
    const size_t wanted = arrays > 3 ? kTriangle : arrays; // any number of those that recordings have for the CPU
    require_fit(a.size() == 1 || a.size() == 3 || a.size() == kTriangle);
    require_fit(wanted == 0 || wanted == a.size());
    if (a[0].dtype() != right_.dtype()) throw std::invalid_argument("the values of an operator have another dtype than b");
    const auto n = static_cast<size_t>(n_[r_.ends[i]]);
    const bool fits = a.size() == 1 ? a[0].size() == n
        : a.size() == 3 ? a[2].size() == n + 1 && a[1].dtype() == a[2].dtype() && a[0].size() == a[1].size()
                        : a[kStarts].size() == static_cast<size_t>(roomy(n_[0] + 1)[0]);
    if (!fits) throw std::invalid_argument("an operator has another order than b");
  }
  const auto matrix = std::ranges::find(operators_, size_t{3}, [](auto& a) { return a.size(); });
  require_fit(matrix != operators_.end());
  if (writer_.slots() > kSlots) throw std::invalid_argument("a recorded recurrence has too many scalars");
}

void KrylovDevice::write(int right) {
  const int64_t most = steps_at_most_;
  std::vector<int32_t> words;
  auto laid = [&](std::vector<KrylovPass> passes) {
    std::vector<Launch> made;
    for (auto& p : passes) {
      if (p.triangle >= 0) {
        lay_solve(p, made);
        continue;
      }
      if (!separate_) {
        made.push_back(lay(std::move(p), kAtOnce, words));
        continue;
      }
      if (works(p)) made.push_back(lay(p, kVectors, words));
      if (p.dots > 0 || !p.scalars.empty()) made.push_back(lay(std::move(p), kScalars, words));
    }
    return made;
  };
  first_ = laid(writer_.first(guess_, most == 0));
  const auto start = writer_.places();
  const int64_t kinds = static_cast<int64_t>(r_.steps.size());
  std::vector<PassWriter> before; // each step
  placed_.push_back(start);
  for (int64_t turn = 0; turn < most && (turn == 0 || turn % kinds || writer_.places() != start); ++turn) {
    before.push_back(writer_);
    placed_.resize(turn);
    placed_.push_back(writer_.places());
    steps_.push_back(laid(writer_.step(turn, false)));
  }
  if (most > 0 && given_ == 0) {
    const int64_t turn = (most - 1) % static_cast<int64_t>(steps_.size());
    last_ = laid(before[turn].step(turn, true));
  }
  nothing_.push_back(lay({}, kAtOnce, words));
  for (int place = 0; place < (given_ ? r_.vectors : 1); ++place) out_.push_back(lay_move(kOut, place, words));
  for (int place : guess_ ? std::vector{kX, right} : std::vector{right}) {
    first_.insert(first_.begin(), lay_move(kIn, place, words));
    first_.front().brought = place == kX ? &x_ : &right_;
  }
  if (given_) { // of all vectors at once
    all_.push_back(lay_move(kOut, -1, words));
    all_.push_back(lay_move(kIn, -1, words));
  }
  code_ = filled(words, mx::int32);
  turns_ = filled(turn_words_, mx::int32);
  for (auto* launches : {&first_, &last_, &nothing_, &out_, &all_}) point(*launches);
  for (auto& launches : steps_) point(launches);
}

void KrylovDevice::point(std::vector<Launch>& launches) {
  for (auto& l : launches) {
    if (l.phase == kSolve) {
      l.words = roomy(turns_, turns_, l.offset, kTurnWords);
      continue;
    }
    const auto count = static_cast<int64_t>(l.pass.vectors.size() + l.pass.scalars.size());
    l.words = roomy(code_, code_, l.offset, kHeader + kWords * count);
  }
}

const KrylovDevice::Solver& KrylovDevice::solver(int triangle, int form) {
  const std::pair key{triangle, form};
  if (auto found = solvers_.find(key); found != solvers_.end()) return found->second;
  const auto& a = operators_[triangle];
  LevelSchedule schedule = dispatch_index(a[kLevels].dtype(), [&](auto i) {
    using I = typename decltype(i)::type;
    const auto *levels = a[kLevels].data<I>(), *starts = a[kStarts].data<I>();
    std::vector<int64_t> slices, entries;
    do { // the last one is n
      slices.push_back(levels[slices.size()]);
      entries.push_back(starts[slices.back()]);
    } while (slices.back() < n_[0] && slices.size() < a[kLevels].size());
    require_fit(slices.back() == n_[0]);
    return LevelSchedule(slices, entries, {false, (form & 2) != 0, false, (form & 8) != 0}, k_);
  });
  auto code = filled(schedule.code, mx::int32);
  return solvers_.emplace(key, Solver{std::move(schedule), code}).first->second;
}

void KrylovDevice::lay_solve(const KrylovPass& p, std::vector<Launch>& launches) {
  const auto& by = solver(p.triangle, p.form);
  const auto words = by.schedule.turns(separate_, true, p.from, p.into);
  const int count = static_cast<int>(words.size()) / kTurnWords;
  for (int batch = 0; batch < count; ++batch) {
    Launch l{p, kSolve};
    l.groups = separate_ ? by.schedule.groups(batch) : by.schedule.all_groups();
    l.offset = static_cast<int64_t>(turn_words_.size()) + int64_t{kTurnWords} * batch;
    l.code = &by.code;
    launches.push_back(std::move(l));
  }
  turn_words_.insert(turn_words_.end(), words.begin(), words.end());
}

KrylovDevice::Launch KrylovDevice::lay_move(int phase, int place, std::vector<int32_t>& words) const {
  KrylovPass p;
  p.into = p.from = std::max(0, place);
  if (place >= 0) p.space = r_.spaces[place];
  return lay(p, phase, words, place < 0 ? to_dim(places() / k_) : n_[p.space]);
}

KrylovDevice::Launch KrylovDevice::lay(KrylovPass p, int phase, std::vector<int32_t>& words, int moved) const {
  Launch l{std::move(p), phase};
  const auto& pass = l.pass;
  const int n = moved ? moved : works(pass) ? n_[pass.space] : 0;
  int lanes = 1;
  if (pass.matrix >= 0 && k_ == 1) {
    const auto entries = static_cast<int64_t>(operators_[pass.matrix][1].size());
    while (lanes < kLanes && entries > int64_t{kShort} * lanes * n) lanes *= 2;
  }
  // A group takes as many chunks as others, of so many times the rows that it has at a time.
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t times = std::max<int64_t>(1, up(n, kGroup / std::min(k_, kGroup)));
  const int64_t most = std::max(1, kGroups / ((k_ + kGroup - 1) / kGroup));
  const bool returns = pass.matrix >= 0 && (lanes > 1 || pass.dots < static_cast<int>(pass.vectors.size()));
  const int64_t chunks = pass.matrix < 0 ? 1 : up(times, most * (returns ? kChunk : 1)), chunk = up(times, most * chunks);
  l.groups = static_cast<int>(up(times, chunk * chunks));
  l.offset = static_cast<int64_t>(words.size());
  const int share = std::min({k_, kGroup, kSlots / writer_.slots()});
  for (int word : {static_cast<int>(pass.vectors.size()), pass.dots, static_cast<int>(chunk), pass.into, pass.from,
                   static_cast<int>(pass.scalars.size()), single_ ? 1 : 0, n, k_, rows_, writer_.slots(),
                   l.groups, lanes, share, kRing, phase, std::max(0, pass.made), pass.other, pass.a, pass.b}) {
    words.push_back(word);
  }
  for (const auto* part : {&pass.vectors, &pass.scalars}) {
    for (const auto& i : *part) words.insert(words.end(), i.begin(), i.end());
  }
  words.resize((words.size() + 7) / 8 * 8);
  return l;
}

mx::array KrylovDevice::start_scalars(mx::Dtype dtype) const {
  const size_t width = dtype.size() / sizeof(float);
  std::vector<float> values(width * writer_.slots() * k_, 0);
  auto set = [&](int slot, double value) {
    for (int j = 0; j < k_; ++j) values[width * (static_cast<size_t>(slot) * k_ + j)] = static_cast<float>(value);
  };
  for (const auto& [slot, value] : r_.constants) set(slot, value);
  set(writer_.one(), 1);
  return filled(values, dtype);
}

mx::array KrylovDevice::on_device(int64_t elements, mx::Dtype dtype, Launch& by) {
  Arrays out{mx::array(roomy(elements), dtype, nullptr, {})};
  launch(by, out);
  return out[0];
}

void KrylovDevice::take_out(int place, mx::array& out) {
  const auto v = on_device(static_cast<int64_t>(out.size()), out.dtype(), out_[place]);
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = true;
  flags.col_contiguous = k_ == 1;
  out.copy_shared_buffer(v, out.strides(), flags, out.size());
}

void KrylovDevice::launch(Launch& l) {
  const auto& pass = l.pass;
  const bool solves = l.phase == kSolve;
  const int64_t sums = l.phase == kScalars || solves ? 0 : static_cast<int64_t>(pass.dots) * l.groups * k_;
  Arrays out{mx::array(roomy(sums), right_.dtype(), nullptr, {})};
  if (solves) out.emplace_back(roomy(0), mx::int32, nullptr, Arrays{});
  launch(l, out);
  before_ = out[0];
  held_.insert(held_.end(), out.begin(), out.end());
  ++encoded_;
}

void KrylovDevice::submit() {
  if (encoded_ < kSubmitted || stream_.device != mx::Device::gpu) return;
  const auto view = mx::expand_dims(code_, 0, stream_);
  if (!view.is_tracer()) mx::async_eval({view}); // inside a transformation MLX lets nobody do so
  encoded_ = 0;
}

void KrylovDevice::launch(Launch& l, Arrays& out) {
  if (l.in.empty()) prepare(l, out);
  l.in[l.phase == kSolve ? size_t{LevelInput::before} : kBefore] = before_;
  l.prepared->run(l.in, out);
}

void KrylovDevice::prepare(Launch& l, const Arrays& out) {
  if (l.phase == kSolve) return prepare_solve(l, out);
  const auto& pass = l.pass;
  const auto& a = pass.matrix >= 0 ? operators_[pass.matrix]
                                   : *std::ranges::find(operators_, size_t{3}, [](auto& m) { return m.size(); });
  const auto& brought = l.brought ? *l.brought : right_;
  const auto& diagonal = pass.diagonal >= 0 ? operators_[pass.diagonal][0] : right_;
  const auto starts = roomy(a[2], a[2]);
  l.in = {roomy(a[0], right_), roomy(a[1], starts), starts, roomy(diagonal, right_), brought, *l.words,
          bounds_, right_, memory_, scalars_, state_, norms_};
  const bool by_columns = l.phase == kAtOnce || l.phase == kVectors;
  const int wide = l.phase == kScalars ? 1 : l.groups, high = by_columns ? (k_ + kGroup - 1) / kGroup : 1;
  const int product = pass.made >= 0 ? 2 : pass.matrix >= 0 ? 1 : 0;
  const auto key = std::tuple{wide, high, a[1].dtype() == mx::int64, product};
  auto found = prepared_.find(key);
  if (found == prepared_.end()) {
    const std::array grid{wide * kGroup, high, 1};
    const TemplateArgs args{{"PRODUCT", product}};
    found = prepared_.try_emplace(key, shader("krylov_pass"), l.in, out, args, grid, stream_).first;
  }
  l.prepared = &found->second;
}

void KrylovDevice::prepare_solve(Launch& l, const Arrays& out) {
  const auto& a = operators_[l.pass.triangle];
  l.in = {roomy(a[0], right_)};
  l.in.insert(l.in.end(), a.begin() + 1, a.end());
  l.in.insert(l.in.end(), {memory_, *l.code, *l.words, state_, right_, memory_, counters_});
  const auto key = std::tuple{l.groups, 0, a[1].dtype() == mx::int64, 0};
  auto found = prepared_.find(key);
  if (found == prepared_.end()) {
    const std::array grid{l.groups * kGroup, 1, 1};
    found = prepared_.try_emplace(key, shader("cs_solve_triangular"), l.in, out, TemplateArgs{}, grid, stream_).first;
  }
  l.prepared = &found->second;
}

bool KrylovDevice::waited() {
  mx::synchronize(stream_);
  held_.clear();
  encoded_ = 0;
  check_interrupt();
  return state_.data<int32_t>()[0] != 0;
}

} // namespace sp
