// The buffers of evaluated arrays as the views that kernels take.
#pragma once

#include "../kernels/view.h"
#include "structure.h"

namespace sp {

// An evaluated structure inside a kernel: its pattern, and where its two index arrays begin.
struct HostStructure {
  const Pattern& pattern;
  mx::Dtype index;
  size_t entries;
  const void *outer, *inner;
};

inline HostStructure on_host(const Pattern& p, const mx::array& outer, const mx::array& inner) {
  return {p, inner.dtype(), inner.size(), outer.data<char>(), inner.data<char>()};
}

template <class I>
CsPattern<I> cs_pattern(const HostStructure& a) {
  return {static_cast<size_t>(a.pattern.outer_slices()), static_cast<size_t>(a.pattern.inner_slices()),
          static_cast<const I*>(a.outer), static_cast<const I*>(a.inner)};
}

template <class I>
CooPattern<I> coo_pattern(const HostStructure& a) {
  return {a.entries, static_cast<size_t>(a.pattern.n_major), static_cast<size_t>(a.pattern.n_minor),
          static_cast<const I*>(a.outer), static_cast<const I*>(a.inner)};
}

template <class I>
BsrPattern<I> bsr_pattern(const HostStructure& a) {
  return {cs_pattern<I>(a), static_cast<size_t>(a.pattern.r), static_cast<size_t>(a.pattern.c)};
}

template <class I>
DiaPattern<I> dia_pattern(const HostStructure& a) {
  return {a.pattern.n_major, a.pattern.n_minor, a.pattern.c, a.entries, static_cast<const I*>(a.inner)};
}

} // namespace sp
