// Sparse arrays as mx::array: what stands where, and the values apart from it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "evaluate.h"

namespace sp {

// How the stored entries are addressed, and which two index arrays say so.
//   compressed: outer = indptr over the major axis, inner = minor indices
//   coordinate: outer = major, inner = minor index of each entry
//   block:      compressed over r x c blocks, which are the entries
//   diagonal:   outer = inner = offsets, an entry is a diagonal of c values
enum class Layout { compressed, coordinate, block, diagonal };

// What shaders derive from one sparsity pattern, made on first use and shared by every array with that pattern.
struct Plan {
  struct Transposed { mx::array order, indices, indptr; std::shared_ptr<Plan> plan; };
  std::optional<Transposed> transposed; // entries sorted by minor index: shaders add without atomics

  // The values that the last transposed product had, and from their second use on those values in transposed order.
  struct Permuted { mx::array source; std::optional<mx::array> values; };
  std::optional<Permuted> permuted;

  // Which slices each chunk of a segmented sum owns; long_slices: some slice reaches across chunks.
  struct Chunks { mx::array part; bool long_slices; };
  std::map<int, Chunks> chunks; // by chunk size

  // The slices of a triangle in the order of its levels, as cs_solve_triangular.metal has them; and how many slices and
  // entries stand before each level and behind the last one.
  struct Leveled {
    mx::array entries, columns, starts, places, diagonal, levels;
    std::vector<int64_t> slices_before, entries_before;
    int64_t on_diagonal; // entries

    size_t count() const { return slices_before.size() - 1; }
  };
  std::shared_ptr<const Leveled> upper, lower;
};

// The part of a structure that is no array: what a primitive keeps.
struct Pattern {
  Layout layout;
  int64_t n_major, n_minor;
  std::shared_ptr<Plan> plan; // may be null: nothing is kept then
  int64_t r = 1, c = 1; // shape of one entry: blocks r x c, diagonals 1 x c

  // Rank of the values, which a batch raises by one.
  int rank() const { return layout == Layout::block ? 3 : layout == Layout::diagonal ? 2 : 1; }
  // Values per entry, and the shape of all values.
  int64_t width() const { return r * c; }
  mx::Shape values_shape(int64_t entries) const {
    const int n = to_dim(entries), height = to_dim(r), length = to_dim(c);
    if (layout == Layout::block) return {n, height, length};
    return layout == Layout::diagonal ? mx::Shape{n, length} : mx::Shape{n};
  }
  // Slices that outer and inner count: blocks, where entries are blocks.
  int64_t outer_slices() const { return layout == Layout::block ? (r ? n_major / r : 0) : n_major; }
  int64_t inner_slices() const { return layout == Layout::block ? (c ? n_minor / c : 0) : n_minor; }

  bool operator==(const Pattern& o) const {
    return layout == o.layout && n_major == o.n_major && n_minor == o.n_minor && r == o.r && c == o.c;
  }
};

// A whole structure as one value.
struct Structure {
  Pattern pattern;
  mx::array outer, inner;

  int64_t entries() const { return static_cast<int64_t>(inner.size()); }
};

// A compressed array of any shape of minor axis: what operations that find their size take and give.
struct Compressed {
  mx::array data, indices, indptr;

  size_t n_major() const { return indptr.size() - 1; }
};

} // namespace sp
