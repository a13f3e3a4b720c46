#include "ops/canonical.h"

#include <chrono>

#include "ops/evaluated.h"
#include "kernels/canonical.h"
#include "kernels/convert.h"

namespace sp {

namespace {

struct Structure {
  mx::array indices, indptr;
  size_t n_major() const { return indptr.size() - 1; }
};
Structure ready(const mx::array& indices, const mx::array& indptr) { return {host_ready(indices), host_ready(indptr)}; }

} // namespace

std::string check_indices_host(const mx::array& indices, const mx::array& indptr, int64_t n_minor) {
  auto s = ready(indices, indptr);
  return with_index(s.indices, [&](auto i) -> std::string {
    using I = typename decltype(i)::type;
    const auto found = check_indices<I>(s.n_major(), n_minor, s.indices.size(), ptr<I>(s.indptr), ptr<I>(s.indices));
    switch (found.fault) {
      case Fault::none: return "";
      case Fault::indptr_start: return "index pointer should start with 0";
      case Fault::indptr_order: return "indptr must be a non-decreasing sequence; it falls at position " + std::to_string(found.position);
      case Fault::indptr_end: return "Last value of index pointer should be less than the size of index and data arrays";
      case Fault::index_bounds: break;
    }
    const auto bad = ptr<I>(s.indices)[found.position];
    const std::string where = "; indices[" + std::to_string(found.position) + "] is " + std::to_string(bad);
    return bad < 0 ? "indices must be >= 0" + where : "indices must be < " + std::to_string(n_minor) + where;
  });
}

bool is_sorted_host(const mx::array& indices, const mx::array& indptr) {
  auto s = ready(indices, indptr);
  return with_index(s.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    return cs_is_sorted<I>(s.n_major(), ptr<I>(s.indptr), ptr<I>(s.indices));
  });
}

bool is_canonical_host(const mx::array& indices, const mx::array& indptr) {
  auto s = ready(indices, indptr);
  return with_index(s.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    return cs_is_canonical<I>(s.n_major(), ptr<I>(s.indptr), ptr<I>(s.indices));
  });
}

Compressed sort_indices_host(const mx::array& data, const mx::array& indices, const mx::array& indptr) {
  auto in = ready(Compressed{data, indices, indptr});
  auto out_data = fresh(in.data.shape(), in.data.dtype()), out_indices = fresh(in.indices.shape(), in.indices.dtype());
  with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_width(in.data.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      cs_sort_indices<W, I>(in.indptr.size() - 1, ptr<I>(in.indptr), ptr<I>(in.indices),
                            reinterpret_cast<const W*>(in.data.data<char>()), out_ptr<I>(out_indices),
                            reinterpret_cast<W*>(out_data.data<char>()));
    });
  });
  return {out_data, out_indices, in.indptr};
}

Compressed sum_duplicates_host(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t) {
  auto in = ready(Compressed{data, indices, indptr});
  const size_t n_major = in.indptr.size() - 1;
  auto out_indptr = fresh(in.indptr.shape(), in.indptr.dtype());
  return with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    const I *p = ptr<I>(in.indptr), *x = ptr<I>(in.indices);
    std::unique_ptr<I[]> map(cs_is_sorted<I>(n_major, p, x) ? nullptr : new I[in.indices.size()]);
    const size_t n = cs_count_unique<I>(n_major, p, x, out_ptr<I>(out_indptr), map.get());
    auto out_indices = entries(n, in.indices.dtype()), out_data = entries(n, in.data.dtype());
    dispatch_value(in.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      cs_sum_duplicates<T, I>(n_major, p, x, ptr<T>(in.data), map.get(), ptr<I>(out_indptr), out_ptr<I>(out_indices),
                              out_ptr<T>(out_data));
    });
    return Compressed{out_data, out_indices, out_indptr};
  });
}

Compressed coo_to_canonical_host(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major) {
  auto in = ready(Compressed{data, minor, major}); // indptr holds the major indices here
  auto out_data = fresh(in.data.shape(), in.data.dtype()), indices = fresh(in.indices.shape(), in.indices.dtype());
  if (n_major >= std::numeric_limits<int>::max()) throw std::overflow_error("the major axis is too long to compress");
  auto indptr = fresh({static_cast<int>(n_major + 1)}, in.indices.dtype());
  return with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_width(in.data.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      const CooView<W, I> entries{{in.indices.size(), static_cast<size_t>(n_major), 0, ptr<I>(in.indptr), ptr<I>(in.indices)},
                                  reinterpret_cast<const W*>(in.data.data<char>())};
      coo_to_cs(entries, CsOut<W, I>{out_ptr<I>(indptr), out_ptr<I>(indices), reinterpret_cast<W*>(out_data.data<char>())});
    });
    const size_t n = dispatch_value(in.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      return cs_canonicalize<T, I>(n_major, out_ptr<I>(indptr), out_ptr<I>(indices), out_ptr<T>(out_data));
    });
    if (n == in.indices.size()) return Compressed{out_data, indices, indptr};
    return Compressed{first_entries(out_data, n), first_entries(indices, n), indptr};
  });
}

Compressed eliminate_zeros_host(const mx::array& data, const mx::array& indices, const mx::array& indptr) {
  auto in = ready(Compressed{data, indices, indptr});
  const size_t n_major = in.indptr.size() - 1;
  auto out_indptr = fresh(in.indptr.shape(), in.indptr.dtype());
  return with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    return dispatch_value(in.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      const size_t n = cs_count_nonzero<T, I>(n_major, ptr<I>(in.indptr), ptr<T>(in.data), out_ptr<I>(out_indptr));
      auto out_indices = entries(n, in.indices.dtype()), out_data = entries(n, in.data.dtype());
      cs_eliminate_zeros<T, I>(n_major, ptr<I>(in.indptr), ptr<I>(in.indices), ptr<T>(in.data), ptr<I>(out_indptr),
                               out_ptr<I>(out_indices), out_ptr<T>(out_data), static_cast<I*>(nullptr));
      return Compressed{out_data, out_indices, out_indptr};
    });
  });
}

double triad(size_t n) {
  std::vector<double> a(n, 0.0), b(n, 1.0), c(n, 2.0);
  std::vector<double> rates;
  for (int repeat = 0; repeat < 11; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(n, n_threads(), [&](size_t lo, size_t hi) {
      for (size_t i = lo; i < hi; ++i) a[i] = b[i] + 3.0 * c[i];
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    rates.push_back(24.0 * n / took.count());
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

} // namespace sp
