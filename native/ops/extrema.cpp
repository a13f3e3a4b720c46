#include "ops/extrema.h"

#include "ops/evaluated.h"
#include "kernels/extrema.h"
#include "bind/mlx_array.h"

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

mx::array major_extreme_host(const mx::array& data_, const mx::array& indptr_, int64_t n_minor, bool max, bool ignore_nan,
                             bool explicit_only) {
  const auto data = host_ready(data_), indptr = host_ready(indptr_);
  const size_t n_major = indptr.size() - 1;
  auto out = entries(n_major, data.dtype());
  with_index(indptr, [&](auto i) {
    dispatch_value(data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      with_rule<T>(max, ignore_nan, [&](auto is_max, auto ignores) {
        using I = typename decltype(i)::type;
        cs_major_extreme<is_max(), ignores(), T, I>(n_major, n_minor, ptr<I>(indptr), ptr<T>(data), explicit_only,
                                                    out_ptr<T>(out));
      });
    });
  });
  return out;
}

mx::array minor_extreme_host(const mx::array& data_, const mx::array& indices_, int64_t n_minor, int64_t length, bool max,
                             bool ignore_nan, bool explicit_only) {
  const auto data = host_ready(data_), indices = host_ready(indices_);
  auto out = entries(n_minor, data.dtype());
  with_index(indices, [&](auto i) {
    dispatch_value(data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      with_rule<T>(max, ignore_nan, [&](auto is_max, auto ignores) {
        using I = typename decltype(i)::type;
        cs_minor_extreme<is_max(), ignores(), T, I>(data.size(), n_minor, length, ptr<I>(indices), ptr<T>(data),
                                                    explicit_only, out_ptr<T>(out));
      });
    });
  });
  return out;
}

mx::array major_where_host(const mx::array& data_, const mx::array& indices_, const mx::array& indptr_, int64_t n_minor,
                           bool max, bool explicit_only) {
  const auto data = host_ready(data_), indices = host_ready(indices_), indptr = host_ready(indptr_);
  const size_t n_major = indptr.size() - 1;
  auto out = entries(n_major, mx::int64);
  with_index(indptr, [&](auto i) {
    dispatch_value(data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      with_rule<T>(max, false, [&](auto is_max, auto) {
        using I = typename decltype(i)::type;
        cs_major_where<is_max(), T, I>(n_major, n_minor, ptr<I>(indptr), ptr<I>(indices), ptr<T>(data), explicit_only,
                                       out_ptr<int64_t>(out));
      });
    });
  });
  return out;
}

void bind_minmax(py::module_& m) {
  m.def("major_extreme", &major_extreme_host);
  m.def("minor_extreme", &minor_extreme_host);
  m.def("major_where", &major_where_host);
}

} // namespace sp
