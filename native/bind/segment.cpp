#include "bind/bind.h"

#include "bind/mlx_array.h"
#include "primitives/convert.h"
#include "primitives/segment.h"

namespace sp {

namespace {

using Optional = std::optional<mx::array>;

Segments make_segments(int count, const py::object& offsets, const py::object& ids, const py::object& order) {
  auto given = [](const py::object& o) -> Optional {
    if (o.is_none()) return Optional();
    const auto* a = as_array(o.ptr());
    if (!a) throw py::type_error("segments are made of mx.array");
    return *a;
  };
  Segments found{count, given(offsets), given(ids), given(order)};
  for (const auto* a : {&found.offsets, &found.ids, &found.order}) {
    if (*a && ((*a)->dtype() != mx::int32 || (*a)->ndim() != 1)) throw py::value_error("segments are vectors of int32");
  }
  if (found.offsets && found.offsets->shape(0) != count + 1) throw py::value_error("offsets are one more than segments");
  if (!found.ids && (found.order || !found.offsets)) throw py::value_error("segments need offsets or ids");
  return found;
}

const mx::array& checked(const mx::array& x) {
  if (x.ndim() != 2) throw py::value_error("segments are reduced in two dimensions");
  return x;
}

} // namespace

void bind_segment(py::module_& m) {
  py::class_<Segments>(m, "Segments")
      .def(py::init(&make_segments))
      .def_readonly("count", &Segments::count)
      .def_readonly("ids", &Segments::ids)
      .def_property_readonly("by_ids", [](const Segments& given) { return !given.offsets; })
      .def("with_ids", [](const Segments& given, int rows, const py::object& s) { return with_ids(given, rows, to_stream(s)); });
  m.def("uses_shaders", [](const py::object& s) { return uses_shaders(to_stream(s)); });
  m.def("segment_offsets", [](const mx::array& given, bool lengths, int rows, const py::object& s) {
    if (given.ndim() != 1 || (given.dtype() != mx::int32 && given.dtype() != mx::int64) || (!lengths && given.size() == 0)) {
      throw py::value_error("lengths or offsets are a vector of int32 or int64");
    }
    return segment_offsets(given, lengths, rows, to_stream(s));
  });
  m.def("segment_reduce", [](int kind, const mx::array& x, const Segments& segments, const py::object& s) {
    return segment_reduce(static_cast<SegmentKind>(kind), checked(x), segments, checked_stream(x, s));
  });
  m.def("segment_exp", [](const mx::array& x, const mx::array& y, const Segments& segments, const py::object& s) {
    if (y.ndim() != 3) throw py::value_error("y is what segment_reduce gives for logsumexp");
    return segment_weight(SegmentWeight::exp, checked(x), y, segments, checked_stream(x, s));
  });
  m.def("segment_spread", [](const mx::array& y, const Segments& segments, int rows, const py::object& s) {
    return segment_spread(checked(y), segments, rows, checked_stream(y, s));
  });
}

} // namespace sp
