// What runs at once, for the most part because it must find its size: ops/, and the extremes of slices.
#include "bind/bind.h"
#include "bind/numpy.h"
#include "kernels/extrema.h"
#include "kernels/reduce.h"
#include "ops/assemble.h"
#include "ops/blocks.h"
#include "ops/canonical.h"
#include "ops/extrema.h"
#include "ops/matmul.h"
#include "ops/merge.h"
#include "ops/on_device.h"
#include "ops/select.h"
#include "primitives/wait.h"

namespace pybind11::detail {

// Diagonals as the tuple (data, offsets, shape).
template <>
struct type_caster<sp::Diagonals> {
  static constexpr auto name = const_name("tuple[mlx.core.array, mlx.core.array, tuple[int, int]]");
  template <class T> using cast_op_type = const sp::Diagonals&;

  bool load(handle src, bool) {
    if (!PyTuple_Check(src.ptr()) || PyTuple_GET_SIZE(src.ptr()) != 3) return false;
    const auto* data = sp::as_array(PyTuple_GET_ITEM(src.ptr(), 0));
    const auto* offsets = sp::as_array(PyTuple_GET_ITEM(src.ptr(), 1));
    if (!data || !offsets) return false;
    const auto shape = reinterpret_borrow<object>(PyTuple_GET_ITEM(src.ptr(), 2));
    const auto [rows, columns] = shape.cast<std::pair<int64_t, int64_t>>();
    value_.emplace(sp::Diagonals{*data, *offsets, rows, columns});
    return true;
  }
  operator const sp::Diagonals&() { return *value_; }

 private:
  std::optional<sp::Diagonals> value_;
};

} // namespace pybind11::detail

namespace sp {

inline size_t steps_of(const Diagonals& a) { return steps_of(a.data) + steps_of(a.offsets); }

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

// The canonical form of entries by coordinates where they stand; None where they must be converted first.
std::optional<Compressed> numpy_to_canonical(const py::array& data, const py::array& major, const py::array& minor,
                                             int64_t n_major) {
  const auto dtype = mlx_dtype(data.dtype()), index = mlx_dtype(major.dtype());
  for (const auto* a : {&data, &major, &minor}) {
    if (a->ndim() != 1 || a->size() != data.size() || !(a->flags() & py::array::c_style)) return std::nullopt;
  }
  if (!dtype || !index || mlx_dtype(minor.dtype()) != index || (index != mx::int32 && index != mx::int64)) return std::nullopt;
  const auto n = static_cast<size_t>(data.size());
  const Triplets given{*dtype, *index, n, data.data(), major.data(), minor.data()};
  auto run = [&]() -> std::optional<Compressed> { return triplets_to_canonical(given, n_major); };
  return n < kSerialWork ? run() : without_lock(run);
}

// alone: Python holds no other reference to the values.
// values: an mx.array, or a contiguous ndarray of elements of the same size, read where they stand.
auto set_places(const py::tuple& trio, StridedPlaces major, StridedPlaces minor, const py::object& values, bool sorted,
                bool insert, bool alone) {
  // Only what nothing else can see may be written in place: no other handle, no graph node, no task in flight.
  const auto* data = as_array(trio[0].ptr());
  alone = alone && data && is_there(*data) && data->flags().row_contiguous && data->is_donatable();
  py::detail::make_caster<Compressed> caster;
  if (!caster.load(trio, false)) throw py::type_error("a must be a tuple (data, indices, indptr)");
  const Compressed a = caster;
  std::optional<mx::array> held; // a handle of its own
  Assignment given{major, minor, nullptr, false};
  size_t n = 0;
  if (const auto* x = as_array(values.ptr())) {
    held = evaluated(*x);
    n = held->size();
    given.values = held->data<char>();
  } else {
    const auto elements = py::cast<py::array>(values);
    if (!(elements.flags() & py::array::c_style) || static_cast<size_t>(elements.itemsize()) != a.data.itemsize()) {
      throw py::type_error("values must be contiguous and of the dtype of the array");
    }
    n = static_cast<size_t>(elements.size());
    given.values = elements.data();
  }
  if (minor.n != major.n || (n != 1 && n != major.n)) throw py::value_error("places and values differ in number");
  given.one = n == 1;
  auto set = [&] { return set_many(a, given, sorted, insert, alone); };
  return steps_of(a) + major.n < kSerialWork ? set() : without_lock(set);
}

// Where a mask is true, as int32 or int64; None where it is true everywhere. Where shaders run.
std::optional<mx::array> positions_of_true(const mx::array& mask, bool wide) {
  const auto s = shader_stream(mask.dtype());
  if (!s) throw std::invalid_argument("positions are found where shaders run");
  return true_positions(mask, wide ? mx::int64 : mx::int32, *s);
}

// Slices by a mask or by positions, which are checked there. Where shaders run.
Compressed slices_at(const Compressed& a, const mx::array& rows) {
  const auto s = shader_stream(a.data.dtype());
  if (!s) throw std::invalid_argument("slices are selected on a device where shaders run");
  return rows.dtype() == mx::bool_ ? masked_slices(a, rows, *s) : listed_slices(a, rows, *s);
}

} // namespace

void bind_canonical(py::module_& m) {
  py::enum_<MergeOp>(m, "MergeOp")
      .value("plus", MergeOp::plus)
      .value("minus", MergeOp::minus)
      .value("multiply", MergeOp::multiply)
      .value("maximum", MergeOp::maximum)
      .value("minimum", MergeOp::minimum)
      .value("ne", MergeOp::ne)
      .value("lt", MergeOp::lt)
      .value("gt", MergeOp::gt)
      .value("le", MergeOp::le)
      .value("ge", MergeOp::ge);
  m.def("check_indices", unlocked(&check_indices), "indices"_a, "indptr"_a, "n_minor"_a);
  m.def("is_sorted", unlocked(&is_sorted), "indices"_a, "indptr"_a);
  m.def("has_duplicates", unlocked(&has_duplicates), "indices"_a, "indptr"_a);
  m.def("is_canonical", unlocked(&is_canonical), "indices"_a, "indptr"_a);
  m.def("sort_indices", unlocked(&sort_indices), "a"_a);
  m.def("sum_duplicates", unlocked(&sum_duplicates), "a"_a);
  m.def("canonical_slices", unlocked(&canonical_slices), "a"_a, "first"_a, "n"_a);
  m.def("numpy_to_canonical", &numpy_to_canonical, "data"_a, "major"_a, "minor"_a, "n_major"_a);
  m.def("coo_to_canonical", unlocked(&coo_to_canonical), "data"_a, "major"_a, "minor"_a, "n_major"_a);
  m.def("eliminate_zeros", unlocked(&eliminate_zeros), "a"_a);
  m.def("merge", unlocked(&merge), "op"_a, "a"_a, "b"_a, "a_canonical"_a, "b_canonical"_a);
  m.def("merge_shared", unlocked(&merge_shared), "op"_a, "x"_a, "y"_a);
  m.def("true_positions", unlocked(&positions_of_true), "mask"_a, "wide"_a);
  m.def("matmul_sparse", unlocked(&matmul_sparse, 16), "a"_a, "b"_a, "n_minor"_a);
}

void bind_blocks(py::module_& m) {
  m.def("count_blocks", unlocked(&count_blocks), "indices"_a, "indptr"_a, "n_minor"_a, "r"_a, "c"_a);
  m.def("cs_to_blocks", unlocked(&cs_to_blocks), "a"_a, "n_minor"_a, "r"_a, "c"_a);
  m.def("blocks_to_cs", unlocked(&blocks_to_cs), "a"_a);
  m.def("transpose_blocks", unlocked(&transpose_blocks), "a"_a, "n_block_columns"_a);
  m.def("without_zero_blocks", unlocked(&without_zero_blocks), "a"_a);
  m.def("merge_blocks", unlocked(&merge_blocks), "op"_a, "a"_a, "b"_a);
  m.def("matmul_blocks", unlocked(&matmul_blocks, 16), "a"_a, "b"_a, "n_block_columns"_a);
  m.def("dia_to_cs", unlocked(&dia_to_cs), "a"_a);
  m.def("matmul_diagonals", unlocked(&matmul_diagonals, 16), "a"_a, "b"_a, "offsets"_a, "length"_a);
}

void bind_assemble(py::module_& m) {
  m.def("coo_reshape", unlocked(&coo_reshape), "coords"_a, "strides"_a, "dims"_a, "total"_a, "wide"_a);
  m.def("pair_sums", unlocked(&pair_sums, 64), "x"_a, "scale"_a, "y"_a);
  m.def("keep", unlocked(&keep), "arrays"_a, "mask"_a);
  m.def("extent", unlocked(&extent), "index"_a);
  m.def("stack", unlocked(&stack), "blocks"_a, "minors"_a, "along_major"_a, "wide"_a);
  m.def("band", unlocked(&band), "a"_a, "low"_a, "high"_a, "limit"_a);
  m.def("from_diagonals", unlocked(&from_diagonals), "diagonals"_a, "offsets"_a, "n_major"_a, "n_minor"_a, "wide"_a);
  m.def("fromdense", unlocked(&fromdense), "dense"_a, "by_rows"_a, "wide"_a);
}

void bind_select(py::module_& m) {
  py::enum_<SetOutcome>(m, "SetOutcome")
      .value("same_structure", SetOutcome::same_structure)
      .value("new_structure", SetOutcome::new_structure)
      .value("stored_twice", SetOutcome::stored_twice);
  m.def("major_range", unlocked(&major_range), "a"_a, "start"_a, "n"_a, "step"_a, "share"_a);
  m.def("slices_at", unlocked(&slices_at), "a"_a, "rows"_a);
  m.def("narrowed", unlocked(&narrowed), "positions"_a);
  m.def("major_list", unlocked(&major_list, 16), "a"_a, "rows"_a);
  m.def("minor_range", unlocked(&minor_range), "a"_a, "start"_a, "n"_a, "step"_a, "n_minor"_a, "sorted"_a);
  m.def("minor_list", unlocked(&minor_list, 16), "a"_a, "list"_a, "n_minor"_a);
  m.def("sample_at", unlocked(&sample_at), "a"_a, "major"_a, "minor"_a, "sorted"_a);
  m.def("element", &element_of, "a"_a, "major"_a, "minor"_a, "sorted"_a, "as_numpy"_a);
  m.def("set_many", &set_places, "a"_a, "major"_a, "minor"_a, "values"_a, "sorted"_a, "insert"_a, "alone"_a);
  m.def("coo_range", unlocked(&coo_range), "data"_a, "coords"_a, "ranges"_a, "shape"_a);
}

void bind_extrema(py::module_& m) {
  m.def("major_extreme", unlocked(&major_extreme), "data"_a, "indptr"_a, "n_minor"_a, "max"_a, "ignore_nan"_a, "explicit"_a);
  m.def("minor_extreme", unlocked(&minor_extreme), "data"_a, "indices"_a, "n_minor"_a, "length"_a, "max"_a, "ignore_nan"_a,
        "explicit"_a);
  py::class_<MajorWhere>(m, "MajorWhere").def(py::init<bool, bool>(), "max"_a, "explicit"_a);
  m.def("major_where", at_once(&major_where), "kernel"_a, "structure"_a, "data"_a, "stream"_a);
}

} // namespace sp
