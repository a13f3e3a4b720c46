// What Python gives and gets beyond mx.array: a stream (None, a stream or a device), and a compressed array as the tuple
// (data, indices, indptr).
#pragma once

#include "bind/mlx_array.h"
#include "primitives/structure.h"

namespace pybind11::detail {

template <>
struct type_caster<mlx::core::Stream> {
  static constexpr auto name = const_name("typing.Any");
  template <class T> using cast_op_type = mlx::core::Stream;

  bool load(handle src, bool) {
    value_ = sp::to_stream(reinterpret_borrow<object>(src)); // with MLX's own errors
    return true;
  }
  operator mlx::core::Stream() { return *value_; }

 private:
  std::optional<mlx::core::Stream> value_;
};

template <>
struct type_caster<sp::Compressed> {
  static constexpr auto name = const_name("tuple[mlx.core.array, mlx.core.array, mlx.core.array]");
  template <class T> using cast_op_type = const sp::Compressed&;

  bool load(handle src, bool) {
    if (!PyTuple_Check(src.ptr()) || PyTuple_GET_SIZE(src.ptr()) != 3) return false;
    const mlx::core::array* parts[3];
    for (int i = 0; i < 3; ++i) {
      parts[i] = sp::as_array(PyTuple_GET_ITEM(src.ptr(), i));
      if (!parts[i]) return false;
    }
    value_.emplace(sp::Compressed{*parts[0], *parts[1], *parts[2]});
    return true;
  }
  operator const sp::Compressed&() { return *value_; }

  static handle cast(const sp::Compressed& c, return_value_policy, handle) {
    return make_tuple(c.data, c.indices, c.indptr).release();
  }

 private:
  std::optional<sp::Compressed> value_;
};

} // namespace pybind11::detail
