// Cholesky factorisations over ndarrays, and the BLAS that they call.
#include <pybind11/complex.h>
#include <pybind11/numpy.h>

#include "bind/bind.h"
#include "bind/held_factor.h"
#include "bind/numpy.h"
#include "ops/cholesky.h"

namespace sp {

namespace {

template <class T>
using Vector = py::array_t<T, py::array::c_style>;

template <class F>
F function_of(const char* module, const std::string& name) {
  const auto table = py::module_::import(module).attr("__pyx_capi__").cast<py::dict>();
  const py::object held = table[name.c_str()];
  return reinterpret_cast<F>(PyCapsule_GetPointer(held.ptr(), PyCapsule_GetName(held.ptr())));
}

template <class T>
void find_blas(const std::string& letter) {
  Blas<T>::gemm = function_of<typename Blas<T>::Gemm>("scipy.linalg.cython_blas", letter + "gemm");
  Blas<T>::trsm = function_of<typename Blas<T>::Trsm>("scipy.linalg.cython_blas", letter + "trsm");
  Blas<T>::potrf = function_of<typename Blas<T>::Potrf>("scipy.linalg.cython_lapack", letter + "potrf");
}

SharedPlan analyse(const Vector<int64_t>& indptr, const Vector<int32_t>& indices, const Vector<int32_t>& order, CholeskyForm form) {
  if (!Blas<double>::potrf) {
    find_blas<float>("s");
    find_blas<std::complex<float>>("c");
    find_blas<std::complex<double>>("z");
    find_blas<double>("d"); // last, as it is what tells
  }
  const size_t n = static_cast<size_t>(indptr.size()) - 1;
  const int64_t* start = indptr.data();
  const int32_t* minor = indices.data();
  std::vector<int32_t> given(order.data(), order.data() + order.size());
  return without_lock([&] { return plan_cholesky(n, start, minor, std::move(given), form); });
}

// Positions of the mirror images of all entries; None if the structure, whose indices are sorted, is not symmetric.
py::object mirror_of(const Vector<int64_t>& indptr, const Vector<int32_t>& indices) {
  Vector<int64_t> mirror(indices.size());
  int64_t* to = mirror.mutable_data();
  const int64_t* start = indptr.data();
  const int32_t* minor = indices.data();
  const auto n = static_cast<size_t>(indptr.size() - 1);
  if (!without_lock([&] { return mirror_entries(n, start, minor, to); })) return py::none();
  return mirror;
}

// How far an entry is from the conjugate of its mirror image at most, and the largest entry, NaN where one is not finite.
std::pair<double, double> asymmetry(const Vector<int64_t>& mirror, const py::array& values) {
  if (values.size() != mirror.size()) throw std::invalid_argument("values and mirror must have one size");
  return with_blas(values, [&](auto t) {
    using T = typename decltype(t)::type;
    return hermitian_error(static_cast<size_t>(mirror.size()), mirror.data(), static_cast<const T*>(values.data()));
  });
}

py::object factor(const SharedPlan& plan, const py::array& values) {
  return with_blas(values, [&](auto t) {
    using T = typename decltype(t)::type;
    const T* data = static_cast<const T*>(values.data());
    return py::cast(without_lock([&] { return factor_cholesky<T>(plan, data); }));
  });
}

template <class T>
Vector<T> solve(const SharedFactor<T>& factor, const Vector<T>& b, Half half) {
  const int64_t r = b.ndim() == 1 ? 1 : b.shape(1);
  Vector<T> x(std::vector<py::ssize_t>(b.shape(), b.shape() + b.ndim()));
  const T* from = b.data();
  T* to = x.mutable_data();
  without_lock([&] {
    solve_cholesky(factor, from, to, r, half);
    return true;
  });
  return x;
}

template <class T>
py::tuple lower(const SharedFactor<T>& factor) {
  const SharedPlan plan(factor, &factor->plan());
  const auto entries = lower_entries(plan);
  Vector<T> data(entries);
  Vector<int32_t> indices(entries);
  Vector<int64_t> indptr(plan->n() + 1);
  lower_triangle(factor, data.mutable_data(), indices.mutable_data(), indptr.mutable_data());
  return py::make_tuple(data, indices, indptr);
}

template <class T>
Vector<real_t<T>> pivots(const SharedFactor<T>& factor) {
  Vector<real_t<T>> out(factor->plan().n());
  pivots_of(factor, out.mutable_data());
  return out;
}

template <class T>
Vector<real_t<T>> inverse(const SharedFactor<T>& factor, Vector<T>& values) {
  Vector<real_t<T>> diagonal(factor->plan().n());
  real_t<T>* out = diagonal.mutable_data();
  T* at = values.mutable_data();
  without_lock([&] {
    inverse_entries(factor, out, at);
    return true;
  });
  return diagonal;
}

mx::array solve_held(const std::shared_ptr<HeldFactor>& factor, const InverseForm& op, const Compressed& a, const mx::array& b,
                     mx::Stream s) {
  return solve_by_factor(factor, op, a, b, s);
}

template <class T>
void bind_factor(py::module_& m, const char* name) {
  py::class_<CholeskyFactor<T>, std::shared_ptr<CholeskyFactor<T>>>(m, name)
      .def_property_readonly("failed", &CholeskyFactor<T>::failed)
      .def("solve", [](const SharedFactor<T>& f, const Vector<T>& b, Half half) { return solve<T>(f, b, half); },
           "b"_a.noconvert(), "half"_a)
      .def("held", [](const SharedFactor<T>& f) {
        return held_by<T>(f->plan().n(), [f](const T* b, T* x, int64_t r) { solve_cholesky(f, b, x, r, Half::both); });
      })
      .def("lower", [](const SharedFactor<T>& f) { return lower<T>(f); })
      .def("pivots", [](const SharedFactor<T>& f) { return pivots<T>(f); })
      .def("inverse_entries", [](const SharedFactor<T>& f, Vector<T>& values) { return inverse<T>(f, values); }, "values"_a.noconvert());
}

} // namespace

void bind_factorisations(py::module_& m) {
  py::class_<HeldFactor, std::shared_ptr<HeldFactor>>(m, "HeldFactor");
  py::class_<InverseForm>(m, "InverseForm").def(py::init<bool, bool>(), "transposed"_a, "conjugate"_a);
  m.def("solve_by_factor", at_once(&solve_held), "factor"_a, "op"_a, "a"_a, "b"_a, "stream"_a);
  py::enum_<Half>(m, "Half").value("both", Half::both).value("lower", Half::lower).value("upper", Half::upper);
  py::enum_<CholeskyForm>(m, "CholeskyForm")
      .value("automatic", CholeskyForm::automatic)
      .value("simplicial", CholeskyForm::simplicial)
      .value("supernodal", CholeskyForm::supernodal);
  py::class_<CholeskyPlan, std::shared_ptr<CholeskyPlan>>(m, "CholeskyPlan")
      .def_property_readonly("order", [](const CholeskyPlan& p) {
        return Vector<int32_t>(static_cast<py::ssize_t>(p.by.order.size()), p.by.order.data());
      })
      .def_property_readonly("entries", [](const SharedPlan& p) { return lower_entries(p); })
      .def_property_readonly("supernodes", [](const CholeskyPlan& p) { return p.nodes.count(); })
      .def_readonly("simplicial", &CholeskyPlan::simplicial)
      .def_readonly("work", &CholeskyPlan::work);
  m.def("plan_cholesky", &analyse, "indptr"_a, "indices"_a, "order"_a, "form"_a);
  m.def("mirror_entries", &mirror_of, "indptr"_a, "indices"_a);
  m.def("asymmetry", &asymmetry, "mirror"_a, "values"_a);
  m.def("factor_cholesky", &factor, "plan"_a, "values"_a);
  bind_factor<float>(m, "CholeskyFactor32");
  bind_factor<double>(m, "CholeskyFactor64");
  bind_factor<std::complex<float>>(m, "CholeskyFactorComplex64");
  bind_factor<std::complex<double>>(m, "CholeskyFactorComplex128");
}

} // namespace sp
