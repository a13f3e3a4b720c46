#include "ops/extrema.h"

#include "bind/bind.h"

namespace sp {

void bind_extrema(py::module_& m) {
  m.def("major_extreme", &major_extreme, "data"_a, "indptr"_a, "n_minor"_a, "max"_a, "ignore_nan"_a, "explicit"_a);
  m.def("minor_extreme", &minor_extreme, "data"_a, "indices"_a, "n_minor"_a, "length"_a, "max"_a, "ignore_nan"_a, "explicit"_a);
  m.def("major_where", &major_where, "a"_a, "n_minor"_a, "max"_a, "explicit"_a);
}

} // namespace sp
