// The one pybind11 module. Every function takes and returns mx.array; checks of meaning are Python's.
#include <pybind11/numpy.h>

#include "bind/bind.h"
#include "launch.h"
#include "bind/mlx_array.h"
#include "primitives/convert.h"
#include "primitives/dense.h"
#include "primitives/diagonal.h"
#include "primitives/product.h"
#include "primitives/reduce.h"

namespace sp {

namespace {

py::tuple as_tuple(const Compressed& c) { return py::make_tuple(c.data, c.indices, c.indptr); }

Pattern make_pattern(bool compressed, int64_t n_major, int64_t n_minor) {
  return {compressed ? Layout::compressed : Layout::coordinate, n_major, n_minor, std::make_shared<Plan>()};
}

Pattern make_block_pattern(int64_t n_major, int64_t n_minor, int64_t r, int64_t c) {
  return {Layout::block, n_major, n_minor, std::make_shared<Plan>(), r, c};
}

Pattern make_diagonal_pattern(int64_t n_major, int64_t n_minor, int64_t length) {
  return {Layout::diagonal, n_major, n_minor, std::make_shared<Plan>(), 1, length};
}

ProductKind product_kind(int kind) { return kind == 0 ? ProductKind::matmul : ProductKind::rmatmul; }

// What NumPy calls the dtypes that both have; 0 for bfloat16.
char numpy_kind(mx::Dtype dtype) {
  switch (dtype.val()) {
    case mx::Dtype::Val::bool_: return 'b';
    case mx::Dtype::Val::float16: case mx::Dtype::Val::float32: case mx::Dtype::Val::float64: return 'f';
    case mx::Dtype::Val::complex64: return 'c';
    case mx::Dtype::Val::bfloat16: return 0;
    default: return mx::issubdtype(dtype, mx::signedinteger) ? 'i' : 'u';
  }
}

bool ready_on_host(const mx::array& a) { return a.is_available() && a.flags().row_contiguous; }

// A @ x or A.T @ x for an ndarray, straight to the kernel: an eval costs more than a small product. None when this
// short cut does not apply (other dtype, strided or batched x, a GPU, unevaluated buffers, the wrong length).
py::object product_numpy(int kind, const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1,
                         const py::array& x) {
  const auto dtype = data.dtype();
  auto info = x.dtype();
  if (info.kind() != numpy_kind(dtype) || info.itemsize() != dtype.size() || x.ndim() < 1 || x.ndim() > 2 ||
      !(x.flags() & py::array::c_style) || shaders_on_host() || mx::default_device() != mx::Device::cpu ||
      (info.byteorder() != '=' && info.byteorder() != '|')) {
    return py::none();
  }
  const bool forward = kind == 0;
  const int64_t n_in = forward ? p.n_minor : p.n_major, n_out = forward ? p.n_major : p.n_minor;
  if (x.shape(0) != n_in || !ready_on_host(data) || !ready_on_host(s0) || !ready_on_host(s1)) return py::none();
  if (p.layout == Layout::coordinate && !forward) return py::none();
  const py::ssize_t k = x.ndim() == 2 ? x.shape(1) : 1;
  std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(n_out)};
  if (x.ndim() == 2) shape.push_back(k);
  check_values(p, data, s0, s1);
  py::array y(info, shape);
  const void* px = x.data();
  void* py_ = y.mutable_data();
  const size_t nnz = data.size();
  auto run = [&] {
    product_host(product_kind(kind), p, dtype, s0.dtype(), nnz, data.data<char>(), s0.data<char>(), s1.data<char>(), px,
                 py_, static_cast<size_t>(k));
  };
  if (nnz * static_cast<size_t>(k) < kSerialWork) {
    run();
  } else {
    py::gil_scoped_release release;
    run();
  }
  return y;
}

// The products that need no look from Python: x is an mx.array of the same dtype and a fitting shape, or an ndarray that
// product_numpy takes. None otherwise.
py::object product_direct(int kind, const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1,
                          const py::object& x) {
  if (const auto* dense = as_array(x.ptr())) {
    const int nd = static_cast<int>(dense->ndim());
    const int64_t n_in = kind == 0 ? p.n_minor : p.n_major;
    if (dense->dtype() != data.dtype() || nd < 1 || dense->shape(nd > 1 ? nd - 2 : 0) != n_in) return py::none();
    return to_python(product(product_kind(kind), p, data, s0, s1, *dense, checked_stream(data, py::none())));
  }
  if (Py_TYPE(x.ptr()) == py::detail::npy_api::get().PyArray_Type_) {
    return product_numpy(kind, p, data, s0, s1, py::reinterpret_borrow<py::array>(x));
  }
  return py::none();
}

void bind_lazy(py::module_& m) {
  m.def("product", [](int kind, const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1,
                      const mx::array& x, const py::object& stream) {
    return product(product_kind(kind), p, data, s0, s1, x, checked_stream(data, stream));
  });
  m.def("product_direct", &product_direct);
  m.def("expand", [](const mx::array& indptr, int64_t nnz, const py::object& s) {
    return evaluated_at_once(expand(indptr, nnz, to_stream(s)));
  });
  m.def("transpose", [](const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_minor,
                        const py::object& s) {
    return as_tuple(evaluated_at_once(transpose(data, indices, indptr, n_minor, checked_stream(data, s))));
  });
  m.def("coo_to_cs", [](const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major,
                        const py::object& s) {
    return as_tuple(evaluated_at_once(coo_to_cs(data, major, minor, n_major, checked_stream(data, s))));
  });
  m.def("major_sum", [](const mx::array& data, const mx::array& indptr, const py::object& s) {
    return evaluated_at_once(major_sum(data, indptr, checked_stream(data, s)));
  });
  m.def("total", [](const mx::array& data, const py::object& stream) {
    const auto s = checked_stream(data, stream);
    return evaluated_at_once(total(data, s));
  });
  m.def("minor_sum", [](const mx::array& data, const mx::array& indices, int64_t n_minor, const py::object& s) {
    return evaluated_at_once(minor_sum(data, indices, n_minor, checked_stream(data, s)));
  });
  m.def("todense", [](const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1,
                      const py::object& s) { return evaluated_at_once(todense(p, data, s0, s1, checked_stream(data, s))); });
  m.def("sample", [](const Pattern& p, const mx::array& dense, const mx::array& s0, const mx::array& s1,
                     const py::object& s) { return evaluated_at_once(sample(p, dense, s0, s1, checked_stream(dense, s))); });
  m.def("sddmm", [](const Pattern& p, const mx::array& s0, const mx::array& s1, const mx::array& u, const mx::array& v,
                    const py::object& s) { return evaluated_at_once(sddmm(p, s0, s1, u, v, false, checked_stream(u, s))); });
  m.def("diagonal", [](const Pattern& p, const mx::array& data, const mx::array& s0, const mx::array& s1, int64_t k,
                       const py::object& s) { return evaluated_at_once(diagonal(p, data, s0, s1, k, checked_stream(data, s))); });
}

void bind_runtime(py::module_& m) {
  m.def("available_cores", &available_cores);
  m.def("set_n_threads", &set_n_threads);
  m.def("set_shaders_on_host", [](bool on) { shaders_on_host() = on; });
  m.def("is_available", [](const mx::array& a) { return a.is_available(); });
  m.def("is_tracer", [](const mx::array& a) { return a.is_tracer(); });
  m.def("refuse_traced", &refuse_traced, "a"_a);
  // Whether NumPy on views of these is quicker than a graph: evaluated, untraced, on the CPU, less work than an eval costs.
  m.def("numpy_is_quicker", [](const py::args& arrays) {
    size_t work = 0;
    for (auto& item : arrays) {
      const auto* a = as_array(item.ptr());
      if (!a || !a->is_available() || a->is_tracer() || a->dtype() == mx::bfloat16) return false;
      work += a->size();
    }
    return work < kSerialWork / 4 && mx::default_device() == mx::Device::cpu && !shaders_on_host();
  });
  m.def("defer_to", &defer_to);
  m.def("triad", &triad, py::call_guard<py::gil_scoped_release>(),
        "Bytes per second of a[i] = b[i] + s * c[i] over n doubles on the package's own workers.");
}

} // namespace

} // namespace sp

namespace py = pybind11;

PYBIND11_MODULE(_native, m) {
  sp::verify_layout();
  py::class_<sp::Pattern>(m, "Pattern")
      .def(py::init(&sp::make_pattern))
      .def_static("block", &sp::make_block_pattern)
      .def_static("diagonal", &sp::make_diagonal_pattern);
  sp::bind_lazy(m);
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
