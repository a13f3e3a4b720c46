// Triangular solves and incomplete factorisations.
#include <cstring>

#include "bind/bind.h"
#include "bind/numpy.h"
#include "ops/incomplete.h"
#include "ops/sized.h"
#include "primitives/triangular.h"

namespace pybind11::detail {

// Levels as the tuple (order, starts).
template <>
struct type_caster<sp::LevelArrays> {
  static constexpr auto name = const_name("tuple[mlx.core.array, mlx.core.array]");
  template <class T> using cast_op_type = const sp::LevelArrays&;

  bool load(handle src, bool) {
    if (!PyTuple_Check(src.ptr()) || PyTuple_GET_SIZE(src.ptr()) != 2) return false;
    const auto* order = sp::as_array(PyTuple_GET_ITEM(src.ptr(), 0));
    const auto* starts = sp::as_array(PyTuple_GET_ITEM(src.ptr(), 1));
    if (!order || !starts) return false;
    value_.emplace(sp::LevelArrays{*order, *starts});
    return true;
  }
  operator const sp::LevelArrays&() { return *value_; }
  static handle cast(const sp::LevelArrays& l, return_value_policy, handle) { return make_tuple(l.order, l.starts).release(); }

 private:
  std::optional<sp::LevelArrays> value_;
};

} // namespace pybind11::detail

namespace sp {

namespace {

using Given = std::optional<std::pair<mx::array, mx::array>>;

std::optional<LevelArrays> levels_of(const Given& given) {
  if (!given) return std::nullopt;
  return LevelArrays{given->first, given->second};
}

mx::array solve_lazily(const TriangleForm& form, const Compressed& a, const mx::array& b, const Given& levels, mx::Stream s) {
  return solve_triangular(form, a, b, levels_of(levels), s);
}

std::tuple<int64_t, bool, bool> shape(const TriangleForm& form, Structure a, mx::Stream s) {
  const auto found = without_lock([&] { return triangular_shape(form, a, s); });
  return {found.depth, found.one_sided, found.has_diagonal};
}

std::vector<mx::array> arrays(const TriangleForm& form, Structure a, mx::Stream s) {
  return without_lock([&] { return triangular_arrays(form, a, s); });
}

// For a row-major ndarray b of the dtype of the values, without a graph. overwrite: b becomes x.
py::array solve_numpy(const TriangleForm& form, const Compressed& given, const py::array& b, const Given& levels,
                      bool overwrite) {
  const auto dtype = mlx_dtype(b.dtype());
  if (!dtype || *dtype != given.data.dtype() || b.ndim() < 1 || b.ndim() > 2 || !(b.flags() & py::array::c_style)) {
    throw py::value_error("b must be a contiguous ndarray with 1 or 2 dimensions and the dtype of the values");
  }
  HostTriangle t{form, evaluated(given), levels_of(levels)};
  check_triangle(t, b.shape(0));
  py::array x = overwrite ? b : py::array(b.dtype(), std::vector<py::ssize_t>(b.shape(), b.shape() + b.ndim()));
  const size_t k = b.ndim() == 2 ? static_cast<size_t>(b.shape(1)) : 1, bytes = static_cast<size_t>(b.nbytes());
  const void* from = b.data();
  void* to = x.mutable_data();
  auto solve = [&] {
    if (to != from) std::memcpy(to, from, bytes);
    solve_triangular_host(t, to, k);
    return true;
  };
  if ((t.a.data.size() + t.a.n_major()) * k < kSerialWork) solve();
  else without_lock(solve);
  return x;
}

} // namespace

void bind_triangular(py::module_& m) {
  py::register_local_exception<BadPivot>(m, "BadPivot", PyExc_ValueError);
  py::class_<TriangleForm>(m, "TriangleForm")
      .def(py::init<bool, bool, bool, bool>(), "lower"_a, "unit"_a, "transposed"_a = false, "conjugate"_a = false);
  m.def("triangular_levels", unlocked(&triangular_levels, 4), "indices"_a, "indptr"_a, "lower"_a);
  m.def("solve_triangular", at_once(&solve_lazily), "form"_a, "a"_a, "b"_a, "levels"_a, "stream"_a);
  m.def("solve_by_levels", lazy(&solve_by_levels), "form"_a, "structure"_a, "data"_a, "b"_a, "stream"_a);
  m.def("triangular_arrays", &arrays, "form"_a, "structure"_a, "stream"_a);
  m.def("triangular_shape", &shape, "form"_a, "structure"_a, "stream"_a);
  m.def("solve_triangular_numpy", &solve_numpy, "form"_a, "a"_a, "b"_a, "levels"_a,
        "overwrite"_a = false);
  m.def("ilu0", unlocked(&ilu0, 16), "a"_a);
  m.def("ichol0", unlocked(&ichol0, 16), "lower"_a);
}

} // namespace sp
