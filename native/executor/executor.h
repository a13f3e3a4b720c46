// Runs a shader's text on the CPU: checked buffers, threadgroup memory, one call per threadgroup. Shaders are uniform
// code with SP_THREADS blocks, so no fibers are needed: a block is a loop over the group's threads.
#pragma once

#include <atomic>
#include <cstring>
#include <thread>
#include <type_traits>

#include "../dispatch.h"
#include "../parallel.h"
#include "kernels.h"
#include "mlx/array.h"

namespace sp {

struct GridPosition { unsigned x, y, z; };

// One threadgroup in flight: where it is, which of its threads runs, and what a race check needs. `block` counts
// SP_THREADS blocks and the uniform code between them, `phase` counts barriers.
struct HostGroup {
  GridPosition position{};
  const char* shader = "";
  bool reversed = false;
  int lane = -1;
  int block = 0, phase = 0;
  const std::atomic<bool>* failed = nullptr; // whether another group of the launch has

  int enter() {
    ++block;
    return 0;
  }
  int at(int step, int group) { return lane = reversed ? group - 1 - step : step; }
  bool leave() {
    ++block;
    lane = -1;
    return false;
  }
  void barrier() {
    if (lane >= 0) fail("barrier inside a block of threads");
    ++phase;
  }
  void await(const int32_t& counter, int32_t least) const {
    while (std::atomic_ref(const_cast<int32_t&>(counter)).load() < least) {
      if (failed->load(std::memory_order_relaxed)) fail("waits for a group that failed");
      std::this_thread::yield();
    }
  }
  [[noreturn]] void fail(const char* what) const;
};

[[noreturn]] void out_of_bounds(const char* shader, const char* buffer, int64_t index, size_t size);

// Refuses a buffer whose dtype is not what the signature says.
void check_dtype(const char* shader, const char* buffer, mx::Dtype given, mx::Dtype wanted);

template <class T>
struct Checked {
  Checked(const HostLaunch& launch, const HostArray& a, const char* name)
      : data_(static_cast<T*>(a.data)), size_(a.size), shader_(launch.shader), name_(name) {
    // MLX's own mapping takes double to float32.
    check_dtype(shader_, name_, a.dtype, std::is_same_v<T, double> ? mx::float64 : mx::Dtype(mx::TypeToDtype<T>()));
  }
  T& at(int64_t i) const {
    if (static_cast<uint64_t>(i) >= size_) [[unlikely]] out_of_bounds(shader_, name_, i, size_);
    return data_[i];
  }

 private:
  T* data_;
  size_t size_;
  const char* shader_;
  const char* name_;
};

template <class T>
struct In : private Checked<T> {
  using Checked<T>::Checked;
  const T& operator[](int64_t i) const { return this->at(i); }
};

template <class T>
struct Out : private Checked<T> {
  using Checked<T>::Checked;
  T& operator[](int64_t i) const { return this->at(i); }
};

// Threadgroup memory. Poisoned, because a GPU does not clear it between groups; and two blocks of threads that use one
// buffer must have a barrier between them.
template <class A, int N>
struct SharedBuffer {
  SharedBuffer(HostGroup& group, const char* name) : group_(group), name_(name) {
    std::memset(static_cast<void*>(data_), std::is_same_v<A, bool> ? 1 : 0xff, sizeof(data_));
  }
  A& operator[](int64_t i) {
    if (static_cast<uint64_t>(i) >= N) [[unlikely]] out_of_bounds(group_.shader, name_, i, N);
    if (group_.block != block_) [[unlikely]] {
      if (group_.phase == phase_) group_.fail("no barrier between two uses of threadgroup memory");
      block_ = group_.block;
    }
    phase_ = group_.phase;
    return data_[i];
  }

 private:
  HostGroup& group_;
  const char* name_;
  int block_ = -1, phase_ = -1;
  A data_[N];
};

[[noreturn]] void unknown_constant(int value);

// f(std::integral_constant<int, value>) for the one of Values that equals `value`.
template <int... Values, class F>
void dispatch_constant(int value, F&& f) {
  const bool found = ((value == Values && (f(std::integral_constant<int, Values>{}), true)) || ...);
  if (!found) unknown_constant(value);
}

// body(group) for every threadgroup, spread over the pool: groups share nothing.
void each_group(const HostLaunch& launch, FunctionRef<void(HostGroup&)> body);

} // namespace sp
