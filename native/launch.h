// The only place that launches a shader: on Metal or CUDA through MLX's run-time compiler, on a CPU stream through the
// host executor, from the same text.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "executor/kernels.h"
#include "mlx/mlx.h"

namespace sp {

// One shader: name and type (or parameter kind) of its buffers and template parameters, in signature order.
struct Shader {
  using Names = std::vector<std::pair<const char*, const char*>>;
  const char* name;
  int group;    // threads of one group, along x
  int resident; // groups that a multiprocessor of CUDA is to hold at least: a limit of registers; 0: none
  Names inputs, outputs, params;
  std::vector<const char*> shared; // text behind the prelude that the body needs
  const char* body;
  HostKernel host;
};

extern const char* const prelude_metal;
extern const char* const prelude_cuda;
const std::vector<Shader>& shaders();
const Shader& shader(const std::string& name);

// Inside eval_cpu or eval_gpu: allocates `outputs` and runs the shader over `grid` threads, rounded up to whole groups.
// `inputs` leaves out the shader's NAME_like inputs. `args` must give the integer and boolean parameters; the dtypes of
// values, indices and accumulators follow from the inputs. With `zeroed` the outputs start as zeros. One eval may
// launch several shaders and pass outputs on as inputs, as long as each of them is an output of the primitive.
void launch(const Shader& shader, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
            const TemplateArgs& args, std::array<int, 3> grid, mx::Stream s, bool zeroed = false);

// The same for many launches in a row, on other arrays of the same dtypes and numbers of axes: what MLX needs to know of
// the shader is made once. No parameter `zeroed`, and no input NAME_like.
class Prepared {
 public:
  Prepared(const Shader& shader, const std::vector<mx::array>& inputs, const std::vector<mx::array>& outputs,
           const TemplateArgs& args, std::array<int, 3> grid, mx::Stream s);
  void run(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) const;

 private:
  const Shader& shader_;
  TemplateArgs args_;
  std::array<int, 3> groups_;
  mx::Stream stream_;
  std::shared_ptr<mx::Primitive> primitive_; // on a GPU
};

// The shader of that name with one thread for each element of the one output; its first axis of two is a batch.
void launch_each(const char* shader, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs,
                 const TemplateArgs& args, mx::Stream s);

// Memory for outputs that no shader writes.
void allocate_all(std::vector<mx::array>& outputs);

// Large enough for an address space of its own: Metal has few elements in another one, which nobody can write to.
mx::Shape roomy(int64_t n);
// `size` elements of `a` (all, if negative) from `offset` on, as a vector of at least 8, of which nobody reads those that
// it lacks; of `other` where `a` has no memory.
mx::array roomy(const mx::array& a, const mx::array& other, int64_t offset = 0, int64_t size = -1);

// Whether launches must be cut where groups would depend on what others of the same launch have written: on Metal, which
// has no order between them, and where tests ask for it.
bool launches_separately(mx::Stream s);
std::atomic<bool>& separate_launches();

// What 16-bit floats accumulate in.
mx::Dtype acc_dtype(mx::Dtype dtype);

} // namespace sp
