#include "primitives/indexed_product.h"

#include "bind/bind.h"
#include "ops/index_summary.h"

namespace sp {

namespace {

using Optional = std::optional<mx::array>;

Indices make_indices(const Optional& left, const Optional& right, const Optional& out, std::array<bool, 3> sorted,
                     bool atomic) {
  return {{left, sorted[0]}, {right, sorted[1]}, {out, sorted[2]}, atomic};
}

} // namespace

void bind_indexed_product(py::module_& m) {
  py::enum_<IndexedKind>(m, "IndexedKind")
      .value("matvec", IndexedKind::matvec)
      .value("rmatvec", IndexedKind::rmatvec)
      .value("outer", IndexedKind::outer);
  py::class_<Indices>(m, "Indices")
      .def(py::init(&make_indices), "left"_a, "right"_a, "out"_a, "sorted"_a, "atomic"_a);
  m.def("indexed_product", lazy(&indexed_product), "kind"_a, "left"_a, "right"_a, "indices"_a, "n_out"_a, "stream"_a);
  m.def("index_summary", &index_summary, "index"_a);
}

} // namespace sp
