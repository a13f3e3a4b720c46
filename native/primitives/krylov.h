// Recurrences of iterative solvers, recorded by mlx_sparse/linalg/_recorded.py as programs over numbered vectors and
// scalars, and replayed here without Python: one pass over memory for each group of vector operations.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <vector>

#include "node.h"
#include "triangular.h"

namespace sp {

// Operations by number. Scalars: out, then operands. `pass` begins a group of `a` vector operations, which follow.
enum class Op {
  add, subtract, multiply, negate, modulus, conjugate, real, ratio, above, root, reciprocal, rotation,
  pass,       // out: how many operations follow; a: the operator of a product y <- A x, or -1; b: y; c: x
  overwrite, plus, combine, // out: y; a, b: scalars; c: x
  scale,      // out: y; a: a diagonal operator; b: x
  dot,        // out: a scalar; a, b
  squares,    // out: y; a: x
  zero,       // out: y
  solve,      // out: y; a: a triangle T; b: x; c: the bits of its form: y <- op(T)^-1 x, of whole vectors
};

struct Instruction {
  Op op;
  int out, a, b, c, d;
};

// One part of a program, and how the state after it becomes the state before the next part: vector slot i takes the
// memory of slot order[i], scalar slots are copied all at once.
struct Segment {
  std::vector<Instruction> code;
  std::vector<int> order;
  std::vector<std::pair<int, int>> copies; // (to, from)
};

// Vectors of least squares live in two spaces: residuals have a row of the operator for each element, iterates a column.
struct Recording {
  int vectors, scalars, operators; // of the first, 0 is x, 1 its residual, 2 the right-hand side
  int square;                      // the scalar whose root is tested
  std::vector<std::pair<int, double>> constants;
  Segment guess, start;
  std::vector<Segment> steps; // taken in turn
  int halves;                 // steps in an iteration
  bool tests_last;
  std::vector<int> spaces; // of each vector, 0 or 1; the operand of a pass has its own, all else in it the same
  // What use makes of each operator: how many arrays it must have (3 for products, 1 for scaling, at most 5 for solving),
  // and the spaces of its operands and results.
  std::vector<int> arrays{}, starts{}, ends{};
};

// A checked recording: numbers are in range, so that replaying it stays within its memory.
std::shared_ptr<Recording> make_recording(Recording r);

inline void require_fit(bool fits) {
  if (!fits) throw std::invalid_argument("operands of a recorded recurrence do not fit each other");
}

// What the steps multiply by: (data, indices, indptr) by rows, or a diagonal alone. What they solve with: a triangle as
// triangular.h has it, (data, indices, indptr), and maybe its levels (order, starts).
using KrylovOperator = Arrays;

struct KrylovResult {
  std::vector<int> codes, steps; // by column: 0 on convergence, the negative code of a breakdown, else 1; steps taken
  std::vector<double> norms;     // of each test, or of the last one, by column
};

// Solves for the k columns of b, all evaluated and of one dtype. x holds the guess, if `guess`, and receives the result.
// single: one vector rather than columns, so that a breakdown ends the solution. tolerance: by column.
struct KrylovTask {
  const Recording& recording;
  const std::vector<KrylovOperator>& operators;
  mx::Dtype dtype;
  std::array<size_t, 2> n; // elements of a column, by space
  size_t k;
  bool single, guess;
  const void* b;
  void* x;
  const double* tolerance;
  int64_t maxiter;
  bool history; // whether the norms of all tests are kept
};
KrylovResult krylov_host(const KrylovTask& task);

// The same program step by step, for loops that decide in between, by its scalars. What the task refers to must outlive it.
class KrylovSteps {
 public:
  virtual ~KrylovSteps() = default;
  virtual bool start() = 0;                            // these two: whether the method goes on
  virtual bool step() = 0;
  virtual double number(int scalar, size_t j) const = 0; // the real part, of column j
  virtual void freeze(size_t j) = 0;                   // column j stays as it is
};
class KrylovHostSteps : public KrylovSteps {
 public:
  virtual void copy(int vector, void* out) const = 0;
};
// x holds the iterate; b is the first residual.
std::unique_ptr<KrylovHostSteps> krylov_steps(const KrylovTask& task);

// On a device, in float32 or complex64; nothing in the recording may end it. x: the iterate; r: its residual, both (n,) or
// (n, k); `given` scalars from `square` on are its numbers; it takes `steps` at the most.
class KrylovDeviceSteps : public KrylovSteps {
 public:
  virtual mx::array vector(int slot) = 0;
};
std::unique_ptr<KrylovDeviceSteps> krylov_device_steps(const Recording& recording, std::vector<KrylovOperator> operators,
                                                       const mx::array& x, const mx::array& r, int given, int64_t steps,
                                                       mx::Stream s);

// A solution as a node. Inputs: b, the tolerances by column, the guess if there is one, the arrays of each operator.
// Results: x; by column int32 codes (as in KrylovResult), int32 numbers of steps, and the last norm of the residual.
struct KrylovKind {
  std::shared_ptr<Recording> recording;
  std::vector<int> sizes; // how many arrays each operator is made of
  bool guess, single;
  int64_t maxiter;
  bool as_shaders; // on a GPU, or where the host plays one: float32 and complex64 only (krylov_gpu.cpp)
  std::shared_ptr<std::vector<float>> history{}; // there: receives the norms of all tests
};
class Krylov : public Node {
 public:
  Krylov(mx::Stream s, KrylovKind kind) : Node(s, true), kind_(std::move(kind)) {}
  const char* name() const override { return "Krylov"; }

 private:
  std::vector<int64_t> key() const override;
  std::vector<Output> results(const Arrays& inputs) const override;
  std::vector<KrylovOperator> operators(const Arrays& inputs) const;
  void kernel(const Arrays& inputs, Arrays& outputs) const override;
  void shader(const Arrays& inputs, Arrays& outputs) override;
  bool has_shader() const override { return kind_.as_shaders; }
  bool has_derivative(int) const override { return true; } // refused by name
  Arrays apply(const Arrays& inputs) override;
  std::optional<std::pair<Arrays, Axes>> batched_results(const Arrays& inputs, const Axes& axes) override;

  KrylovKind kind_;
};

// operators: lists of arrays. b (n,) or (n, k), tolerance () or (k,).
Arrays krylov(const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators, const mx::array& b,
              const std::optional<mx::array>& x, const mx::array& tolerance, int64_t maxiter, mx::Stream s);

// The same at once, on the device of the stream: x, and by column codes, and the norms of all tests, one after the other.
struct KrylovFound {
  mx::array x;
  std::vector<int> codes;
  std::vector<float> norms;
};
KrylovFound krylov_on_device(const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators,
                             const mx::array& b, const std::optional<mx::array>& x, const mx::array& tolerance,
                             int64_t maxiter, mx::Stream s);

} // namespace sp
