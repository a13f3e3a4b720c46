#include "ops/select.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/select.h"
#include "kernels/sort.h"
#include "ops/filter.h"
#include "ops/on_device.h"
#include "ops/values.h"

namespace sp {

namespace {

// Elements [lo, lo + n), over the same buffer.
mx::array entries_from(const mx::array& a, size_t lo, size_t n) {
  mx::array out({to_dim(n)}, a.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = flags.col_contiguous = true;
  out.copy_shared_buffer(a, {1}, flags, n, static_cast<int64_t>(lo));
  out.set_status(mx::array::Status::available);
  return out;
}

mx::array copy_entries(const mx::array& a, size_t lo, size_t n) {
  return run({{a}, {room_for(n, a.dtype())}, [=](const Arrays& in, Arrays& out) {
                const size_t item = in[0].itemsize();
                // Asked for here and not in the threads: the first question moves memory of a GPU to the host.
                char* to = out_ptr<char>(out[0]);
                const char* from = ptr<char>(in[0]) + lo * item;
                parallel_for(n, plan_parts(n), [=](size_t b, size_t e) {
                  std::memcpy(to + b * item, from + b * item, (e - b) * item);
                });
              }})[0];
}

// Slice row(k) for k < n.
template <class Row>
Compressed take_major(const Compressed& a, size_t n, Row row) {
  return with_width(a, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const Pass count{pattern(a), {indptr_for(n, a.indptr.dtype())}, [=](const Arrays& in, Arrays& out) {
                       cs_take_major_count(pattern_of<I>(in), n, row, out_ptr<I>(out[0]));
                     }};
    const Pass fill{parts(a), entries_like(a), [=](const Arrays& in, Arrays& out) {
                      cs_take_major(view_of<W, I>(in), n, row, out_of<W, I>(out));
                    }};
    return compressed(sized(count, fill));
  });
}

// Slices start .. start + n, copied or over the same buffers.
Compressed neighbours(const Compressed& given, int64_t start, int64_t n, bool share) {
  const auto a = evaluated(given);
  return with_index(a.indptr, [&](auto i) {
    using I = typename decltype(i)::type;
    const I* p = ptr<I>(a.indptr);
    const I first = n ? p[start] : I{0};
    const auto out = run({{}, {indptr_for(n, a.indptr.dtype())}, [=](const Arrays&, Arrays& out) {
                            I* o = out_ptr<I>(out[0]);
                            o[0] = 0;
                            for (int64_t k = 1; k <= n; ++k) o[k] = p[start + k] - first;
                          }})[0];
    const size_t count = ptr<I>(out)[n];
    if (share) return Compressed{entries_from(a.data, first, count), entries_from(a.indices, first, count), out};
    return Compressed{copy_entries(a.data, first, count), copy_entries(a.indices, first, count), out};
  });
}

// Sorted slices, minor indices first .. last: found by bisection.
template <class W, class I>
Compressed window(const Compressed& a, I first, I last) {
  const size_t n_major = a.n_major();
  const Output begins{{to_dim(n_major)}, a.indptr.dtype()};
  const Pass count{pattern(a), {indptr_for(n_major, a.indptr.dtype()), begins}, [=](const Arrays& in, Arrays& out) {
                     cs_window_count(pattern_of<I>(in), first, last, out_ptr<I>(out[1]), out_ptr<I>(out[0]));
                   }};
  const Pass fill{parts(a), entries_like(a), [=](const Arrays& in, Arrays& out) {
                    cs_window(view_of<W, I>(in), ptr<I>(in[3]), first, out_of<W, I>(out));
                  }};
  return compressed(sized(count, fill));
}

// The entries whose minor index a table sends somewhere.
template <class W, class I>
Compressed placed(const Compressed& a, const mx::array& table, bool backward) {
  auto entries = [](const Arrays& in) { return PlacedEntries<I, TablePlace<I>>{ptr<I>(in[1]), {ptr<I>(in.back())}}; };
  return filtered<W, I>(a, {table}, entries, backward);
}

// Every entry as often as groups(in) says; `more` are the arrays at the end of `in`.
template <class W, class I, class Groups>
Compressed repeated(const Compressed& a, const Arrays& more, Groups groups) {
  const Output indptr = indptr_for(a.n_major(), a.indptr.dtype());
  const Pass count{joined(pattern(a), more), {indptr}, [=](const Arrays& in, Arrays& out) {
                     cs_repeat_count(pattern_of<I>(in), groups(in), out_ptr<I>(out[0]));
                   }};
  const Pass fill{joined(parts(a), more), entries_like(a), [=](const Arrays& in, Arrays& out) {
                    cs_repeat(view_of<W, I>(in), groups(in), out_of<W, I>(out));
                  }};
  return compressed(sized(count, fill));
}

// n elements of `dtype`, made by f(pointer).
template <class T, class F>
mx::array made(size_t n, mx::Dtype dtype, F&& f) {
  return run({{}, {room_for(n, dtype)}, [&](const Arrays&, Arrays& out) { f(out_ptr<T>(out[0])); }})[0];
}

} // namespace

Compressed major_range(const Compressed& given, int64_t start, int64_t n, int64_t step, bool share) {
  if (const auto s = shader_stream(given.data.dtype()); s && n > 0) {
    if (step == 1 && share) return slices_between(given, start, n, *s);
    return stepped_slices(given, start, n, step, *s);
  }
  return moved(given, [=](const Compressed& a) {
    if (n == 0 || step == 1) return neighbours(a, start, n, share);
    return take_major(a, n, [=](size_t k) { return start + static_cast<int64_t>(k) * step; });
  });
}

Compressed major_list(const Compressed& given, Places rows) {
  if (const auto s = shader_stream(given.data.dtype()); s && rows.n > 0 && given.indices.size() > 0) {
    const mx::array list(rows.at, {to_dim(rows.n)}, mx::int64);
    return take_slices(given, mx::astype(list, given.indptr.dtype(), *s), *s);
  }
  return moved(given, [=](const Compressed& a) { return take_major(a, rows.n, [=](size_t k) { return rows.at[k]; }); });
}

mx::array narrowed(Places positions) {
  using L = std::numeric_limits<int32_t>;
  return made<int32_t>(positions.n, mx::int32, [=](int32_t* to) {
    parallel_for(positions.n, plan_parts(positions.n), [=](size_t lo, size_t hi) {
      for (size_t k = lo; k < hi; ++k) to[k] = static_cast<int32_t>(std::clamp<int64_t>(positions.at[k], L::min(), L::max()));
    });
  });
}

Compressed minor_range(const Compressed& given, int64_t start, int64_t n, int64_t step, int64_t n_minor, bool sorted) {
  return moved(given, [=](const Compressed& a) {
    const auto index = a.indices.dtype();
    return with_width(a, [&](auto i, auto w) {
      using I = typename decltype(i)::type;
      using W = typename decltype(w)::type;
      if (n == 0) {
        const auto begins = made<I>(a.indptr.size(), index, [&](I* p) { std::fill_n(p, a.indptr.size(), I{0}); });
        return compressed({begins, made<I>(0, index, [](I*) {}), made<W>(0, a.data.dtype(), [](W*) {})});
      }
      if ((step > 1 || step < -1) && static_cast<size_t>(n_minor) <= a.indices.size() + 4096) {
        const auto table = made<I>(n_minor, index, [=](I* to) { // a load costs less than the branches of a division
          std::fill_n(to, n_minor, I{-1});
          for (int64_t k = 0; k < n; ++k) to[start + k * step] = static_cast<I>(k);
        });
        return placed<W, I>(a, table, step < 0);
      }
      if (sorted && step == 1) return window<W, I>(a, static_cast<I>(start), static_cast<I>(start + n));
      auto entries = [=](const Arrays& in) { return PlacedEntries<I, StridePlace<I>>{ptr<I>(in[1]), {start, n, step}}; };
      return filtered<W, I>(a, {}, entries, step < 0);
    });
  });
}

Compressed minor_list(const Compressed& given, Places list, int64_t n_minor) {
  return moved(given, [=](const Compressed& a) {
    const auto index = a.indices.dtype();
    const int64_t* wanted = list.at;
    const size_t k = list.n;
    return with_width(a, [&](auto i, auto w) {
      using I = typename decltype(i)::type;
      using W = typename decltype(w)::type;
      if (static_cast<size_t>(n_minor) > 4 * (a.indices.size() + k) + 4096) {
        const auto order = made<I>(k + 1, index, [=](I* to) {
          std::iota(to, to + k + 1, I{0});
          std::stable_sort(to, to + k, [=](I x, I y) { return wanted[x] < wanted[y]; });
        });
        const auto keys = made<int64_t>(k, mx::int64, [&](int64_t* to) {
          for (size_t q = 0; q < k; ++q) to[q] = wanted[ptr<I>(order)[q]];
        });
        return repeated<W, I>(a, {order, keys}, [=](const Arrays& in) {
          return SearchGroups<I>{ptr<int64_t>(in[in.size() - 1]), k, ptr<I>(in[in.size() - 2])};
        });
      }
      bool distinct = true;
      const auto table = made<I>(n_minor, index, [&](I* to) {
        std::fill_n(to, n_minor, I{-1});
        for (size_t q = 0; distinct && q < k; ++q) {
          distinct = to[wanted[q]] < 0;
          to[wanted[q]] = static_cast<I>(q);
        }
      });
      if (distinct) return placed<W, I>(a, table, false);
      auto grouped = run({{}, {indptr_for(n_minor, index), room_for(k + 1, index)}, [&](const Arrays&, Arrays& out) {
                            I* const order = out_ptr<I>(out[1]);
                            sort_by_key(k, n_minor, wanted, order, out_ptr<I>(out[0]));
                            order[k] = 0;
                          }});
      return repeated<W, I>(a, grouped, [](const Arrays& in) {
        return TableGroups<I>{ptr<I>(in[in.size() - 2]), ptr<I>(in[in.size() - 1])};
      });
    });
  });
}

namespace {

// Sums of traced values at places: which entries stand there is found at once.
mx::array sample_traced(const Compressed& a, Pairs at, bool sorted) {
  const auto in = evaluated(pattern(a));
  std::vector<int32_t> found, which;
  with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    const auto x = pattern_of<I>(in);
    for (size_t s = 0; s < at.n; ++s) {
      const int64_t m = at.major[s];
      for_entries_at(x.indices, x.indptr[m], x.indptr[m + 1], static_cast<I>(at.minor[s]), sorted, [&](I e) {
        found.push_back(static_cast<int32_t>(e));
        which.push_back(static_cast<int32_t>(s));
      });
    }
  });
  auto copy = [](const std::vector<int32_t>& from) {
    return made<int32_t>(from.size(), mx::int32, [&](int32_t* to) { std::copy(from.begin(), from.end(), to); });
  };
  return summed(values_at(a.data, copy(found)), copy(which), at.n);
}

} // namespace

mx::array sample_at(const Compressed& a, Places major, Places minor, bool sorted) {
  const Pairs at{major.n, major.at, minor.at};
  if (a.data.is_tracer()) return sample_traced(a, at, sorted);
  return with_unsigned(a, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    return run({parts(a), {room_for(at.n, a.data.dtype())}, [=](const Arrays& in, Arrays& out) {
                  cs_sum_at(view_of<T, I>(in), at, sorted, out_ptr<T>(out[0]));
                }})[0];
  });
}

void element(const Compressed& given, int64_t major, int64_t minor, bool sorted, void* out) {
  const auto a = evaluated(given);
  with_unsigned(a, [&](auto i, auto t) {
    using I = typename decltype(i)::type;
    using T = typename decltype(t)::type;
    const I* p = ptr<I>(a.indptr);
    const T* v = ptr<T>(a.data);
    RunningSum<T> total;
    for_entries_at(ptr<I>(a.indices), p[major], p[major + 1], static_cast<I>(minor), sorted,
                   [&](I e) { total.add(v[e]); });
    *static_cast<T*>(out) = total.value();
  });
}

namespace {

// Sorted by place; of equal places the last. `todo`: numbers of the samples to place.
struct StridedPairs {
  size_t n;
  StridedPlaces major, minor;
};

constexpr size_t kLocated = 1 << 16; // places that are looked for at a time

StridedPairs from(const StridedPairs& all, size_t first, size_t most) {
  auto later = [&](StridedPlaces p) {
    p.at += static_cast<ptrdiff_t>(first) * p.stride;
    return p;
  };
  return {std::min(most, all.n - first), later(all.major), later(all.minor)};
}

std::vector<NewEntry> new_entries(const std::vector<size_t>& todo, const StridedPairs& at) {
  std::vector<NewEntry> out;
  out.reserve(todo.size());
  for (size_t s : todo) out.push_back({at.major[s], at.minor[s], s});
  auto before = [](const NewEntry& a, const NewEntry& b) {
    return a.major != b.major ? a.major < b.major : a.minor != b.minor ? a.minor < b.minor : a.value > b.value;
  };
  if (!std::is_sorted(out.begin(), out.end(), before)) watched_sort(out.begin(), out.end(), before);
  auto same = [](const NewEntry& a, const NewEntry& b) { return a.major == b.major && a.minor == b.minor; };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

} // namespace

std::pair<SetOutcome, std::optional<Compressed>> set_many(const Compressed& array, const Assignment& given, bool sorted,
                                                          bool insert, bool in_place) {
  const auto a = evaluated(array);
  const StridedPairs all{given.major.n, given.major, given.minor};
  return with_width(a, [&](auto i, auto w) -> std::pair<SetOutcome, std::optional<Compressed>> {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    auto view = view_of<W, I>(parts(a));
    const W* x = static_cast<const W*>(given.values);
    auto changed = in_place ? a.data : copy_entries(a.data, 0, a.data.size());
    W* v = out_ptr<W>(changed);
    // All places are found before anything is changed in place, and no interrupt is looked for then. A copy can be left.
    std::vector<I> positions(in_place ? all.n : std::min(all.n, kLocated));
    std::vector<size_t> todo;
    std::vector<NewEntry> added;
    for (size_t first = 0; first < all.n; first += positions.size()) {
      const StridedPairs at = from(all, first, positions.size());
      if (!cs_locate<StridedPairs, I>(view, at, sorted, positions.data())) return {SetOutcome::stored_twice, std::nullopt};
      if (insert) for (size_t s = 0; s < at.n; ++s) if (positions[s] < 0) todo.push_back(first + s);
      if (first + at.n == all.n) added = new_entries(todo, all);
      for (size_t s = 0; s < at.n; ++s) if (positions[s] >= 0) v[positions[s]] = x[given.one ? 0 : first + s];
    }
    if (todo.empty()) return {SetOutcome::same_structure, Compressed{changed, a.indices, a.indptr}};
    if (given.one) for (auto& e : added) e.value = 0;
    const size_t total = a.indices.size() + added.size();
    view.data = v;
    const auto out = run({{}, room_for(a.n_major(), total, a), [&](const Arrays&, Arrays& out) {
                            cs_insert(view, sorted, added, x, out_of<W, I>(out));
                          }});
    return {SetOutcome::new_structure, compressed(out)};
  });
}

namespace {

std::pair<mx::array, Arrays> coo_range_of(const mx::array& data, const Arrays& coords, const Ranges& ranges,
                                          const std::vector<int64_t>& shape) {
  return with_index(coords[0], [&](auto i) {
    using I = typename decltype(i)::type;
    BoxPlace<I> box;
    bool empty = false;
    for (size_t axis = 0; axis < coords.size(); ++axis) {
      const auto [start, n, step] = ranges[axis];
      box.axes.emplace_back(start, n, step);
      box.whole.push_back(start == 0 && step == 1 && n == shape[axis]);
      empty |= n == 0;
    }
    const size_t read = empty ? 0 : data.size();
    const int pieces = plan_parts(2 * read * coords.size());
    auto pointers = [](const Arrays& in) {
      std::vector<const I*> c;
      for (const auto& x : in) c.push_back(ptr<I>(x));
      return c;
    };
    // Slices are pieces of the input here.
    const Pass count{coords, {indptr_for(pieces, mx::int64)}, [=](const Arrays& in, Arrays& out) {
                       coo_filter_count<I>(read, pointers(in), box, pieces, out_ptr<int64_t>(out[0]));
                     }};
    Pass fill{joined(coords, {data}), std::vector<Output>(coords.size(), {{kEntries}, coords[0].dtype()}), nullptr};
    fill.results.push_back({{kEntries}, data.dtype()});
    fill.kernel = [=](const Arrays& in, Arrays& out) {
      auto c = pointers(in);
      c.pop_back();
      std::vector<I*> o;
      for (size_t axis = 0; axis < c.size(); ++axis) o.push_back(out_ptr<I>(out[axis + 1]));
      const std::vector<size_t> before(ptr<int64_t>(out[0]), ptr<int64_t>(out[0]) + pieces + 1);
      dispatch_width(in.back().dtype(), [&](auto w) {
        using W = typename decltype(w)::type;
        coo_filter<W, I>(read, c, ptr<W>(in.back()), box, before, o, out_ptr<W>(out.back()));
      });
    };
    auto found = sized(count, fill);
    const auto kept = found.back();
    return std::pair<mx::array, Arrays>(kept, Arrays(found.begin() + 1, found.end() - 1));
  });
}

} // namespace

std::pair<mx::array, Arrays> coo_range(const mx::array& data, const Arrays& coords, const Ranges& ranges,
                                       const std::vector<int64_t>& shape) {
  if (!data.is_tracer()) return coo_range_of(data, coords, ranges, shape);
  auto found = coo_range_of(positions_of(data.shape()), coords, ranges, shape);
  return {values_at(data, found.first), std::move(found.second)};
}

} // namespace sp
