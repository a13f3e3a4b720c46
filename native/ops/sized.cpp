#include "ops/sized.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "kernels/scan.h"

namespace sp {

namespace {

[[noreturn]] void too_many(size_t n) {
  const auto most = " entries; an array holds at most 2**31 - 1";
  throw std::overflow_error("the result would have " + std::to_string(n) + most);
}

constexpr size_t kMost = std::numeric_limits<int>::max(); // which every index dtype can count

mx::array allocated(const Output& result, size_t entries) {
  auto shape = result.shape;
  size_t n = 1;
  for (auto& d : shape) {
    n *= d == kEntries ? entries : static_cast<size_t>(d);
    if (n > kMost) too_many(n);
    if (d == kEntries) d = to_dim(static_cast<int64_t>(entries));
  }
  return fresh(std::move(shape), result.dtype);
}

// Whether operands are what kernels take as they stand.
bool all_ready(const Arrays& operands) {
  return std::all_of(operands.begin(), operands.end(), [](const mx::array& a) {
    return is_there(a) && !a.is_tracer() && a.flags().row_contiguous && a.size();
  });
}

size_t last_of(const mx::array& indptr) {
  return with_index(indptr, [&](auto i) {
    using I = typename decltype(i)::type;
    return static_cast<size_t>(ptr<I>(indptr)[indptr.size() - 1]);
  });
}

} // namespace

mx::array evaluated(const mx::array& operand) { return host_ready(operand); }

Arrays evaluated(const Arrays& operands) {
  Arrays in;
  in.reserve(operands.size() + 2);
  for (auto& a : operands) in.push_back(host_ready(a));
  return in;
}

Compressed evaluated(const Compressed& a) { return {evaluated(a.data), evaluated(a.indices), evaluated(a.indptr)}; }

Arrays run(const Pass& pass) {
  Arrays out;
  out.reserve(pass.results.size());
  const bool there = all_ready(pass.operands);
  const auto in = there ? Arrays{} : evaluated(pass.operands);
  for (auto& result : pass.results) out.push_back(allocated(result, 0));
  pass.kernel(there ? pass.operands : in, out);
  return out;
}

Arrays sized(const Pass& count, const Pass& fill) {
  auto counted = run(count);
  const size_t entries = with_index(counted[0], [&](auto i) {
    using I = typename decltype(i)::type;
    return lengths_to_indptr<I>(counted[0].size() - 1, out_ptr<I>(counted[0]));
  });
  if (entries > kMost) too_many(entries);
  auto in = evaluated(fill.operands);
  std::move(counted.begin() + 1, counted.end(), std::back_inserter(in));
  Arrays out;
  out.reserve(1 + fill.results.size());
  out.push_back(std::move(counted[0]));
  for (auto& result : fill.results) out.push_back(allocated(result, entries));
  fill.kernel(in, out);
  const size_t left = last_of(out[0]);
  for (size_t r = 1; left < entries && r < out.size(); ++r) {
    if (fill.results[r - 1].shape[0] == kEntries) out[r] = first_entries(out[r], left);
  }
  return out;
}

Arrays cut(Arrays results) {
  const size_t n = last_of(results[0]);
  for (size_t r = 1; r < results.size(); ++r) {
    if (results[r].size() > n) results[r] = first_entries(results[r], n);
  }
  return results;
}

mx::array first_entries(const mx::array& a, size_t n) {
  mx::array out({to_dim(n)}, a.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = flags.col_contiguous = true;
  out.copy_shared_buffer(a, {1}, flags, n);
  out.set_status(mx::array::Status::available);
  return out;
}

Output indptr_for(size_t n, mx::Dtype index) {
  if (n >= kMost) throw std::overflow_error("the major axis is too long to compress");
  return {{to_dim(n + 1)}, index};
}

Output room_for(size_t n, mx::Dtype dtype) {
  if (n > kMost) too_many(n);
  return {{to_dim(n)}, dtype};
}

std::vector<Output> room_for(size_t n_major, size_t n, const Compressed& a) {
  return {indptr_for(n_major, a.indptr.dtype()), room_for(n, a.indices.dtype()), room_for(n, a.data.dtype())};
}

std::vector<Output> entries_like(const Compressed& a) {
  return {{{kEntries}, a.indices.dtype()}, {{kEntries}, a.data.dtype()}};
}

} // namespace sp
