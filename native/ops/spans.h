// What NumPy hands over: memory that bind/ keeps alive during the call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mlx/dtype.h"

namespace sp {

// Positions along one axis.
struct Places {
  size_t n;
  const int64_t* at;
};

// Positions along one axis where they stand: an index array of either width and any stride.
struct StridedPlaces {
  size_t n;
  const char* at;
  ptrdiff_t stride; // bytes
  bool wide;

  int64_t operator[](size_t s) const {
    const char* const x = at + static_cast<ptrdiff_t>(s) * stride;
    return wide ? *reinterpret_cast<const int64_t*>(x) : *reinterpret_cast<const int32_t*>(x);
  }
};

// Which elements to keep.
struct Mask {
  size_t n;
  const bool* keep;
};

// A 2-D array of any strides, in elements.
struct Dense {
  mlx::core::Dtype dtype;
  size_t n_rows, n_columns;
  const void* data;
  int64_t row_step, column_step;
};

} // namespace sp
