// Components whose nodes are connected by paths both ways, of a graph whose entries are edges from the slice they stand in
// to their minor index. They are numbered in the order in which a depth-first search completes them that starts at the
// least node and goes to the first neighbour first, or unless `forward` to the last.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "components.h"
#include "node_set.h"
#include "tile.h"

namespace sp {

// The entries of a slice in the order in which a search follows them.
template <class I, bool forward>
struct EdgesInOrder {
  const I* indptr;
  static constexpr I step = forward ? 1 : -1;

  I first(int32_t v) const { return forward ? indptr[v] : indptr[v + 1] - 1; }
  I past(int32_t v) const { return forward ? indptr[v + 1] : indptr[v] - 1; }
};

constexpr int32_t kStepsAhead = 8; // a search asks for the edges of the node that it will come back to in so many steps

// low[v] = number of the component of v. R. Tarjan, SIAM Journal on Computing 1 (1972), with the single array of D. J. Pearce
// (Information Processing Letters 116, 2016). With `given`, low is -1 or n - 1 - c before, where nodes of the components
// c < given are known, which are left as they are. Returns the number of components. O(N + E), one thread.
template <bool forward, class I>
int32_t search_strong_components(CsPattern<I> a, int32_t* low, int32_t given = 0) {
  const auto n = static_cast<int32_t>(a.n_major);
  const EdgesInOrder<I, forward> edges{a.indptr};
  constexpr int32_t unseen = -1;
  if (given == 0) std::fill_n(low, n, unseen);
  // The path that led here, ~v for nodes that lead to earlier ones, with the edges that are next; and from the other end
  // of the same array nodes that are left but belong to no component yet: n of both together at most.
  std::unique_ptr<int32_t[]> stack(new int32_t[n]);
  std::unique_ptr<I[]> places(new I[n]);
  int32_t depth = 0, waiting = n;
  int32_t index = 0, label = n - 1 - given; // labels count down, so that they are above all indices
  Watch watch;
  for (int32_t start = 0; start < n; ++start) {
    if (low[start] != unseen) continue;
    int32_t v = start, least = low[start] = index++;
    I e = edges.first(v);
    bool root = true; // nothing earlier can be reached from v
    for (;;) {
      const I past = edges.past(v), begun = e;
      int32_t next = unseen;
      const int32_t before = least;
      while (e != past) {
        const auto w = static_cast<int32_t>(a.indices[e]);
        e += edges.step;
        const int32_t seen = low[w];
        if (seen == unseen) {
          next = w;
          break;
        }
        least = std::min(least, seen);
      }
      watch(static_cast<size_t>(forward ? e - begun : begun - e) + 8);
      low[v] = least;
      root &= least == before;
      if (next != unseen) {
        stack[depth] = root ? v : ~v;
        places[depth++] = e;
        v = next;
        least = low[v] = index++;
        e = edges.first(v);
        root = true;
        continue;
      }
      if (root) {
        --index;
        for (; waiting < n && least <= low[stack[waiting]]; ++waiting, --index) low[stack[waiting]] = label;
        low[v] = label--;
      } else {
        stack[--waiting] = v;
      }
      if (depth == 0) break;
      const int32_t child = low[v];
      const int32_t above = stack[--depth];
      v = above < 0 ? ~above : above;
      e = places[depth];
      if (depth >= kStepsAhead) prefetch(a.indices + places[depth - kStepsAhead]);
      root = above >= 0 && low[v] <= child;
      least = std::min(low[v], child);
    }
  }
  for (int32_t v = 0; v < n; ++v) low[v] = n - 1 - low[v];
  return n - 1 - label;
}

// The order in which the search that numbers components leaves nodes, by one that keeps no more than which nodes it has met.
// An edge to one of these leads nowhere, for good: once most edges do that it follows, a copy without them takes the place of
// the graph, which is short and close together, and has slices for nodes only that may have edges left. O(N + E), one thread.
template <bool forward, class I>
class OrderOfLeaving {
 public:
  explicit OrderOfLeaving(CsPattern<I> a) : a_(a), n_(static_cast<int32_t>(a.n_major)), met_(a.n_major), kept_(0) {}

  // order[0 .. n - 1] = all nodes, the last that is left first; places: scratch memory for n. Ends early when it is not
  // needed any more.
  void run(int32_t* order, I* places, const std::atomic<bool>& needed) {
    int32_t depth = 0, end = n_; // the path stands at the beginning of `order`, with the edges that are next in `places`
    size_t followed = 0, found = 0; // edges and nodes
    Watch watch;
    for (int32_t start = 0; start < n_; ++start) {
      if (met_.has(start)) continue;
      met_.add(start);
      int32_t v = start;
      auto [e, past] = edges(v);
      for (;;) {
        const I* const indices = a_.indices;
        const I begun = e;
        int32_t next = -1;
        for (; e != past && next < 0; e += step) {
          const auto w = static_cast<int32_t>(indices[e]);
          if (!met_.has(w)) next = w;
        }
        followed += static_cast<size_t>(forward ? e - begun : begun - e);
        if (next < 0) {
          watch(32);
          if (!needed.load(std::memory_order_relaxed)) return;
          order[--end] = v;
          if (depth == 0) break;
          v = order[--depth];
          e = places[depth];
          past = edges(v).second;
          if (depth < kStepsAhead) continue;
          prefetch(indices + places[depth - kStepsAhead]);
          if (!shortened_) prefetch(a_.indptr + order[depth - kStepsAhead]);
          continue;
        }
        met_.add(next);
        ++found;
        const auto own = edges(next);
        if (own.first == own.second) {
          order[--end] = next;
          continue;
        }
        order[depth] = v;
        places[depth++] = e;
        v = next;
        std::tie(e, past) = own;
        if (!shortened_ && followed > kFollowed * found && followed > a_.nnz() / 5) {
          order[depth] = v;
          places[depth] = e;
          shorten(order, places, depth + 1);
          std::tie(e, past) = edges(v);
        }
      }
    }
  }

 private:
  static constexpr size_t kFollowed = 4;
  static constexpr I step = forward ? 1 : -1;

  // The first edge of v, and the one past the last.
  std::pair<I, I> edges(int32_t v) const {
    auto slice = static_cast<size_t>(v);
    if (shortened_) {
      if (!kept_.has(slice)) return {0, 0};
      slice = kept_.rank(slice);
    }
    const I lo = a_.indptr[slice], hi = a_.indptr[slice + 1];
    return forward ? std::pair{lo, hi} : std::pair<I, I>(hi - 1, lo - 1);
  }

  // Leaves edges to nodes that are not met: of these nodes and, of the path, those that are next.
  void shorten(const int32_t* path, I* places, int32_t depth) {
    kept_ = NodeSet(a_.n_major);
    for (int32_t d = 0; d < depth; ++d) kept_.add(path[d]);
    for (int32_t v = 0; v < n_; ++v) {
      if (!met_.has(v) && a_.begin(v) < a_.end(v)) kept_.add(v);
    }
    const size_t slices = kept_.count();
    std::unique_ptr<I[]> indptr(new I[slices + 1]);
    for (int32_t v = 0; v < n_; ++v) {
      if (kept_.has(v) && !met_.has(v)) indptr[kept_.rank(v) + 1] = edges(v).first;
    }
    for (int32_t d = 0; d < depth; ++d) indptr[kept_.rank(path[d]) + 1] = places[d];
    std::unique_ptr<I[]> left(new I[a_.nnz()]); // most of which is never touched
    size_t count = indptr[0] = 0, slice = 0;
    for (int32_t v = 0; v < n_; ++v) {
      if (!kept_.has(v)) continue;
      const I next = indptr[++slice], first = forward ? next : a_.indptr[v], last = forward ? a_.indptr[v + 1] : next + 1;
      for (I e = first; e < last; ++e) { // without branches: they could not be foretold
        left[count] = a_.indices[e];
        count += !met_.has(a_.indices[e]);
      }
      indptr[slice] = static_cast<I>(count);
    }
    indices_ = std::move(left);
    indptr_ = std::move(indptr);
    a_.indptr = indptr_.get();
    a_.indices = indices_.get();
    shortened_ = true;
    for (int32_t d = 0; d < depth; ++d) places[d] = edges(path[d]).first;
  }

  CsPattern<I> a_;
  int32_t n_;
  NodeSet met_, kept_; // kept: nodes that the copy has slices for, in their order
  std::unique_ptr<I[]> indptr_, indices_; // of the copy
  bool shortened_ = false;
};

// Edges that connect their ends because there is one back. The others are kept; where they are more than a few, the graph is
// of another kind, and it gives up. In long slices an edge is looked for as in sorted ones: it may be missed, and is then
// one of the others.
template <class I>
class MutualEdges {
 public:
  explicit MutualEdges(CsPattern<I> a) : a_(a) {}

  void prepare(int parts) {
    others_.resize(parts);
    most_ = 64 + a_.n_major / 64 / static_cast<size_t>(parts);
  }

  bool connects(int part, int32_t v, int32_t w) {
    if (leads(w, v)) return true;
    auto& others = others_[part];
    others.emplace_back(v, w);
    if (others.size() > most_) given_up_.store(true, std::memory_order_relaxed);
    return false;
  }

  bool given_up() const { return given_up_.load(std::memory_order_relaxed); }

  // Whether no edge leads from one component to another.
  bool stay_within(const int32_t* label) const {
    for (const auto& some : others_) {
      for (const auto& [v, w] : some) {
        if (label[v] != label[w]) return false;
      }
    }
    return true;
  }

 private:
  bool leads(int32_t v, int32_t w) const {
    constexpr ptrdiff_t kShort = 16;
    const auto to = static_cast<I>(w);
    const I *first = a_.indices + a_.indptr[v], *const last = a_.indices + a_.indptr[v + 1];
    if (last - first > kShort) {
      first = std::lower_bound(first, last, to);
      return first < last && *first == to;
    }
    return std::find(first, last, to) < last;
  }

  CsPattern<I> a_;
  size_t most_ = 0;
  std::vector<std::vector<std::pair<int32_t, int32_t>>> others_; // of each part
  std::atomic<bool> given_up_{false};
};

// The component of the node with most edges, if a good part of all nodes lead there. One thread.
template <class I>
class LargeComponent {
 public:
  explicit LargeComponent(CsPattern<I> a) : a_(a), n_(a.n_major), leads_(n_), within_(n_) {}

  // Whether there is one; queue: scratch memory for n.
  bool find(int32_t* queue) {
    hub_ = 0;
    for (size_t v = 1; v < n_; ++v) {
      if (a_.end(v) - a_.begin(v) > a_.end(hub_) - a_.begin(hub_)) hub_ = v;
    }
    return look_back(queue) && look_ahead(queue);
  }

  bool has(size_t v) const { return within_.has(v); }

 private:
  // What leads to the node, by sweeps over the nodes that are left, which read the edges of each only up to the first that
  // leads there: there are few in graphs of small diameter, and no transpose is needed. False where it takes many, or little
  // leads there.
  bool look_back(int32_t* nodes) {
    leads_.add(hub_);
    size_t left = 0, found = 1, edges = 0;
    for (size_t v = 0; v < n_; ++v) {
      if (v != hub_ && a_.begin(v) < a_.end(v)) nodes[left++] = static_cast<int32_t>(v);
    }
    Watch watch;
    for (size_t before = 0; found > before;) {
      if ((found < n_ / 8 && found < 8 * before) || edges > 3 * a_.nnz()) return false;
      before = found;
      size_t kept = 0;
      for (size_t i = 0; i < left; ++i) {
        const auto v = static_cast<size_t>(nodes[i]);
        const size_t begin = a_.begin(v), end = a_.end(v);
        size_t e = begin;
        while (e < end && !leads_.has(static_cast<size_t>(a_.indices[e]))) ++e;
        edges += e - begin;
        watch(2 * (e - begin) + 1);
        if (e < end) {
          leads_.add(v);
          ++found;
        } else {
          nodes[kept++] = static_cast<int32_t>(v);
        }
      }
      left = kept;
    }
    return found >= n_ / 8;
  }

  // Which of these nodes it leads to.
  bool look_ahead(int32_t* queue) {
    queue[0] = static_cast<int32_t>(hub_);
    within_.add(hub_);
    size_t tail = 1;
    Watch watch;
    for (size_t at = 0; at < tail; ++at) {
      if (at + kStepsAhead < tail) prefetch(a_.indices + a_.begin(static_cast<size_t>(queue[at + kStepsAhead])));
      const auto v = static_cast<size_t>(queue[at]);
      watch(2 * (a_.end(v) - a_.begin(v)) + 1);
      for (size_t e = a_.begin(v), end = a_.end(v); e < end; ++e) {
        const auto w = static_cast<size_t>(a_.indices[e]);
        if (!leads_.has(w) || within_.has(w)) continue;
        within_.add(w);
        queue[tail++] = static_cast<int32_t>(w);
      }
    }
    return tail >= n_ / 16;
  }

  CsPattern<I> a_;
  size_t n_, hub_ = 0;
  NodeSet leads_, within_; // to the hub; and from there, too
};

// label[v] = number of the component of v; returns how many there are. Where most edges lead both ways, components are
// found by joining their ends, on all cores. Where one component has a good part of all nodes, one thread finds it and
// searches the rest, while another finds the order in which nodes are left, which tells the numbers. Otherwise one thread
// searches.
template <bool forward, class I>
int64_t strong_components(CsPattern<I> a, int32_t* label) {
  constexpr size_t kLong = 1 << 15; // edges from which on it is worth to look what kind of graph it is
  const size_t n = a.n_major;
  if (a.nnz() < kLong) return search_strong_components<forward>(a, label);
  MutualEdges<I> edges(a);
  const int64_t joined = joined_components(a, label, edges);
  if (joined >= 0 && edges.stay_within(label)) return joined;
  std::unique_ptr<int32_t[]> order(new int32_t[n]);
  std::unique_ptr<I[]> places(new I[n]);
  std::atomic<bool> large{true};
  int32_t count = 0;
  run_parts(2, [&](int part) {
    if (part == 1) return OrderOfLeaving<forward, I>(a).run(order.get(), places.get(), large);
    LargeComponent<I> component(a);
    if (!component.find(label)) return large.store(false, std::memory_order_relaxed);
    for (size_t v = 0; v < n; ++v) label[v] = component.has(v) ? static_cast<int32_t>(n) - 1 : -1;
    count = search_strong_components<forward>(a, label, 1);
  });
  if (!large) return search_strong_components<forward>(a, label);
  // A component is complete when the node of it is left that is left last.
  I* const number = places.get();
  I next = count;
  std::fill_n(number, count, I{-1});
  for (size_t i = 0; i < n; ++i) {
    if (i + 2 * kStepsAhead < n) prefetch(label + order[i + 2 * kStepsAhead]);
    int32_t& own = label[order[i]];
    if (number[own] < 0) number[own] = --next;
    own = static_cast<int32_t>(number[own]);
  }
  return count;
}

template <class I>
int64_t strong_components(CsPattern<I> a, bool forward, int32_t* label) {
  return forward ? strong_components<true>(a, label) : strong_components<false>(a, label);
}

} // namespace sp
