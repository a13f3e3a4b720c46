// Recorded recurrences on a GPU: one launch for each pass, which runs the scalar instructions behind it too; on Metal, whose
// threadgroups do not see each other's writes for certain before a launch ends, another launch runs these. The host encodes
// some steps, then looks whether they have come to an end; what is launched after that does nothing.
#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <tuple>

#include "../interrupt.h"
#include "../launch.h"
#include "krylov.h"
#include "triangular_solve.h"

namespace sp {

namespace {

// As in krylov_pass.metal.
constexpr int kGroup = 256, kSlots = 2048, kDots = 4, kHeader = 20, kWords = 6, kState = 8;
constexpr int kCopy = 20, kStep = 21, kTest = 22; // scalar instructions besides those of Op
constexpr int kGroups = 660;                      // at the most: what 132 multiprocessors hold of them at a time
constexpr int kJoined = 1 << 19;                  // elements of vectors at the most, so that a launch costs more than reading two
constexpr int kShort = 8, kLanes = 32;            // of a product: entries of a row that one thread takes; threads of a row at the most
constexpr int kChunk = 8; // products that come before the operations on their rows, of a thread: caches still hold them
constexpr int kFirstLook = 8, kLastLook = 64;     // steps between two looks, which double
constexpr int kSubmitted = 24;                    // launches that the device is handed at once
constexpr int kRing = kLastLook + 8;              // tests whose norms are kept
constexpr int kX = 0, kB = 2;                     // where the iterate and the right-hand side begin
constexpr int kBefore = 7;                        // which of the shader's inputs is `before`
constexpr int kAtOnce = 0, kVectors = 1, kScalars = 2, kIn = 3, kOut = 4; // phases
constexpr int kSolve = 5;                                                 // a launch of cs_solve_triangular
constexpr size_t kTriangle = 7;           // arrays of what is solved with: values, and those of triangular_arrays
constexpr size_t kStarts = 3, kLevels = 6; // of these

void require(bool holds) {
  if (!holds) throw std::invalid_argument("operands of a recorded recurrence do not fit each other");
}

// What one launch does.
struct Pass {
  int matrix = -1, diagonal = -1; // operators
  int triangle = -1, form = 0;    // of a solve, which is all that the pass does
  int into = 0, from = 0;         // places of the product's result and operand
  int made = -1, other = 0, a = 0, b = 0; // the operand is a * from + b * other, if there is a place where it is made
  int space = 0, dots = 0;
  std::vector<std::array<int, kWords>> vectors, scalars;
};

// Writes a recording down as passes. Vectors are renamed from step to step, so steps differ until the names come again.
class Writer {
 public:
  // joins: whether a product makes its operand where the pass before would do nothing else.
  Writer(const Recording& r, bool joins) : r_(r), one_(r.scalars), spare_(r.scalars + 1), joins_(joins) {
    places_.resize(std::max(r.vectors, kB + 1) + (joins ? 1 : 0)); // the last one: that of no vector
    std::iota(places_.begin(), places_.end(), 0);
  }
  int slots() const { return r_.scalars + 2; }
  int one() const { return one_; }
  const std::vector<int>& places() const { return places_; }

  // What comes before the steps.
  std::vector<Pass> first(bool guess, bool last) {
    open(r_.spaces[0]);
    if (guess) {
      segment(r_.guess, false);
    } else {
      vector({static_cast<int>(Op::zero), kX, kX, kX, one_, one_});
      open(r_.spaces[1]);
      vector({static_cast<int>(Op::overwrite), places_[1], kB, places_[1], one_, one_});
    }
    segment(r_.start, false);
    test(last, 0);
    return std::move(passes_);
  }

  // Step number `turn`, without the scalar instructions that it begins with: they are with what comes before it.
  std::vector<Pass> step(size_t turn, bool last) {
    passes_.clear();
    segment(r_.steps[turn % r_.steps.size()], true);
    if (passes_.empty()) throw std::invalid_argument("a step of a recorded recurrence without operations on vectors");
    scalars().push_back({kStep});
    test(last, turn + 1);
    return std::move(passes_);
  }

 private:
  void open(int space) {
    passes_.emplace_back();
    passes_.back().space = space;
  }
  void vector(const std::array<int, kWords>& words) { passes_.back().vectors.push_back(words); }
  std::vector<std::array<int, kWords>>& scalars() {
    if (passes_.back().triangle >= 0) open(0);
    return passes_.back().scalars;
  }

  void segment(const Segment& s, bool begun) {
    for (size_t at = 0; at < s.code.size(); ++at) {
      const auto& i = s.code[at];
      if (i.op == Op::pass) {
        begun = false;
        pass(&i);
        at += i.out;
      } else if (i.op == Op::solve) {
        begun = false;
        open(0);
        auto& p = passes_.back();
        p.triangle = i.a, p.form = i.c, p.into = places_[i.out], p.from = places_[i.b];
      } else if (!begun) {
        scalar(i);
      }
    }
    if (!s.order.empty()) {
      require(s.order[0] == 0); // x stays where it is
      auto renamed = places_;
      for (size_t v = 0; v < s.order.size(); ++v) renamed[v] = places_[s.order[v]];
      places_ = std::move(renamed);
    }
    copies(s.copies);
  }

  void scalar(const Instruction& i) { scalars().push_back({static_cast<int>(i.op), i.out, i.a, i.b, i.c, i.d}); }

  // Whether the last pass only updates the operand of the product `first`, which no operation after it spoils for others.
  bool joined(const Instruction* first) const {
    if (!joins_ || first->a < 0 || passes_.empty()) return false;
    const auto& p = passes_.back();
    if (p.matrix >= 0 || p.triangle >= 0 || p.dots > 0 || !p.scalars.empty() || p.vectors.size() != 1) return false;
    const int op = p.vectors[0][0], out = p.vectors[0][1], x = p.vectors[0][2];
    const int from = places_[first->c], into = places_[first->b];
    const bool updates = op == static_cast<int>(Op::plus) || op == static_cast<int>(Op::combine);
    if (!updates || out != from || x == from || into == x || from == kX || from == kB) return false;
    return std::none_of(first + 1, first + 1 + first->out, [&](auto& i) { return i.op != Op::dot && places_[i.out] == x; });
  }

  void pass(const Instruction* first) {
    const bool joins = joined(first);
    const auto update = joins ? passes_.back().vectors[0] : std::array<int, kWords>{};
    if (joins) passes_.pop_back();
    open(first->d);
    if (first->a >= 0) {
      auto& p = passes_.back();
      p.matrix = first->a, p.into = places_[first->b], p.from = places_[first->c];
      if (joins) {
        p.made = places_.back(), p.other = update[2], p.b = update[5];
        p.a = update[0] == static_cast<int>(Op::plus) ? one_ : update[4];
        for (auto& place : places_) place = place == p.from ? p.made : place == p.made ? p.from : place;
      }
    }
    for (const auto* i = first + 1; i <= first + first->out; ++i) {
      const bool dots = i->op == Op::dot && passes_.back().dots == kDots;
      if (dots || (i->op == Op::scale && passes_.back().diagonal >= 0 && passes_.back().diagonal != i->a)) open(first->d);
      auto& p = passes_.back();
      const int op = static_cast<int>(i->op);
      switch (i->op) {
        case Op::dot:
          ++p.dots;
          vector({op, i->out, places_[i->a], places_[i->b], one_, one_});
          break;
        case Op::scale:
          p.diagonal = i->a;
          vector({op, places_[i->out], places_[i->b], kX, one_, one_});
          break;
        case Op::squares: vector({op, places_[i->out], places_[i->a], kX, one_, one_}); break;
        case Op::zero: vector({op, places_[i->out], kX, kX, one_, one_}); break;
        default: vector({op, places_[i->out], places_[i->c], places_[i->out], i->a, i->b}); break;
      }
    }
  }

  // At once, one after the other: what is still to be read is not written to, but by way of a spare slot.
  void copies(std::vector<std::pair<int, int>> left) {
    auto copy = [&](int to, int from) { scalars().push_back({kCopy, to, from, from}); };
    std::erase_if(left, [](auto& c) { return c.first == c.second; });
    while (!left.empty()) {
      auto next = std::ranges::find_if(left, [&](auto& c) {
        return std::ranges::none_of(left, [&](auto& other) { return &other != &c && other.second == c.first; });
      });
      if (next == left.end()) { // a cycle
        const int moved = left[0].first;
        copy(spare_, moved);
        for (auto& c : left) if (c.second == moved) c.second = spare_;
        continue;
      }
      copy(next->first, next->second);
      left.erase(next);
    }
  }

  void test(bool last, size_t next) {
    scalars().push_back({kTest, !last || r_.tests_last, r_.square, r_.square});
    if (last) return;
    for (const auto& i : r_.steps[next % r_.steps.size()].code) {
      if (i.op == Op::pass || i.op == Op::solve) break;
      scalar(i);
    }
  }

  const Recording& r_;
  int one_, spare_; // slots: of the number 1, and for copies in a cycle
  bool joins_;
  std::vector<int> places_;
  std::vector<Pass> passes_;
};

template <class V>
mx::array filled(const std::vector<V>& values, mx::Dtype dtype) {
  auto made = fresh(roomy(static_cast<int64_t>(values.size() * sizeof(V) / dtype.size())), dtype);
  std::memset(made.data<char>(), 0, made.nbytes());
  std::memcpy(made.data<char>(), values.data(), values.size() * sizeof(V));
  return made;
}

class Device {
 public:
  Device(const KrylovKind& kind, const Arrays& in, std::vector<KrylovOperator> operators, mx::Stream s)
      : kind_(kind), r_(*kind.recording), operators_(std::move(operators)), stream_(s), n_(in[0].shape(0)),
        k_(kind.single ? 1 : in[0].shape(1)), writer_(r_, k_ == 1 && n_ <= kJoined), separate_(launches_separately(s)),
        right_(roomy(in[0], in[0])), guess_(roomy(in[kind.guess ? 2 : 0], in[0])), bounds_(roomy(in[1], in[1])),
        before_(right_), memory_(right_), scalars_(right_), state_(right_), norms_(right_), code_(right_), turns_(right_),
        counters_(filled(std::vector<int32_t>(kCounters, 0), mx::int32)) {
    check();
    write();
    const auto dtype = in[0].dtype();
    scalars_ = start_scalars(dtype);
    std::vector<int32_t> state(kState + 3 * k_, 0);
    std::fill_n(&state[kState], 2 * k_, 1); // open, and codes of what has not converged
    state_ = filled(state, mx::int32);
    norms_ = filled(std::vector<float>((1 + kRing) * k_, std::numeric_limits<float>::quiet_NaN()), mx::float32);
    memory_ = on_device(static_cast<int64_t>(writer_.places().size()) * n_ * k_, dtype, nothing_[0]);
  }
  ~Device() { // what was launched still uses arrays of ours
    try {
      mx::synchronize(stream_);
    } catch (...) {
    }
  }

  void solve() {
    for (auto& l : first_) launch(l);
    const int64_t most = r_.halves * kind_.maxiter, period = static_cast<int64_t>(steps_.size());
    int64_t look = kFirstLook, next = look;
    for (int64_t i = 0; i < most; ++i) {
      for (auto& l : i + 1 == most ? last_ : steps_[i % period]) launch(l);
      if (i + 1 < next) {
        submit();
        continue;
      }
      if (ended()) return;
      look = std::min<int64_t>(2 * look, kLastLook);
      next += look;
    }
    ended();
  }

  void results(Arrays& out) {
    mx::array::Flags flags{};
    flags.contiguous = flags.row_contiguous = true;
    flags.col_contiguous = k_ == 1;
    const auto x = on_device(static_cast<int64_t>(n_) * k_, right_.dtype(), out_[0]); // alone: the others' memory is not kept
    out[0].copy_shared_buffer(x, out[0].strides(), flags, out[0].size());
    const auto* state = state_.data<int32_t>() + kState;
    for (int i : {1, 2, 3}) out[i].set_data(allocate(out[i].nbytes()));
    std::copy_n(state + k_, k_, out[1].data<int32_t>());
    std::copy_n(state + 2 * k_, k_, out[2].data<int32_t>());
    std::copy_n(norms_.data<float>(), k_, out[3].data<float>());
  }

 private:
  struct Launch {
    Pass pass;
    int phase = 0; // as the shader's
    int groups = 1; // along the rows
    int64_t offset = 0; // of its words
    std::optional<mx::array> words{};
    const mx::array* code = nullptr; // of a solve
    Arrays in{}; // what the shader reads, from the first time on
    const Prepared* prepared = nullptr;
  };

  void check() const {
    for (size_t i = 0; i < operators_.size(); ++i) {
      const auto& a = operators_[i];
      const auto arrays = static_cast<size_t>(r_.arrays[i]);
      const size_t wanted = arrays > 3 ? kTriangle : arrays; // any number of those that recordings have for the CPU
      require(a.size() == 1 || a.size() == 3 || a.size() == kTriangle);
      require(wanted == 0 || wanted == a.size());
      if (a[0].dtype() != right_.dtype()) throw std::invalid_argument("the values of an operator have another dtype than b");
      const auto n = static_cast<size_t>(n_);
      const bool fits = a.size() == 1 ? a[0].size() == n
          : a.size() == 3 ? a[2].size() == n + 1 && a[1].dtype() == a[2].dtype() && a[0].size() == a[1].size()
                          : a[kStarts].size() == static_cast<size_t>(roomy(n_ + 1)[0]);
      if (!fits) throw std::invalid_argument("an operator has another order than b");
    }
    require(std::ranges::none_of(r_.spaces, [](int space) { return space != 0; }));
    const auto matrix = std::ranges::find(operators_, size_t{3}, [](auto& a) { return a.size(); });
    require(matrix != operators_.end());
    if (writer_.slots() > kSlots) throw std::invalid_argument("a recorded recurrence has too many scalars");
  }

  // All passes, and their words in one array.
  void write() {
    const int64_t most = r_.halves * kind_.maxiter;
    std::vector<int32_t> words;
    auto laid = [&](std::vector<Pass> passes) {
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
    first_ = laid(writer_.first(kind_.guess, most == 0));
    const auto start = writer_.places();
    const int64_t kinds = static_cast<int64_t>(r_.steps.size());
    std::vector<Writer> before; // each step
    for (int64_t turn = 0; turn < most && (turn == 0 || turn % kinds || writer_.places() != start); ++turn) {
      before.push_back(writer_);
      steps_.push_back(laid(writer_.step(turn, false)));
    }
    if (most > 0) {
      const int64_t turn = (most - 1) % static_cast<int64_t>(steps_.size());
      last_ = laid(before[turn].step(turn, true));
    }
    Pass vector;
    nothing_.push_back(lay(vector, kAtOnce, words));
    vector.from = kX;
    out_.push_back(lay(vector, kOut, words));
    for (int place : kind_.guess ? std::vector{kX, kB} : std::vector{kB}) {
      vector.into = place;
      first_.insert(first_.begin(), lay(vector, kIn, words));
    }
    code_ = filled(words, mx::int32);
    turns_ = filled(turn_words_, mx::int32);
    for (auto* launches : {&first_, &last_, &nothing_, &out_}) point(*launches);
    for (auto& launches : steps_) point(launches);
  }

  void point(std::vector<Launch>& launches) {
    for (auto& l : launches) {
      if (l.phase == kSolve) {
        l.words = roomy(turns_, turns_, l.offset, kTurnWords);
        continue;
      }
      const auto count = static_cast<int64_t>(l.pass.vectors.size() + l.pass.scalars.size());
      l.words = roomy(code_, code_, l.offset, kHeader + kWords * count);
    }
  }

  static bool works(const Pass& p) { return p.matrix >= 0 || !p.vectors.empty(); }

  struct Solver {
    LevelSchedule schedule;
    mx::array code;
  };
  // Of a triangle in one form.
  const Solver& solver(int triangle, int form) {
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
      } while (slices.back() < n_ && slices.size() < a[kLevels].size());
      require(slices.back() == n_);
      return LevelSchedule(slices, entries, {false, (form & 2) != 0, false, (form & 8) != 0}, k_);
    });
    auto code = filled(schedule.code, mx::int32);
    return solvers_.emplace(key, Solver{std::move(schedule), code}).first->second;
  }

  void lay_solve(const Pass& p, std::vector<Launch>& launches) {
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

  Launch lay(Pass p, int phase, std::vector<int32_t>& words) const {
    Launch l{std::move(p), phase};
    const auto& pass = l.pass;
    int lanes = 1;
    if (pass.matrix >= 0 && k_ == 1) {
      const auto entries = static_cast<int64_t>(operators_[pass.matrix][1].size());
      while (lanes < kLanes && entries > int64_t{kShort} * lanes * n_) lanes *= 2;
    }
    // A group takes as many chunks as others, of so many times the rows that it has at a time.
    const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    const int64_t times = std::max<int64_t>(1, up(n_, kGroup / std::min(k_, kGroup)));
    const int64_t most = std::max(1, kGroups / ((k_ + kGroup - 1) / kGroup));
    const int64_t chunks = pass.matrix >= 0 ? up(times, most * kChunk) : 1, chunk = up(times, most * chunks);
    l.groups = works(pass) || phase >= kIn ? static_cast<int>(up(times, chunk * chunks)) : 1;
    l.offset = static_cast<int64_t>(words.size());
    const int share = std::min({k_, kGroup, kSlots / writer_.slots()});
    for (int word : {static_cast<int>(pass.vectors.size()), pass.dots, static_cast<int>(chunk), pass.into, pass.from,
                     static_cast<int>(pass.scalars.size()), kind_.single ? 1 : 0, works(pass) ? n_ : 0, k_, n_, writer_.slots(),
                     l.groups, lanes, share, kRing, phase, std::max(0, pass.made), pass.other, pass.a, pass.b}) {
      words.push_back(word);
    }
    for (const auto* part : {&pass.vectors, &pass.scalars}) {
      for (const auto& i : *part) words.insert(words.end(), i.begin(), i.end());
    }
    words.resize((words.size() + 7) / 8 * 8);
    return l;
  }

  mx::array start_scalars(mx::Dtype dtype) const {
    const size_t width = dtype.size() / sizeof(float);
    std::vector<float> values(width * writer_.slots() * k_, 0);
    auto set = [&](int slot, double value) {
      for (int j = 0; j < k_; ++j) values[width * (static_cast<size_t>(slot) * k_ + j)] = static_cast<float>(value);
    };
    for (const auto& [slot, value] : r_.constants) set(slot, value);
    set(writer_.one(), 1);
    return filled(values, dtype);
  }

  // Memory that is the device's own, as the output of a launch is.
  mx::array on_device(int64_t elements, mx::Dtype dtype, Launch& by) {
    Arrays out{mx::array(roomy(elements), dtype, nullptr, {})};
    launch(by, out);
    return out[0];
  }

  void launch(Launch& l) {
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

  // Hands over what is encoded, so that the device works while the rest is encoded. MLX does that behind a node, not
  // between the launches of one; it does so behind any other node, too, and a view is one that launches nothing.
  void submit() {
    if (encoded_ < kSubmitted || stream_.device != mx::Device::gpu) return;
    mx::async_eval({mx::expand_dims(code_, 0, stream_)});
    encoded_ = 0;
  }

  // Launches follow each other, since each is given what the one before has made; so writing in place is in order too.
  void launch(Launch& l, Arrays& out) {
    if (l.in.empty()) prepare(l, out);
    l.in[l.phase == kSolve ? LevelInput::before : kBefore] = before_;
    l.prepared->run(l.in, out);
  }

  // What stays the same whenever this is launched, but for `before`.
  void prepare(Launch& l, const Arrays& out) {
    if (l.phase == kSolve) return prepare_solve(l, out);
    const auto& pass = l.pass;
    const auto& a = pass.matrix >= 0 ? operators_[pass.matrix]
                                     : *std::ranges::find(operators_, size_t{3}, [](auto& m) { return m.size(); });
    const auto& brought = l.phase == kIn && pass.into == kX ? guess_ : right_;
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

  void prepare_solve(Launch& l, const Arrays& out) {
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

  // Whether nothing is left to do; waits for what has been launched.
  bool ended() {
    mx::synchronize(stream_);
    held_.clear();
    encoded_ = 0;
    check_interrupt();
    const auto* state = state_.data<int32_t>();
    if (kind_.history) {
      const float* norms = norms_.data<float>() + k_;
      for (; tests_ < state[2]; ++tests_) {
        const float* tested = norms + static_cast<int64_t>(tests_ % kRing) * k_;
        kind_.history->insert(kind_.history->end(), tested, tested + k_);
      }
    }
    return state[0] != 0;
  }

  const KrylovKind& kind_;
  const Recording& r_;
  std::vector<KrylovOperator> operators_;
  mx::Stream stream_;
  int n_, k_;
  Writer writer_;
  bool separate_; // launches of vectors' operations and of scalar instructions
  mx::array right_, guess_, bounds_;
  mx::array before_; // what the launch before has made
  mx::array memory_, scalars_, state_, norms_, code_;
  mx::array turns_, counters_; // of solves
  std::vector<int32_t> turn_words_;
  std::map<std::pair<int, int>, Solver> solvers_; // by triangle and form
  std::vector<Launch> first_, last_, nothing_, out_;
  std::vector<std::vector<Launch>> steps_;
  std::map<std::tuple<int, int, bool, int>, Prepared> prepared_;
  Arrays held_; // until the device is done
  int tests_ = 0, encoded_ = 0; // launches that are not handed over yet
};

} // namespace

void Krylov::shader(const Arrays& in, Arrays& out) {
  if (in[0].size() == 0) {
    for (auto& o : out) {
      o.set_data(allocate(o.nbytes()));
      if (o.nbytes()) std::memset(o.data<char>(), 0, o.nbytes());
    }
    return;
  }
  Device device(kind_, in, operators(in), stream());
  device.solve();
  device.results(out);
}

} // namespace sp
