// Blocks and diagonals: between them and single entries, element-wise, and products. Blocks are compressed arrays with
// values of shape (blocks, R, C).
#pragma once

#include <optional>

#include "ops/merge.h"

namespace sp {

// Values by diagonals, (diagonals, length), of an array of this shape.
struct Diagonals {
  mx::array data, offsets;
  int64_t n_rows, n_columns;
};

// How many R x C blocks hold an entry.
int64_t count_blocks(const mx::array& indices, const mx::array& indptr, int64_t n_minor, int64_t R, int64_t C);
// Single entries -> blocks, duplicates summed.
Compressed cs_to_blocks(const Compressed& a, int64_t n_minor, int64_t R, int64_t C);
// Blocks -> single entries, every value of a block one.
Compressed blocks_to_cs(const Compressed& a);
Compressed transpose_blocks(const Compressed& a, int64_t n_block_columns);

// Without the blocks that hold nothing but zeros; none where there are none of those.
std::optional<Compressed> without_zero_blocks(const Compressed& a);
// Element-wise sum, difference or product of canonical block arrays, without blocks of zeros unless values are traced.
Compressed merge_blocks(MergeOp op, const Compressed& a, const Compressed& b);
// a @ b.
Compressed matmul_blocks(const Compressed& a, const Compressed& b, int64_t n_block_columns);

// Canonical csr form, without zeros.
Compressed dia_to_cs(const Diagonals& a);
// a @ b by diagonals: the values at `offsets`, which ascend, for columns below `length`.
mx::array matmul_diagonals(const Diagonals& a, const Diagonals& b, const mx::array& offsets, int64_t length);

} // namespace sp
