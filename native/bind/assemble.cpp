#include "ops/assemble.h"

#include "bind/bind.h"
#include "bind/numpy.h"

namespace sp {

void bind_assemble(py::module_& m) {
  m.def("coo_reshape", &coo_reshape, "coords"_a, "strides"_a, "dims"_a, "total"_a, "wide"_a);
  m.def("keep", &keep, "arrays"_a, "mask"_a);
  m.def("extent", &extent, "index"_a);
  m.def("stack", &stack, "blocks"_a, "minors"_a, "along_major"_a, "wide"_a);
  m.def("band", &band, "a"_a, "low"_a, "high"_a, "limit"_a);
  m.def("from_diagonals", &from_diagonals, "diagonals"_a, "offsets"_a, "n_major"_a, "n_minor"_a, "wide"_a);
  m.def("fromdense", &fromdense, "dense"_a, "by_rows"_a, "wide"_a);
}

} // namespace sp
