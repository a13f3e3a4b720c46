#include "ops/canonical.h"

#include <algorithm>

#include "kernels/canonical.h"
#include "kernels/convert.h"
#include "kernels/duplicates.h"
#include "kernels/merge_pieces.h"
#include "ops/filter.h"
#include "ops/on_device.h"
#include "ops/values.h"

namespace sp {

namespace {

// f(pattern) over an evaluated structure.
template <class F>
decltype(auto) with_pattern(const mx::array& indices, const mx::array& indptr, F&& f) {
  const auto in = evaluated(Arrays{indptr, indices});
  return with_index(indices, [&](auto i) { return f(pattern_of<typename decltype(i)::type>(in)); });
}

// Sums of traced values: where each of them goes is found at once.
Compressed sum_duplicates_traced(const Compressed& a) {
  if (is_canonical(a.indices, a.indptr)) return a;
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    const auto index = a.indices.dtype();
    const Output of_each{a.indices.shape(), index};
    const Pass count{pattern(a), {indptr_for(a.n_major(), index), of_each}, [](const Arrays& in, Arrays& out) {
                       cs_count_unique(pattern_of<I>(in), out_ptr<I>(out[0]), out_ptr<I>(out[1]));
                     }};
    const Pass fill{pattern(a), {{{kEntries}, index}, of_each}, [](const Arrays& in, Arrays& out) {
                      auto* place = out_ptr<I>(out[2]);
                      cs_unique_places(pattern_of<I>(in), ptr<I>(in[2]), ptr<I>(out[0]), out_ptr<I>(out[1]), place);
                    }};
    const auto found = sized(count, fill);
    return Compressed{summed(a.data, found[2], found[1].size()), found[1], found[0]};
  });
}

// Coordinates in any order -> compressed, duplicates kept.
Arrays compressed_coo(const Arrays& coo, int64_t n_major) {
  const auto &data = coo[2], &minor = coo[1];
  return run({coo, {indptr_for(n_major, minor.dtype()), {minor.shape(), minor.dtype()}, {data.shape(), data.dtype()}},
              [=](const Arrays& in, Arrays& out) {
                with_index(in[1], [&](auto i) {
                  using I = typename decltype(i)::type;
                  const CooPattern<I> entries{in[1].size(), static_cast<size_t>(n_major), 0, ptr<I>(in[0]), ptr<I>(in[1])};
                  coo_to_cs(CooView<uint32_t, I>{entries, ptr<uint32_t>(in[2])}, out_of<uint32_t, I>(out));
                });
              }});
}

} // namespace

std::string check_indices(const mx::array& indices, const mx::array& indptr, int64_t n_minor) {
  const auto in = evaluated(Arrays{indptr, indices});
  return with_index(indices, [&](auto i) -> std::string {
    using I = typename decltype(i)::type;
    const auto found = cs_check(pattern_of<I>(in, n_minor), indices.size());
    const auto position = std::to_string(found.position);
    switch (found.fault) {
      case Fault::none: return "";
      case Fault::indptr_start: return "index pointer should start with 0";
      case Fault::indptr_order: return "indptr must be a non-decreasing sequence; it falls at position " + position;
      case Fault::indptr_end: return "Last value of index pointer should be less than the size of index and data arrays";
      case Fault::index_bounds: break;
    }
    const auto bad = ptr<I>(in[1])[found.position];
    const std::string where = "; indices[" + position + "] is " + std::to_string(bad);
    return bad < 0 ? "indices must be >= 0" + where : "indices must be < " + std::to_string(n_minor) + where;
  });
}

bool is_sorted(const mx::array& indices, const mx::array& indptr) {
  if (const auto s = shader_stream(indices.dtype())) return ascends(indices, indptr, false, *s);
  return with_pattern(indices, indptr, [](auto a) { return cs_is_sorted(a); });
}

bool has_duplicates(const mx::array& indices, const mx::array& indptr) {
  return with_pattern(indices, indptr, [](auto a) { return cs_has_duplicates(a); });
}

bool is_canonical(const mx::array& indices, const mx::array& indptr) {
  if (const auto s = shader_stream(indices.dtype())) return ascends(indices, indptr, true, *s);
  return with_pattern(indices, indptr, [](auto a) { return cs_is_canonical(a); });
}

Compressed sort_indices(const Compressed& given) {
  return moved(given, [](const Compressed& a) {
    return with_width(a, [&](auto i, auto w) {
      using I = typename decltype(i)::type;
      using W = typename decltype(w)::type;
      const auto out = run({parts(a), {{a.indices.shape(), a.indices.dtype()}, {a.data.shape(), a.data.dtype()}},
                            [](const Arrays& in, Arrays& out) {
                              cs_sort_indices(view_of<W, I>(in), out_ptr<I>(out[0]), out_ptr<W>(out[1]));
                            }});
      return Compressed{out[1], out[0], a.indptr};
    });
  });
}

Compressed sum_duplicates(const Compressed& a) {
  if (a.data.is_tracer()) return sum_duplicates_traced(a);
  if (!is_sorted(a.indices, a.indptr)) return canonical_slices(a, 0, static_cast<int64_t>(a.n_major()));
  return with_width(a, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const auto sum = sum_equal_of<I>(a.data.dtype());
    const Pass count{pattern(a), {indptr_for(a.n_major(), a.indptr.dtype())}, [](const Arrays& in, Arrays& out) {
                       cs_count_unique<I>(pattern_of<I>(in), out_ptr<I>(out[0]), nullptr);
                     }};
    const Pass fill{parts(a), entries_like(a), [=](const Arrays& in, Arrays& out) {
                      cs_sum_duplicates(view_of<W, I>(in), sum, out_of<W, I>(out));
                    }};
    return compressed(sized(count, fill));
  });
}

Compressed canonical_slices(const Compressed& a, int64_t first, int64_t n) {
  if (first < 0 || n < 0 || first + n > static_cast<int64_t>(a.n_major())) throw std::out_of_range("slices that do not exist");
  return with_width(a, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const auto sum = sum_equal_of<I>(a.data.dtype());
    const auto* indptr = ptr<I>(evaluated(a.indptr)) + first;
    const std::vector<Output> results = room_for(n, static_cast<size_t>(indptr[n] - indptr[0]), a);
    return compressed(cut(run({parts(a), results, [=](const Arrays& in, Arrays& out) {
      auto slices = view_of<W, I>(in);
      slices.n_major = static_cast<size_t>(n);
      slices.indptr += first;
      cs_canonical_pieces<W, I>(slices, sum, out_of<W, I>(out));
    }})));
  });
}

Compressed coo_to_canonical(const mx::array& data, const mx::array& major, const mx::array& minor, int64_t n_major) {
  if (data.is_tracer()) {
    return sum_duplicates(moved({data, minor, major}, [=](const Compressed& coo) {
      return compressed(compressed_coo(parts(coo), n_major));
    }));
  }
  const auto in = evaluated(Arrays{major, minor, data});
  const char *from = ptr<char>(in[2]), *first = ptr<char>(in[0]), *second = ptr<char>(in[1]);
  return triplets_to_canonical(Triplets{data.dtype(), minor.dtype(), minor.size(), from, first, second}, n_major);
}

Compressed triplets_to_canonical(const Triplets& coo, int64_t n_major) {
  const std::vector<Output> results{indptr_for(n_major, coo.index), room_for(coo.n, coo.index), room_for(coo.n, coo.dtype)};
  return dispatch_index(coo.index, [&](auto i) {
    return dispatch_width(coo.dtype, [&](auto w) {
      using I = typename decltype(i)::type;
      using W = typename decltype(w)::type;
      const auto *major = static_cast<const I*>(coo.major), *minor = static_cast<const I*>(coo.minor);
      const CooPattern<I> entries{coo.n, static_cast<size_t>(n_major), 0, major, minor};
      const CooView<W, I> a{entries, static_cast<const W*>(coo.data)};
      const auto sum = sum_equal_of<I>(coo.dtype);
      return compressed(cut(run({{}, results, [=](const Arrays&, Arrays& out) {
        coo_to_cs(a, out_of<W, I>(out));
        cs_canonicalize(n_major, out_of<W, I>(out), sum);
      }})));
    });
  });
}

std::optional<Compressed> eliminate_zeros(const Compressed& a) {
  if (const auto s = shader_stream(a.data.dtype()); s && a.data.ndim() == 1) return nonzero_entries(a, *s);
  return with_width(a, [&](auto i, auto w) -> std::optional<Compressed> {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const auto nonzero = nonzero_of<W>(a.data.dtype());
    const auto data = evaluated(a.data);
    if (std::all_of(ptr<W>(data), ptr<W>(data) + data.size(), nonzero)) return std::nullopt;
    return filtered<W, I>(a, {}, [=](const Arrays& in) { return NonzeroEntries<W, I>{view_of<W, I>(in), nonzero}; });
  });
}

} // namespace sp
