// Sorting by keys, and where the entries of each key then stand. Lazy; not differentiable.
#pragma once

#include "node.h"

namespace sp {

// offsets has length n + 1: order[offsets[i] .. offsets[i + 1]) are the positions whose key is i, ascending. Keys are of
// int32 or int64, as are the results; a position whose key lies outside [0, n) is in no group.
struct Sorted { mx::array order, offsets; };
Sorted sort_by_key(const mx::array& keys, int64_t n, mx::Stream s);

// The offsets alone, of keys that never fall (else: of no use, but in bounds).
mx::array offsets_of_sorted(const mx::array& keys, int64_t n, mx::Stream s);

} // namespace sp
