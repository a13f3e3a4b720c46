// Triangular solves: op(A)^-1 b, closed under differentiation.
#pragma once

#include <optional>

#include "../kernels/triangular.h"
#include "node.h"
#include "structure.h"

namespace sp {

// What makes a solve run level by level on the thread pool: A's slices stand in the order of their levels (levels.h).
struct LevelArrays {
  mx::array order, starts;
};

// b (n,) or (n, k), of the dtype of A's values, which is that of a linear system; A as kernels/triangular.h says. Lazy and
// differentiable in b and, without levels, in the values. On the CPU only.
mx::array solve_triangular(const TriangleForm& form, const Compressed& a, const mx::array& b,
                           const std::optional<LevelArrays>& levels, mx::Stream s);

// The same at once over host pointers, of evaluated arrays: x (n, k) holds b.
struct HostTriangle {
  TriangleForm form;
  Compressed a;
  std::optional<LevelArrays> levels;
};
void check_triangle(const HostTriangle& t, int64_t n);
void solve_triangular_host(const HostTriangle& t, void* x, size_t k);

// Whether levels pay is for the caller to judge: of which slice each is, and where the levels begin.
LevelArrays triangular_levels(const mx::array& indices, const mx::array& indptr, bool lower);

} // namespace sp
