// Where the entries of two canonical structures meet. With shaders only; not differentiable.
#pragma once

#include "structure.h"

namespace sp {

// For entries by coordinates (major, minor): how many entries of a compressed canonical structure stand before each, in
// the dtype of indices, and whether (1 or 0, int32) it is one of them.
struct Ranks { mx::array rank, found; };
Ranks ranks(const mx::array& major, const mx::array& minor, const mx::array& indptr, const mx::array& indices, mx::Stream s);

// The entries of one operand for a union: minor indices, ranks in the other, and n + 1 running sums of those that remain.
struct Ranked { mx::array minor, rank, before; };
// Of the `n` entries of the union: minor index, and position in the first operand or, past its end, in the second.
struct Union { mx::array minor, from; };
Union union_of(const Ranked& a, const Ranked& b, int64_t n, mx::Stream s);

} // namespace sp
