// The one module: its settings, what Python asks of arrays that MLX's interface does not tell, and the families.
#include <string_view>

#include "bind/bind.h"
#include "bind/exposed.h"
#include "bind/mlx_array.h"
#include "bind/numpy.h"
#include "launch.h"
#include "primitives/krylov.h"
#include "primitives/structure.h"
#include "ops/matmul.h"
#include "primitives/node.h"
#include "primitives/wait.h"

namespace sp {

namespace {

mx::array uninitialized(const std::vector<int64_t>& shape, const mx::array& like) {
  expect_memory(bytes_of(shape, like.dtype()));
  mx::Shape dims;
  for (auto n : shape) dims.push_back(to_dim(n));
  return fresh(std::move(dims), like.dtype());
}

// Evaluated, untraced, on the CPU, less work than an eval costs.
bool numpy_is_quicker(const py::args& arrays) {
  size_t work = 0;
  for (auto& item : arrays) {
    const auto* a = as_array(item.ptr());
    if (a && is_wide(a->dtype())) return true; // MLX has no operation for it
    if (!a || !is_there(*a) || a->is_tracer() || a->dtype() == mx::bfloat16) return false;
    work += a->size();
  }
  const size_t most = settles_values() ? size_t{1} << 16 : kSerialWork / 4; // what is read at once anyway waits for a stream
  return work < most && mx::default_device() == mx::Device::cpu && !shaders_on_host();
}

void set_spgemm_threads(int n) { spgemm_threads() = n; }
void set_shaders_on_host(bool on) { shaders_on_host() = on; }
void set_reverse_lanes(bool on) { host_reverse_lanes() = on; }
void set_separate_launches(bool on) { separate_launches() = on; }
mx::array handle(const mx::array& a) { return a; }
bool is_available(const mx::array& a) { return is_there(a); }

bool is_tracer(const mx::array& a) { return a.is_tracer(); }

// MLX's error for an array that another thread left pending tells nobody what to do.
void name_the_thread(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::runtime_error& e) {
    if (!std::string_view(e.what()).starts_with("There is no Stream")) throw;
    PyErr_SetString(PyExc_RuntimeError,
                    "an array is pending that another thread made, and MLX evaluates an array only in the thread that "
                    "made it; evaluate there what threads are to share: mx.eval(A.data) for the values of a sparse array "
                    "A, mx.eval(x) for an mx.array x");
  }
}

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

// As mx.eval, but Ctrl-C ends it; for NumPy to look at, so that traced arrays are refused.
void evaluate(const py::args& arrays) {
  Arrays pending;
  for (auto& item : arrays) {
    const auto* a = as_array(item.ptr());
    if (!a) throw py::type_error("evaluate takes mx.array");
    refuse_traced(*a);
    if (a->status() == mx::array::Status::available) continue;
    pending.push_back(*a);
  }
  if (!pending.empty()) wait_unlocked(std::move(pending));
}

// A copy of an ndarray, in its dtype; None unless MLX has that and the elements are in C order.
py::object from_numpy(const py::array& x) {
  const auto dtype = mlx_dtype(x.dtype());
  if (!dtype || !(x.flags() & py::array::c_style)) return py::none();
  mx::Shape shape;
  for (py::ssize_t d = 0; d < x.ndim(); ++d) shape.push_back(to_dim(x.shape(d)));
  auto made = fresh(std::move(shape), *dtype);
  if (x.size()) std::memcpy(made.data<char>(), x.data(), static_cast<size_t>(x.nbytes()));
  return to_python(std::move(made));
}

std::atomic<unsigned long> signal_thread{0};
void find_signal_thread() {
  signal_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
}

void prepare_child() {
  find_signal_thread();
  after_fork_in_child();
}

} // namespace

bool gets_signals() { return PyThread_get_thread_ident() == signal_thread; }

bool signal_raised() {
  const py::gil_scoped_acquire acquire;
  return PyErr_CheckSignals() != 0;
}

static void bind_runtime(py::module_& m) {
  py::register_local_exception_translator(&name_the_thread);
  m.def("available_cores", &available_cores);
  m.def("set_n_threads", &set_n_threads, "n"_a);
  m.def("set_spgemm_threads", &set_spgemm_threads, "n"_a);
  m.def("set_shaders_on_host", &set_shaders_on_host, "on"_a);
  m.def("set_reverse_lanes", &set_reverse_lanes, "on"_a);
  m.def("set_separate_launches", &set_separate_launches, "on"_a);
  m.def("uninitialized", &uninitialized, "shape"_a, "like"_a);
  m.def("handle", &handle, "a"_a, "The same array in a Python object of its own, which can be changed without the others.");
  m.def("is_available", &is_available, "a"_a);
  m.def("is_tracer", &is_tracer, "a"_a);
  m.def("evaluate", &evaluate, "Waits for these arrays, which are not traced, as mx.eval does, but Ctrl-C ends it.");
  m.def("from_numpy", &from_numpy, "x"_a, "A copy of an ndarray; None where MLX lacks its dtype or it is not in C order.");
  m.def("before_fork", &before_fork);
  m.def("after_fork_in_child", &prepare_child);
  m.def("refuse_traced", &refuse_traced, "a"_a);
  m.def("expect_memory", &ask_for_memory, "bytes"_a, "host"_a = false, "MemoryError where so much cannot be had.");
  m.def("refuse_traced_within", &refuse_traced_within, "x"_a);
  m.def("numpy_is_quicker", &numpy_is_quicker, "Whether NumPy on views of these arrays is quicker than a graph.");
  m.def("defer_to", &defer_to, "base"_a);
  m.def("triad", &triad, "n"_a, py::call_guard<py::gil_scoped_release>(),
        "Bytes per second of a[i] = b[i] + s * c[i] over n doubles on the package's own workers.");
}

// Of protocols 0 and 1 Python makes an object of a class without its base, which ends the process.
static void refuse_pickling(py::module_& m) {
  for (auto [name, type] : py::dict(m.attr("__dict__"))) {
    if (Py_TYPE(type.ptr()) != py::detail::get_internals().default_metaclass || py::hasattr(type, "__members__")) {
      continue;
    }
    std::string what = "cannot pickle '" + py::str(name).cast<std::string>() + "' object";
    auto refuse = [what](const py::object&, int) -> py::object { throw py::type_error(what); };
    py::setattr(type, "__reduce_ex__", py::cpp_function(refuse, py::is_method(type), py::name("__reduce_ex__")));
  }
}

} // namespace sp

PYBIND11_MODULE(_native, m) {
  sp::verify_layout();
  sp::find_signal_thread();
  sp::bind_wide_array(m); // first: the others' signatures name these classes
  sp::bind_structure(m);
  sp::bind_canonical(m);
  sp::bind_blocks(m);
  sp::bind_assemble(m);
  sp::bind_select(m);
  sp::bind_taylor(m);
  sp::bind_extrema(m);
  sp::bind_graph(m);
  sp::bind_lists(m);
  sp::bind_runtime(m);
  sp::bind_exposed(m);
  sp::bind_indexed_product(m);
  sp::bind_segment(m);
  sp::bind_triangular(m);
  sp::bind_factorisations(m);
  sp::bind_general_factorisations(m);
  sp::bind_krylov(m);
  sp::refuse_pickling(m);
}
