// What Python gives and gets beyond mx.array: a stream (None, a stream or a device), and a compressed array as the tuple
// (data, indices, indptr).
#pragma once

#include "bind/mlx_array.h"
#include "primitives/product.h"

namespace pybind11::detail {

// Of a class that this module registers: looked up once, where pybind11 does so for every argument of every call.
template <class T>
struct own_caster : type_caster_generic {
  static constexpr auto name = type_caster_base<T>::name;
  template <class U> using cast_op_type = detail::cast_op_type<U>;

  own_caster() : type_caster_generic(registered()) {}

  bool load(handle src, bool convert) {
    if (Py_TYPE(src.ptr()) != typeinfo->type) return type_caster_generic::load(src, convert);
    value = reinterpret_cast<instance*>(src.ptr())->get_value_and_holder().value_ptr();
    return true;
  }
  operator T*() { return static_cast<T*>(value); }
  operator T&() {
    if (!value) throw reference_cast_error();
    return *static_cast<T*>(value);
  }

  template <class U>
  static handle cast(U&& src, return_value_policy policy, handle parent) {
    return type_caster_base<T>::cast(std::forward<U>(src), policy, parent);
  }

 private:
  static const type_info* registered() {
    static const auto* found = get_type_info(typeid(T), true);
    return found;
  }
};

template <>
struct type_caster<sp::Structure> : own_caster<sp::Structure> {};
template <>
struct type_caster<sp::ProductKind> : own_caster<sp::ProductKind> {};

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
