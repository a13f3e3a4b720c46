// The entries of a compressed array that a test keeps.
#pragma once

#include "kernels/compact.h"
#include "ops/sized.h"

namespace sp {

// entries(in) makes the functor that cs_filter takes, from indptr, indices, data and the arrays in `more`.
template <class W, class I, class Entries>
Compressed filtered(const Compressed& a, const Arrays& more, Entries entries, bool backward = false) {
  const auto operands = joined(parts(a), more);
  const Pass count{operands, {indptr_for(a.n_major(), a.indptr.dtype())}, [=](const Arrays& in, Arrays& out) {
                     cs_filter_count(pattern_of<I>(in), entries(in), out_ptr<I>(out[0]));
                   }};
  const Pass fill{operands, entries_like(a), [=](const Arrays& in, Arrays& out) {
                    cs_filter(view_of<W, I>(in), entries(in), backward, out_of<W, I>(out));
                  }};
  return compressed(sized(count, fill));
}

} // namespace sp
