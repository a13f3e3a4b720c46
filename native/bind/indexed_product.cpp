// The binding of indexed products, and the one look at an index array that its checks need.
#include <pybind11/stl.h>

#include "ops/evaluated.h"
#include "bind/bind.h"
#include "kernels/sort.h"
#include "kernels/indexed_product.h"
#include "bind/mlx_array.h"
#include "primitives/indexed_product.h"

namespace sp {

namespace {

template <class I>
std::pair<I, I> extremes(const I* x, const I* end) {
  I least = *x, most = *x;
  for (; x != end; ++x) {
    least = std::min(least, *x);
    most = std::max(most, *x);
  }
  return {least, most};
}

// (least, greatest, whether it never decreases) of a non-empty index array. Reads it.
std::tuple<int64_t, int64_t, bool> index_summary_host(const mx::array& index) {
  const auto a = host_ready(index);
  if (a.size() == 0) throw std::invalid_argument("an empty index array has no least element");
  return with_index(a, [&](auto i) {
    using I = typename decltype(i)::type;
    const I* x = ptr<I>(a);
    const int parts = plan_parts(a.size() / 4);
    std::vector<I> least(parts), most(parts);
    parallel_for(parts, parts, [&](size_t first, size_t last) {
      for (size_t p = first; p < last; ++p) {
        std::tie(least[p], most[p]) = extremes(x + a.size() * p / parts, x + a.size() * (p + 1) / parts);
      }
    });
    return std::tuple<int64_t, int64_t, bool>(*std::min_element(least.begin(), least.end()),
                                              *std::max_element(most.begin(), most.end()), is_nondecreasing(a.size(), x));
  });
}

IndexedKind indexed_kind(int kind) {
  return kind == 0 ? IndexedKind::matvec : kind == 1 ? IndexedKind::rmatvec : IndexedKind::outer;
}

std::optional<mx::array> optional_array(const py::object& o) {
  if (o.is_none()) return std::nullopt;
  const auto* a = as_array(o.ptr());
  if (!a) throw py::type_error("an index array must be an mx.array or None");
  return *a;
}

} // namespace

void bind_indexed_product(py::module_& m) {
  m.def("indexed_product", [](int kind, const mx::array& left, const mx::array& right, const py::object& left_index,
                              const py::object& right_index, const py::object& out_index, int64_t n_out, bool atomic,
                              std::array<bool, 3> sorted, const py::object& stream) {
    return indexed_product(indexed_kind(kind), left, right, optional_array(left_index), optional_array(right_index),
                           optional_array(out_index), n_out, {atomic, sorted}, checked_stream(left, stream));
  });
  m.def("index_summary", &index_summary_host);
}

} // namespace sp
