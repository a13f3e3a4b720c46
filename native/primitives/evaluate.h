// What every primitive's evaluation shares: contiguous inputs, fresh outputs, tasks on the CPU stream.
#pragma once

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../dispatch.h"
#include "../memory.h"
#include "../parallel.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/mlx.h"
#include "mlx/primitives.h"
#include "wait.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace sp {

// True while shaders run on the host in place of the CPU kernels (runtime.EXECUTOR = "shader").
std::atomic<bool>& shaders_on_host();
inline bool uses_shaders(mx::Stream s) { return s.device == mx::Device::gpu || shaders_on_host(); }
// No shading language has doubles in pairs.
inline bool uses_shaders(mx::Stream s, mx::Dtype values) { return uses_shaders(s) && !is_wide(values); }

// Memory for an output. A large one from malloc asks for large pages, as NumPy's do: most of the time of its first use
// goes to page faults otherwise. Throws OutOfMemory where MLX's allocator gives null.
inline mx::allocator::Data allocate(size_t bytes) {
  expect_memory(bytes);
  auto data = mx::allocator::malloc(bytes);
  if (bytes && !data.buffer().ptr()) throw OutOfMemory(bytes);
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t page = uintptr_t{1} << 21;
  if (bytes < 2 * page) return data;
  auto buffer = data.buffer();
  const auto begin = reinterpret_cast<uintptr_t>(buffer.raw_ptr()), header = begin - reinterpret_cast<uintptr_t>(buffer.ptr());
  if (header > 64) return data; // a GPU back end's memory, which is not ours to advise on
  const uintptr_t from = (begin + page - 1) & ~(page - 1), end = (begin + bytes) & ~(page - 1);
  madvise(reinterpret_cast<void*>(from), end - from, MADV_HUGEPAGE); // a hint: failure changes nothing
#endif
  return data;
}

inline mx::array fresh(mx::Shape shape, mx::Dtype dtype) {
  const size_t bytes = bytes_of(shape, dtype);
  return mx::array(allocate(bytes), std::move(shape), dtype);
}

// Row-major copy of any strided array. MLX's own copy is not exported.
inline void copy_strided(const mx::array& src, mx::array& dst) {
  const int nd = static_cast<int>(src.ndim());
  const size_t item = src.itemsize(), n = src.size();
  const char* base = src.data<char>();
  char* out = dst.data<char>();
  std::vector<int64_t> index(nd, 0);
  const int64_t inner = nd ? src.shape(-1) : 1, step = nd ? src.strides(-1) * int64_t(item) : 0;
  for (size_t done = 0; done < n; done += inner) {
    int64_t offset = 0;
    for (int d = 0; d < nd - 1; ++d) offset += index[d] * src.strides(d);
    const char* p = base + offset * int64_t(item);
    for (int64_t j = 0; j < inner; ++j, p += step, out += item) std::memcpy(out, p, item);
    for (int d = nd - 2; d >= 0 && ++index[d] == src.shape(d); --d) index[d] = 0;
  }
}

// Inside eval_cpu: a row-contiguous stand-in for `a` (flags are known only now). Held until the stream is past it.
inline mx::array contiguous_input(const mx::array& a, mx::cpu::CommandEncoder& encoder) {
  if (a.flags().row_contiguous) return a;
  mx::array copy = fresh(a.shape(), a.dtype());
  encoder.dispatch([src = mx::array::unsafe_weak_copy(a), dst = mx::array::unsafe_weak_copy(copy)]() mutable {
    copy_strided(src, dst);
  });
  encoder.add_temporary(copy);
  return copy;
}

// Throws for a traced array, whose values are not to be read: what came of them would look like a constant. What went
// through stop_gradient is meant to be one.
void refuse_traced(const mx::array& a);

// Outside the graph: the evaluated, row-contiguous form of `a` for a host-side kernel. Pointers to its data are asked for
// before threads start: the first time moves memory of a GPU to the host.
inline mx::array host_ready(mx::array a) {
  refuse_traced(a);
  if (a.status() != mx::array::Status::available) {
    expect_evaluation(a);
    wait_for({a});
  }
  if (a.size() == 0) return fresh(a.shape(), a.dtype()); // a GPU back end may leave it without a buffer
  if (a.flags().row_contiguous) return a;
  mx::array copy = fresh(a.shape(), a.dtype());
  copy_strided(a, copy);
  return copy;
}

// True while the calling thread evaluates a node itself (see evaluated_at_once).
inline thread_local bool evaluating_here = false;

// Inside eval_cpu: allocates `outputs`, then runs task(inputs, outputs) on the primitive's stream.
template <class F>
void run_on_cpu(mx::Stream s, const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs, F task) {
  if (evaluating_here) {
    std::vector<mx::array> in;
    for (auto& a : inputs) in.push_back(host_ready(a));
    for (auto& a : outputs) a.set_data(allocate(a.nbytes()));
    return task(in, outputs);
  }
  auto& encoder = mx::cpu::get_command_encoder(s);
  std::vector<mx::array> in, out;
  for (auto& a : inputs) in.push_back(mx::array::unsafe_weak_copy(contiguous_input(a, encoder)));
  for (auto& a : outputs) {
    a.set_data(allocate(a.nbytes()));
    out.push_back(mx::array::unsafe_weak_copy(a));
  }
  encoder.dispatch([in = std::move(in), out = std::move(out), task = std::move(task)]() mutable { task(in, out); });
}

// The node `a`, evaluated on the spot when its operands are there and its work is less than an eval's own cost: about
// 20 us, for waking the stream's thread. A value, as a constant would be; anything larger, traced or pending stays lazy.
// most: how many elements to read and write at the most.
inline mx::array evaluated_at_once(mx::array a, size_t most = kSerialWork) {
  if (!a.has_primitive() || a.primitive().stream().device != mx::Device::cpu || shaders_on_host()) return a;
  size_t work = 0;
  for (auto& in : a.inputs()) {
    if (!is_there(in) || in.is_tracer()) return a;
    work += in.size();
  }
  auto outputs = a.outputs();
  for (auto& out : outputs) work += out.size();
  if (work >= most) return a;
  evaluating_here = true;
  struct Done { ~Done() { evaluating_here = false; } } done;
  a.primitive().eval_cpu(a.inputs(), outputs);
  for (auto& out : outputs) out.set_status(mx::array::Status::available);
  a.detach();
  return a;
}

// x (..., n) as (b, n), for any n.
inline mx::array as_rows(const mx::array& x, mx::Stream s) {
  int64_t rows = 1;
  for (int d = 0; d + 1 < static_cast<int>(x.ndim()); ++d) rows *= x.shape(d);
  return mx::reshape(x, {to_dim(rows), x.shape(-1)}, s);
}

inline mx::array conj(const mx::array& a, mx::Stream s) { // of what has derivatives
  return a.dtype() == mx::complex64 ? mx::conjugate(a, s) : a;
}

} // namespace sp
