#include "ops/blocks.h"

#include "bind/bind.h"

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

void bind_blocks(py::module_& m) {
  m.def("count_blocks", &count_blocks, "indices"_a, "indptr"_a, "n_minor"_a, "r"_a, "c"_a);
  m.def("cs_to_blocks", &cs_to_blocks, "a"_a, "n_minor"_a, "r"_a, "c"_a);
  m.def("blocks_to_cs", &blocks_to_cs, "a"_a);
  m.def("transpose_blocks", &transpose_blocks, "a"_a, "n_block_columns"_a);
  m.def("merge_blocks", &merge_blocks, "op"_a, "a"_a, "b"_a);
  m.def("matmul_blocks", &matmul_blocks, "a"_a, "b"_a, "n_block_columns"_a);
  m.def("dia_to_cs", &dia_to_cs, "a"_a);
  m.def("matmul_diagonals", &matmul_diagonals, "a"_a, "b"_a, "offsets"_a, "length"_a);
}

} // namespace sp
