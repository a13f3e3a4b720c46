#include "index_summary.h"

#include <algorithm>
#include <vector>

#include "../kernels/convert.h"
#include "../primitives/evaluate.h"

namespace sp {

namespace {

template <class I>
std::pair<I, I> extremes(const I* x, const I* end) {
  I least = *x, most = *x;
  for (; x != end; ++x) {
    least = std::min(least, *x);
    most = std::max(most, *x);
  }
  return {least, most};
}

} // namespace

std::tuple<int64_t, int64_t, bool> index_summary(const mx::array& index) {
  const auto a = host_ready(index);
  const size_t n = a.size();
  if (n == 0) throw std::invalid_argument("an empty index array has no least element");
  return dispatch_index(a.dtype(), [&]<class I>(Tag<I>) {
    const I* x = a.data<I>();
    const int parts = plan_parts(n / 4);
    std::vector<I> least(parts), most(parts);
    parallel_for(parts, parts, [&](size_t first, size_t last) {
      for (size_t p = first; p < last; ++p) std::tie(least[p], most[p]) = extremes(x + n * p / parts, x + n * (p + 1) / parts);
    });
    return std::tuple<int64_t, int64_t, bool>(*std::min_element(least.begin(), least.end()),
                                              *std::max_element(most.begin(), most.end()), is_nondecreasing(n, x));
  });
}

} // namespace sp
