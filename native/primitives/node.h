// What every primitive of the package is. A family says what it computes and of which operations its derivatives are
// made; names, shapes, extra outputs, batches and refusals are dealt with here.
#pragma once

#include <memory>
#include <optional>

#include "evaluate.h"

namespace sp {

using Arrays = std::vector<mx::array>;
using Axes = std::vector<int>; // of a batch, one per array; negative: not mapped

struct Output { mx::Shape shape; mx::Dtype dtype; };

class Node : public mx::Primitive, public std::enable_shared_from_this<Node> {
 public:
  // The outputs of this node over `inputs`: its results and, behind them, its scratch.
  Arrays make(Arrays inputs);
  // The first of them, which a node without siblings makes without lists.
  mx::array make_first(Arrays inputs);
  // The same of a node that has one output, where the caller knows what it is.
  mx::array make_only(Arrays inputs, Output out);

  void eval_cpu(const Arrays& inputs, Arrays& outputs) final;
  void eval_gpu(const Arrays& inputs, Arrays& outputs) final;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums, const Arrays& outputs) final;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) final;
  std::pair<Arrays, Axes> vmap(const Arrays& inputs, const Axes& axes) final;
  bool is_equivalent(const Primitive& other) const final;
  std::vector<mx::Shape> output_shapes(const Arrays& inputs) final;

 protected:
  // siblings: whether there is more than one output. Such nodes are never merged by MLX's compiler, which may bring
  // siblings into the wrong order.
  explicit Node(mx::Stream s, bool siblings = false) : Primitive(s), siblings_(siblings), shaders_(uses_shaders(s)) {}

  bool shaders() const { return shaders_; } // whether it runs as shaders

  // ---- what it is: name(), and
  virtual std::vector<int64_t> key() const = 0; // all that tells it from another node of its class
  virtual std::vector<Output> results(const Arrays& inputs) const = 0;
  // Memory that shaders need besides. It is an output because MLX keeps those until the GPU is done. Nobody reads it.
  virtual std::vector<Output> scratch(const Arrays&) const { return {}; }

  // ---- how it is computed
  // On the CPU: contiguous inputs, allocated outputs. The node may be shared by several evaluations.
  virtual void kernel(const Arrays& inputs, Arrays& outputs) const;
  // By launch(), which allocates what it is given.
  virtual void shader(const Arrays& inputs, Arrays& outputs);
  virtual bool has_shader() const { return true; }

  // ---- its derivatives
  // Its results over other inputs of the same kinds.
  virtual Arrays apply(const Arrays& inputs) = 0;
  // Whether an input is made of values; the others are structure.
  virtual bool has_derivative(int input) const { return input == 0; }
  // What the cotangent of the first result gives for one input; and for several, where these share work.
  virtual mx::array gradient(int input, const Arrays& primals, const mx::array& cotangent, const Arrays& outputs);
  virtual Arrays gradients(const std::vector<int>& inputs, const Arrays& primals, const mx::array& cotangent,
                           const Arrays& outputs);
  // The first result's rate of change for that of one input: of a multilinear node, apply() itself.
  virtual mx::array tangent(int input, const Arrays& primals, const mx::array& rate);

  // ---- a batch of it
  struct Batched { mx::array result; int axis; };
  // For families that have no batch of structures.
  static void refuse_mapped_structure(bool mapped);
  // The first result over a batch where one call can give it; otherwise slices are computed one by one.
  virtual std::optional<Batched> batched(const Arrays&, const Axes&) { return std::nullopt; }
  // The same of several results; by default of the first.
  virtual std::optional<std::pair<Arrays, Axes>> batched_results(const Arrays& inputs, const Axes& axes);

 private:
  std::vector<Output> outputs(const Arrays& inputs) const;
  void expect(const Output& out); // that there is memory for it
  void refuse_structure(int input) const;
  void answer_the_rest(Arrays& all, const Arrays& inputs);
  Arrays over_slices(const Arrays& inputs, const Axes& axes);

  bool siblings_, shaders_;
};

// The first output of a new node of class N.
template <class N, class... Args>
mx::array node(Arrays inputs, Args&&... args) {
  return std::make_shared<N>(std::forward<Args>(args)...)->make_first(std::move(inputs));
}

} // namespace sp
