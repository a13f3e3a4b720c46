// A recorded recurrence on a GPU: its memory there, its launches, and their order. One launch for each pass, which runs the
// scalar instructions behind it too; on Metal, whose threadgroups do not see each other's writes for certain before a launch
// ends, another launch runs these.
#pragma once

#include <map>
#include <tuple>

#include "../launch.h"
#include "krylov_passes.h"
#include "triangular_solve.h"

namespace sp {

constexpr int kState = 8;         // where, in the state, what is by column begins: krylov_pass.metal
constexpr int kLastLook = 64;     // steps between two looks of the host, at the most
constexpr int kRing = kLastLook + 8; // tests whose norms, or numbers, are kept
constexpr int kBrought = 4;       // which of the shader's inputs is `right`

// Memory on a device, the launches of a recording, and what the next ones are prepared from.
class KrylovDevice {
 public:
  // x: the iterate, if there is one; b: what is brought in as the vector `right`. given: as PassWriter's.
  struct Task {
    const Recording& recording;
    std::vector<KrylovOperator> operators;
    mx::Stream stream;
    std::array<int, 2> n; // elements of a column, by space
    int k;
    bool single;
    int right, given;
    std::optional<mx::array> x;
    mx::array b;
    std::optional<mx::array> bounds;
    int64_t steps; // at the most
  };
  explicit KrylovDevice(Task task);
  ~KrylovDevice();
  KrylovDevice(const KrylovDevice&) = delete; // launches refer to its arrays

 protected:
  struct Launch {
    KrylovPass pass;
    int phase = 0; // as the shader's
    int groups = 1; // along the rows
    int64_t offset = 0; // of its words
    std::optional<mx::array> words{};
    const mx::array* code = nullptr; // of a solve
    const mx::array* brought = nullptr; // by phase kIn
    Arrays in{}; // what the shader reads, from the first time on
    const Prepared* prepared = nullptr;
  };
  // Memory that is the device's own, as the output of a launch is.
  mx::array on_device(int64_t elements, mx::Dtype dtype, Launch& by);
  // The vector at a place becomes the output of a node: in memory of its own, so that the others' is not kept.
  void take_out(int place, mx::array& out);
  void launch(Launch& l);

  // Hands over what is encoded, so that the device works while the rest is encoded. MLX does that behind a node, not
  // between the launches of one; it does so behind any other node, too, and a view is one that launches nothing.
  void submit();

  // Waits for what has been launched; whether nothing is left to do.
  bool waited();

  bool square() const { return std::ranges::none_of(r_.spaces, [](int space) { return space != 0; }); }
  int64_t places() const { return static_cast<int64_t>(writer_.places().size()) * rows_ * k_; } // elements of all vectors

  const Recording& r_;
  mx::Stream stream_;
  std::array<int, 2> n_;
  int rows_, k_; // that vectors have memory for
  bool single_, guess_;
  int given_;
  int64_t steps_at_most_;
  mx::array right_, x_, bounds_;
  mx::array memory_, scalars_, state_, norms_;
  std::vector<Launch> first_, last_, out_, all_; // of the start; of a last step; that take vectors out, or all in and out
  std::vector<std::vector<Launch>> steps_;
  std::vector<std::vector<int>> placed_; // where vectors are before each of them

 private:
  struct Solver {
    LevelSchedule schedule;
    mx::array code;
  };

  void check() const;

  // All passes, and their words in one array. right: the vector that `b` is.
  void write(int right);
  void point(std::vector<Launch>& launches);
  static bool works(const KrylovPass& p) { return p.matrix >= 0 || !p.vectors.empty(); }

  // Of a triangle in one form.
  const Solver& solver(int triangle, int form);
  void lay_solve(const KrylovPass& p, std::vector<Launch>& launches);

  // The launch that takes the vector at a place out, or brings it in; of all of them, if that is negative.
  Launch lay_move(int phase, int place, std::vector<int32_t>& words) const;
  Launch lay(KrylovPass p, int phase, std::vector<int32_t>& words, int moved = 0) const;
  mx::array start_scalars(mx::Dtype dtype) const;

  // Launches follow each other, since each is given what the one before has made; so writing in place is in order too.
  void launch(Launch& l, Arrays& out);

  // What stays the same whenever this is launched, but for `before`.
  void prepare(Launch& l, const Arrays& out);
  void prepare_solve(Launch& l, const Arrays& out);

  std::vector<KrylovOperator> operators_;
  PassWriter writer_;
  bool separate_; // launches of vectors' operations and of scalar instructions
  mx::array before_; // what the launch before has made
  mx::array code_;
  mx::array turns_, counters_; // of solves
  std::vector<int32_t> turn_words_;
  std::map<std::pair<int, int>, Solver> solvers_; // by triangle and form
  std::vector<Launch> nothing_;
  std::map<std::tuple<int, int, bool, int>, Prepared> prepared_;
  Arrays held_; // until the device is done
  int encoded_ = 0; // launches that are not handed over yet
};

} // namespace sp
