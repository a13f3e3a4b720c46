// L D L^H factorisations over ndarrays, which take the plans of Cholesky factorisations; and entries of an inverse by L U.
#include <pybind11/complex.h>
#include <pybind11/numpy.h>

#include "bind/bind.h"
#include "bind/held_factor.h"
#include "bind/numpy.h"
#include "ops/ldl.h"
#include "ops/lu_inverse.h"

namespace sp {

namespace {

template <class T>
using Values = py::array_t<T, py::array::c_style>;

py::object factor_indefinite(const SharedPlan& plan, const py::array& values) {
  return with_blas(values, [&](auto t) {
    using T = typename decltype(t)::type;
    const T* data = static_cast<const T*>(values.data());
    return py::cast(without_lock([&] { return factor_ldl<T>(plan, data); }));
  });
}

// Of S A S, for the real numbers S: x = S (S A S)^-1 S b.
template <class T>
std::shared_ptr<HeldFactor> held(const SharedLdl<T>& factor, const Values<real_t<T>>& scale) {
  const int64_t n = factor->plan().n();
  if (scale.size() != n) throw py::value_error("the scale must have as many numbers as the matrix has rows");
  std::vector<real_t<T>> by(scale.data(), scale.data() + n);
  return held_by<T>(n, [factor, by = std::move(by)](const T* b, T* x, int64_t r) {
    auto scaled = [&](const T* from) {
      for (size_t i = 0; i < by.size(); ++i) {
        for (int64_t c = 0; c < r; ++c) x[i * r + c] = from[i * r + c] * by[i];
      }
    };
    scaled(b);
    solve_ldl(factor, x, x, r, Half::both);
    scaled(x);
  });
}

template <class T>
void bind_ldl(py::module_& m, const char* name) {
  using F = SharedLdl<T>;
  py::class_<LdlFactor<T>, std::shared_ptr<LdlFactor<T>>>(m, name)
      .def_property_readonly("zeros", &LdlFactor<T>::zeros)
      .def_property_readonly("entries", [](const F& f) { return lower_entries(f); })
      .def("order", [](const F& f) {
        const auto order = elimination_order(f);
        return Values<int32_t>(static_cast<py::ssize_t>(order.size()), order.data());
      })
      .def("solve", [](const F& f, const Values<T>& b, Half half) {
        Values<T> x(std::vector<py::ssize_t>(b.shape(), b.shape() + b.ndim()));
        const int64_t r = b.ndim() == 1 ? 1 : b.shape(1);
        const T* from = b.data();
        T* to = x.mutable_data();
        without_lock([&] { solve_ldl(f, from, to, r, half); return true; });
        return x;
      }, "b"_a.noconvert(), "half"_a)
      .def("held", [](const F& f, const Values<real_t<T>>& scale) { return held<T>(f, scale); }, "scale"_a.noconvert())
      .def("lower", [](const F& f) {
        const auto entries = lower_entries(f);
        Values<T> data(entries);
        Values<int32_t> indices(entries);
        Values<int64_t> indptr(f->plan().n() + 1);
        lower_triangle(f, data.mutable_data(), indices.mutable_data(), indptr.mutable_data());
        return py::make_tuple(data, indices, indptr);
      })
      .def("pivots", [](const F& f) {
        Values<real_t<T>> diagonal(f->plan().n());
        Values<T> beside(f->plan().n());
        pivots_of(f, diagonal.mutable_data(), beside.mutable_data());
        return py::make_tuple(diagonal, beside);
      })
      .def("inverse_entries", [](const F& f, const Values<int64_t>& indptr, const Values<int32_t>& indices, Values<T>& values) {
        Values<real_t<T>> diagonal(f->plan().n());
        real_t<T>* out = diagonal.mutable_data();
        T* at = values.mutable_data();
        const int64_t* start = indptr.data();
        const int32_t* minor = indices.data();
        without_lock([&] { inverse_entries(f, start, minor, at, out); return true; });
        return diagonal;
      }, "indptr"_a, "indices"_a, "values"_a.noconvert());
}

template <class T>
struct Stored { // data, indices, indptr
  Values<T> data;
  Values<int32_t> indices;
  Values<int64_t> indptr;

  explicit Stored(const py::tuple& parts)
      : data(parts[0].cast<Values<T>>()), indices(parts[1].cast<Values<int32_t>>()), indptr(parts[2].cast<Values<int64_t>>()) {}
  Slices<T> slices() const { return {indptr.data(), indices.data(), data.data()}; }
};

template <class T>
py::object inverse_of(const py::tuple& B, const py::tuple& L, const py::tuple& U) {
  const Stored<T> b(B), l(L), u(U);
  Values<T> out(b.data.size());
  T* to = out.mutable_data();
  const auto n = static_cast<int32_t>(b.indptr.size() - 1);
  const Slices<T> first = b.slices(), lower = l.slices(), upper = u.slices();
  without_lock([&] { inverse_by_lu(n, first, lower, upper, to); return true; });
  return out;
}

py::object lu_inverse_entries_of(const py::tuple& B, const py::tuple& L, const py::tuple& U) {
  return with_blas(L[0].cast<py::array>(), [&](auto t) { return inverse_of<typename decltype(t)::type>(B, L, U); });
}

} // namespace

void bind_general_factorisations(py::module_& m) {
  m.def("factor_ldl", &factor_indefinite, "plan"_a, "values"_a);
  m.def("lu_inverse_entries", &lu_inverse_entries_of, "B"_a, "L"_a, "U"_a);
  bind_ldl<float>(m, "LdlFactor32");
  bind_ldl<double>(m, "LdlFactor64");
  bind_ldl<std::complex<float>>(m, "LdlFactorComplex64");
  bind_ldl<std::complex<double>>(m, "LdlFactorComplex128");
}

} // namespace sp
