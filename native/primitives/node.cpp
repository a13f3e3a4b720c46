#include "node.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace sp {

namespace {

// Whether a path of the graph leads from `a` to what a transformation differentiates, maps or compiles, and not through
// stop_gradient. There it starts with a copy of what the caller gave.
bool depends_on_traced(const mx::array& a) {
  std::vector<mx::array> todo{a};
  std::unordered_set<std::uintptr_t> seen;
  while (!todo.empty()) {
    const auto next = todo.back();
    todo.pop_back();
    if (!next.is_tracer() || !seen.insert(next.id()).second) continue;
    const std::string_view made_by = next.has_primitive() ? next.primitive().name() : "Copy";
    if (made_by == "Copy") return true;
    if (made_by != "StopGradient") todo.insert(todo.end(), next.inputs().begin(), next.inputs().end());
  }
  return false;
}

} // namespace

void refuse_traced(const mx::array& a) {
  if (!a.is_tracer() || !depends_on_traced(a)) return;
  static const auto& plain = *new mx::array(0);
  if (plain.is_tracer()) return; // where every array counts as one, as in rules of mx.custom_function
  throw std::invalid_argument(
      "this operation reads its operand's stored entries and has no derivative, so it cannot run on a traced array (inside "
      "mx.grad, mx.vmap or mx.compile); build the sparse structure outside and use with_data inside, or mark what is "
      "constant with mx.stop_gradient");
}

std::vector<Output> Node::outputs(const Arrays& inputs) const {
  auto all = results(inputs);
  if (siblings_) {
    for (auto& more : scratch(inputs)) all.push_back(std::move(more));
  }
  return all;
}

void Node::expect(const Output& out) {
  if (stream().device == mx::Device::cpu) expect_memory(bytes_of(out.shape, out.dtype));
}

mx::array Node::make_only(Arrays inputs, Output out) {
  for (auto& in : inputs) is_there(in); // lets go of a past event before threads evaluate
  expect(out);
  return mx::array(std::move(out.shape), out.dtype, shared_from_this(), std::move(inputs));
}

mx::array Node::make_first(Arrays inputs) {
  if (siblings_) return make(std::move(inputs))[0];
  auto out = std::move(results(inputs)[0]);
  return make_only(std::move(inputs), std::move(out));
}

Arrays Node::make(Arrays inputs) {
  if (!siblings_) return {make_first(std::move(inputs))};
  for (auto& in : inputs) is_there(in);
  auto all = outputs(inputs);
  std::vector<mx::Shape> shapes;
  std::vector<mx::Dtype> dtypes;
  for (auto& out : all) {
    expect(out);
    shapes.push_back(std::move(out.shape));
    dtypes.push_back(out.dtype);
  }
  return mx::array::make_arrays(std::move(shapes), dtypes, shared_from_this(), inputs);
}

void Node::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  const bool wide = std::ranges::any_of(inputs, [](auto& a) { return is_wide(a.dtype()); });
  if (shaders_ && !wide && has_shader() && !evaluating_here) return shader(inputs, outputs);
  run_on_cpu(stream(), inputs, outputs, [self = shared_from_this()](auto& in, auto& out) { self->kernel(in, out); });
}

void Node::eval_gpu(const Arrays& inputs, Arrays& outputs) { shader(inputs, outputs); }

void Node::kernel(const Arrays&, Arrays&) const { throw std::logic_error(std::string(name()) + " has no CPU kernel"); }

void Node::shader(const Arrays&, Arrays&) {
  throw std::runtime_error(std::string(name()) + " has no GPU form and was made for a CPU stream");
}

void Node::refuse_structure(int input) const {
  if (!has_derivative(input)) {
    throw std::invalid_argument(
        "index arrays are not differentiable: they are the structure of a sparse array or of segments; take the gradient "
        "with respect to stored values or dense operands");
  }
}

// Every output needs an answer of a rule, though nobody reads those behind the first.
void Node::answer_the_rest(Arrays& all, const Arrays& inputs) {
  const auto outputs = this->outputs(inputs);
  for (size_t i = all.size(); i < outputs.size(); ++i) all.push_back(mx::zeros({1}, outputs[i].dtype, stream()));
}

void Node::refuse_mapped_structure(bool mapped) {
  if (mapped) throw std::invalid_argument("vmap over the structure of a sparse array is not supported; map its data instead");
}

mx::array Node::gradient(int, const Arrays&, const mx::array&, const Arrays&) {
  throw std::invalid_argument(std::string(name()) +
                              " has no derivative; where none is wanted, give it mx.stop_gradient of its operand");
}

mx::array Node::tangent(int input, const Arrays& primals, const mx::array& rate) {
  auto inputs = primals;
  inputs[input] = rate;
  return apply(inputs)[0];
}

Arrays Node::gradients(const std::vector<int>& inputs, const Arrays& primals, const mx::array& cotangent,
                       const Arrays& outputs) {
  Arrays found;
  for (int input : inputs) found.push_back(gradient(input, primals, cotangent, outputs));
  return found;
}

Arrays Node::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums, const Arrays& outputs) {
  for (int input : argnums) refuse_structure(input);
  return gradients(argnums, primals, cotangents[0], outputs);
}

Arrays Node::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
  std::optional<mx::array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    refuse_structure(argnums[i]);
    auto term = tangent(argnums[i], primals, tangents[i]);
    total = total ? mx::add(*total, term, stream()) : term;
  }
  Arrays all{*total};
  answer_the_rest(all, primals);
  return all;
}

std::optional<std::pair<Arrays, Axes>> Node::batched_results(const Arrays& inputs, const Axes& axes) {
  auto found = batched(inputs, axes);
  if (!found) return std::nullopt;
  return std::pair{Arrays{std::move(found->result)}, Axes{found->axis}};
}

std::pair<Arrays, Axes> Node::vmap(const Arrays& inputs, const Axes& axes) {
  Arrays all;
  Axes mapped;
  if (auto found = batched_results(inputs, axes)) {
    std::tie(all, mapped) = std::move(*found);
  } else {
    all = over_slices(inputs, axes);
    mapped.assign(all.size(), 0);
  }
  answer_the_rest(all, inputs);
  mapped.resize(all.size(), -1);
  return {std::move(all), std::move(mapped)};
}

// One call per slice, stacked.
Arrays Node::over_slices(const Arrays& inputs, const Axes& axes) {
  int count = 0;
  for (size_t i = 0; i < inputs.size(); ++i) if (axes[i] >= 0) count = inputs[i].shape(axes[i]);
  std::vector<Arrays> slices; // by result
  for (int b = 0; b < count; ++b) {
    Arrays slice;
    for (size_t i = 0; i < inputs.size(); ++i) {
      slice.push_back(axes[i] < 0 ? inputs[i] : mx::take(inputs[i], b, axes[i], stream()));
    }
    auto found = apply(slice);
    slices.resize(found.size());
    for (size_t r = 0; r < found.size(); ++r) slices[r].push_back(std::move(found[r]));
  }
  Arrays all;
  for (auto& result : slices) all.push_back(mx::stack(result, 0, stream()));
  return all;
}

bool Node::is_equivalent(const Primitive& other) const {
  const auto& o = static_cast<const Node&>(other);
  return !siblings_ && !o.siblings_ && shaders_ == o.shaders_ && key() == o.key();
}

std::vector<mx::Shape> Node::output_shapes(const Arrays& inputs) {
  std::vector<mx::Shape> shapes;
  for (auto& out : outputs(inputs)) shapes.push_back(std::move(out.shape));
  return shapes;
}

} // namespace sp
