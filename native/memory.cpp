#include "memory.h"

#include <cstdio>

#include "mlx/device.h"
#include "mlx/memory.h"

#if defined(__linux__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#define SP_HAS_MMAP
#endif
#if defined(__linux__)
#include <sys/sysinfo.h>
#endif

namespace sp {

namespace mx = mlx::core;

OutOfMemory::OutOfMemory(size_t bytes) noexcept {
  const double gib = static_cast<double>(bytes) / (size_t{1} << 30);
  if (bytes == std::numeric_limits<size_t>::max()) {
    std::snprintf(text_, sizeof(text_), "unable to allocate an array of 2**64 bytes or more");
  } else {
    std::snprintf(text_, sizeof(text_), "unable to allocate %zu bytes (%.3g GiB)", bytes, gib);
  }
}

void refuse_dim(int64_t n) {
  throw std::overflow_error("a dimension of " + std::to_string(n) + " is not one of MLX's, which lie in [0, 2**31 - 1]");
}

mx::Shape to_shape(std::initializer_list<int64_t> dims, mx::Dtype dtype) {
  for (auto n : dims) {
    if (n <= std::numeric_limits<int>::max()) continue;
    expect_memory(bytes_of(dims, dtype));
    refuse_dim(n);
  }
  mx::Shape shape;
  for (auto n : dims) shape.push_back(to_dim(n));
  return shape;
}

namespace {

// All that there is of it, used or not; pages of files count, since they make way.
size_t all_memory() {
#if defined(__linux__)
  struct sysinfo info;
  if (sysinfo(&info) == 0) return (static_cast<size_t>(info.totalram) + info.totalswap) * info.mem_unit;
#elif defined(SP_HAS_MMAP)
  const auto pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages > 0 && size > 0) return static_cast<size_t>(pages) * static_cast<size_t>(size);
#endif
  return std::numeric_limits<size_t>::max();
}

bool beyond_all_memory(size_t bytes) {
  static const size_t all = all_memory();
  return bytes > all;
}

// Whether the system would give so much: it knows the limits of the process and its own. Costs microseconds, since
// nothing is written there.
bool can_be_had(size_t bytes) {
  if (beyond_all_memory(bytes)) return false;
  if (bytes == 0) return true; // which mmap refuses
#ifdef SP_HAS_MMAP
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (at == MAP_FAILED) return false;
  munmap(at, bytes);
#endif
  return true;
}

#ifdef SP_HAS_MMAP
const pid_t loaded_by = getpid();
bool forked() { return getpid() != loaded_by; }
#else
bool forked() { return false; }
#endif

// Whether MLX gave back what was freed and kept for reuse. It waits until every stream is idle, which in a forked child
// those of the parent never are; starts a thread for each stream that has none; and throws what failed on another's.
bool clear_cache() {
  if (forked()) return false;
  try {
    mx::clear_cache();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

} // namespace

void ask_for_memory(size_t bytes, bool host) {
  // A GPU's memory is its own, and its allocator throws.
  if ((!host && mx::default_device() == mx::Device::gpu) || can_be_had(bytes)) return;
  if (beyond_all_memory(bytes) || !clear_cache() || !can_be_had(bytes)) throw OutOfMemory(bytes);
}

} // namespace sp
