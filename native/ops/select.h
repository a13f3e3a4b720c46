// Indexing of compressed storage, over (major, minor), and of coordinates. Selections are differentiable in values.
#pragma once

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "ops/sized.h"
#include "ops/spans.h"

namespace sp {

// Slices start, start + step, ... (n of them). A run of neighbours shares the buffers when `share` allows it.
Compressed major_range(const Compressed& a, int64_t start, int64_t n, int64_t step, bool share);
Compressed major_list(const Compressed& a, Places rows);
// Positions as int32; those that it cannot hold become its ends, which lie in no array that has such index arrays.
mx::array narrowed(Places positions);
// Minor indices start, start + step, ... (n of them). Sorted slices stay sorted.
Compressed minor_range(const Compressed& a, int64_t start, int64_t n, int64_t step, int64_t n_minor, bool sorted);
// Minor indices in any order and number. Sorted slices stay sorted when the list does not fall.
Compressed minor_list(const Compressed& a, Places list, int64_t n_minor);

// The summed entries at (major[s], minor[s]), dense.
mx::array sample_at(const Compressed& a, Places major, Places minor, bool sorted);
// The element at (major, minor), written to `out` in the dtype of the values.
void element(const Compressed& a, int64_t major, int64_t minor, bool sorted, void* out);

// What set_many did: the same structure, a new one, or nothing, as a place is stored more than once.
enum class SetOutcome { same_structure, new_structure, stored_twice };

// Places and their values, in the dtype of the array that they go to; `one` for all.
struct Assignment {
  StridedPlaces major, minor;
  const void* values;
  bool one;
};

// Set places to values; of repeated places the last counts. `insert`: also where nothing is stored. `in_place`: the
// buffer of the values of `a` may be the result's. Takes memory for new values or for the places of old ones, not both.
std::pair<SetOutcome, std::optional<Compressed>> set_many(const Compressed& a, const Assignment& given, bool sorted,
                                                          bool insert, bool in_place);

// Entries in coordinate form inside the ranges (start, length, step), one for each axis: (data, coordinates).
using Ranges = std::vector<std::array<int64_t, 3>>;
std::pair<mx::array, Arrays> coo_range(const mx::array& data, const Arrays& coords, const Ranges& ranges,
                                       const std::vector<int64_t>& shape);

} // namespace sp
