// Bindings of the operations of mlx_sparse.indexed.
#pragma once

#include <pybind11/pybind11.h>

namespace sp {

void bind_indexed_product(pybind11::module_& m);
void bind_segment(pybind11::module_& m);

} // namespace sp
