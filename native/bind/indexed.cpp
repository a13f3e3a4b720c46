// Products of gathered operands, and reductions of rows over segments: what mlx_sparse.indexed is built of.
#include "bind/bind.h"
#include "ops/index_summary.h"
#include "primitives/indexed_product.h"
#include "primitives/segment.h"

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
  m.def("index_summary", unlocked(&index_summary), "index"_a);
}

void bind_segment(py::module_& m) {
  py::enum_<SegmentKind>(m, "SegmentKind")
      .value("sum", SegmentKind::sum)
      .value("mean", SegmentKind::mean)
      .value("prod", SegmentKind::prod)
      .value("max", SegmentKind::max)
      .value("min", SegmentKind::min)
      .value("logsumexp", SegmentKind::logsumexp)
      .value("argmax", SegmentKind::argmax)
      .value("argmin", SegmentKind::argmin);
  py::enum_<SegmentWeight>(m, "SegmentWeight").value("exp", SegmentWeight::exp).value("ties", SegmentWeight::ties);
  py::class_<Segments>(m, "Segments")
      .def(py::init(&make_segments), "count"_a, "offsets"_a = py::none(), "ids"_a = py::none(), "order"_a = py::none())
      .def_static("sort_by_ids", &sort_by_ids, "ids"_a, "count"_a, "stream"_a)
      .def_readonly("count", &Segments::count)
      .def_readonly("ids", &Segments::ids)
      .def_property_readonly("by_ids", [](const Segments& given) { return !given.offsets; })
      .def("with_ids", &with_ids, "rows"_a, "stream"_a);
  m.def("uses_shaders", py::overload_cast<mx::Stream>(&uses_shaders), "stream"_a);
  m.def("segment_offsets", lazy(&segment_offsets), "given"_a, "lengths"_a, "rows"_a, "stream"_a);
  m.def("segment_reduce", lazy(&segment_reduce), "kind"_a, "x"_a, "segments"_a, "stream"_a);
  m.def("segment_weight", lazy(&segment_weight), "kind"_a, "x"_a, "y"_a, "segments"_a, "stream"_a);
}

} // namespace sp
