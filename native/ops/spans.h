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
