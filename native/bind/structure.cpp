// Structures, and the operations whose results have sizes that their operands' shapes tell.
#include "bind/bind.h"
#include "bind/exposed.h"
#include "bind/numpy.h"
#include "primitives/convert.h"
#include "primitives/dense.h"
#include "primitives/diagonal.h"
#include "primitives/product.h"
#include "primitives/reduce.h"
#include "primitives/residual.h"
#include "primitives/sort_by_key.h"
#include "primitives/wait.h"

namespace sp {

namespace {

void set_settles_values(bool on) { settles_values() = on; }

// What every container begins with: index arrays that any thread may use. Only values of mlx mode may be pending. Most
// often there is nothing to do, which costs no copy of a handle.
template <class Index>
void settle_parts(const Index& index, const py::object& data) {
  Arrays pending;
  size_t bytes = 0, largest = 0;
  auto add = [&](const mx::array& a, bool now) {
    if (is_there(a)) return;
    if (now) pending.push_back(a);
    bytes += a.nbytes();
    largest = std::max(largest, a.nbytes());
  };
  for (const mx::array* a : index) add(*a, true);
  if (const auto* values = as_array(data.ptr())) add(*values, settles_values());
  if (bytes >= kPendingBytes) ask_for_memory(bytes + largest); // together, and what one of them is computed from
  if (pending.empty()) return;
  without_lock([&] {
    settle(pending);
    return true;
  });
}
using Parts = std::initializer_list<const mx::array*>;

void settle_coordinates(const py::sequence& index, const py::object& data) {
  std::vector<const mx::array*> arrays;
  for (const auto& item : index) {
    arrays.push_back(as_array(item.ptr()));
    if (!arrays.back()) throw py::type_error("index must hold arrays of MLX");
  }
  settle_parts(arrays, data);
}

Structure compressed_structure(int64_t n_major, int64_t n_minor, const mx::array& indices, const mx::array& indptr,
                     const py::object& data) {
  settle_parts(Parts{&indices, &indptr}, data);
  return {{Layout::compressed, n_major, n_minor, std::make_shared<Plan>()}, indptr, indices};
}

Structure coordinate_structure(int64_t n_major, int64_t n_minor, const mx::array& major, const mx::array& minor) {
  return {{Layout::coordinate, n_major, n_minor, std::make_shared<Plan>()}, major, minor};
}

Structure block_structure(std::pair<int64_t, int64_t> shape, std::pair<int64_t, int64_t> size, const mx::array& indices,
                const mx::array& indptr, const py::object& data) {
  settle_parts(Parts{&indices, &indptr}, data);
  return {{Layout::block, shape.first, shape.second, std::make_shared<Plan>(), size.first, size.second}, indptr, indices};
}

Structure diagonal_structure(int64_t n_major, int64_t n_minor, int64_t length, const mx::array& offsets,
                    const py::object& data) {
  settle_parts(Parts{&offsets}, data);
  return {{Layout::diagonal, n_major, n_minor, std::make_shared<Plan>(), 1, length}, offsets, offsets};
}

// The same structure, of which nothing derived is kept: for buffers that NumPy can write to.
Structure unplanned(Structure a) {
  a.pattern.plan = nullptr;
  return a;
}

bool ready_on_host(const mx::array& a) { return is_there(a) && a.flags().row_contiguous; }

// Whether kernels can take x as it is: no other dtype, no strided or batched x, no GPU, no buffers that are not evaluated.
bool taken_at_once(const Structure& a, const mx::array& data, const py::array& x, int64_t n_in) {
  const auto info = x.dtype();
  return info.kind() == numpy_kind(data.dtype()) && info.itemsize() == data.dtype().size() && x.ndim() >= 1 && x.ndim() <= 2 &&
         x.flags() & py::array::c_style && !shaders_on_host() && mx::default_device() == mx::Device::cpu &&
         (info.byteorder() == '=' || info.byteorder() == '|') && x.shape(0) == n_in && ready_on_host(data) &&
         ready_on_host(a.outer) && ready_on_host(a.inner);
}

// kernel(task) into a new array of n_out rows, without the lock where it is long.
template <class Kernel>
py::object at_once_into(int64_t n_out, const Structure& a, const mx::array& data, const py::array& x, Kernel&& kernel) {
  const py::ssize_t k = x.ndim() == 2 ? x.shape(1) : 1;
  std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(n_out)};
  if (x.ndim() == 2) shape.push_back(k);
  check_values(a, data);
  py::array y(x.dtype(), shape);
  const HostProduct task{on_host(a.pattern, a.outer, a.inner), data.dtype(), data.data<char>(), x.data(),
                         y.mutable_data(), static_cast<size_t>(k)};
  if (data.size() * task.k < kSerialWork) {
    kernel(task);
  } else {
    const std::array held{data, a.outer, a.inner};
    without_lock([&] {
      kernel(task);
      return true;
    });
  }
  return y;
}

// A @ x or A.T @ x for an ndarray, straight to the kernel: an eval costs more than a small product. None when this
// short cut does not apply.
py::object product_numpy(ProductKind kind, const Structure& a, const mx::array& data, const py::array& x) {
  const auto& p = a.pattern;
  const bool forward = kind == ProductKind::matmul;
  if (!taken_at_once(a, data, x, forward ? p.n_minor : p.n_major)) return py::none();
  if (p.layout == Layout::coordinate && !forward) return py::none();
  return at_once_into(forward ? p.n_major : p.n_minor, a, data, x, [=](const HostProduct& task) { product_host(kind, task); });
}

// A^H A x for a vector, in one pass over a compressed A whose major axis is that of its rows. None as above.
py::object gram_numpy(const Structure& a, const mx::array& data, const py::array& x) {
  const auto& p = a.pattern;
  if (p.layout != Layout::compressed || x.ndim() != 1 || !taken_at_once(a, data, x, p.n_minor)) return py::none();
  return at_once_into(p.n_minor, a, data, x, gram_host);
}

// The products that need no look from Python: x is an mx.array of the same dtype and a fitting shape, or an ndarray that
// product_numpy takes. None otherwise.
py::object product_direct(ProductKind kind, const Structure& a, const mx::array& data, const py::object& x) {
  if (const auto* dense = as_array(x.ptr())) {
    const int nd = static_cast<int>(dense->ndim());
    const int64_t n_in = kind == ProductKind::matmul ? a.pattern.n_minor : a.pattern.n_major;
    if (dense->dtype() != data.dtype() || nd < 1 || dense->shape(nd > 1 ? nd - 2 : 0) != n_in) return py::none();
    const auto s = mx::default_stream(mx::default_device());
    check_stream(data, s);
    auto y = product(kind, a, data, *dense, s);
    if (!a.pattern.plan && !y.is_tracer()) y.eval(); // NumPy may write to the buffers afterwards
    return to_python(std::move(y));
  }
  if (Py_TYPE(x.ptr()) == py::detail::npy_api::get().PyArray_Type_) {
    return product_numpy(kind, a, data, py::reinterpret_borrow<py::array>(x));
  }
  return py::none();
}

mx::array sampled_product(const Structure& a, const mx::array& u, const mx::array& v, mx::Stream s) {
  return sddmm(a, u, v, false, s);
}

} // namespace

void bind_structure(py::module_& m) {
  // module_local: pybind11 looks among those first, and these two are asked for in every product.
  py::enum_<ProductKind>(m, "ProductKind", py::module_local())
      .value("matmul", ProductKind::matmul)
      .value("rmatmul", ProductKind::rmatmul);
  py::class_<Structure>(m, "Structure", py::module_local())
      .def_static("compressed", &compressed_structure, "n_major"_a, "n_minor"_a, "indices"_a, "indptr"_a, "data"_a = py::none())
      .def_static("coordinate", &coordinate_structure, "n_major"_a, "n_minor"_a, "major"_a, "minor"_a)
      .def_static("block", &block_structure, "shape"_a, "blocksize"_a, "indices"_a, "indptr"_a, "data"_a = py::none())
      .def_static("diagonal", &diagonal_structure, "n_major"_a, "n_minor"_a, "length"_a, "offsets"_a, "data"_a = py::none())
      .def("unplanned", &unplanned)
      .def_property_readonly("planned", [](const Structure& a) { return a.pattern.plan != nullptr; });
  m.def("settle", &settle_coordinates, "index"_a, "data"_a = py::none(),
        "Evaluate those that are pending and not traced: index arrays, and in numpy mode the values.");
  m.def("set_settles_values", &set_settles_values, "on"_a);
  m.def("product", lazy(&product), "kind"_a, "structure"_a, "data"_a, "x"_a, "stream"_a);
  m.def("product_direct", &product_direct, "kind"_a, "structure"_a, "data"_a, "x"_a);
  m.def("gram_numpy", &gram_numpy, "structure"_a, "data"_a, "x"_a);
  m.def("sddmm", at_once(&sampled_product), "structure"_a, "u"_a, "v"_a, "stream"_a);
  m.def("todense", at_once(&todense), "structure"_a, "data"_a, "stream"_a);
  m.def("sample", at_once(&sample), "structure"_a, "dense"_a, "stream"_a);
  m.def("diagonal", at_once(&diagonal), "structure"_a, "data"_a, "k"_a, "canonical"_a, "stream"_a);
  m.def("expand", at_once(&expand), "indptr"_a, "nnz"_a, "stream"_a);
  m.def("offsets_of_sorted", lazy(static_cast<mx::array (*)(const mx::array&, int64_t, mx::Stream)>(&offsets_of_sorted)),
        "keys"_a, "n"_a, "stream"_a);
  m.def("transpose", at_once(&transpose), "a"_a, "n_minor"_a, "stream"_a);
  m.def("transpose_of", at_once(&transpose_of), "structure"_a, "data"_a, "stream"_a);
  m.def("coo_to_cs", at_once(static_cast<Compressed (*)(const mx::array&, const mx::array&, const mx::array&, int64_t, mx::Stream)>(&coo_to_cs)),
        "data"_a, "major"_a, "minor"_a, "n_major"_a, "stream"_a);
  m.def("residual", lazy(&residual), "structure"_a, "data"_a, "x"_a, "b"_a, "stream"_a);
  m.def("major_sum", at_once(&major_sum), "data"_a, "indptr"_a, "stream"_a);
  m.def("minor_sum", at_once(&minor_sum), "data"_a, "indices"_a, "n_minor"_a, "stream"_a);
  m.def("inner_sum", at_once(&inner_sum), "structure"_a, "data"_a, "stream"_a);
  m.def("total", at_once(&total), "data"_a, "stream"_a);
}

} // namespace sp
