// The one module: its settings, what Python asks of arrays that MLX's interface does not tell, and the families.
#include "bind/bind.h"
#include "bind/mlx_array.h"
#include "launch.h"
#include "ops/matmul.h"

namespace sp {

namespace {

mx::array uninitialized(const std::vector<int>& shape, const mx::array& like) {
  return fresh({shape.begin(), shape.end()}, like.dtype());
}

// Evaluated, untraced, on the CPU, less work than an eval costs.
bool numpy_is_quicker(const py::args& arrays) {
  size_t work = 0;
  for (auto& item : arrays) {
    const auto* a = as_array(item.ptr());
    if (!a || !a->is_available() || a->is_tracer() || a->dtype() == mx::bfloat16) return false;
    work += a->size();
  }
  return work < kSerialWork / 4 && mx::default_device() == mx::Device::cpu && !shaders_on_host();
}

void set_spgemm_threads(int n) { spgemm_threads() = n; }
void set_shaders_on_host(bool on) { shaders_on_host() = on; }
void set_reverse_lanes(bool on) { host_reverse_lanes() = on; }
mx::array handle(const mx::array& a) { return a; }
bool is_available(const mx::array& a) { return a.is_available(); }
bool is_tracer(const mx::array& a) { return a.is_tracer(); }

// depth: NumPy's arrays have 64 dimensions at most, so it refuses what lies deeper.
void refuse_traced_in(PyObject* x, int depth) {
  if (depth > 64 || (!PyList_Check(x) && !PyTuple_Check(x))) return;
  for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(x); ++k) {
    PyObject* item = PySequence_Fast_GET_ITEM(x, k);
    if (PyFloat_CheckExact(item) || PyLong_CheckExact(item)) continue;
    const auto* a = as_array(item);
    if (!a) {
      refuse_traced_in(item, depth + 1);
      continue;
    }
    try {
      refuse_traced(*a);
    } catch (const std::invalid_argument&) {
      throw std::invalid_argument(
          "a list that holds traced arrays (inside mx.grad, mx.vmap or mx.compile) has no derivative, as NumPy reads it: "
          "make it one array with mx.stack or mx.concatenate");
    }
  }
}

// Refuses lists and tuples with traced arrays in them, however deep: NumPy would take their values for constants.
void refuse_traced_within(const py::object& x) { refuse_traced_in(x.ptr(), 1); }

} // namespace

static void bind_runtime(py::module_& m) {
  m.def("available_cores", &available_cores);
  m.def("set_n_threads", &set_n_threads, "n"_a);
  m.def("set_spgemm_threads", &set_spgemm_threads, "n"_a);
  m.def("set_shaders_on_host", &set_shaders_on_host, "on"_a);
  m.def("set_reverse_lanes", &set_reverse_lanes, "on"_a);
  m.def("uninitialized", &uninitialized, "shape"_a, "like"_a);
  m.def("handle", &handle, "a"_a, "The same array in a Python object of its own, which can be changed without the others.");
  m.def("is_available", &is_available, "a"_a);
  m.def("is_tracer", &is_tracer, "a"_a);
  m.def("refuse_traced", &refuse_traced, "a"_a);
  m.def("refuse_traced_within", &refuse_traced_within, "x"_a);
  m.def("numpy_is_quicker", &numpy_is_quicker, "Whether NumPy on views of these arrays is quicker than a graph.");
  m.def("defer_to", &defer_to, "base"_a);
  m.def("triad", &triad, "n"_a, py::call_guard<py::gil_scoped_release>(),
        "Bytes per second of a[i] = b[i] + s * c[i] over n doubles on the package's own workers.");
}

} // namespace sp

PYBIND11_MODULE(_native, m) {
  sp::verify_layout();
  sp::bind_structure(m); // first: the others' signatures name its classes
  sp::bind_canonical(m);
  sp::bind_blocks(m);
  sp::bind_assemble(m);
  sp::bind_select(m);
  sp::bind_extrema(m);
  sp::bind_lists(m);
  sp::bind_runtime(m);
  sp::bind_indexed_product(m);
  sp::bind_segment(m);
}
