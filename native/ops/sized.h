// What must find its size counts first, then fills. Here, and nowhere else, the operands of such operations are waited
// for and their results allocated.
#pragma once

#include <functional>

#include "ops/evaluated.h"

namespace sp {

// One pass over evaluated arrays: what it reads, what it writes, and the kernel that does so. A value that says all
// there is to know of it, so that it can stand for a node of the graph as well.
struct Pass {
  Arrays operands;
  std::vector<Output> results;
  std::function<void(const Arrays& in, Arrays& out)> kernel;
};

// The operands as contiguous arrays that are there to be read.
Arrays evaluated(const Arrays& operands);
mx::array evaluated(const mx::array& operand);
Compressed evaluated(const Compressed& operand);

// The results of a pass whose sizes are known.
Arrays run(const Pass& pass);

// First dimension of the results of a fill: as many as `count` counted.
constexpr int kEntries = -1;

// count: its first result is an indptr, in which the kernel leaves the lengths of the slices, from element 1 on;
// further results are notes for the fill. fill: in = its operands, then the notes; out = the indptr, then its results,
// of kEntries or of fixed length. A fill that leaves entries out corrects the indptr. Returns out, cut to what indptr
// says.
Arrays sized(const Pass& count, const Pass& fill);

// For passes that find out what they write while they write it, into room for more: results cut to what the first of
// them, an indptr, says.
Arrays cut(Arrays results);

// The first n elements, over the same buffer.
mx::array first_entries(const mx::array& a, size_t n);

// Where n slices begin.
Output indptr_for(size_t n, mx::Dtype index);
// Room for n entries; for n entries of so many slices, of the dtypes of `a`.
Output room_for(size_t n, mx::Dtype dtype);
std::vector<Output> room_for(size_t n_major, size_t n, const Compressed& a);
// The indices and values of a compressed array as `a` has them, of a length to be found.
std::vector<Output> entries_like(const Compressed& a);

} // namespace sp
