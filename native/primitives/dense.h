// Dense form of a sparsity pattern and its adjoint: todense adds entries into an (n_major, n_minor) array, sample reads
// a dense array at the stored positions.
#pragma once

#include "structure.h"

namespace sp {

// data (nnz,) or (b, nnz) -> (n_major, n_minor) or (b, n_major, n_minor); duplicates are summed.
mx::array todense(const Structure& a, const mx::array& data, mx::Stream s);
// dense (n_major, n_minor) or (b, n_major, n_minor) -> (nnz,) or (b, nnz).
mx::array sample(const Structure& a, const mx::array& dense, mx::Stream s);

} // namespace sp
