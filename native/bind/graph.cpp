// Searches in graphs: what mlx_sparse.csgraph is built of.
#include "bind/bind.h"
#include "bind/numpy.h"
#include "ops/graph.h"
#include "ops/signed_paths.h"

namespace sp {

namespace {

template <class T>
using Values = py::array_t<T, py::array::c_style>;

int32_t* numbers(std::optional<Values<int32_t>>& a) { return a ? a->mutable_data() : nullptr; }

using Edges = std::tuple<Values<double>, Values<int32_t>, Values<int32_t>>; // data, indices, indptr

CsView<double, int32_t> edges_of(const Edges& graph, std::optional<size_t> n_minor = std::nullopt) {
  const auto& [data, indices, indptr] = graph;
  const auto n = static_cast<size_t>(indptr.size() - 1);
  return {{n, n_minor.value_or(n), indptr.data(), indices.data()}, data.data()};
}

std::tuple<mx::array, std::optional<mx::array>> find_by_yen(const Edges& graph, bool directed, bool unweighted, int64_t source,
                                                            int64_t sink, int64_t count, bool before) {
  const auto edges = edges_of(graph);
  return without_lock([&] { return yen(edges, directed, unweighted, source, sink, count, before); });
}

std::optional<mx::array> find_least_matching(const Edges& graph, size_t n_minor, double sign) {
  const auto edges = edges_of(graph, n_minor);
  return without_lock([&] { return least_matching(edges, sign); });
}

int64_t find_by_bellman_ford(const Edges& graph, const Values<int64_t>& sources, bool directed, bool unweighted,
                             Values<double> distance, std::optional<Values<int32_t>> before) {
  const auto edges = edges_of(graph);
  const Sources from{static_cast<size_t>(sources.size()), sources.data()};
  const Paths found{distance.mutable_data(), numbers(before)};
  return without_lock([&] { return bellman_ford(edges, directed, unweighted, from, found); });
}

void find_all_paths(bool directed, Values<double> distance, std::optional<Values<int32_t>> before) {
  const Paths paths{distance.mutable_data(), numbers(before)};
  const auto n = static_cast<size_t>(distance.shape(0));
  without_lock([&] { floyd_warshall(n, directed, paths); return true; });
}

void write_dense_edges(const Edges& graph, double no_edge, Values<double> out) {
  const auto edges = edges_of(graph);
  double* const to = out.mutable_data();
  without_lock([&] { dense_edges(edges, no_edge, to); return true; });
}

int64_t find_path_lengths(const Values<double>& weights, const Values<int32_t>& before, double no_path, Values<double> distance) {
  const auto n = static_cast<size_t>(distance.shape(0));
  const auto *const from = weights.data();
  const auto *const above = before.data();
  double* const to = distance.mutable_data();
  return without_lock([&] { return path_lengths(n, from, above, no_path, to); });
}

} // namespace

void bind_graph(py::module_& m) {
  m.def("connected_components", unlocked(&connected_components), "graph"_a, "strong"_a, "forward"_a);
  m.def("breadth_first", unlocked(&breadth_first), "graph"_a, "start"_a, "both_ways"_a);
  m.def("depth_first", unlocked(&depth_first), "graphs"_a, "start"_a);
  m.def("dijkstra", unlocked(&dijkstra, 1024), "graphs"_a, "sources"_a, "unweighted"_a, "limit"_a, "nearest"_a, "before"_a);
  m.def("bellman_ford", &find_by_bellman_ford, "graph"_a.noconvert(), "sources"_a.noconvert(), "directed"_a,
        "unweighted"_a, "distance"_a.noconvert(), "before"_a.noconvert(),
        "Writes what it finds to distance and before; the first source from which a cycle is met, or -1.");
  m.def("floyd_warshall", &find_all_paths, "directed"_a, "distance"_a.noconvert(), "before"_a.noconvert(),
        "In place: distance holds edges, then paths.");
  m.def("dense_edges", &write_dense_edges, "graph"_a.noconvert(), "no_edge"_a, "out"_a.noconvert(), "Writes to out.");
  m.def("path_lengths", &find_path_lengths, "weights"_a.noconvert(), "before"_a.noconvert(), "no_path"_a,
        "distance"_a.noconvert(), "Writes to distance; source * n + target of a path that is a circle, or -1.");
  m.def("yen", &find_by_yen, "graph"_a.noconvert(), "directed"_a, "unweighted"_a, "source"_a, "sink"_a, "count"_a, "before"_a);
  m.def("maximum_flow", unlocked(&maximum_flow, 64), "capacities"_a, "source"_a, "sink"_a, "one_way"_a);
  m.def("largest_matching", unlocked(&largest_matching, 64), "graph"_a, "n_minor"_a);
  m.def("least_matching", &find_least_matching, "graph"_a.noconvert(), "n_minor"_a, "sign"_a);
  m.def("spanning_forest", unlocked(&spanning_forest, 16), "graph"_a);
  m.def("is_symmetric", unlocked(&is_symmetric), "graph"_a, "weights"_a);
  m.def("node_degrees", unlocked(&node_degrees), "graph"_a);
  m.def("laplacian", unlocked(&laplacian), "coo"_a, "factors"_a, "diagonal"_a);
  m.def("reverse_cuthill_mckee", unlocked(&reverse_cuthill_mckee, 64), "graph"_a, "degrees"_a, "seeds"_a);
}

} // namespace sp
