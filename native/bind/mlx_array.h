// mx.array <-> mlx::core::array for pybind11. MLX's Python module is built with nanobind, whose instance header is
// {PyObject_HEAD; int32 offset; uint8 flags}: the C++ object lies at `self + offset` (behind one more pointer unless the
// `direct` flag is set). verify_layout() proves that at import, before any other use.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "mlx/mlx.h"
#include "mlx/primitives.h"
#include "dispatch.h"

namespace sp {

namespace py = pybind11;
namespace mx = mlx::core;

// In Python, an array of a dtype that MLX's own classes do not know: see mlx_sparse/_values.py.
struct WideArray {
  mx::array array;
};

struct MlxPython {
  PyTypeObject* array_type = nullptr;
  PyObject* copy = nullptr;   // bound __copy__ of one prototype: a new Python array without a new buffer
  PyObject* make = nullptr;   // mx.array
  PyObject* abs = nullptr;    // mx.abs, the cheapest way to resolve a Python stream argument
  PyObject* proto = nullptr;
  PyTypeObject* wide_type = nullptr; // of WideArray
};
MlxPython& mlx_python();

// Throws ImportError when the running mlx does not match what this module was compiled against.
void verify_layout();

inline mx::array* array_slot(PyObject* self) {
  struct Header {
    PyObject_HEAD
    int32_t offset;
    uint8_t flags;
  };
  auto* header = reinterpret_cast<Header*>(self);
  constexpr uint8_t kStateMask = 3, kReady = 2, kDirect = 4;
  if ((header->flags & kStateMask) != kReady) return nullptr;
  void* ptr = reinterpret_cast<char*>(self) + header->offset;
  return (header->flags & kDirect) ? static_cast<mx::array*>(ptr) : *static_cast<mx::array**>(ptr);
}

inline mx::array* as_array(PyObject* obj) {
  if (PyObject_TypeCheck(obj, mlx_python().array_type)) return array_slot(obj);
  return Py_TYPE(obj) == mlx_python().wide_type ? &py::cast<WideArray&>(py::handle(obj)).array : nullptr;
}

inline py::object to_python(mx::array value) {
  if (is_wide(value.dtype())) return py::cast(WideArray{std::move(value)});
  PyObject* fresh = PyObject_CallNoArgs(mlx_python().copy);
  if (!fresh) throw py::error_already_set();
  *array_slot(fresh) = std::move(value);
  return py::reinterpret_steal<py::object>(fresh);
}

// None -> default stream; Stream, Device, DeviceType otherwise, with MLX's own errors.
inline mx::Stream to_stream(const py::object& stream) {
  if (stream.is_none()) return mx::default_stream(mx::default_device());
  auto& mp = mlx_python();
  auto kwargs = py::dict(py::arg("stream") = stream);
  auto args = py::make_tuple(py::handle(mp.proto));
  auto node = py::reinterpret_steal<py::object>(PyObject_Call(mp.abs, args.ptr(), kwargs.ptr()));
  if (!node) throw py::error_already_set();
  return array_slot(node.ptr())->primitive().stream();
}

void bind_wide_array(py::module_& m);

// From now on `mx.array OP x` lets an instance x of `base` answer through its reflected operator, as NumPy's arrays do.
void defer_to(py::object base);

} // namespace sp

namespace pybind11::detail {

// Borrowed: the caster points at the handle inside the Python object, which by-value arguments must copy, not move.
template <>
struct type_caster<mlx::core::array> {
  static constexpr auto name = const_name("mlx.core.array");
  template <class T> using cast_op_type = const mlx::core::array&;

  bool load(handle src, bool) {
    value_ = sp::as_array(src.ptr());
    return value_ != nullptr;
  }
  operator const mlx::core::array&() { return *value_; }

  static handle cast(const mlx::core::array& src, return_value_policy, handle) {
    return sp::to_python(src).release();
  }

 private:
  mlx::core::array* value_ = nullptr;
};

} // namespace pybind11::detail
