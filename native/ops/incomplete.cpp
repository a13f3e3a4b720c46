#include "ops/incomplete.h"

#include <cstring>
#include <string>

#include "kernels/incomplete.h"
#include "ops/sized.h"

namespace sp {

namespace {

void check_pivot(const Pivot& pivot) {
  const auto row = std::to_string(pivot.slice);
  switch (pivot.fault) {
    case PivotFault::none: return;
    case PivotFault::missing: throw BadPivot("row " + row + " has no entry on the diagonal");
    case PivotFault::zero: throw BadPivot("the pivot of row " + row + " is zero or as small as rounding errors of that row");
    case PivotFault::not_finite: throw BadPivot("the pivot of row " + row + " is not finite");
    case PivotFault::not_positive:
      throw BadPivot("the pivot of row " + row + " is not positive: the matrix is not positive definite, or a factor "
                     "without fill does not exist");
  }
}

mx::array copied(const mx::array& a) {
  auto out = fresh(a.shape(), a.dtype());
  std::memcpy(out.data<char>(), a.data<char>(), a.nbytes());
  return out;
}

// f(Tag<I>, Tag<T>) over the index type and the value type.
template <class F>
decltype(auto) with_field(const Compressed& a, F&& f) {
  return with_index(a.indices, [&](auto i) {
    return dispatch_field(a.data.dtype(), [&](auto t) { return f(i, t); });
  });
}

// The entries first(i) .. last(i) of each slice.
template <class T, class I, class First, class Last>
Compressed cut_slices(const Compressed& a, First first, Last last) {
  const size_t n = a.n_major();
  auto indptr = fresh(a.indptr.shape(), a.indptr.dtype());
  I* starts = out_ptr<I>(indptr);
  starts[0] = 0;
  for (size_t i = 0; i < n; ++i) starts[i + 1] = starts[i] + static_cast<I>(last(i) - first(i));
  const int entries = to_dim(static_cast<int64_t>(starts[n]));
  auto indices = fresh({entries}, a.indices.dtype()), data = fresh({entries}, a.data.dtype());
  for (size_t i = 0; i < n; ++i) {
    std::copy(ptr<I>(a.indices) + first(i), ptr<I>(a.indices) + last(i), out_ptr<I>(indices) + starts[i]);
    std::copy(ptr<T>(a.data) + first(i), ptr<T>(a.data) + last(i), out_ptr<T>(data) + starts[i]);
  }
  return {data, indices, indptr};
}

} // namespace

std::pair<Compressed, Compressed> ilu0(const Compressed& given) {
  const auto a = evaluated(given);
  return with_field(a, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    const auto pattern = pattern_of<I>(parts(a), a.n_major());
    Compressed lu{copied(a.data), a.indices, a.indptr};
    std::vector<I> diagonal(pattern.n_major);
    check_pivot(cs_ilu0(pattern, out_ptr<T>(lu.data), diagonal.data()));
    auto begin = [&](size_t r) { return pattern.begin(r); };
    auto middle = [&](size_t r) { return static_cast<size_t>(diagonal[r]); };
    auto end = [&](size_t r) { return pattern.end(r); };
    return std::pair(cut_slices<T, I>(lu, begin, middle), cut_slices<T, I>(lu, middle, end));
  });
}

Compressed ichol0(const Compressed& given) {
  const auto a = evaluated(given);
  return with_field(a, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    Compressed l{copied(a.data), a.indices, a.indptr};
    check_pivot(cs_ichol0(pattern_of<I>(parts(a), a.n_major()), out_ptr<T>(l.data)));
    return l;
  });
}

} // namespace sp
