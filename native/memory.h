// Sizes and memory: where a 64-bit size becomes one of MLX's dimensions, and whether memory of a size can be had. MLX's
// own operations write to the null pointer where it cannot, so it is asked for before they begin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <new>
#include <stdexcept>

#include "mlx/array.h"

namespace sp {

// A MemoryError in Python, which says how many bytes were asked for.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(size_t bytes) noexcept;
  const char* what() const noexcept override { return text_; }

 private:
  char text_[96];
};

[[noreturn]] void refuse_dim(int64_t n);

// A size as one of MLX's dimensions.
inline int to_dim(int64_t n) {
  if (n < 0 || n > std::numeric_limits<int>::max()) refuse_dim(n);
  return static_cast<int>(n);
}

// Several of them. Where one does not fit, the whole decides between MemoryError and OverflowError, as in NumPy.
mlx::core::Shape to_shape(std::initializer_list<int64_t> dims, mlx::core::Dtype dtype);

// What an array of this shape takes; the largest size where that is beyond all numbers.
template <class Dims>
size_t bytes_of(const Dims& dims, mlx::core::Dtype dtype) {
  size_t bytes = dtype.size();
  bool past = false;
  for (auto d : dims) {
    if (d == 0) return 0;
    past = __builtin_mul_overflow(bytes, static_cast<size_t>(d), &bytes) || past;
  }
  return past ? std::numeric_limits<size_t>::max() : bytes;
}

// host: for what the host computes whatever the device is; else it is MLX's default device that is asked.
void ask_for_memory(size_t bytes, bool host = false);

// Throws OutOfMemory where so much cannot be had. Less than what is worth a system call is not asked for.
inline void expect_memory(size_t bytes) {
  constexpr size_t asked_for = size_t{64} << 20;
  if (bytes >= asked_for) ask_for_memory(bytes);
}

// MLX's own operations, unlike those here, do not look at what they get: more of them are asked for.
constexpr size_t kPendingBytes = size_t{16} << 20;

} // namespace sp
