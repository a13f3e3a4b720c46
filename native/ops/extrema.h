// Minima and maxima along an axis: they read evaluated buffers, since what they give is then searched for zeros.
#pragma once

#include <pybind11/pybind11.h>

#include "mlx/mlx.h"

namespace sp {

namespace py = pybind11;
namespace mx = mlx::core;

mx::array major_extreme_host(const mx::array& data, const mx::array& indptr, int64_t n_minor, bool max, bool ignore_nan,
                             bool explicit_only);
mx::array minor_extreme_host(const mx::array& data, const mx::array& indices, int64_t n_minor, int64_t length, bool max,
                             bool ignore_nan, bool explicit_only);
mx::array major_where_host(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_minor,
                           bool max, bool explicit_only);

void bind_minmax(py::module_& m);

} // namespace sp
