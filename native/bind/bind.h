// One convention for all bindings: a function of ops/ or primitives/ is bound as it is, with the names of its arguments.
//   m.def("sort_indices", unlocked(&sort_indices), "a"_a)              an operation that runs at once
//   m.def("todense", lazy(&todense), "structure"_a, ..., "stream"_a)   one that makes a node of the graph
//   m.def("expand", at_once(&expand), ...)                             a node, evaluated on the spot when that is quicker
// Enums stand for kinds, a Structure for a pattern with its index arrays, a tuple (data, indices, indptr) for a compressed
// array. mlx_sparse/_native.pyi is made from these declarations by tools/native_stubs.py.
#pragma once

#include <tuple>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/casters.h"
#include "interrupt.h"
#include "ops/spans.h"
#include "parallel.h"

namespace sp {

using namespace py::literals;

// Values that exist only on the CPU; MLX's own error would name an operation that the caller never wrote.
template <class... A>
void check_stream(const A&... args) {
  bool wide = false, gpu = false;
  auto look = [&](const auto& a) {
    using T = std::decay_t<decltype(a)>;
    if constexpr (std::is_same_v<T, mx::array>) wide = wide || is_on_cpu_only(a.dtype());
    else if constexpr (std::is_same_v<T, Compressed>) wide = wide || is_on_cpu_only(a.data.dtype());
    else if constexpr (std::is_same_v<T, mx::Stream>) gpu = a.device == mx::Device::gpu;
  };
  (look(args), ...);
  if (wide && gpu) throw py::value_error("double precision exists only on the CPU; cast to float32 or complex64, or pass stream=mx.cpu");
}

inline Compressed evaluated_at_once(Compressed c) {
  if (!c.data.is_tracer()) sp::evaluated_at_once(c.data); // and its siblings
  return c;
}

template <class R, class... A>
auto lazy(R (*f)(A...)) {
  return [f](A... args) -> R {
    check_stream(args...);
    return f(args...);
  };
}

template <class R, class... A>
auto at_once(R (*f)(A...)) {
  return [f](A... args) -> R {
    check_stream(args...);
    return evaluated_at_once(f(args...));
  };
}

// Whether this is the thread that Python gives signals to; and the question to Python whether one of them raised. The
// error then stays set.
bool gets_signals();
bool signal_raised();

// f() without the interpreter lock: other threads go on, and Ctrl-C ends it. Whatever f uses must be its own.
template <class F>
auto without_lock(F&& f) {
  Interruptible call(gets_signals() ? &signal_raised : nullptr);
  auto run = [&] {
    const py::gil_scoped_release release;
    return f();
  };
  try {
    auto result = run();
    if (!call.stopped()) return result;
  } catch (...) {
    if (!call.stopped()) throw;
  }
  throw py::error_already_set();
}

// Steps (about 1 ns) that an operation takes for an argument at the least; what is pending may take any time.
inline size_t steps_of(const mx::array& a) {
  return a.status() == mx::array::Status::available ? a.size() : kSerialWork;
}
inline size_t steps_of(const Compressed& a) { return steps_of(a.data) + steps_of(a.indices) + a.indptr.size(); }
inline size_t steps_of(const Places& a) { return a.n; }
inline size_t steps_of(const Mask& a) { return a.n; }
inline size_t steps_of(const Dense& a) { return a.n_rows * a.n_columns; }
template <class T>
requires std::is_arithmetic_v<T> || std::is_enum_v<T>
size_t steps_of(const T&) { return 0; }
template <class T, size_t n>
size_t steps_of(const std::array<T, n>&) { return 0; }
template <class T>
size_t steps_of(const std::vector<T>& all) {
  size_t steps = 0;
  for (auto& one : all) steps += steps_of(one);
  return steps;
}

template <class T>
size_t steps_of(const std::optional<T>& a) { return a ? steps_of(*a) : 0; }

// An operation that runs at once: without the lock where it is long, over handles of its own, since Python can change
// what a handle of its refers to. weight: steps for each element of its arguments.
template <class R, class... A>
auto unlocked(R (*f)(A...), size_t weight = 1) {
  return [f, weight](A... args) -> R {
    if ((steps_of(args) + ...) * weight < kSerialWork) return f(std::forward<A>(args)...);
    const std::tuple<std::decay_t<A>...> held(args...);
    return without_lock([&] { return std::apply(f, held); });
  };
}

void bind_structure(py::module_& m);
void bind_assemble(py::module_& m);
void bind_blocks(py::module_& m);
void bind_canonical(py::module_& m);
void bind_exposed(py::module_& m);
void bind_extrema(py::module_& m);
void bind_factorisations(py::module_& m);
void bind_general_factorisations(py::module_& m);
void bind_graph(py::module_& m);
void bind_indexed_product(py::module_& m);
void bind_krylov(py::module_& m);
void bind_lists(py::module_& m);
void bind_segment(py::module_& m);
void bind_select(py::module_& m);
void bind_taylor(py::module_& m);
void bind_triangular(py::module_& m);

} // namespace sp
