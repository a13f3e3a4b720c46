// Bases of Krylov spaces as nodes of the graph: vectors of n elements, rows of one matrix.
#pragma once

#include "evaluate.h"

namespace sp {

// [v, h]: w made orthogonal to the first `count` rows by two passes of classical Gram-Schmidt, of norm 1 or 0, and its
// coefficients along the rows and along v. rows (m, n), w (n,) of float32, float64 or complex64. `keep` writes v into
// the row after them: whoever holds `rows` sees it once v is computed. No derivative. Cost: the rows, four times.
std::vector<mx::array> extend_rows(const mx::array& rows, int count, const mx::array& w, bool keep, mx::Stream s);

} // namespace sp
