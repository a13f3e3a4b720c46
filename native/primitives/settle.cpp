#include "settle.h"

#include <limits>

#include "node.h"

namespace sp {

void evaluate(const std::vector<mx::array>& arrays) {
  mx::eval(arrays);
  for (auto a : arrays) a.wait(); // done already: this lets go of the event, which two threads must not do at once
}

void settle(const std::vector<mx::array>& arrays) {
  Arrays pending;
  for (auto& a : arrays) {
    if (a.is_available() || a.is_tracer()) continue;
    if (a.has_primitive() && dynamic_cast<const Node*>(&a.primitive())) {
      evaluated_at_once(a, std::numeric_limits<size_t>::max());
    }
    if (!a.is_available()) pending.push_back(a);
  }
  if (!pending.empty()) evaluate(pending);
}

} // namespace sp
