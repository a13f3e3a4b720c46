// Element-wise operations on two arrays.
#pragma once

#include "kernels/merge.h"
#include "ops/sized.h"

namespace sp {

// op on canonical operands of one shape. The entries of the result are where an operand has one and op gives no zero.
// Traced values: zeros stay, and products are where both operands have an entry; comparisons are refused.
Compressed merge(MergeOp op, const Compressed& a, const Compressed& b);

// The same for traced values of any entries, blocks too.
Compressed merge_traced(MergeOp op, const Compressed& a, const Compressed& b);

} // namespace sp
