// Host operations that rearrange or assemble arrays, at once, over evaluated buffers.
#pragma once

#include <vector>

#include <pybind11/pybind11.h>

#include "canonical.h"

namespace sp {

// Coordinates over `dims` (C order) of the entries at linear positions coords . strides, as int64 if `wide`, else int32.
// Positions are below `total`; no dims: one array, the positions.
std::vector<mx::array> coo_reshape_host(const std::vector<mx::array>& coords, const std::vector<int64_t>& strides,
                                        const std::vector<int64_t>& dims, int64_t total, bool wide);

// Blocks joined along the major or the minor axis; index arrays as int64 if `wide`.
Compressed stack_host(const std::vector<Compressed>& blocks, const std::vector<int64_t>& minors, bool along_major, bool wide);
// Entries with low <= minor - major <= high and minor < limit.
Compressed band_host(const Compressed& a, int64_t low, int64_t high, int64_t limit);
// Canonical form of diagonals; one of length 1 is repeated. Offsets, minor - major, are distinct.
Compressed from_diagonals_host(const std::vector<mx::array>& diagonals, const std::vector<int64_t>& offsets,
                               int64_t n_major, int64_t n_minor, bool wide);

void bind_coo(pybind11::module_& m);

} // namespace sp
