// Shared by the translation units of host_ops.h: evaluated operands and exact-size results.
#pragma once

#include <limits>

#include "canonical.h"

namespace sp {

// f(Tag<I>) over the index type of a structure.
template <class F>
decltype(auto) with_index(const mx::array& a, F&& f) { return dispatch_index(a.dtype(), std::forward<F>(f)); }

template <class I> const I* ptr(const mx::array& a) { return a.data<I>(); }
template <class I> I* out_ptr(mx::array& a) { return a.data<I>(); }

inline Compressed ready(const Compressed& c) { return {host_ready(c.data), host_ready(c.indices), host_ready(c.indptr)}; }

inline mx::array entries(size_t n, mx::Dtype dtype) {
  if (n > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw std::overflow_error("the result would have " + std::to_string(n) + " entries; an array holds at most 2**31 - 1");
  }
  return fresh({static_cast<int>(n)}, dtype);
}

// The first n elements, over the same buffer.
inline mx::array first_entries(const mx::array& a, size_t n) {
  mx::array out({static_cast<int>(n)}, a.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = flags.col_contiguous = true;
  out.copy_shared_buffer(a, {1}, flags, n);
  out.set_status(mx::array::Status::available);
  return out;
}

} // namespace sp
