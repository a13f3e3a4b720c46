// The shortest paths without loops from one node to another, where no edge is of negative length.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "../interrupt.h"
#include "dijkstra.h"
#include "view.h"

namespace sp {

struct Route {
  std::vector<int32_t> nodes; // from the source to the sink
  std::vector<double> lengths; // up to each of them
  size_t turn; // the place of the node at which it leaves the route that it was found from
  std::vector<int32_t> barred; // where no route goes from there that is found from this one
};

// J. Y. Yen, Management Science 17 (1971): the routes that are not found yet part into those that leave the found ones at some
// node, and the shortest of each part is a candidate. E. L. Lawler, Management Science 18 (1972): of a route only nodes from
// its turn on are looked at, so that no candidate comes twice.
//
// The rest of a route is found from its node on, in the order of the length so far and the way to the sink, were no node
// barred (P. E. Hart, N. J. Nilsson, B. Raphael, IEEE Transactions on Systems Science and Cybernetics 4, 1968); a search ends
// where the candidates there are will do. Cost: O(K L) searches for routes of L nodes, most of which meet few nodes more than
// their route has. Edges are those of every one of `graphs`; the shortest of parallel ones counts, and infinite ones lead nowhere.
template <class I>
class Yen {
 public:
  // rest: the length from each node to the sink, or less.
  Yen(const std::vector<CsView<double, I>>& graphs, bool unweighted, int32_t sink, const double* rest)
      : graphs_(graphs), unweighted_(unweighted), sink_(sink), rest_(rest), length_(graphs[0].n_major, kFar),
        before_(graphs[0].n_major), shut_(graphs[0].n_major, 0) {}

  // At most `count` routes, the shortest first.
  std::vector<Route> run(int32_t source, size_t count) {
    std::vector<Route> found;
    if (count > 0) extend({{source}, {0.0}, 0, {}}, 0, {}, 1);
    while (!candidates_.empty()) {
      found.push_back(std::move(candidates_.begin()->second));
      candidates_.erase(candidates_.begin());
      if (found.size() == count) break;
      part(found.back(), count - found.size());
    }
    return found;
  }

 private:
  static constexpr double kFar = std::numeric_limits<double>::infinity();

  void part(const Route& route, size_t needed) {
    while (candidates_.size() > needed) candidates_.erase(std::prev(candidates_.end()));
    const size_t last = route.nodes.size() - 1;
    for (size_t i = 0; i < route.turn; ++i) shut_[route.nodes[i]] = 1;
    for (size_t i = route.turn; i < last; ++i) {
      auto barred = i == route.turn ? route.barred : std::vector<int32_t>{};
      barred.push_back(route.nodes[i + 1]);
      extend(route, i, std::move(barred), needed);
      shut_[route.nodes[i]] = 1;
    }
    for (size_t i = 0; i < last; ++i) shut_[route.nodes[i]] = 0;
  }

  // Adds the shortest route that goes with `route` up to its node i, and from there to none of `barred`.
  void extend(const Route& route, size_t i, std::vector<int32_t> barred, size_t needed) {
    const double bound = candidates_.size() < needed ? kFar : std::prev(candidates_.end())->first;
    const int32_t from = route.nodes[i];
    if (search(from, route.lengths[i], barred, bound)) {
      const auto place = static_cast<ptrdiff_t>(i);
      Route made{{route.nodes.begin(), route.nodes.begin() + place}, {route.lengths.begin(), route.lengths.begin() + place}, i,
                 std::move(barred)};
      for (int32_t v = sink_; v != from; v = before_[v]) made.nodes.push_back(v);
      made.nodes.push_back(from);
      std::reverse(made.nodes.begin() + place, made.nodes.end());
      for (size_t k = i; k < made.nodes.size(); ++k) made.lengths.push_back(length_[made.nodes[k]]);
      if (candidates_.size() == needed) candidates_.erase(std::prev(candidates_.end()));
      const double length = made.lengths.back();
      candidates_.emplace(length, std::move(made));
    }
    for (int32_t v : touched_) {
      length_[v] = kFar;
      shut_[v] = 0;
    }
    touched_.clear();
  }

  // Whether the sink is reached by less than `bound`. Leaves the way back in before_.
  bool search(int32_t from, double start, const std::vector<int32_t>& barred, double bound) {
    using Entry = std::pair<double, int32_t>; // length by this node, and the node; again where that has become shorter
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    length_[from] = start;
    touched_.push_back(from);
    queue.emplace(start, from);
    while (!queue.empty()) {
      const int32_t v = queue.top().second;
      if (v == sink_) return true;
      queue.pop();
      if (shut_[v]) continue;
      shut_[v] = 1;
      for (const auto& g : graphs_) {
        watch_(8 * (g.end(v) - g.begin(v)) + 16);
        for (size_t e = g.begin(v), end = g.end(v); e < end; ++e) {
          const auto w = static_cast<int32_t>(g.indices[e]);
          const double next = length_[v] + (unweighted_ ? 1.0 : g.data[e]), whole = next + rest_[w];
          if (shut_[w] || !(next < length_[w]) || !(whole < bound)) continue;
          if (v == from && std::find(barred.begin(), barred.end(), w) != barred.end()) continue;
          if (length_[w] == kFar) touched_.push_back(w);
          length_[w] = next;
          before_[w] = v;
          queue.emplace(whole, w);
        }
      }
    }
    return false;
  }

  const std::vector<CsView<double, I>>& graphs_;
  bool unweighted_;
  int32_t sink_;
  const double* rest_;
  std::vector<double> length_;
  std::vector<int32_t> before_;
  std::vector<uint8_t> shut_; // nodes of the route so far, and those that a search is done with
  std::vector<int32_t> touched_; // nodes that have a length
  std::multimap<double, Route> candidates_; // by length, not more than are needed
  Watch watch_;
};

// At most `count` routes, the shortest first. back: the edges of `graphs` the other way, needed for more than one.
template <class I>
std::vector<Route> yen(const std::vector<CsView<double, I>>& graphs, const std::vector<CsView<double, I>>& back, bool unweighted,
                       int64_t source, int64_t sink, size_t count) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  const size_t n = graphs[0].n_major;
  const auto from = static_cast<int32_t>(source), to = static_cast<int32_t>(sink);
  const std::unique_ptr<double[]> length(new double[n]);
  if (count > 1) {
    Dijkstra<double, I>(back, unweighted).run(&sink, &sink + 1, kFar, {length.get(), nullptr, nullptr});
    if (length[from] == kFar) return {};
    return Yen<I>(graphs, unweighted, to, length.get()).run(from, count);
  }
  std::vector<int32_t> before(n);
  if (count == 1) Dijkstra<double, I>(graphs, unweighted).run(&source, &source + 1, kFar, {length.get(), before.data(), nullptr}, to);
  if (count == 0 || length[to] == kFar) return {};
  Route found{{to}, {length[to]}, 0, {}};
  for (int32_t v = to; v != from;) found.nodes.push_back(v = before[v]);
  std::reverse(found.nodes.begin(), found.nodes.end());
  return {found};
}

} // namespace sp
