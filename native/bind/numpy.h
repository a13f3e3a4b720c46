// NumPy arrays as the spans of ops/spans.h: positions and masks are converted, a dense array is read where it stands.
#pragma once

#include <pybind11/numpy.h>

#include "bind/casters.h"
#include "kernels/field.h"
#include "ops/spans.h"

namespace sp {

// What NumPy calls the dtypes that both have; 0 for bfloat16.
inline char numpy_kind(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return 0;
  if (dtype == mx::bool_) return 'b';
  if (is_complex(dtype)) return 'c';
  return mx::issubdtype(dtype, mx::floating) ? 'f' : mx::issubdtype(dtype, mx::signedinteger) ? 'i' : 'u';
}

// NumPy's dtype of the same values; none for bfloat16, which NumPy lacks.
inline const std::optional<py::dtype>& numpy_dtype(mx::Dtype dtype) {
  static const auto* const table = [] { // by the dtype's number; never destroyed: Python may be gone by then
    auto* made = new std::vector<std::optional<py::dtype>>(static_cast<size_t>(complex128.val()) + 1);
    for (auto known : shared_with_numpy) {
      (*made)[static_cast<size_t>(known.val())] = py::dtype(numpy_kind(known) + std::to_string(known.size()));
    }
    return made;
  }();
  return (*table)[static_cast<size_t>(dtype.val())];
}

// MLX's dtype of the same values; none where it has none.
inline std::optional<mx::Dtype> mlx_dtype(const py::dtype& dtype) {
  for (auto known : shared_with_numpy) {
    if (dtype.ptr() == numpy_dtype(known)->ptr()) return known; // of each NumPy has one object that nearly all arrays share
  }
  if (dtype.byteorder() != '=' && dtype.byteorder() != '|') return std::nullopt;
  const char kind = dtype.kind();
  for (auto known : shared_with_numpy) {
    if (numpy_kind(known) == kind && known.size() == static_cast<size_t>(dtype.itemsize())) return known;
  }
  return std::nullopt;
}

// dispatch_field for the elements of an ndarray.
template <class F>
decltype(auto) with_field(const py::array& a, F&& f) {
  return dispatch_field(mlx_dtype(a.dtype()).value_or(mx::bool_), std::forward<F>(f));
}

// The same over the types that BLAS has, for contiguous arrays: f(Tag<std::complex<R>>{}) for complex numbers.
template <class F>
decltype(auto) with_blas(const py::array& a, F&& f) {
  if (!(a.flags() & py::array::c_style)) throw std::invalid_argument("values must be contiguous");
  return with_field(a, [&](auto t) {
    using T = typename decltype(t)::type;
    return f(Tag<std::conditional_t<is_real_v<T>, T, std::complex<real_t<T>>>>{});
  });
}

} // namespace sp

namespace pybind11::detail {

template <>
struct type_caster<sp::StridedPlaces> {
  static constexpr auto name = const_name("Any");
  template <class T> using cast_op_type = sp::StridedPlaces;
  bool load(handle src, bool) {
    held_ = array::ensure(src);
    if (!held_) return false;
    wide_ = !isinstance<array_t<int32_t>>(held_);
    const bool aligned = held_.flags() & npy_api::NPY_ARRAY_ALIGNED_;
    if (!aligned || held_.ndim() != 1 || (wide_ && !isinstance<array_t<int64_t>>(held_))) {
      held_ = array_t<int64_t, array::c_style | array::forcecast>::ensure(src);
      wide_ = true;
    }
    return held_ && held_.ndim() == 1;
  }
  operator sp::StridedPlaces() {
    return {static_cast<size_t>(held_.size()), static_cast<const char*>(held_.data()), held_.strides(0), wide_};
  }

 private:
  array held_;
  bool wide_ = false;
};

template <>
struct type_caster<sp::Places> {
  static constexpr auto name = const_name("Any");
  template <class T> using cast_op_type = sp::Places;
  bool load(handle src, bool) {
    held_ = array_t<int64_t, array::c_style | array::forcecast>::ensure(src);
    return static_cast<bool>(held_);
  }
  operator sp::Places() { return {static_cast<size_t>(held_.size()), held_.data()}; }

 private:
  array_t<int64_t, array::c_style | array::forcecast> held_;
};

template <>
struct type_caster<sp::Mask> {
  static constexpr auto name = const_name("numpy.ndarray");
  template <class T> using cast_op_type = sp::Mask;
  bool load(handle src, bool) {
    held_ = array_t<bool, array::c_style>::ensure(src);
    return static_cast<bool>(held_);
  }
  operator sp::Mask() { return {static_cast<size_t>(held_.size()), held_.data()}; }

 private:
  array_t<bool, array::c_style> held_;
};

// Only a 2-D array of aligned elements of a dtype that MLX has.
template <>
struct type_caster<sp::Dense> {
  static constexpr auto name = const_name("numpy.ndarray");
  template <class T> using cast_op_type = sp::Dense;
  bool load(handle src, bool) {
    if (!isinstance<array>(src)) return false;
    held_ = reinterpret_borrow<array>(src);
    dtype_ = sp::mlx_dtype(held_.dtype());
    const auto item = held_.itemsize();
    return dtype_ && held_.ndim() == 2 && held_.strides(0) % item == 0 && held_.strides(1) % item == 0;
  }
  operator sp::Dense() {
    const auto item = held_.itemsize();
    return {*dtype_, static_cast<size_t>(held_.shape(0)), static_cast<size_t>(held_.shape(1)), held_.data(),
            held_.strides(0) / item, held_.strides(1) / item};
  }

 private:
  array held_;
  std::optional<mlx::core::Dtype> dtype_;
};

} // namespace pybind11::detail
