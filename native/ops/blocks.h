// Host operations on blocks and diagonals: at once, on evaluated buffers.
#pragma once

#include <pybind11/pybind11.h>

namespace sp {

void bind_blocks(pybind11::module_& m);

} // namespace sp
