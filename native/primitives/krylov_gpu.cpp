// Recorded recurrences on a GPU, as a whole or step by step. The host encodes some steps, then looks whether they have come
// to an end; what is launched after that does nothing.
#include <algorithm>
#include <cstring>
#include <functional>

#include "krylov_device.h"
#include "wait.h"

namespace sp {

namespace {

constexpr int kFirstLook = 8;                   // steps until the first look; they double up to kLastLook
constexpr int kFirstAhead = 8, kLastAhead = 32; // steps that are taken before the host has decided on them

// A whole solution.
class Solve : KrylovDevice {
 public:
  Solve(const KrylovKind& kind, const Arrays& in, std::vector<KrylovOperator> operators, mx::Stream s)
      : KrylovDevice(task(kind, in, std::move(operators), s)), history_(kind.history) {
    require_fit(square());
  }

  void run() {
    for (auto& l : first_) launch(l);
    const int64_t most = steps_at_most_, period = static_cast<int64_t>(steps_.size());
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
    take_out(kX, out[0]);
    const auto* state = state_.data<int32_t>() + kState;
    for (int i : {1, 2, 3}) out[i].set_data(allocate(out[i].nbytes()));
    std::copy_n(state + k_, k_, out[1].data<int32_t>());
    std::copy_n(state + 2 * k_, k_, out[2].data<int32_t>());
    std::copy_n(norms_.data<float>(), k_, out[3].data<float>());
  }

 private:
  static Task task(const KrylovKind& kind, const Arrays& in, std::vector<KrylovOperator> operators, mx::Stream s) {
    const int n = in[0].shape(0), k = kind.single ? 1 : in[0].shape(1);
    const auto x = kind.guess ? std::optional(in[2]) : std::nullopt;
    const auto& r = *kind.recording;
    return {r, std::move(operators), s, {n, n}, k, kind.single, kB, 0, x, in[0], in[1], r.halves * kind.maxiter};
  }

  bool ended() {
    const bool is_done = waited();
    if (history_) {
      const float* norms = norms_.data<float>() + k_;
      for (const int tests = state_.data<int32_t>()[2]; tests_ < tests; ++tests_) {
        const float* tested = norms + static_cast<int64_t>(tests_ % kRing) * k_;
        history_->insert(history_->end(), tested, tested + k_);
      }
    }
    return is_done;
  }

  std::shared_ptr<std::vector<float>> history_;
  int tests_ = 0;
};

// Work on a stream between nodes of the graph, where MLX lets nobody else launch.
class Errand : public Node {
 public:
  using Work = std::function<void(mx::array& out)>;
  Errand(mx::Stream s, Output result, Work work) : Node(s), result_(std::move(result)), work_(std::move(work)) {}
  const char* name() const override { return "Errand"; }

 private:
  std::vector<int64_t> key() const override { return {reinterpret_cast<int64_t>(this)}; }
  std::vector<Output> results(const Arrays&) const override { return {result_}; }
  void shader(const Arrays&, Arrays& out) override { work_(out[0]); }
  bool has_derivative(int) const override { return false; }
  Arrays apply(const Arrays&) override { throw std::invalid_argument("an errand is done once"); }

  Output result_;
  Work work_;
};

// The device runs ahead: a block of steps, while the host looks at the numbers of the block before. What stands before a
// block is kept, so that the device can be taken back to the step that the host is at.
class Ahead final : public KrylovDeviceSteps, KrylovDevice {
 public:
  explicit Ahead(Task task) : KrylovDevice(std::move(task)) {}

  bool start() override {
    run([this] {
      for (auto& l : first_) launch(l);
      waited();
      known_ = {{}, -1, 1, numbers(0, 1)};
      coming_ = begun(0);
    });
    return true;
  }

  bool step() override {
    if (at_ >= steps_at_most_) throw std::invalid_argument("more steps than were asked for");
    if (++at_ <= known_.last()) return true;
    run([this] {
      if (!coming_) coming_ = begun(at_ - 1);
      waited();
      known_ = std::move(*coming_);
      known_.numbers = numbers(known_.before + 1, known_.count);
      coming_ = begun(known_.last());
    });
    return true;
  }

  double number(int scalar, size_t j) const override {
    const int64_t row = at_ - known_.before - 1;
    return known_.numbers[(row * k_ + static_cast<int64_t>(j)) * given_ + scalar - r_.square];
  }

  void freeze(size_t j) override {
    if (!open(j)) return;
    run([this, j] {
      take_back();
      state_.data<int32_t>()[kState + j] = 0;
    });
  }

  mx::array vector(int slot) override {
    mx::Shape shape{n_[r_.spaces[slot]]};
    if (!single_) shape.push_back(k_);
    auto made = std::make_shared<Errand>(stream_, Output{shape, right_.dtype()}, [this, slot](mx::array& out) {
      take_back();
      take_out(placed_[at_ % static_cast<int64_t>(placed_.size())][slot], out);
      waited();
    })->make_first({});
    wait_for({made});
    return made;
  }

 private:
  struct Kept {
    std::optional<mx::array> memory;
    std::vector<char> scalars;
    std::vector<int32_t> state;
  };
  struct Block {
    Kept kept;          // what stood before it
    int64_t before, count; // the step before its first one; how many there are
    std::vector<float> numbers{};
    int64_t last() const { return before + count; }
  };

  void run(const std::function<void()>& work) {
    auto done = std::make_shared<Errand>(stream_, Output{{1}, mx::int32}, [&work](mx::array& out) {
      out.set_data(allocate(out.nbytes()));
      work();
    })->make_first({});
    wait_for({done});
  }

  bool open(size_t j) const { // of what is kept, as the device may write to the state
    const auto& kept = coming_ ? coming_->kept.state : known_.kept.state;
    return coming_ || !kept.empty() ? kept[kState + j] != 0 : state_.data<int32_t>()[kState + j] != 0;
  }

  std::vector<float> numbers(int64_t first, int64_t count) const {
    std::vector<float> found;
    for (int64_t test = first; test < first + count; ++test) {
      const float* given = norms_.data<float>() + k_ + test % kRing * k_ * given_;
      found.insert(found.end(), given, given + k_ * given_);
    }
    return found;
  }

  // The device has done all that it was given.
  std::optional<Block> begun(int64_t before) {
    const int64_t count = std::min(std::clamp<int64_t>(before / 4, kFirstAhead, kLastAhead), steps_at_most_ - before);
    if (count <= 0) return std::nullopt;
    const auto* state = state_.data<int32_t>();
    Block block{{on_device(places(), right_.dtype(), all_[0]),
                 {scalars_.data<char>(), scalars_.data<char>() + scalars_.nbytes()}, {state, state + state_.size()}}, before, count};
    taken(before, count);
    return block;
  }

  void taken(int64_t before, int64_t count) {
    for (int64_t i = before; i < before + count; ++i) {
      for (auto& l : steps_[i % static_cast<int64_t>(steps_.size())]) launch(l);
      submit();
    }
  }

  // To the step that the host is at, of which it keeps the numbers.
  void take_back() {
    waited();
    const bool within = at_ < known_.last();
    if (within || coming_) {
      const auto& kept = within ? known_.kept : coming_->kept;
      all_[1].brought = &*kept.memory;
      if (!all_[1].in.empty()) all_[1].in[kBrought] = *kept.memory;
      launch(all_[1]);
      std::copy(kept.scalars.begin(), kept.scalars.end(), scalars_.data<char>());
      std::copy(kept.state.begin(), kept.state.end(), state_.data<int32_t>());
      if (within) taken(known_.before, at_ - known_.before);
      waited();
    }
    const auto row = known_.numbers.begin() + (at_ - known_.before - 1) * k_ * given_;
    known_ = {{}, at_ - 1, 1, {row, row + k_ * given_}};
    coming_.reset();
  }

  int64_t at_ = 0;
  Block known_{{}, -1, 0};
  std::optional<Block> coming_; // of which the host knows nothing yet
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
  Solve solve(kind_, in, operators(in), stream());
  solve.run();
  solve.results(out);
}

std::unique_ptr<KrylovDeviceSteps> krylov_device_steps(const Recording& recording, std::vector<KrylovOperator> operators,
                                                       const mx::array& x, const mx::array& r, int given, int64_t steps,
                                                       mx::Stream s) {
  const bool single = r.ndim() == 1;
  const auto& spaces = recording.spaces;
  const bool square = spaces[kX] == spaces[kResidual];
  if ((!single && r.ndim() != 2) || x.ndim() != r.ndim() || x.dtype() != r.dtype() || r.size() == 0 || x.size() == 0 ||
      (r.dtype() != mx::float32 && r.dtype() != mx::complex64) || (square && x.shape(0) != r.shape(0)) ||
      (!single && x.shape(1) != r.shape(1))) {
    throw std::invalid_argument("x and r must be arrays of float32 or complex64 and of matching shapes");
  }
  require_fit(static_cast<int>(operators.size()) == recording.operators);
  require_fit(given > 0 && given <= recording.scalars - recording.square && steps >= 0);
  Arrays all{mx::contiguous(x, false, s), mx::contiguous(r, false, s)};
  for (auto& a : operators) {
    for (auto& part : a) all.push_back(part = mx::contiguous(part, false, s)); // launches would copy what is strided
  }
  wait_for(all);
  std::array<int, 2> n{};
  n[1 - spaces[kResidual]] = x.shape(0); // of both spaces if there is one
  n[spaces[kResidual]] = r.shape(0);
  const int k = single ? 1 : r.shape(1);
  std::unique_ptr<KrylovDeviceSteps> made;
  auto done = std::make_shared<Errand>(s, Output{{1}, mx::int32}, [&](mx::array& out) {
    out.set_data(allocate(out.nbytes()));
    made = std::make_unique<Ahead>(KrylovDevice::Task{recording, std::move(operators), s, n, k, single, kResidual, given, all[0],
                                                all[1], std::nullopt, steps});
  })->make_first({});
  wait_for({done});
  return made;
}

} // namespace sp
