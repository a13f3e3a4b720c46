// Values that are traced, inside mx.grad, mx.vmap or mx.compile: a result's structure is found at once, from index
// arrays, and its values follow as nodes of the graph.
#pragma once

#include "ops/sized.h"

namespace sp {

// 0, 1, ... in this shape.
mx::array positions_of(mx::Shape shape);
// The values at these positions among all values of `data`, in the shape of `positions`.
mx::array values_at(const mx::array& data, const mx::array& positions);

// op(a) for an operation that moves values and computes none: a traced array's are taken from where it moves their
// positions to.
template <class Op>
Compressed moved(const Compressed& a, Op&& op) {
  if (!a.data.is_tracer()) return op(a);
  const Compressed found = op(Compressed{positions_of(a.data.shape()), a.indices, a.indptr});
  return {values_at(a.data, found.data), found.indices, found.indptr};
}

// sums[i] = the sum of the values whose place is i, for i < count.
mx::array summed(const mx::array& data, const mx::array& place, int64_t count);

} // namespace sp
