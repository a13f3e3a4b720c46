#include "bind/mlx_array.h"

#include <fcntl.h>
#include <unistd.h>

#include "mlx/version.h"
#include "primitives/evaluate.h"
#include "primitives/wait.h"

namespace sp {

MlxPython& mlx_python() {
  static MlxPython* state = new MlxPython; // leaked: Python objects must not be released after finalisation
  return *state;
}

namespace {

void require(bool ok, const std::string& what) {
  if (ok) return;
  throw py::import_error("mlx_sparse cannot read mlx.core.array: " + what +
                         ". It was built for mlx " + std::to_string(MLX_VERSION_MAJOR) + "." +
                         std::to_string(MLX_VERSION_MINOR) + "." + std::to_string(MLX_VERSION_PATCH) +
                         "; install that version of mlx, or reinstall mlx-sparse from source.");
}

// A wrong layout guess must end as an ImportError, not a fault: the kernel checks the address for us (EFAULT).
bool readable(const void* ptr, size_t size) {
  int fd[2];
  if (pipe(fd) != 0) return true;
  const bool ok = ptr != nullptr && write(fd[1], ptr, size) == static_cast<ssize_t>(size);
  close(fd[0]);
  close(fd[1]);
  return ok;
}

py::object probe(const py::module_& core, py::object value, const char* dtype) {
  auto cpu = core.attr("cpu");
  return core.attr("zeros")(value, py::arg("dtype") = core.attr(dtype), py::arg("stream") = cpu);
}

void check_instance(PyObject* obj) {
  struct Header { PyObject_HEAD int32_t offset; uint8_t flags; };
  auto* header = reinterpret_cast<Header*>(obj);
  require((header->flags & 3) == 2, "unknown instance state");
  const auto basic = Py_TYPE(obj)->tp_basicsize;
  require(header->offset >= static_cast<int32_t>(sizeof(PyObject)) && header->offset % alignof(void*) == 0 &&
              header->offset + static_cast<Py_ssize_t>(sizeof(void*)) <= basic + 64,
          "unexpected instance offset");
  void* slot = array_slot(obj);
  require(readable(slot, sizeof(mx::array)), "instance pointer is not readable");
  void* desc = *static_cast<void**>(slot);
  require(readable(desc, sizeof(void*)), "array handle is not readable");
}

} // namespace

void verify_layout() {
  const std::string built = std::to_string(MLX_VERSION_MAJOR) + "." + std::to_string(MLX_VERSION_MINOR) + "." +
      std::to_string(MLX_VERSION_PATCH);
  require(built == mx::version(), std::string("libmlx is ") + mx::version());
  auto core = py::module_::import("mlx.core");
  auto& mp = mlx_python();
  auto type = py::object(core.attr("array"));
  require(PyType_Check(type.ptr()), "mlx.core.array is not a type");
  const std::string meta = Py_TYPE(type.ptr())->tp_name;
  require(meta.find("nb_type") != std::string::npos, "its metaclass is " + meta);
  mp.array_type = reinterpret_cast<PyTypeObject*>(type.release().ptr());

  auto node = probe(core, py::make_tuple(2, 3, 5), "int16");
  check_instance(node.ptr());
  const auto& arr = *array_slot(node.ptr());
  require(arr.shape() == mx::Shape{2, 3, 5} && arr.dtype() == mx::int16, "shape or dtype read back wrongly");

  auto proto = probe(core, py::make_tuple(1), "float32");
  mp.copy = py::object(proto.attr("__copy__")).release().ptr();
  mp.make = py::object(core.attr("array")).release().ptr();
  mp.abs = py::object(core.attr("abs")).release().ptr();
  auto back = to_python(arr);
  check_instance(back.ptr());
  require(array_slot(back.ptr())->id() == arr.id() && py::cast<int>(back.attr("ndim")) == 3 &&
              py::cast<int>(proto.attr("ndim")) == 1,
          "an array handed to Python is read wrongly");
  mp.proto = proto.release().ptr();

  constexpr const char* names[] = {"bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
                                   "float16", "float32", "float64", "bfloat16", "complex64"};
  for (int i = 0; i < 14; ++i) {
    auto sample = probe(core, py::make_tuple(1), names[i]);
    require(static_cast<int>(array_slot(sample.ptr())->dtype().val()) == i, std::string("dtype ") + names[i]);
  }
}

namespace {

// MLX's operators raise on operands they do not know, so Python never tries the reflected operator. These wrappers of
// the type's C slots look at the right operand first; they cost one type check and leave mx.array's methods alone.
PyTypeObject* deferred_base = nullptr;

bool defers(PyObject* right) { return PyObject_TypeCheck(right, deferred_base); }

// Calls the methods by name, as the slots they replace do.
template <binaryfunc PyNumberMethods::*slot>
struct Deferring {
  static inline PyObject *name = nullptr, *reflected = nullptr;
  static PyObject* call(PyObject* left, PyObject* right) {
    if (PyObject_TypeCheck(left, mlx_python().array_type)) {
      if (defers(right)) Py_RETURN_NOTIMPLEMENTED;
      return PyObject_CallMethodOneArg(left, name, right);
    }
    if (!reflected) Py_RETURN_NOTIMPLEMENTED;
    return PyObject_CallMethodOneArg(right, reflected, left);
  }
  static void install(PyTypeObject* type, const char* method, const char* mirror) {
    if (name) return;
    name = PyUnicode_InternFromString(method);
    if (PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), mirror)) reflected = PyUnicode_InternFromString(mirror);
    type->tp_as_number->*slot = &call;
  }
};

richcmpfunc original_compare = nullptr;
PyObject* compare(PyObject* left, PyObject* right, int op) {
  if (defers(right)) Py_RETURN_NOTIMPLEMENTED;
  return original_compare(left, right, op);
}

} // namespace

namespace {

// What NumPy sees, without a copy. The array is there: whoever asks has evaluated it.
py::buffer_info buffer_of(const WideArray& a) {
  static double nothing[2];
  std::vector<py::ssize_t> shape, strides;
  for (int d = 0; d < static_cast<int>(a.array.ndim()); ++d) {
    shape.push_back(a.array.shape(d));
    strides.push_back(static_cast<py::ssize_t>(a.array.strides(d) * a.array.itemsize()));
  }
  if (!is_there(a.array)) throw py::buffer_error("this array is not evaluated");
  void* data = a.array.size() ? const_cast<char*>(a.array.data<char>()) : reinterpret_cast<char*>(nothing);
  return {data, static_cast<py::ssize_t>(a.array.itemsize()), "Zd",
          static_cast<py::ssize_t>(a.array.ndim()), std::move(shape), std::move(strides)};
}

py::tuple shape_of(const WideArray& a) {
  py::tuple shape(a.array.ndim());
  for (size_t d = 0; d < a.array.ndim(); ++d) shape[d] = a.array.shape(static_cast<int>(d));
  return shape;
}

} // namespace

void bind_wide_array(py::module_& m) {
  py::class_<WideArray> bound(m, "WideArray", py::buffer_protocol());
  bound.def_buffer(&buffer_of)
      .def_property_readonly("shape", &shape_of)
      .def_property_readonly("ndim", [](const WideArray& a) { return a.array.ndim(); })
      .def_property_readonly("size", [](const WideArray& a) { return a.array.size(); })
      .def("reshape", [](const WideArray& a, const std::vector<int64_t>& shape) {
        mx::Shape dims;
        for (auto n : shape) dims.push_back(n == -1 ? -1 : to_dim(n));
        auto shaped = mx::reshape(a.array, std::move(dims), mx::Device::cpu);
        if (is_there(a.array)) settle({shaped});
        return shaped;
      }, py::arg("shape"));
  mlx_python().wide_type = reinterpret_cast<PyTypeObject*>(bound.ptr());
  m.def("wide", [](const std::vector<int64_t>& shape) {
    expect_memory(bytes_of(shape, complex128));
    mx::Shape dims;
    for (auto n : shape) dims.push_back(to_dim(n));
    return fresh(std::move(dims), complex128);
  }, py::arg("shape"), "An uninitialized WideArray.");
}

void defer_to(py::object base) {
  auto* type = mlx_python().array_type;
  deferred_base = reinterpret_cast<PyTypeObject*>(base.release().ptr());
  Deferring<&PyNumberMethods::nb_add>::install(type, "__add__", "__radd__");
  Deferring<&PyNumberMethods::nb_subtract>::install(type, "__sub__", "__rsub__");
  Deferring<&PyNumberMethods::nb_multiply>::install(type, "__mul__", "__rmul__");
  Deferring<&PyNumberMethods::nb_true_divide>::install(type, "__truediv__", "__rtruediv__");
  Deferring<&PyNumberMethods::nb_matrix_multiply>::install(type, "__matmul__", "__rmatmul__");
  if (!original_compare) {
    original_compare = type->tp_richcompare;
    type->tp_richcompare = &compare;
  }
}

} // namespace sp
