// Incomplete factorisations without fill.
#pragma once

#include "ops/evaluated.h"

namespace sp {

// A pivot that does not do; the message names its slice.
struct BadPivot : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// (L, U) of a square compressed array, sorted and without duplicates: L without its unit diagonal, U with its diagonal.
std::pair<Compressed, Compressed> ilu0(const Compressed& a);
// L of a Hermitian array, of which the lower triangle is given, sorted and without duplicates.
Compressed ichol0(const Compressed& lower);

} // namespace sp
