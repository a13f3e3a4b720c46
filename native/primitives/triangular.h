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
// differentiable in b and, without levels, in the values. On the CPU.
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

// The same as shaders, level by level, in float32 and complex64; elsewhere as above. What the levels are is found on the CPU
// once, and kept with the structure. Differentiable in b and the values.
mx::array solve_by_levels(const TriangleForm& form, const Structure& a, const mx::array& data, const mx::array& b, mx::Stream s);
// What the shader needs of the structure: entries, columns, starts, places, diagonal, levels.
std::vector<mx::array> triangular_arrays(const TriangleForm& form, const Structure& a, mx::Stream s);
// How many levels there are, whether no entry lies on the other side of the diagonal, and whether each slice has one on it.
struct TriangularShape {
  int64_t depth;
  bool one_sided, has_diagonal;
};
TriangularShape triangular_shape(const TriangleForm& form, const Structure& a, mx::Stream s);

// Whether levels pay is for the caller to judge: of which slice each is, and where the levels begin.
LevelArrays triangular_levels(const mx::array& indices, const mx::array& indptr, bool lower);

} // namespace sp
