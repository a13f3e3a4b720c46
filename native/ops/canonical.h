// Order and uniqueness of stored entries: checks, sorting, sums of duplicates, removal of zeros.
#pragma once

#include <optional>
#include <string>

#include "ops/sized.h"

namespace sp {

// Entries by their coordinates, in memory that the caller keeps.
struct Triplets {
  mx::Dtype dtype, index;
  size_t n;
  const void *data, *major, *minor;
};

// Empty when the buffers are in order, else what is wrong first.
std::string check_indices(const mx::array& indices, const mx::array& indptr, int64_t n_minor);
bool is_sorted(const mx::array& indices, const mx::array& indptr);
// Whether an index occurs twice in a slice of any order.
bool has_duplicates(const mx::array& indices, const mx::array& indptr);
bool is_canonical(const mx::array& indices, const mx::array& indptr);

Compressed sort_indices(const Compressed& a);
Compressed sum_duplicates(const Compressed& a);
// The slices first .. first + n in canonical form; not of traced values.
Compressed canonical_slices(const Compressed& a, int64_t first, int64_t n);
// Coordinates in any order -> canonical compressed form.
Compressed coo_to_canonical(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major);
Compressed triplets_to_canonical(const Triplets& coo, int64_t n_major);
// None where shaders have seen that there is none to drop. Not of traced values, whose zeros cannot be told.
std::optional<Compressed> eliminate_zeros(const Compressed& a);

} // namespace sp
