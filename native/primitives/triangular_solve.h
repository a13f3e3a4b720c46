// The node of a triangular solve, by the CPU's kernel or by levels as shaders.
#pragma once

#include "inverse_product.h"
#include "triangular.h"

namespace sp {

// What a solve by levels is cut into: batches, of which each depends on those before it. Words as cs_solve_triangular.metal
// has them.
struct LevelSchedule {
  // slices, entries: how many stand before each level, and behind the last one.
  LevelSchedule(const std::vector<int64_t>& slices, const std::vector<int64_t>& entries, const TriangleForm& form, int64_t k);

  std::vector<int> chunks; // how many come before each batch, and how many there are
  std::vector<int32_t> code;

  int batches() const { return static_cast<int>(chunks.size()) - 1; }
  // Of a launch of one batch, a power of two at least as large as it has chunks; and of one of everything.
  int groups(int batch) const;
  int all_groups() const;
  // What each launch is told, of a batch or of everything.
  std::vector<int32_t> turns(bool separate, bool in_memory, int from, int into) const;
};

// Words of a turn, of the counters, and where the shader's inputs are that differ from launch to launch.
constexpr int kTurnWords = 8, kCounters = 34;
struct LevelInput { enum : size_t { right = 7, code, turn, ended, before, memory, state }; };

// Inputs behind b: order and starts of levels for the CPU, or the arrays of `Leveled` and words.
class TriangularSolve : public InverseProduct {
 public:
  TriangularSolve(mx::Stream s, const TriangleForm& form) : InverseProduct(s, {form.transposed, form.conjugate}), form_(form) {}
  TriangularSolve(mx::Stream s, const TriangleForm& form, Pattern pattern, std::shared_ptr<const LevelSchedule> schedule,
                  bool separate)
      : InverseProduct(s, {form.transposed, form.conjugate}, true), form_(form), pattern_(std::move(pattern)),
        schedule_(std::move(schedule)), separate_(separate) {}
  const char* name() const override { return "SparseTriangularSolve"; }

 private:
  std::vector<int64_t> key() const override { return {form_.lower, form_.unit, form_.transposed, form_.conjugate}; }
  mx::array solved(InverseForm op, const Arrays& in, const mx::array& values, const mx::array& b) override;
  void require_derivative(const Arrays& in) const override;
  mx::array that_count(const mx::array& values, const Arrays& in) override;
  void kernel(const Arrays& in, Arrays& out) const override;
  bool has_shader() const override { return schedule_ != nullptr; }
  std::vector<Output> scratch(const Arrays& in) const override;
  void shader(const Arrays& in, Arrays& out) override;

  std::optional<LevelArrays> levels_in(const Arrays& in) const;

  TriangleForm form_;
  Pattern pattern_{};
  std::shared_ptr<const LevelSchedule> schedule_;
  bool separate_ = false; // a launch for each batch
};

void check_operands(const HostTriangle& t, const mx::array& b);

} // namespace sp
