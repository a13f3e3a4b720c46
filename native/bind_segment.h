// Python's names for the segment family.
#pragma once

#include <pybind11/pybind11.h>

namespace sp {

void bind_segment(pybind11::module_& m);

} // namespace sp
