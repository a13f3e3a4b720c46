// The lists of lil arrays: sorted Python lists of columns, one per row, and the values beside them.
#pragma once

#include "mlx_array.h"

namespace sp {

void bind_lists(py::module_& m);

} // namespace sp
