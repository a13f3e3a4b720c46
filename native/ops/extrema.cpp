#include "ops/extrema.h"

#include "kernels/extrema.h"

namespace sp {

namespace {

// f(max, ignore_nan) with both as types; integers have no nan to ignore.
template <class T, class F>
void with_rule(bool max, bool ignore_nan, F&& f) {
  using Yes = std::true_type;
  using No = std::false_type;
  if constexpr (std::is_integral_v<T>) {
    if (max) f(Yes{}, No{}); else f(No{}, No{});
  } else if (max) {
    if (ignore_nan) f(Yes{}, Yes{}); else f(Yes{}, No{});
  } else {
    if (ignore_nan) f(No{}, Yes{}); else f(No{}, No{});
  }
}

} // namespace

mx::array major_extreme(const mx::array& data, const mx::array& indptr, int64_t n_minor, bool max, bool ignore_nan,
                        bool explicit_only) {
  return with_value({data, indptr, indptr}, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    return run({{indptr, data}, {room_for(indptr.size() - 1, data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  with_rule<T>(max, ignore_nan, [&](auto is_max, auto ignores) {
                    const CsPattern<I> slices{in[0].size() - 1, static_cast<size_t>(n_minor), ptr<I>(in[0]), nullptr};
                    const CsView<T, I> a{slices, ptr<T>(in[1])};
                    cs_major_extreme<is_max(), ignores()>(a, explicit_only, out_ptr<T>(out[0]));
                  });
                }})[0];
  });
}

mx::array minor_extreme(const mx::array& data, const mx::array& indices, int64_t n_minor, int64_t length, bool max,
                        bool ignore_nan, bool explicit_only) {
  return with_value({data, indices, indices}, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    return run({{indices, data}, {room_for(n_minor, data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  with_rule<T>(max, ignore_nan, [&](auto is_max, auto ignores) {
                    cs_minor_extreme<is_max(), ignores()>(in[1].size(), n_minor, length, ptr<I>(in[0]), ptr<T>(in[1]),
                                                          explicit_only, out_ptr<T>(out[0]));
                  });
                }})[0];
  });
}

} // namespace sp
