// The executor's plain functions, and every shader's text instantiated for the host: host_kernels.inc is generated from
// the signatures by tools/embed_shaders.py.
#include "executor.h"

#include <cmath>
#include <stdexcept>
#include <string>
#include <variant>


namespace sp {

namespace {

const mx::fast::TemplateArg& argument(const HostLaunch& launch, const char* name) {
  for (auto& [n, arg] : launch.args) {
    if (n == name) return arg;
  }
  throw std::invalid_argument(std::string("shader ") + launch.shader + ": parameter " + name + " is missing");
}

// For messages: the group that this OS thread runs.
thread_local const HostGroup* running = nullptr;

std::string where(const HostGroup& g) {
  const auto& at = g.position;
  return ", thread " + std::to_string(g.lane) + " of group (" + std::to_string(at.x) + ", " + std::to_string(at.y) +
         ", " + std::to_string(at.z) + ")";
}

} // namespace

mx::Dtype HostLaunch::type(const char* name) const { return std::get<mx::Dtype>(argument(*this, name)); }

int HostLaunch::constant(const char* name) const {
  auto& arg = argument(*this, name);
  return std::holds_alternative<bool>(arg) ? int(std::get<bool>(arg)) : std::get<int>(arg);
}

std::atomic<bool>& host_reverse_lanes() {
  static std::atomic<bool> reverse = false;
  return reverse;
}

void HostGroup::fail(const char* what) const {
  throw std::logic_error(std::string("shader ") + shader + ": " + what + where(*this));
}

void out_of_bounds(const char* shader, const char* buffer, int64_t index, size_t size) {
  throw std::out_of_range(std::string("shader ") + shader + ": index " + std::to_string(index) + " into '" + buffer +
                          "' of " + std::to_string(size) + " elements" + (running ? where(*running) : std::string()));
}

void check_dtype(const char* shader, const char* buffer, mx::Dtype given, mx::Dtype wanted) {
  if (given != wanted) {
    throw std::invalid_argument(std::string("shader ") + shader + ": '" + buffer + "' has the wrong dtype");
  }
}

void unknown_constant(int value) {
  throw std::invalid_argument("shader constant " + std::to_string(value) + " is not in its signature");
}

void each_group(const HostLaunch& launch, FunctionRef<void(HostGroup&)> body) {
  const size_t nx = launch.groups[0], ny = launch.groups[1], nz = launch.groups[2], n = nx * ny * nz;
  std::atomic<bool> failed = false;
  parallel_for(n, plan_parts(n * 4096), [&](size_t lo, size_t hi) {
    for (size_t g = lo; g < hi; ++g) {
      HostGroup group;
      group.position = {unsigned(g % nx), unsigned(g / nx % ny), unsigned(g / nx / ny)};
      group.shader = launch.shader;
      group.reversed = host_reverse_lanes();
      group.failed = &failed;
      running = &group;
      try {
        body(group);
      } catch (...) {
        failed = true;
        throw;
      }
    }
    running = nullptr;
  });
}

#include "../../shaders/prelude_host.h"
#include "../../shaders/shared_numbers.h"
#include "../../shaders/shared_segments.h"
#include "../../shaders/shared_triple.h"
#include "host_kernels.inc"

} // namespace sp
