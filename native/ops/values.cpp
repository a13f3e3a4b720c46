#include "ops/values.h"

#include <numeric>

#include "primitives/convert.h"
#include "primitives/reduce.h"

namespace sp {

mx::array positions_of(mx::Shape shape) {
  auto out = fresh(std::move(shape), mx::int32);
  auto* to = out.data<int32_t>();
  std::iota(to, to + out.size(), 0);
  return out;
}

mx::array values_at(const mx::array& data, const mx::array& positions) {
  const auto flat = data.ndim() == 1 ? data : mx::flatten(data);
  return positions.ndim() == 1 ? gathered(flat, positions, mx::default_stream(mx::default_device())) : mx::take(flat, positions);
}

mx::array summed(const mx::array& data, const mx::array& place, int64_t count) {
  return minor_sum(data, place, count, mx::default_stream(mx::default_device()));
}

} // namespace sp
