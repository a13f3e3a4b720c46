// One convention for all bindings: a function of ops/ or primitives/ is bound as it is, with the names of its arguments.
//   m.def("sort_indices", &sort_indices, "a"_a)                       an operation that runs at once
//   m.def("todense", lazy(&todense), "structure"_a, ..., "stream"_a)   one that makes a node of the graph
//   m.def("expand", at_once(&expand), ...)                             a node, evaluated on the spot when that is quicker
// Enums stand for kinds, a Structure for a pattern with its index arrays, a tuple (data, indices, indptr) for a compressed
// array. mlx_sparse/_native.pyi is made from these declarations by tools/native_stubs.py.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/casters.h"

namespace sp {

using namespace py::literals;

// float64 values exist only on the CPU; MLX's own error would name an operation that the caller never wrote.
template <class... A>
void check_stream(const A&... args) {
  bool wide = false, gpu = false;
  auto look = [&](const auto& a) {
    using T = std::decay_t<decltype(a)>;
    if constexpr (std::is_same_v<T, mx::array>) wide = wide || a.dtype() == mx::float64;
    else if constexpr (std::is_same_v<T, Compressed>) wide = wide || a.data.dtype() == mx::float64;
    else if constexpr (std::is_same_v<T, mx::Stream>) gpu = a.device == mx::Device::gpu;
  };
  (look(args), ...);
  if (wide && gpu) throw py::value_error("float64 values exist only on the CPU; cast to float32, or pass stream=mx.cpu");
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

void bind_structure(py::module_& m);
void bind_assemble(py::module_& m);
void bind_blocks(py::module_& m);
void bind_canonical(py::module_& m);
void bind_extrema(py::module_& m);
void bind_indexed_product(py::module_& m);
void bind_lists(py::module_& m);
void bind_segment(py::module_& m);
void bind_select(py::module_& m);

} // namespace sp
