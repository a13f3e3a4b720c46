// Sparse Cholesky factorisation A = L L^H by fronts: I. S. Duff and J. K. Reid, The multifrontal solution of indefinite
// sparse symmetric linear equations, ACM Trans. Math. Softw. 9 (1983). A supernode's front is the dense lower triangle over
// its rows: its entries of A, and what the children leave to it. Its own columns are factored, and what they change of the
// others is left to the parent. Flops: those of the factor with what joined supernodes store of zeros.
#pragma once

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <stdexcept>

#include "mlx/allocator.h"
#include "mlx/device.h"

#include "kernels/bit_minimum_degree.h"
#include "kernels/blas.h"
#include "kernels/simplicial.h"
#include "kernels/small_front.h"
#include "kernels/supernodes.h"
#include "memory.h"
#include "parallel.h"

namespace sp {

enum class CholeskyForm { automatic, simplicial, supernodal };

struct CholeskyPlan {
  Ordering by{{}};
  bool simplicial = false; // column by column: each is a supernode, none is joined with its parent, there are no subtrees
  Supernodes nodes;
  std::vector<int64_t> entry_start, entry, place; // of each supernode: positions in the values of A, and in the panel
  std::vector<std::pair<int32_t, int32_t>> subtrees; // runs of supernodes that workers factor, those with most work first
  std::vector<int32_t> top;                          // what is left, children first: worked at one by one, by all workers
  double work = 0;
  int64_t pending = 0; // most numbers that wait for parents when one worker does it all

  int32_t n() const { return static_cast<int32_t>(by.order.size()); }
};

// The subtrees: none has a front worth several workers, or a large share of all work. Nothing here asks for the number of
// workers, on which results must not depend.
inline void cut_tree(CholeskyPlan& plan) {
  constexpr double kShared = 1 << 24;
  const auto& nodes = plan.nodes;
  const int32_t count = nodes.count();
  std::vector<double> work(count, 0);
  std::vector<char> high(count, 0);
  std::vector<int32_t> first(count);
  for (int32_t s = 0; s < count; ++s) {
    first[s] = nodes.child_start[s] < nodes.child_start[s + 1] ? first[nodes.children[nodes.child_start[s]]] : s;
    work[s] += nodes.work(s) + 500.0 * static_cast<double>(nodes.width(s) + nodes.height(s));
    if (nodes.parent[s] >= 0) work[nodes.parent[s]] += work[s];
  }
  double total = 0;
  for (int32_t s = 0; s < count; ++s) total += nodes.parent[s] < 0 ? work[s] : 0;
  for (int32_t s = 0; s < count; ++s) {
    high[s] = high[s] || nodes.work(s) > kShared || work[s] > std::max(total / 32, 1e6);
    if (high[s] && nodes.parent[s] >= 0) high[nodes.parent[s]] = 1;
  }
  std::vector<int32_t> roots;
  for (int32_t s = 0; s < count; ++s) {
    if (high[s]) plan.top.push_back(s);
    else if (nodes.parent[s] < 0 || high[nodes.parent[s]]) roots.push_back(s);
  }
  std::stable_sort(roots.begin(), roots.end(), [&](int32_t a, int32_t b) { return work[a] > work[b]; });
  for (int32_t s : roots) plan.subtrees.emplace_back(first[s], s);
  int64_t live = 0;
  auto left = [&](int32_t s) { return (nodes.height(s) - nodes.width(s)) * (nodes.height(s) - nodes.width(s)); };
  for (int32_t s = 0; s < count; ++s) {
    plan.pending = std::max(plan.pending, live += left(s));
    for (int32_t k = nodes.child_start[s]; k < nodes.child_start[s + 1]; ++k) live -= left(nodes.children[k]);
  }
}

// Of a symmetric structure. order: empty for minimum degree.
template <class I>
CholeskyPlan plan_cholesky(size_t n, const int64_t* indptr, const I* indices, std::vector<int32_t> order, CholeskyForm form) {
  const Graph g = graph_of(n, indptr, indices);
  Elimination found;
  if (order.empty()) found = g.n() <= kBits ? bit_minimum_degree(g) : MinimumDegree(g).eliminate();
  else found.order = std::move(order);
  if (found.parent.empty()) found = elimination(g, std::move(found.order));
  CholeskyPlan plan;
  plan.by = Ordering(std::move(found.order));
  plan.simplicial = form == CholeskyForm::automatic ? is_very_sparse(found.count) : form == CholeskyForm::simplicial;
  std::vector<int32_t> first(plan.simplicial ? n + 1 : 0);
  std::iota(first.begin(), first.end(), 0);
  if (!plan.simplicial) first = supernode_columns(found.parent, found.count);
  plan.nodes = supernodes(g, plan.by, found.parent, std::move(first));
  const auto& nodes = plan.nodes;
  plan.entry_start.assign(1, 0);
  plan.entry_start.reserve(nodes.count() + 1);
  const size_t most = static_cast<size_t>(indptr[n]) + 1; // the last is written to in passing
  plan.entry.resize(most);
  plan.place.resize(most);
  std::vector<int32_t> at(n, 0);
  int64_t out = 0;
  for (int32_t s = 0; s < nodes.count(); ++s) {
    for (int64_t k = nodes.row_start[s]; k < nodes.row_start[s + 1]; ++k) at[nodes.rows[k]] = static_cast<int32_t>(k - nodes.row_start[s]);
    for (int32_t j = nodes.first[s]; j < nodes.first[s + 1]; ++j) {
      const int32_t v = plan.by.order[j];
      for (int64_t k = indptr[v]; k < indptr[v + 1]; ++k) { // without a branch, which would go either way
        const int32_t i = plan.by.place[indices[k]];
        plan.entry[out] = k;
        plan.place[out] = at[i] + (j - nodes.first[s]) * nodes.height(s);
        out += i >= j;
      }
    }
    plan.entry_start.push_back(out);
  }
  plan.entry.resize(static_cast<size_t>(out));
  plan.place.resize(static_cast<size_t>(out));
  if (n > kBits) plan.entry.shrink_to_fit(), plan.place.shrink_to_fit();
  for (int32_t s = 0; s < nodes.count(); ++s) plan.work += nodes.work(s);
  if (!plan.simplicial) {
    join_supernodes(plan.nodes);
    cut_tree(plan);
  }
  return plan;
}

// Memory that nothing writes to before it is used. Large pieces are MLX's, which keeps what is freed: clearing fresh pages
// costs more than filling them. Sizes are rounded so that pieces fit again.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n) {
    constexpr size_t kLarge = size_t{1} << 15;
    size_t bytes = std::max<size_t>(1, static_cast<size_t>(n) * sizeof(T));
    if (bytes >= kLarge && mlx::core::default_device() == mlx::core::Device::cpu) {
      const size_t step = std::bit_floor(bytes) / 8;
      bytes = (bytes + step - 1) / step * step;
      auto held = mlx::core::allocator::allocator().malloc(bytes);
      if (!held.ptr()) throw OutOfMemory(bytes);
      at_ = Held(static_cast<T*>(held.raw_ptr()), Free{held.ptr()});
    } else {
      at_ = Held(static_cast<T*>(std::malloc(bytes)), Free{});
    }
    if (!at_) throw OutOfMemory(bytes);
  }
  T* get() const { return at_.get(); }

 private:
  struct Free {
    void* held = nullptr; // MLX's
    void operator()(T* p) const {
      if (held) mlx::core::allocator::allocator().free(mlx::core::allocator::Buffer(held));
      else std::free(p);
    }
  };
  using Held = std::unique_ptr<T[], Free>;
  Held at_;
};

// body(t) for t < tiles, each of about `work` multiplications.
inline void over_tiles(int64_t tiles, double work, FunctionRef<void(int)> body) {
  if (tiles * work > 2e5) return run_parts(static_cast<int>(tiles), body);
  for (int t = 0; t < tiles; ++t) body(t);
}

// Factors k columns of a front of order m over the panel, m x k, and takes what they change off `update`, of order m - k.
// Only lower triangles are read; what lies above the diagonal of the panel becomes zero. Returns the first column whose
// pivot is not positive, by rounding's measure relative to the entry `diagonal` of A, or -1.
template <class T>
int64_t factor_front(T* panel, int64_t m, int64_t k, T* update, const real_t<T>* diagonal) {
  if (static_cast<double>(m * m * k) < small_front<T>()) return factor_small_front(panel, m, k, update, diagonal);
  const Block<T> P{panel, m}, U{update, m - k};
  const real_t<T> least = 16 * std::numeric_limits<real_t<T>>::epsilon();
  for (int64_t j = 0; j < k; j += kTile) {
    const int64_t w = std::min(kTile, k - j);
    multiply({w, w, j}, T(-1), plain(P.from(j, 0)), adjoint(P.from(j, 0)), P.from(j, j));
    char triangle = 'L';
    int order = static_cast<int>(w), stride = static_cast<int>(m), info = 0;
    Blas<T>::potrf(&triangle, &order, P.from(j, j).at, &stride, &info);
    const int64_t good = info > 0 ? info - 1 : w;
    for (int64_t c = 0; c < good; ++c) {
      const real_t<T> pivot = std::real(*P.from(j + c, j + c).at);
      if (!(pivot * pivot > least * diagonal[j + c])) return j + c;
    }
    if (good < w) return j + good;
    for (int64_t c = 1; c < w; ++c) std::fill_n(P.from(j, j + c).at, c, T(0));
    const int64_t tiles = (m - j - w + kTile - 1) / kTile;
    over_tiles(tiles, static_cast<double>(kTile * w * (j + w)), [&](int t) {
      const int64_t i = j + w + t * kTile, h = std::min(kTile, m - i);
      multiply({h, w, j}, T(-1), plain(P.from(i, 0)), adjoint(P.from(j, 0)), P.from(i, j));
      divide_tile('C', h, w, P.from(j, j), P.from(i, j));
    });
  }
  const int64_t rest = m - k, side = (rest + kTile - 1) / kTile;
  over_tiles(side * (side + 1) / 2, static_cast<double>(kTile * kTile * k), [&](int t) {
    int64_t column = 0;
    for (int64_t length = side; t >= length; --length, ++column) t -= static_cast<int>(length);
    const int64_t j = column * kTile, i = j + t * kTile;
    const ProductSize tile{std::min(kTile, rest - i), std::min(kTile, rest - j), k};
    multiply(tile, T(-1), plain(P.from(k + i, 0)), adjoint(P.from(k + j, 0)), U.from(i, j));
  });
  return -1;
}

template <class T>
class CholeskyFactor {
 public:
  // values: of the array that was planned for. Throws std::bad_alloc. `failed` tells whether it is positive definite.
  CholeskyFactor(std::shared_ptr<const CholeskyPlan> plan, const T* values) : plan_(std::move(plan)) {
    const auto& nodes = plan_->nodes;
    const int64_t size = nodes.panel_start.back();
    expect_memory(static_cast<size_t>(size + plan_->pending) * sizeof(T));
    panels_ = Buffer<T>(size);
    if (plan_->simplicial) {
      for (int32_t s = 0; s < nodes.count(); ++s) enter(s, values);
      const int32_t bad = factor_columns(nodes, panels_.get());
      if (bad >= 0) failed_ = bad;
      return;
    }
    std::vector<Buffer<T>> updates(nodes.count());
    std::vector<int32_t> failures(plan_->subtrees.size(), kNone);
    run_parts(static_cast<int>(plan_->subtrees.size()), [&](int t) {
      const auto [first, last] = plan_->subtrees[t];
      Watch watch;
      for (int32_t s = first; s <= last && failures[t] == kNone; ++s) {
        failures[t] = factor(s, values, updates);
        watch(1000 + static_cast<size_t>(nodes.work(s) / 8));
      }
    });
    for (int32_t f : failures) failed_ = std::min(failed_, f);
    for (int32_t s : plan_->top) {
      if (nodes.first[s] > failed_) break;
      check_interrupt();
      failed_ = std::min(failed_, factor(s, values, updates));
    }
  }

  const CholeskyPlan& plan() const { return *plan_; }
  const T* panel(int32_t s) const { return panels_.get() + plan_->nodes.panel_start[s]; }

  // The row in the numbering of A where a pivot is not positive; -1 if A is positive definite.
  int64_t failed() const { return failed_ == kNone ? -1 : plan_->by.order[failed_]; }

 private:
  static constexpr int32_t kNone = std::numeric_limits<int32_t>::max();

  // Brings A's entries of a supernode to its panel.
  T* enter(int32_t s, const T* values) {
    T* panel = panels_.get() + plan_->nodes.panel_start[s];
    std::fill_n(panel, plan_->nodes.panel_start[s + 1] - plan_->nodes.panel_start[s], T(0));
    for (int64_t e = plan_->entry_start[s]; e < plan_->entry_start[s + 1]; ++e) panel[plan_->place[e]] = values[plan_->entry[e]];
    return panel;
  }

  int32_t factor(int32_t s, const T* values, std::vector<Buffer<T>>& updates) {
    const auto& nodes = plan_->nodes;
    const int64_t k = nodes.width(s), m = nodes.height(s), u = m - k;
    T* panel = enter(s, values);
    std::vector<real_t<T>> diagonal(k);
    for (int64_t j = 0; j < k; ++j) diagonal[j] = std::real(panel[j * (m + 1)]);
    if (u) updates[s] = Buffer<T>(u * u);
    T* update = updates[s].get();
    over_tiles((u + kTile - 1) / kTile, static_cast<double>(kTile * u) / 4, [&](int t) {
      for (int64_t j = t * kTile; j < std::min(u, (t + 1) * kTile); ++j) std::fill(update + j * u + j, update + (j + 1) * u, T(0));
    });
    for (int32_t c = nodes.child_start[s]; c < nodes.child_start[s + 1]; ++c) add(nodes.children[c], panel, m, k, update, updates);
    const int64_t bad = factor_front(panel, m, k, update, diagonal.data());
    return bad < 0 ? kNone : nodes.first[s] + static_cast<int32_t>(bad);
  }

  // What a child leaves, to the front of its parent.
  void add(int32_t child, T* panel, int64_t m, int64_t k, T* update, std::vector<Buffer<T>>& updates) {
    const auto& nodes = plan_->nodes;
    const int64_t u = nodes.height(child) - nodes.width(child);
    if (u == 0) return;
    const int32_t* to = nodes.relative.data() + nodes.row_start[child] + nodes.width(child);
    const T* from = updates[child].get();
    over_tiles((u + kTile - 1) / kTile, static_cast<double>(kTile * u), [&](int t) {
      for (int64_t j = t * kTile; j < std::min(u, (t + 1) * kTile); ++j) {
        const int64_t column = to[j];
        T* out = column < k ? panel + column * m : update + (column - k) * (m - k) - k;
        for (int64_t i = j; i < u; ++i) out[to[i]] += from[j * u + i];
      }
    });
    updates[child] = Buffer<T>();
  }

  std::shared_ptr<const CholeskyPlan> plan_;
  Buffer<T> panels_;
  int32_t failed_ = kNone;
};

} // namespace sp
