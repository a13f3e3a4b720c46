#include "ops/select.h"

#include "bind/bind.h"
#include "bind/numpy.h"

namespace sp {

namespace {

// The element at (major, minor): an mx.array, or a rank-0 ndarray. None where its values cannot be read at once.
py::object element_of(const Compressed& a, int64_t major, int64_t minor, bool sorted, bool as_numpy) {
  static PyObject* dtypes[16] = {}; // NumPy's, by MLX's: looking one up costs more than the element
  const auto dtype = a.data.dtype();
  PyObject*& known = dtypes[static_cast<int>(dtype.val())];
  if (as_numpy && !known) {
    if (const auto made = numpy_dtype(dtype)) known = py::object(*made).release().ptr();
  }
  if (a.data.is_tracer() || (as_numpy && !known)) return py::none();
  if (as_numpy) {
    py::array out(py::reinterpret_borrow<py::dtype>(known), std::vector<py::ssize_t>{});
    element(a, major, minor, sorted, out.mutable_data());
    return out;
  }
  auto out = fresh({}, dtype);
  element(a, major, minor, sorted, out.data<char>());
  return to_python(std::move(out));
}

// alone: Python holds no other reference to the values.
auto set_places(const py::tuple& trio, Places major, Places minor, const mx::array& values, bool sorted, bool insert,
                bool alone) {
  // Only what nothing else can see may be written in place: no other handle, no graph node, no task in flight.
  const auto* data = as_array(trio[0].ptr());
  alone = alone && data && data->is_available() && data->flags().row_contiguous && data->is_donatable();
  py::detail::make_caster<Compressed> caster;
  if (!caster.load(trio, false)) throw py::type_error("a must be a tuple (data, indices, indptr)");
  return set_many(caster, major, minor, values, sorted, insert, alone);
}

} // namespace

void bind_select(py::module_& m) {
  py::enum_<SetOutcome>(m, "SetOutcome")
      .value("same_structure", SetOutcome::same_structure)
      .value("new_structure", SetOutcome::new_structure)
      .value("stored_twice", SetOutcome::stored_twice);
  m.def("major_range", &major_range, "a"_a, "start"_a, "n"_a, "step"_a, "share"_a);
  m.def("major_list", &major_list, "a"_a, "rows"_a);
  m.def("minor_range", &minor_range, "a"_a, "start"_a, "n"_a, "step"_a, "n_minor"_a, "sorted"_a);
  m.def("minor_list", &minor_list, "a"_a, "list"_a, "n_minor"_a);
  m.def("sample_at", &sample_at, "a"_a, "major"_a, "minor"_a, "sorted"_a);
  m.def("element", &element_of, "a"_a, "major"_a, "minor"_a, "sorted"_a, "as_numpy"_a);
  m.def("set_many", &set_places, "a"_a, "major"_a, "minor"_a, "values"_a, "sorted"_a, "insert"_a, "alone"_a);
  m.def("coo_range", &coo_range, "data"_a, "coords"_a, "ranges"_a, "shape"_a);
}

} // namespace sp
