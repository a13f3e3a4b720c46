// The one module: bind.h says how functions are bound.
#include "bind/bind.h"
#include "bind/mlx_array.h"

namespace py = pybind11;

PYBIND11_MODULE(_native, m) {
  sp::verify_layout();
  sp::bind_structure(m); // first: the others' signatures name its classes
  sp::bind_canonical(m);
  sp::bind_blocks(m);
  sp::bind_assemble(m);
  sp::bind_select(m);
  sp::bind_extrema(m);
  sp::bind_lists(m);
  sp::bind_runtime(m);
  sp::bind_indexed_product(m);
  sp::bind_segment(m);
}
