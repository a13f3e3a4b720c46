// The families of bindings that make up the module.
#pragma once

#include <pybind11/pybind11.h>

namespace sp {

void bind_blocks(pybind11::module_& m);
void bind_coo(pybind11::module_& m);
void bind_index(pybind11::module_& m);
void bind_indexed_product(pybind11::module_& m);
void bind_lists(pybind11::module_& m);
void bind_minmax(pybind11::module_& m);
void bind_segment(pybind11::module_& m);

} // namespace sp
