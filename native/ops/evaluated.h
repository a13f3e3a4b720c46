// Evaluated arrays as the views that kernels take. Lists of arrays hold indptr, indices and data in this order, so that
// a pattern is the beginning of an array.
#pragma once

#include "../kernels/view.h"
#include "../primitives/node.h"
#include "../primitives/structure.h"

namespace sp {

// f(Tag<I>) over the index type of a structure.
template <class F>
decltype(auto) with_index(const mx::array& a, F&& f) { return dispatch_index(a.dtype(), std::forward<F>(f)); }

// f(Tag<I>, Tag<W>) over the index type and the width of the values.
template <class F>
decltype(auto) with_width(const Compressed& a, F&& f) {
  return with_index(a.indices, [&](auto i) {
    return dispatch_width(a.data.dtype(), [&](auto w) { return f(i, w); });
  });
}

// f(Tag<I>, Tag<T>) over the index type and the value type.
template <class F>
decltype(auto) with_value(const Compressed& a, F&& f) {
  return with_index(a.indices, [&](auto i) {
    return dispatch_value(a.data.dtype(), [&](auto t) { return f(i, t); });
  });
}

// The same with unsigned types for signed ones.
template <class F>
decltype(auto) with_unsigned(const Compressed& a, F&& f) {
  return with_index(a.indices, [&](auto i) {
    return dispatch_unsigned(a.data.dtype(), [&](auto t) { return f(i, t); });
  });
}

// T may be another type of the same width.
template <class T> const T* ptr(const mx::array& a) { return reinterpret_cast<const T*>(a.data<char>()); }
template <class T> T* out_ptr(mx::array& a) { return reinterpret_cast<T*>(a.data<char>()); }

inline Arrays pattern(const Compressed& a) { return {a.indptr, a.indices}; }
inline Arrays parts(const Compressed& a) { return {a.indptr, a.indices, a.data}; }
inline Arrays joined(Arrays a, const Arrays& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Compressed compressed(const Arrays& parts) { return {parts[2], parts[1], parts[0]}; }

// The pattern, the array whose parts begin at element `at` of a list.
template <class I>
CsPattern<I> pattern_of(const Arrays& in, size_t n_minor = 0, size_t at = 0) {
  return {in[at].size() - 1, n_minor, ptr<I>(in[at]), ptr<I>(in[at + 1])};
}
template <class T, class I>
CsView<T, I> view_of(const Arrays& in, size_t n_minor = 0, size_t at = 0) {
  return {pattern_of<I>(in, n_minor, at), ptr<T>(in[at + 2])};
}
template <class T, class I>
CsOut<T, I> out_of(Arrays& out) {
  return {out_ptr<I>(out[0]), out_ptr<I>(out[1]), out_ptr<T>(out[2])};
}

// The same of blocks, whose shape the values tell. n_minor counts blocks.
template <class T, class I>
BsrView<T, I> blocks_of(const Arrays& in, size_t n_minor = 0, size_t at = 0) {
  const auto& data = in[at + 2];
  const auto R = static_cast<size_t>(data.shape(1)), C = static_cast<size_t>(data.shape(2));
  return {{pattern_of<I>(in, n_minor, at), R, C}, ptr<T>(data)};
}

} // namespace sp
