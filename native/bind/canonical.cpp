// Canonical form, element-wise operations and products of compressed arrays.
#include "ops/canonical.h"

#include "bind/bind.h"
#include "ops/matmul.h"
#include "ops/merge.h"

namespace sp {

void bind_canonical(py::module_& m) {
  py::enum_<MergeOp>(m, "MergeOp")
      .value("plus", MergeOp::plus)
      .value("minus", MergeOp::minus)
      .value("multiply", MergeOp::multiply)
      .value("maximum", MergeOp::maximum)
      .value("minimum", MergeOp::minimum)
      .value("ne", MergeOp::ne)
      .value("lt", MergeOp::lt)
      .value("gt", MergeOp::gt)
      .value("le", MergeOp::le)
      .value("ge", MergeOp::ge);
  m.def("check_indices", &check_indices, "indices"_a, "indptr"_a, "n_minor"_a);
  m.def("is_sorted", &is_sorted, "indices"_a, "indptr"_a);
  m.def("is_canonical", &is_canonical, "indices"_a, "indptr"_a);
  m.def("sort_indices", &sort_indices, "a"_a);
  m.def("sum_duplicates", &sum_duplicates, "a"_a);
  m.def("coo_to_canonical", &coo_to_canonical, "data"_a, "major"_a, "minor"_a, "n_major"_a);
  m.def("eliminate_zeros", &eliminate_zeros, "a"_a);
  m.def("merge", &merge, "op"_a, "a"_a, "b"_a);
  m.def("matmul_sparse", &matmul_sparse, "a"_a, "b"_a, "n_minor"_a);
}

} // namespace sp
