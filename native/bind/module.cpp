// The one module: bind.h says how functions are bound.
#include "bind/bind.h"
#include "ops/blocks.h"
#include "ops/assemble.h"
#include "ops/select.h"
#include "ops/extrema.h"
#include "ops/canonical.h"
#include "bind/mlx_array.h"

namespace sp {

namespace {

py::tuple as_tuple(const Compressed& c) { return py::make_tuple(c.data, c.indices, c.indptr); }

void bind_host(py::module_& m) {
  m.def("check_indices", &check_indices_host);
  m.def("is_sorted", &is_sorted_host);
  m.def("is_canonical", &is_canonical_host);
  m.def("sort_indices", [](const mx::array& data, const mx::array& indices, const mx::array& indptr) {
    auto r = sort_indices_host(data, indices, indptr);
    return py::make_tuple(r.data, r.indices);
  });
  m.def("sum_duplicates", [](const mx::array& data, const mx::array& indices, const mx::array& indptr) {
    return as_tuple(sum_duplicates_host(data, indices, indptr, 0));
  });
  m.def("coo_to_canonical", [](const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major) {
    return as_tuple(coo_to_canonical_host(data, major, minor, n_major));
  });
  m.def("eliminate_zeros", [](const mx::array& data, const mx::array& indices, const mx::array& indptr) {
    return as_tuple(eliminate_zeros_host(data, indices, indptr));
  });
  m.def("matmul_sparse", [](const mx::array& ad, const mx::array& ai, const mx::array& ap, const mx::array& bd,
                            const mx::array& bi, const mx::array& bp, int64_t n_minor) {
    return as_tuple(matmul_sparse_host({ad, ai, ap}, {bd, bi, bp}, n_minor));
  });
  m.def("merge", [](const std::string& op, const mx::array& ad, const mx::array& ai, const mx::array& ap,
                    const mx::array& bd, const mx::array& bi, const mx::array& bp) {
    return as_tuple(merge_host(op, {ad, ai, ap}, {bd, bi, bp}));
  });
}

} // namespace

} // namespace sp

namespace py = pybind11;

PYBIND11_MODULE(_native, m) {
  sp::verify_layout();
  sp::bind_structure(m); // first: the others' signatures name its classes
  sp::bind_blocks(m);
  sp::bind_host(m);
  sp::bind_coo(m);
  sp::bind_index(m);
  sp::bind_lists(m);
  sp::bind_runtime(m);
  sp::bind_minmax(m);
  sp::bind_indexed_product(m);
  sp::bind_segment(m);
}
