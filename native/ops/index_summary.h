// What checks of an index array ask of it.
#pragma once

#include <tuple>

#include "mlx/mlx.h"

namespace sp {

// (least, greatest, whether it never decreases) of a non-empty index array. Reads it.
std::tuple<int64_t, int64_t, bool> index_summary(const mlx::core::array& index);

} // namespace sp
