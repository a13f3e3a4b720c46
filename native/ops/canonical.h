// Operations whose result's size depends on stored entries: they read evaluated buffers and run at once on the host.
#pragma once

#include <string>

#include "../primitives/convert.h"

namespace sp {

// Empty when the buffers are in order, else what is wrong first.
std::string check_indices_host(const mx::array& indices, const mx::array& indptr, int64_t n_minor);
bool is_sorted_host(const mx::array& indices, const mx::array& indptr);
bool is_canonical_host(const mx::array& indices, const mx::array& indptr);

Compressed sort_indices_host(const mx::array& data, const mx::array& indices, const mx::array& indptr);
Compressed sum_duplicates_host(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_minor);
// Coordinates in any order -> canonical compressed form.
Compressed coo_to_canonical_host(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major);
Compressed eliminate_zeros_host(const mx::array& data, const mx::array& indices, const mx::array& indptr);

// a @ b, both compressed along the same axis; canonical.
Compressed matmul_sparse_host(const Compressed& a, const Compressed& b, int64_t n_minor);
// Element-wise op on canonical operands of one shape; zeros of the result are dropped.
Compressed merge_host(const std::string& op, const Compressed& a, const Compressed& b);

// Worker limit for matmul_sparse_host; 0 follows n_threads().
int& spgemm_threads();

double triad(size_t n);

} // namespace sp
