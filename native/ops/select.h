// Indexing of compressed storage: reads evaluated buffers and runs at once on the host.
#pragma once

#include <pybind11/pybind11.h>

namespace sp {

void bind_index(pybind11::module_& m);

} // namespace sp
