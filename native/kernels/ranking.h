// Greatest and least by one kernel: what is wanted is always the last in a ranking of values.
#pragma once

#include <limits>
#include <type_traits>

#include "../dispatch.h"

namespace sp {

// A ranking compares values as it turns them, which turning again undoes.

// Integers, which come as unsigned ones: of them some bits are flipped.
template <class T>
struct Flipped {
  T bits;
  T operator()(T x) const { return static_cast<T>(x ^ bits); }
  template <class A> static bool before(A a, A b) { return a < b; }
  template <class A> static constexpr A first() { return 0; }
};

// Other numbers, the greatest or the least of them last. The first of complex numbers is never asked for.
template <class T, bool greatest>
struct Unturned {
  T operator()(T x) const { return x; }
  template <class A> static bool before(A a, A b) { return greatest ? a < b : b < a; }
  template <class A> static constexpr A first() {
    return greatest ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
  }
};

// What kernels take in the place of T: an unsigned integer for every other one and for bools.
template <class T>
using ranked_t = typename Unsigned<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>>::type;

// f(ranking) for the maximum, or the minimum, of values of type T.
template <class T, class F>
decltype(auto) with_ranking(bool max, F&& f) {
  using U = ranked_t<T>;
  if constexpr (std::is_integral_v<U>) {
    const U sign = std::is_signed_v<T> ? static_cast<U>(U(1) << (8 * sizeof(U) - 1)) : U(0);
    return f(Flipped<U>{static_cast<U>(max ? sign : ~sign)});
  } else {
    return max ? f(Unturned<U, true>{}) : f(Unturned<U, false>{});
  }
}

// f(Tag<T>, ranking) for values of `dtype`, read as T.
template <class F>
decltype(auto) dispatch_ranking(mx::Dtype dtype, bool max, F&& f) {
  return dispatch_value(dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    return with_ranking<T>(max, [&](auto ranking) { return f(Tag<ranked_t<T>>{}, ranking); });
  });
}

} // namespace sp
