// Searches in graphs: what mlx_sparse.csgraph is built of.
#include "bind/bind.h"
#include "bind/numpy.h"
#include "ops/graph.h"

namespace sp {

void bind_graph(py::module_& m) {
  m.def("connected_components", unlocked(&connected_components), "graph"_a, "strong"_a, "forward"_a);
  m.def("breadth_first", unlocked(&breadth_first), "graphs"_a, "start"_a);
  m.def("depth_first", unlocked(&depth_first), "graphs"_a, "start"_a);
  m.def("dijkstra", unlocked(&dijkstra, 1024), "graphs"_a, "sources"_a, "unweighted"_a, "limit"_a, "nearest"_a, "before"_a);
  m.def("spanning_forest", unlocked(&spanning_forest, 16), "graph"_a);
  m.def("is_symmetric", unlocked(&is_symmetric), "graph"_a, "weights"_a);
  m.def("node_degrees", unlocked(&node_degrees), "graph"_a);
  m.def("reverse_cuthill_mckee", unlocked(&reverse_cuthill_mckee, 64), "graph"_a, "degrees"_a, "seeds"_a);
}

} // namespace sp
