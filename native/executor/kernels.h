// What the launcher hands to the host executor.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "mlx/fast.h"

namespace sp {

namespace mx = mlx::core;

struct HostArray {
  void* data;
  size_t size;
  mx::Dtype dtype;
  std::vector<int> shape;
};

using TemplateArgs = std::vector<std::pair<std::string, mx::fast::TemplateArg>>;

struct HostLaunch {
  const char* shader;
  std::vector<HostArray> inputs, outputs;
  TemplateArgs args;
  std::array<int, 3> groups;

  mx::Dtype type(const char* name) const;
  int constant(const char* name) const;
};

using HostKernel = void (*)(const HostLaunch&);

// Whether the threads of every group run from the last to the first (`pytest --device shader-reversed`). A shader whose
// threads meet at barriers only gives the same result.
std::atomic<bool>& host_reverse_lanes();

#include "host_kernels_list.inc"

} // namespace sp
