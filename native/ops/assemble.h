// Arrays made from others: reshaped, stacked, cut, from diagonals and from dense arrays.
#pragma once

#include <utility>
#include <vector>

#include "ops/sized.h"
#include "ops/spans.h"

namespace sp {

// Coordinates over `dims` (C order) of the entries at linear positions coords . strides, as int64 if `wide`, else int32.
// Positions are below `total`; no dims: one array, the positions.
Arrays coo_reshape(const Arrays& coords, const std::vector<int64_t>& strides, const std::vector<int64_t>& dims,
                   int64_t total, bool wide);
// The elements (along the first axis) of arrays of one length that `mask` keeps, in order; of traced ones in the graph.
Arrays keep(const Arrays& arrays, Mask mask);
// x[i] * scale + y[j] of all pairs, row by row: coordinates of a Kronecker product. Two index arrays of one dtype.
mx::array pair_sums(const mx::array& x, int64_t scale, const mx::array& y);
// (least, largest) element.
std::pair<int64_t, int64_t> extent(const mx::array& index);

// Blocks joined along the major or the minor axis; index arrays as int64 if `wide`.
Compressed stack(const std::vector<Compressed>& blocks, const std::vector<int64_t>& minors, bool along_major, bool wide);
// Entries with low <= minor - major <= high and minor < limit.
Compressed band(const Compressed& a, int64_t low, int64_t high, int64_t limit);
// Canonical form of diagonals; one of length 1 is repeated. Offsets, minor - major, are distinct.
Compressed from_diagonals(const Arrays& diagonals, const std::vector<int64_t>& offsets, int64_t n_major, int64_t n_minor,
                          bool wide);
// Canonical form of the elements that are not zero, by rows or by columns.
Compressed fromdense(const Dense& dense, bool by_rows, bool wide);

} // namespace sp
