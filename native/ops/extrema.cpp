#include "ops/extrema.h"

#include "kernels/extrema.h"

namespace sp {

namespace {

// f(Tag<I>, Tag<T>, std::bool_constant<max>) over the types of an index array and of values.
template <class F>
mx::array with_order(const mx::array& index, const mx::array& data, bool max, F&& f) {
  return with_index(index, [&](auto i) {
    return dispatch_ordered(data.dtype(), [&](auto t) {
      return max ? f(i, t, std::true_type{}) : f(i, t, std::false_type{});
    });
  });
}

} // namespace

mx::array major_extreme(const mx::array& data, const mx::array& indptr, int64_t n_minor, bool max, bool ignore_nan,
                        bool explicit_only) {
  return with_order(indptr, data, max, [&]<class I, class T>(Tag<I>, Tag<T>, auto is_max) {
    return run({{indptr, data}, {room_for(indptr.size() - 1, data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  const CsPattern<I> slices{in[0].size() - 1, static_cast<size_t>(n_minor), ptr<I>(in[0]), nullptr};
                  const CsView<T, I> a{slices, ptr<T>(in[1])};
                  cs_major_extreme<is_max()>(a, ignore_nan, explicit_only, out_ptr<T>(out[0]));
                }})[0];
  });
}

mx::array minor_extreme(const mx::array& data, const mx::array& indices, int64_t n_minor, int64_t length, bool max,
                        bool ignore_nan, bool explicit_only) {
  return with_order(indices, data, max, [&]<class I, class T>(Tag<I>, Tag<T>, auto is_max) {
    return run({{indices, data}, {room_for(n_minor, data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  const MinorEntries<T, I> a{in[1].size(), static_cast<size_t>(n_minor), static_cast<size_t>(length),
                                             ptr<I>(in[0]), ptr<T>(in[1])};
                  cs_minor_extreme<is_max()>(a, ignore_nan, explicit_only, out_ptr<T>(out[0]));
                }})[0];
  });
}

} // namespace sp
