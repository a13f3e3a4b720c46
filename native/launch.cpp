#include "launch.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>

#include "mlx/fast.h"
#include "mlx/primitives.h"
#include "primitives/evaluate.h"

namespace sp {

namespace {

[[noreturn]] void refuse(const char* shader, const std::string& why) {
  throw std::invalid_argument(std::string("shader ") + shader + ": " + why);
}

// What is neither bool nor made of numbers.
bool is_type(const std::string& kind) { return kind != "bool" && !(kind[0] >= '0' && kind[0] <= '9'); }

// The dtype of a type parameter: what `args` says, else that of the first buffer declared with it.
mx::Dtype resolve_type(const Shader& sh, const std::string& param, const std::string& kind,
                       const std::vector<mx::array>& inputs, const std::vector<mx::array>& outputs) {
  for (size_t i = 0, given = 0; i < sh.inputs.size(); ++i) {
    const bool like = std::string(sh.inputs[i].first).ends_with("_like");
    if (!like && param == sh.inputs[i].second) return inputs.at(given).dtype();
    given += !like;
  }
  if (kind == "acc") {
    for (auto& [name, what] : sh.params) {
      if (std::string(what) == "value") return acc_dtype(resolve_type(sh, name, what, inputs, outputs));
    }
  }
  for (size_t i = 0; i < sh.outputs.size(); ++i) {
    if (param == sh.outputs[i].second) return outputs.at(i).dtype();
  }
  refuse(sh.name, "no dtype for parameter " + param);
}

TemplateArgs complete(const Shader& sh, const TemplateArgs& args, const std::vector<mx::array>& inputs,
                      const std::vector<mx::array>& outputs) {
  TemplateArgs all;
  for (auto& [name, kind] : sh.params) {
    if (is_type(kind)) {
      all.emplace_back(name, resolve_type(sh, name, kind, inputs, outputs));
      continue;
    }
    auto given = std::find_if(args.begin(), args.end(), [n = name](auto& a) { return a.first == n; });
    if (given == args.end()) refuse(sh.name, std::string("parameter ") + name + " is missing");
    all.push_back(*given);
  }
  return all;
}

void check_counts(const Shader& sh, size_t inputs, const std::vector<mx::array>& outputs) {
  const auto like = std::count_if(sh.inputs.begin(), sh.inputs.end(),
                                  [](auto& in) { return std::string(in.first).ends_with("_like"); });
  if (inputs + like != sh.inputs.size()) refuse(sh.name, "wrong number of inputs");
  if (outputs.size() != sh.outputs.size()) refuse(sh.name, "wrong number of outputs");
}

const mx::array& output_named(const Shader& sh, const std::string& like, const std::vector<mx::array>& outputs) {
  for (size_t i = 0; i < sh.outputs.size(); ++i) {
    if (like == std::string(sh.outputs[i].first) + "_like") return outputs[i];
  }
  refuse(sh.name, like + " has no output");
}

// Carries a shape to the kernel and nothing else: it shares the buffer of an input, which outlives the launch.
mx::array shape_only(const mx::array& of, const mx::array& buffer) {
  mx::array a(of.shape(), of.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = true;
  a.copy_shared_buffer(buffer, a.strides(), flags, buffer.data_size());
  return a;
}

const mx::fast::CustomKernelFunction& gpu_function(const Shader& sh) {
  static std::mutex mutex;
  static std::map<const Shader*, mx::fast::CustomKernelFunction> made;
  std::lock_guard<std::mutex> lock(mutex);
  auto& f = made[&sh];
  if (!f) {
    std::vector<std::string> in, out;
    for (auto& p : sh.inputs) in.emplace_back(p.first);
    for (auto& p : sh.outputs) out.emplace_back(p.first);
    const bool metal = mx::metal::is_available();
    std::string header = metal ? prelude_metal : prelude_cuda;
    for (const char* text : sh.shared) header += text;
    if (!metal && sh.resident > 0) { // MLX writes the line that declares the kernel
      header += "#undef __global__\n#define __global__ __attribute__((global)) __attribute__((launch_bounds(" +
          std::to_string(sh.group) + ", " + std::to_string(sh.resident) + ")))\n";
    }
    f = metal ? mx::fast::metal_kernel(sh.name, in, out, sh.body, header)
              : mx::fast::cuda_kernel(sh.name, in, out, sh.body, header);
  }
  return f;
}

// A node that is never evaluated: its primitive is run at once, on the outputs of the caller.
mx::array gpu_node(const Shader& sh, const std::vector<mx::array>& inputs, const std::vector<mx::array>& outputs,
                   const TemplateArgs& args, std::array<int, 3> groups, mx::Stream s, bool zeroed) {
  std::vector<mx::Shape> shapes;
  std::vector<mx::Dtype> dtypes;
  for (auto& out : outputs) {
    shapes.push_back(out.shape());
    dtypes.push_back(out.dtype());
  }
  const auto start = zeroed ? std::optional<float>(0.0f) : std::nullopt;
  return gpu_function(sh)(inputs, shapes, dtypes, {groups[0] * sh.group, groups[1], groups[2]}, {sh.group, 1, 1}, args,
                          start, false, s)[0];
}

// What the text and the launch of a node depend on: a key for the node's primitive, whose making takes longer than a launch.
std::vector<int64_t> launch_key(const Shader& sh, const std::vector<mx::array>& inputs, const std::vector<mx::array>& outputs,
                                const TemplateArgs& args, std::array<int, 3> groups, mx::Stream s, bool zeroed) {
  std::vector<int64_t> key{reinterpret_cast<int64_t>(&sh), groups[0], groups[1], groups[2], s.index, zeroed};
  for (auto* arrays : {&inputs, &outputs}) {
    for (auto& a : *arrays) { // on Metal a few elements lie in another address space: see roomy()
      key.push_back(static_cast<int64_t>(a.ndim()) * 512 + static_cast<int64_t>(a.dtype().val()) * 2 + (a.size() < 8));
    }
  }
  for (auto& [name, value] : args) {
    key.push_back(std::visit([](auto v) {
      if constexpr (std::is_same_v<decltype(v), mx::Dtype>) return static_cast<int64_t>(v.val());
      else return static_cast<int64_t>(v);
    }, value));
  }
  return key;
}

void launch_gpu(const Shader& sh, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
                const TemplateArgs& args, std::array<int, 3> groups, mx::Stream s, bool zeroed) {
  std::vector<mx::array> all;
  size_t given = 0;
  for (auto& [name, what] : sh.inputs) {
    const bool like = std::string(name).ends_with("_like");
    all.push_back(like ? shape_only(output_named(sh, name, outputs), inputs.at(0)) : inputs[given++]);
  }
  constexpr size_t kKept = 256; // primitives
  thread_local std::map<std::vector<int64_t>, std::shared_ptr<mx::Primitive>> made; // as streams are of their thread
  const auto key = launch_key(sh, all, outputs, args, groups, s, zeroed);
  auto found = made.find(key);
  if (found == made.end()) {
    if (made.size() >= kKept) made.clear();
    found = made.emplace(key, gpu_node(sh, all, outputs, args, groups, s, zeroed).primitive_ptr()).first;
  }
  found->second->eval_gpu(all, outputs);
}

std::array<int, 3> groups_of(const Shader& sh, std::array<int, 3> grid) {
  return {std::max(1, grid[0] / sh.group + (grid[0] % sh.group != 0)), std::max(1, grid[1]), std::max(1, grid[2])};
}

HostArray host_array(const mx::array& a) {
  return {const_cast<char*>(a.data<char>()), a.size(), a.dtype(), {a.shape().begin(), a.shape().end()}};
}

void launch_host(const Shader& sh, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
                 TemplateArgs args, std::array<int, 3> groups, mx::Stream s, bool zeroed) {
  run_on_cpu(s, inputs, outputs, [&sh, args = std::move(args), groups, zeroed](auto& in, auto& out) {
    HostLaunch host{sh.name, {}, {}, args, groups};
    size_t given = 0;
    for (auto& [name, what] : sh.inputs) {
      const bool like = std::string(name).ends_with("_like");
      host.inputs.push_back(host_array(like ? output_named(sh, name, out) : in[given++]));
    }
    for (auto& o : out) {
      if (zeroed) std::memset(o.template data<char>(), 0, o.nbytes());
      host.outputs.push_back(host_array(o));
    }
    sh.host(host);
  });
}

} // namespace

mx::Dtype acc_dtype(mx::Dtype dtype) {
  return dtype == mx::float16 || dtype == mx::bfloat16 ? mx::float32 : dtype;
}

const Shader& shader(const std::string& name) {
  for (auto& s : shaders()) {
    if (name == s.name) return s;
  }
  throw std::invalid_argument("no shader is named " + name);
}

void launch(const Shader& sh, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
            const TemplateArgs& args, std::array<int, 3> grid, mx::Stream s, bool zeroed) {
  check_counts(sh, inputs.size(), outputs);
  const auto groups = groups_of(sh, grid);
  auto all_args = complete(sh, args, inputs, outputs);
  if (s.device == mx::Device::gpu) launch_gpu(sh, inputs, outputs, all_args, groups, s, zeroed);
  else launch_host(sh, inputs, outputs, std::move(all_args), groups, s, zeroed);
}

Prepared::Prepared(const Shader& sh, const std::vector<mx::array>& inputs, const std::vector<mx::array>& outputs,
                   const TemplateArgs& args, std::array<int, 3> grid, mx::Stream s)
    : shader_(sh), args_(complete(sh, args, inputs, outputs)), groups_(groups_of(sh, grid)), stream_(s) {
  check_counts(sh, inputs.size(), outputs);
  if (s.device == mx::Device::gpu) primitive_ = gpu_node(sh, inputs, outputs, args_, groups_, s, false).primitive_ptr();
}

void Prepared::run(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) const {
  if (primitive_) primitive_->eval_gpu(inputs, outputs);
  else launch_host(shader_, inputs, outputs, args_, groups_, stream_, false);
}

void launch_each(const char* name, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
                 const TemplateArgs& args, mx::Stream s) {
  const int n = to_dim(outputs[0].size());
  if (n == 0) return allocate_all(outputs);
  const int batch = outputs[0].ndim() > 1 ? outputs[0].shape(0) : 1;
  launch(shader(name), inputs, outputs, args, {n / batch, 1, batch}, s);
}

mx::Shape roomy(int64_t n) { return {to_dim(std::max<int64_t>(8, n))}; }

mx::array roomy(const mx::array& a, const mx::array& other, int64_t offset, int64_t size) {
  const auto& from = a.size() == 0 ? other : a;
  mx::array made(roomy(size < 0 ? static_cast<int64_t>(from.size()) : size), from.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = flags.col_contiguous = true;
  made.copy_shared_buffer(from, made.strides(), flags, made.size(), offset);
  return made;
}

std::atomic<bool>& separate_launches() {
  static std::atomic<bool> separate = false;
  return separate;
}

bool launches_separately(mx::Stream s) {
  return separate_launches() || (s.device == mx::Device::gpu && mx::metal::is_available());
}

void allocate_all(std::vector<mx::array>& outputs) {
  for (auto& out : outputs) out.set_data(allocate(out.nbytes()));
}

} // namespace sp
