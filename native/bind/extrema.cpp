// Values of slices that have no derivative: extremes, and where they stand.
#include "ops/extrema.h"

#include "bind/bind.h"
#include "kernels/extrema.h"
#include "kernels/reduce.h"
#include "primitives/per_slice.h"

namespace sp {

void bind_extrema(py::module_& m) {
  m.def("major_extreme", &major_extreme, "data"_a, "indptr"_a, "n_minor"_a, "max"_a, "ignore_nan"_a, "explicit"_a);
  m.def("minor_extreme", &minor_extreme, "data"_a, "indices"_a, "n_minor"_a, "length"_a, "max"_a, "ignore_nan"_a,
        "explicit"_a);
  py::class_<MajorWhere>(m, "MajorWhere").def(py::init<bool, bool>(), "max"_a, "explicit"_a);
  m.def("major_where", at_once(&per_slice<MajorWhere>), "kernel"_a, "structure"_a, "data"_a, "stream"_a);
}

} // namespace sp
