// What other bindings need of exposed.cpp: how arrays are waited for that NumPy is to see.
#pragma once

#include <vector>

#include "mlx/mlx.h"

namespace sp {

namespace mx = mlx::core;

// Whether values are settled as index arrays are, in numpy mode: NumPy looks at them, in whichever thread.
bool& settles_values();

// Evaluates, without the interpreter lock.
void wait_unlocked(std::vector<mx::array> pending);

} // namespace sp
