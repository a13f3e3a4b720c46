// The one thread pool and the balanced partitioner. Workers never touch Python.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "interrupt.h"

namespace sp {

// Configured worker count; starts as the number of cores this process may use.
int n_threads();
void set_n_threads(int n); // n >= 1
int available_cores();

// A function that is called through a pointer, and not kept: loops that are handed to others are compiled once.
template <class Signature>
class FunctionRef;

template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F>
  requires (!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
  FunctionRef(F&& f)
      : f_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))), call_([](void* f, A... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(f))(std::forward<A>(args)...);
        }) {}
  R operator()(A... args) const { return call_(f_, std::forward<A>(args)...); }

 private:
  void* f_;
  R (*call_)(void*, A...);
};
using RangeRef = FunctionRef<void(size_t lo, size_t hi)>;

// Runs body(0) ... body(parts - 1) on planned_threads() of the pool at most; the caller takes part. Returns when all are
// done; the first exception is rethrown. Nested calls, and calls while another thread holds the pool, run serially in place.
// Before each part it looks whether the call was interrupted.
void run_parts(int parts, FunctionRef<void(int)> body);

// At most this many workers for what the current thread plans; 0: no limit.
inline thread_local int thread_limit = 0;
struct ThreadLimit {
  explicit ThreadLimit(int limit) : before(thread_limit) { thread_limit = limit; }
  ~ThreadLimit() { thread_limit = before; }
  int before;
};

// The workers that the current thread may use.
inline int planned_threads() { return thread_limit > 0 ? std::min(n_threads(), thread_limit) : n_threads(); }

// How many parts are worth starting for `work` elementary steps (about 1 ns each).
constexpr size_t kSerialWork = 20'000;
inline int plan_parts(size_t work, int limit = 0) {
  int n = planned_threads();
  if (limit > 0) n = std::min(n, limit);
  if (work < kSerialWork) return 1;
  return static_cast<int>(std::min<size_t>(n, 1 + work / kSerialWork));
}

// f(m, end) over pieces of the slices first .. last, some 0.3 ms each where an entry costs `steps`, with a look for an
// interrupt before each.
template <class I>
void in_pieces(const I* indptr, size_t first, size_t last, size_t steps, RangeRef f) {
  constexpr size_t kPiece = size_t{1} << 18;
  const size_t entries = 1 + kPiece / (steps + 1);
  for (size_t m = first; m < last;) {
    check_interrupt();
    size_t end = std::min(last, m + entries);
    const size_t stop = static_cast<size_t>(indptr[m]) + entries;
    if (static_cast<size_t>(indptr[end]) > stop) {
      end = std::upper_bound(indptr + m + 1, indptr + end, stop, [](size_t x, I y) { return x < static_cast<size_t>(y); }) - indptr;
    }
    f(m, end);
    m = end;
  }
}

// body(lo, hi) over equal slices of [0, n).
void parallel_for(size_t n, int parts, RangeRef body);

// parts + 1 boundaries of [0, n_major) such that every part holds about the same (entries + slices).
template <class I>
std::vector<size_t> balance(const I* indptr, size_t n_major, int parts) {
  std::vector<size_t> bounds(parts + 1, 0);
  bounds[parts] = n_major;
  const uint64_t total = static_cast<uint64_t>(indptr[n_major]) + n_major;
  for (int p = 1; p < parts; ++p) {
    const uint64_t goal = total * p / parts;
    size_t lo = bounds[p - 1], hi = n_major;
    while (lo < hi) {
      size_t mid = (lo + hi) / 2;
      if (static_cast<uint64_t>(indptr[mid]) + mid < goal) lo = mid + 1; else hi = mid;
    }
    bounds[p] = lo;
  }
  return bounds;
}

// Bytes per second of a[i] = b[i] + s * c[i] over n doubles: what memory gives these workers.
double triad(size_t n);

} // namespace sp
