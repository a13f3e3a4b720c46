// Terms of Taylor series over ndarrays.
#include <pybind11/complex.h>

#include "bind/bind.h"
#include "bind/numpy.h"
#include "ops/taylor.h"

namespace sp {

namespace {

std::pair<double, double> term(TaylorRows& a, const py::array& x, py::array y, std::optional<py::array> total,
                               std::complex<double> factor, std::complex<double> shift) {
  const auto dtype = mlx_dtype(x.dtype());
  const auto check = [&](const py::array& z) {
    const bool same = z.dtype().equal(x.dtype()) && z.ndim() == x.ndim() && z.size() == x.size() && z.shape(0) == x.shape(0);
    if (!same || !(z.flags() & py::array::c_style)) {
      throw std::invalid_argument("x, y and total must be contiguous arrays of one dtype and shape");
    }
  };
  if (!dtype || *dtype != a.dtype() || (x.ndim() != 1 && x.ndim() != 2)) {
    throw std::invalid_argument("x must be a vector or a matrix of the dtype of a");
  }
  check(x);
  check(y);
  if (total) check(*total);
  const TaylorTerm task{static_cast<size_t>(x.shape(0)), x.ndim() == 1 ? size_t{1} : static_cast<size_t>(x.shape(1)),
                        x.data(), y.mutable_data(), total ? total->mutable_data() : nullptr};
  return without_lock([&] { return a.term(task, factor, shift); });
}

} // namespace

void bind_taylor(py::module_& m) {
  py::class_<TaylorRows>(m, "TaylorRows")
      .def(py::init<const Compressed&>(), "a"_a)
      .def("term", &term, "x"_a, "y"_a, "total"_a, "factor"_a, "shift"_a,
           "y = factor (a - shift I) x and total += y: bounds of their largest row sums of magnitudes, above and below.");
}

} // namespace sp
