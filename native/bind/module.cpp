// The one module: its settings, what Python asks of arrays that MLX's interface does not tell, and the families.
#include "bind/bind.h"
#include "bind/mlx_array.h"
#include "launch.h"
#include "ops/matmul.h"
#include "primitives/wait.h"

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

void evaluate(const py::args& arrays) {
  std::vector<mx::array> pending;
  for (auto& item : arrays) {
    const auto* a = as_array(item.ptr());
    if (!a) throw py::type_error("evaluate takes mx.array");
    if (a->status() != mx::array::Status::available) pending.push_back(*a);
  }
  if (pending.empty()) return;
  without_lock([&] {
    wait_for(std::move(pending));
    return true;
  });
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
  m.def("available_cores", &available_cores);
  m.def("set_n_threads", &set_n_threads, "n"_a);
  m.def("set_spgemm_threads", &set_spgemm_threads, "n"_a);
  m.def("set_shaders_on_host", &set_shaders_on_host, "on"_a);
  m.def("set_reverse_lanes", &set_reverse_lanes, "on"_a);
  m.def("uninitialized", &uninitialized, "shape"_a, "like"_a);
  m.def("handle", &handle, "a"_a, "The same array in a Python object of its own, which can be changed without the others.");
  m.def("is_available", &is_available, "a"_a);
  m.def("is_tracer", &is_tracer, "a"_a);
  m.def("evaluate", &evaluate, "Waits for these arrays as mx.eval does, but Ctrl-C ends it.");
  m.def("before_fork", &before_fork);
  m.def("after_fork_in_child", &prepare_child);
  m.def("refuse_traced", &refuse_traced, "a"_a);
  m.def("numpy_is_quicker", &numpy_is_quicker, "Whether NumPy on views of these arrays is quicker than a graph.");
  m.def("defer_to", &defer_to, "base"_a);
  m.def("triad", &triad, "n"_a, py::call_guard<py::gil_scoped_release>(),
        "Bytes per second of a[i] = b[i] + s * c[i] over n doubles on the package's own workers.");
}

} // namespace sp

PYBIND11_MODULE(_native, m) {
  sp::verify_layout();
  sp::find_signal_thread();
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
