#include "ops/graph.h"

#include "kernels/breadth_first_both_ways.h"
#include "kernels/convert.h"
#include "kernels/cuthill_mckee.h"
#include "kernels/depth_first.h"
#include "kernels/dijkstra.h"
#include "kernels/laplacian.h"
#include "kernels/largest_matching.h"
#include "kernels/least_matching.h"
#include "kernels/maximum_flow.h"
#include "kernels/scan.h"
#include "kernels/spanning_tree.h"
#include "kernels/strong_components.h"
#include "kernels/symmetry.h"
#include "kernels/yen.h"

namespace sp {

namespace {

// f(Tag<D>, Tag<I>) over the types of weights and indices.
template <class F>
decltype(auto) with_weights(const mx::array& data, const mx::array& indices, F&& f) {
  return with_index(indices, [&](auto i) {
    if (data.dtype() == mx::float32) return f(Tag<float>{}, i);
    if (data.dtype() == mx::float64) return f(Tag<double>{}, i);
    throw std::invalid_argument("weights must be of float32 or float64");
  });
}

template <class F>
decltype(auto) with_weights(const Compressed& a, F&& f) {
  return with_weights(a.data, a.indices, std::forward<F>(f));
}

std::vector<Compressed> evaluated_all(const std::vector<Compressed>& graphs) {
  std::vector<Compressed> all;
  for (const auto& g : graphs) all.push_back(evaluated(g));
  return all;
}

template <class I>
CsPattern<I> graph_of(const Compressed& a) { return pattern_of<I>(pattern(a), a.n_major()); }

int count_of(int64_t n) { return to_dim(n); }

// f(patterns, order, before) -> how many nodes it has met.
template <class F>
std::tuple<mx::array, mx::array> searched(const std::vector<Compressed>& given, F&& f) {
  const auto graphs = evaluated_all(given);
  const int n = count_of(static_cast<int64_t>(graphs[0].n_major()));
  auto order = fresh({n}, mx::int32), before = fresh({n}, mx::int32);
  std::fill_n(out_ptr<int32_t>(before), n, -9999);
  const size_t found = with_index(graphs[0].indices, [&](auto i) {
    using I = typename decltype(i)::type;
    std::vector<CsPattern<I>> all;
    for (const auto& g : graphs) all.push_back(graph_of<I>(g));
    return f(all, out_ptr<int32_t>(order), out_ptr<int32_t>(before));
  });
  return {first_entries(order, found), before};
}

} // namespace

std::tuple<int64_t, mx::array> connected_components(const Compressed& graph, bool strong, bool forward) {
  const auto a = evaluated(graph);
  auto label = fresh({count_of(static_cast<int64_t>(a.n_major()))}, mx::int32);
  const int64_t n = with_index(a.indices, [&](auto i) {
    const auto g = graph_of<typename decltype(i)::type>(a);
    int32_t* const out = out_ptr<int32_t>(label);
    return strong ? strong_components(g, forward, out) : weak_components(g, out);
  });
  return {n, label};
}

std::tuple<mx::array, mx::array> breadth_first(const Compressed& graph, int64_t start, bool both_ways) {
  const bool once = both_ways && !is_symmetric(graph, false);
  return searched({graph}, [=](const auto& all, int32_t* order, int32_t* before) {
    const auto from = static_cast<size_t>(start);
    return once ? breadth_first_both_ways(all[0], from, order, before) : breadth_first(all[0], from, order, before);
  });
}

std::tuple<mx::array, mx::array> depth_first(const std::vector<Compressed>& graphs, int64_t start) {
  return searched(graphs, [=](const auto& all, int32_t* order, int32_t* before) {
    return depth_first(all, static_cast<size_t>(start), order, before);
  });
}

std::tuple<mx::array, std::optional<mx::array>, std::optional<mx::array>> dijkstra(const std::vector<Compressed>& given,
                                                                                   Places sources, bool unweighted,
                                                                                   double limit, bool nearest, bool before) {
  const auto graphs = evaluated_all(given);
  const int n = count_of(static_cast<int64_t>(graphs[0].n_major()));
  const auto dtype = graphs[0].data.dtype();
  const mx::Shape shape = nearest ? mx::Shape{n} : mx::Shape{count_of(static_cast<int64_t>(sources.n)), n};
  auto distance = fresh(shape, dtype);
  std::optional<mx::array> previous, source;
  if (before) previous = fresh(shape, mx::int32);
  if (before && nearest) source = fresh(shape, mx::int32);
  with_weights(graphs[0], [&](auto d, auto i) {
    using D = typename decltype(d)::type;
    using I = typename decltype(i)::type;
    std::vector<CsView<D, I>> all;
    for (const auto& g : graphs) all.push_back({graph_of<I>(g), ptr<D>(g.data)});
    auto out = [&](size_t row) -> PathsOut<D> {
      const size_t at = row * static_cast<size_t>(n);
      return {out_ptr<D>(distance) + at, previous ? out_ptr<int32_t>(*previous) + at : nullptr,
              source ? out_ptr<int32_t>(*source) + at : nullptr};
    };
    const size_t rows = nearest ? 1 : sources.n, each = nearest ? sources.n : 1;
    if (n == 0 || rows == 0) return;
    // A worker takes the next source when it is done with one: some searches end early.
    std::atomic<size_t> next{0};
    const size_t work = 16 * rows * (all[0].nnz() + static_cast<size_t>(n));
    const int parts = plan_parts(work, static_cast<int>(std::min<size_t>(rows, 1024)));
    run_parts(parts, [&](int) {
      Dijkstra<D, I> search(all, unweighted);
      for (size_t row; (row = next.fetch_add(1)) < rows;) {
        check_interrupt();
        search.run(sources.at + row * each, sources.at + (row + 1) * each, static_cast<D>(limit), out(row));
      }
    });
  });
  return {distance, previous, source};
}

std::tuple<mx::array, std::optional<mx::array>> yen(CsView<double, int32_t> graph, bool directed, bool unweighted, int64_t source,
                                                    int64_t sink, int64_t count, bool before) {
  const size_t n = graph.n_major, nnz = graph.nnz();
  std::vector<CsView<double, int32_t>> graphs{graph}, back;
  std::unique_ptr<int32_t[]> indptr, indices;
  std::unique_ptr<double[]> data;
  if (!directed || count > 1) {
    indptr.reset(new int32_t[n + 1]);
    indices.reset(new int32_t[nnz]);
    data.reset(new double[nnz]);
    cs_transpose(graph, CsOut<double, int32_t>{indptr.get(), indices.get(), data.get()});
    back.push_back({{n, n, indptr.get(), indices.get()}, data.get()});
    if (!directed) back = graphs = {graph, back[0]};
  }
  const auto found = yen(graphs, back, unweighted, source, sink, static_cast<size_t>(count));
  const int rows = count_of(static_cast<int64_t>(found.size()));
  auto lengths = fresh({rows}, mx::float64);
  std::optional<mx::array> previous;
  if (before) {
    previous = fresh({rows, count_of(static_cast<int64_t>(n))}, mx::int32);
    std::fill_n(out_ptr<int32_t>(*previous), found.size() * n, -9999);
  }
  for (size_t k = 0; k < found.size(); ++k) {
    const auto& nodes = found[k].nodes;
    out_ptr<double>(lengths)[k] = found[k].lengths.back();
    for (size_t i = 1; before && i < nodes.size(); ++i) out_ptr<int32_t>(*previous)[k * n + nodes[i]] = nodes[i - 1];
  }
  return {lengths, previous};
}

Compressed maximum_flow(const Compressed& capacities, int64_t source, int64_t sink, bool one_way) {
  const auto a = evaluated(capacities);
  if (a.data.dtype() != mx::int32) throw std::invalid_argument("capacities must be of int32");
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    const auto g = graph_of<I>(a);
    const size_t n = g.n_major;
    auto indptr = fresh({static_cast<int>(n) + 1}, a.indices.dtype());
    I* const rows = out_ptr<I>(indptr);
    std::unique_ptr<I[]> starts(new I[n + 1]), heads(new I[g.nnz()]);
    transpose_entries(g, 1, starts.get(), [&](size_t slot, size_t, size_t u) { heads[slot] = static_cast<I>(u); });
    const CsPattern<I> transpose{n, n, starts.get(), heads.get()};
    std::fill_n(rows, n + 1, I{0});
    edges_both_ways(g, transpose, [=](size_t u, I, ptrdiff_t) { ++rows[u + 1]; });
    const size_t total = lengths_to_indptr(n, rows);
    auto indices = fresh({count_of(static_cast<int64_t>(total))}, a.indices.dtype()), flow = fresh(indices.shape(), mx::int32);
    std::unique_ptr<int32_t[]> capacity(new int32_t[total]);
    I* to = out_ptr<I>(indices);
    int32_t* most = capacity.get();
    edges_both_ways(g, transpose, [&](size_t, I v, ptrdiff_t e) {
      *to++ = v;
      *most++ = e < 0 ? 0 : ptr<int32_t>(a.data)[e];
    });
    heads.reset();
    const CsPattern<I> edges{n, n, rows, out_ptr<I>(indices)};
    std::unique_ptr<I[]> back(new I[total]);
    edges_back(edges, back.get());
    std::fill_n(out_ptr<int32_t>(flow), total, 0);
    MaximumFlow<I>(edges, back.get(), capacity.get(), out_ptr<int32_t>(flow))
        .run(static_cast<int32_t>(source), static_cast<int32_t>(sink), one_way);
    return Compressed{flow, indices, indptr};
  });
}

std::tuple<mx::array, mx::array> largest_matching(const Compressed& graph, int64_t n_minor) {
  const auto a = evaluated(graph);
  auto of_major = fresh({count_of(static_cast<int64_t>(a.n_major()))}, mx::int32), of_minor = fresh({count_of(n_minor)}, mx::int32);
  with_index(a.indices, [&](auto i) {
    const auto g = pattern_of<typename decltype(i)::type>(pattern(a), static_cast<size_t>(n_minor));
    LargestMatching(g, out_ptr<int32_t>(of_major), out_ptr<int32_t>(of_minor)).run();
  });
  return {of_major, of_minor};
}

std::optional<mx::array> least_matching(CsView<double, int32_t> graph, double sign) {
  auto found = fresh({count_of(static_cast<int64_t>(graph.n_major))}, mx::int32);
  if (!LeastMatching(graph, sign, out_ptr<int32_t>(found)).run()) return std::nullopt;
  return found;
}

Compressed spanning_forest(const Compressed& graph) {
  const auto a = evaluated(graph);
  return with_weights(a, [&](auto t, auto i) {
    using T = typename decltype(t)::type;
    using I = typename decltype(i)::type;
    const CsView<T, I> view{graph_of<I>(a), ptr<T>(a.data)};
    const size_t nnz = view.nnz(), n = view.n_major;
    std::unique_ptr<bool[]> kept(new bool[nnz]);
    SpanningForest<T, I>(view).run(kept.get());
    auto indptr = fresh({static_cast<int>(n) + 1}, a.indices.dtype());
    I* rows = out_ptr<I>(indptr);
    const int parts = plan_parts(nnz + n);
    auto each = [&](size_t lo, size_t hi, auto&& f) {
      for (size_t u = lo; u < hi; ++u) {
        for (size_t e = view.begin(u); e < view.end(u); ++e) {
          if (kept[e] && view.data[e] != T{0}) f(u, e);
        }
      }
    };
    std::fill_n(rows, n + 1, I{0});
    parallel_for(n, parts, [&](size_t lo, size_t hi) { each(lo, hi, [&](size_t u, size_t) { ++rows[u + 1]; }); });
    const int total = count_of(static_cast<int64_t>(lengths_to_indptr(n, rows)));
    auto indices = fresh({total}, a.indices.dtype()), data = fresh({total}, a.data.dtype());
    parallel_for(n, parts, [&](size_t lo, size_t hi) {
      size_t at = static_cast<size_t>(rows[lo]);
      each(lo, hi, [&](size_t, size_t e) {
        out_ptr<I>(indices)[at] = view.indices[e];
        out_ptr<T>(data)[at++] = view.data[e];
      });
    });
    return Compressed{data, indices, indptr};
  });
}

bool is_symmetric(const Compressed& graph, bool weights) {
  const auto a = evaluated(graph);
  if (!weights) {
    return with_index(a.indices, [&](auto i) {
      return is_symmetric(graph_of<typename decltype(i)::type>(a), [](size_t, size_t) { return true; });
    });
  }
  return with_weights(a, [&](auto t, auto i) {
    const auto* const data = ptr<typename decltype(t)::type>(a.data);
    return is_symmetric(graph_of<typename decltype(i)::type>(a), [data](size_t e, size_t f) { return data[e] == data[f]; });
  });
}

mx::array node_degrees(const Compressed& graph) {
  const auto a = evaluated(graph);
  auto degrees = fresh({count_of(static_cast<int64_t>(a.n_major()))}, a.indices.dtype());
  with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    node_degrees(graph_of<I>(a), out_ptr<I>(degrees));
  });
  return degrees;
}

Arrays laplacian(const Arrays& coo, const std::optional<mx::array>& factors, const mx::array& diagonal) {
  const auto a = evaluated(coo);
  const auto ends = evaluated(diagonal), divisors = factors ? evaluated(*factors) : ends;
  const size_t n = ends.size(), nnz = a.empty() ? 0 : a[0].size();
  if (a.size() != 3 || a[1].size() != nnz || a[2].size() != nnz || a[1].dtype() != a[2].dtype() || divisors.size() != n ||
      ends.dtype() != a[0].dtype() || divisors.dtype() != a[0].dtype()) {
    throw std::invalid_argument("values, rows and columns of one length, and factors and a diagonal of their dtype");
  }
  return with_weights(a[0], a[1], [&](auto t, auto i) {
    using T = typename decltype(t)::type;
    using I = typename decltype(i)::type;
    const CooView<T, I> edges{{nnz, n, n, ptr<I>(a[1]), ptr<I>(a[2])}, ptr<T>(a[0])};
    const auto before = counted_before(nnz, plan_parts(4 * nnz), [=](size_t lo, size_t hi) {
      size_t count = 0;
      for (size_t e = lo; e < hi; ++e) count += edges.major[e] != edges.minor[e];
      return count;
    });
    const int size = to_dim(before.back() + n);
    Arrays out{fresh({size}, a[0].dtype()), fresh({size}, a[1].dtype()), fresh({size}, a[1].dtype())};
    laplacian(edges, before, factors ? ptr<T>(divisors) : nullptr, ptr<T>(ends),
              CooOut<T, I>{out_ptr<T>(out[0]), out_ptr<I>(out[1]), out_ptr<I>(out[2])});
    return out;
  });
}

mx::array reverse_cuthill_mckee(const Compressed& graph, const mx::array& degrees, Places seeds) {
  const auto a = evaluated(graph);
  if (seeds.n != a.n_major()) throw std::invalid_argument("one seed for each node");
  auto order = fresh({count_of(static_cast<int64_t>(a.n_major()))}, a.indices.dtype());
  with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    reverse_cuthill_mckee(graph_of<I>(a), ptr<I>(degrees), seeds.at, out_ptr<I>(order));
  });
  return order;
}

} // namespace sp
