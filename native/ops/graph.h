// Searches in graphs: a compressed array is a graph, its entries the edges from their slice to their minor index. Where
// edges go both ways and stand once, a list of two holds the array and its transpose, or `both_ways` says so.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include "kernels/view.h"
#include "ops/sized.h"
#include "ops/spans.h"

namespace sp {

// (how many connected components, each node's); forward: how strong ones are numbered
std::tuple<int64_t, mx::array> connected_components(const Compressed& graph, bool strong, bool forward);

// (nodes in the order in which they are met, the node from which each node is met or -9999)
std::tuple<mx::array, mx::array> breadth_first(const Compressed& graph, int64_t start, bool both_ways);
std::tuple<mx::array, mx::array> depth_first(const std::vector<Compressed>& graphs, int64_t start);

// (distances, previous nodes, sources): (sources, nodes) each, or (nodes) from the nearest one; the last two where they are
// asked for. In the dtype of the weights, float32 or float64, of which none is negative.
std::tuple<mx::array, std::optional<mx::array>, std::optional<mx::array>> dijkstra(const std::vector<Compressed>& graphs,
                                                                                   Places sources, bool unweighted,
                                                                                   double limit, bool nearest, bool before);

// (lengths in float64, rows of previous nodes where they are asked for) of the `count` shortest paths without loops, or as many
// as there are. No edge is of negative length.
std::tuple<mx::array, std::optional<mx::array>> yen(CsView<double, int32_t> graph, bool directed, bool unweighted, int64_t source,
                                                    int64_t sink, int64_t count, bool before);

// A maximum flow, negative against it, with an entry for each edge and its way back; one_way: by Edmonds and Karp's method,
// not Dinic's. Capacities of int32, in order and without duplicates.
Compressed maximum_flow(const Compressed& capacities, int64_t source, int64_t sink, bool one_way);

// What slices and minor indices are matched with, -1 for none: as many as possible.
std::tuple<mx::array, mx::array> largest_matching(const Compressed& graph, int64_t n_minor);

// What slices are matched with, all of them, by weights whose sum is least (sign: 1) or greatest (-1); none if there is no such
// matching. Zeros are no edges. No duplicates; not more slices than minor indices.
std::optional<mx::array> least_matching(CsView<double, int32_t> graph, double sign);

// The entries of the minimum spanning forest of a graph whose edges go both ways, less those of weight zero.
Compressed spanning_forest(const Compressed& graph);

// Whether each edge has one of the same weight, of float32 or float64, back; with `weights` false, any. It may be denied for
// slices that are not sorted.
bool is_symmetric(const Compressed& graph, bool weights);

// The number of entries of each node, one on the diagonal twice. Like orders of nodes, in the dtype of indices.
mx::array node_degrees(const Compressed& graph);

// (values, rows, columns) of the Laplacian of a graph given as such: its edges, negated and divided by the factors of both
// ends where there are factors, and the diagonal. Values of float32 or float64.
Arrays laplacian(const Arrays& coo, const std::optional<mx::array>& factors, const mx::array& diagonal);

// The reverse order of Cuthill and McKee of a graph whose edges go both ways; searches begin at the first of `seeds`, of which
// there is one for each node, that was not met before.
mx::array reverse_cuthill_mckee(const Compressed& graph, const mx::array& degrees, Places seeds);

} // namespace sp
