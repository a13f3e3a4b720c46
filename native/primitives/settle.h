// MLX evaluates an array only in the Python thread that made it. What every thread may use is evaluated when it is made.
#pragma once

#include <vector>

#include "mlx/mlx.h"

namespace sp {

namespace mx = mlx::core;

// Evaluates arrays, and leaves them so that threads may look at them together.
void evaluate(const std::vector<mx::array>& arrays);

// Evaluates those that are pending and not traced, as far as it can on the calling thread: that is quicker than MLX's.
void settle(const std::vector<mx::array>& arrays);

} // namespace sp
