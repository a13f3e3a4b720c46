#include "ops/extrema.h"

#include "ops/on_device.h"
#include "primitives/convert.h"
#include "primitives/per_slice.h"
#include "primitives/sort_by_key.h"

namespace sp {

namespace {

// f(Tag<I>, Tag<T>, ranking) over the types of an index array and of values.
template <class F>
mx::array over_rankings(const mx::array& index, const mx::array& data, bool max, F&& f) {
  return with_index(index, [&](auto i) {
    return dispatch_ranking(data.dtype(), max, [&](auto t, auto ranking) { return f(i, t, ranking); });
  });
}

} // namespace

mx::array major_extreme(const mx::array& data, const mx::array& indptr, int64_t n_minor, bool max, bool ignore_nan,
                        bool explicit_only) {
  if (const auto s = shader_stream(data.dtype()); s && !is_complex(data.dtype())) {
    return major_extreme_on_device({data, indptr, indptr}, n_minor, max, ignore_nan, explicit_only, *s);
  }
  return over_rankings(indptr, data, max, [&]<class I, class T>(Tag<I>, Tag<T>, auto ranking) {
    return run({{indptr, data}, {room_for(indptr.size() - 1, data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  const CsPattern<I> slices{in[0].size() - 1, static_cast<size_t>(n_minor), ptr<I>(in[0]), nullptr};
                  const CsView<T, I> a{slices, ptr<T>(in[1])};
                  cs_major_extreme(a, ranking, ignore_nan, explicit_only, out_ptr<T>(out[0]));
                }})[0];
  });
}

mx::array minor_extreme(const mx::array& data, const mx::array& indices, int64_t n_minor, int64_t length, bool max,
                        bool ignore_nan, bool explicit_only) {
  if (const auto s = shader_stream(data.dtype()); s && !is_complex(data.dtype())) {
    const auto sorted = sort_by_key(indices, n_minor, *s);
    const Compressed slices{permute(data, sorted.order, *s), sorted.order, sorted.offsets};
    return major_extreme_on_device(slices, length, max, ignore_nan, explicit_only, *s);
  }
  return over_rankings(indices, data, max, [&]<class I, class T>(Tag<I>, Tag<T>, auto ranking) {
    return run({{indices, data}, {room_for(n_minor, data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  const MinorEntries<T, I> a{in[1].size(), static_cast<size_t>(n_minor), static_cast<size_t>(length),
                                             ptr<I>(in[0]), ptr<T>(in[1])};
                  cs_minor_extreme(a, ranking, ignore_nan, explicit_only, out_ptr<T>(out[0]));
                }})[0];
  });
}

mx::array major_where(MajorWhere kernel, const Structure& a, const mx::array& data, mx::Stream s) {
  if (uses_shaders(s, data.dtype()) && !is_complex(data.dtype()) && !data.is_tracer()) { // a trace's derivative is refused
    return major_where_on_device(kernel, {data, a.inner, a.outer}, a.pattern.n_minor, s);
  }
  return per_slice(kernel, a, data, s);
}

} // namespace sp
