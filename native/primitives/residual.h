// Residuals of linear systems in twice the precision of float32, which no GPU has double precision for.
#pragma once

#include "structure.h"

namespace sp {

// b - a x for compressed `a` with float32 values `data`, each column a row of (k, n): x and b are sums of two float32
// parts, as many digits as double precision has but for 5 bits. (k, n_major), float32. No derivative.
mx::array residual(const Structure& a, const mx::array& data, const std::pair<mx::array, mx::array>& x,
                   const std::pair<mx::array, mx::array>& b, mx::Stream s);

} // namespace sp
