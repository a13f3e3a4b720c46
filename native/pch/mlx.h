// Read once a library, not once a unit: MLX's headers take half the time of a small unit. Units include what they need
// all the same, so that they compile without it (-Db_pch=false).
#pragma once

#include <algorithm>
#include <vector>

#include "mlx/mlx.h"
#include "mlx/primitives.h"
