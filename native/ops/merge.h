// Element-wise operations on two arrays.
#pragma once

#include "kernels/merge.h"
#include "ops/sized.h"

namespace sp {

// op on operands of one shape, of which is said whether they are canonical. The entries of the result are where an
// operand has one and op gives no zero. Traced values, of canonical operands: zeros stay, and products are where both
// operands have an entry; comparisons are refused.
Compressed merge(MergeOp op, const Compressed& a, const Compressed& b, bool a_canonical, bool b_canonical);

// op of the values of two arrays of one canonical structure: a node of the graph. None where merge() has to do it: on CPU
// kernels, which find zeros as they go, and for what has no such node.
std::optional<mx::array> merge_shared(MergeOp op, const mx::array& x, const mx::array& y);

// The same for traced values of any entries, blocks too.
Compressed merge_traced(MergeOp op, const Compressed& a, const Compressed& b);

} // namespace sp
