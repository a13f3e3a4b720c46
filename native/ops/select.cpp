#include "ops/select.h"

#include <array>
#include <numeric>

#include <pybind11/numpy.h>

#include "ops/evaluated.h"
#include "kernels/select.h"
#include "bind/mlx_array.h"

namespace sp {

namespace {

using Places = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

template <class W> const W* raw(const mx::array& a) { return reinterpret_cast<const W*>(a.data<char>()); }
template <class W> W* out_raw(mx::array& a) { return reinterpret_cast<W*>(a.data<char>()); }

py::tuple as_tuple(const Compressed& c) { return py::make_tuple(c.data, c.indices, c.indptr); }

// Elements [lo, lo + n), over the same buffer.
mx::array entries_from(const mx::array& a, size_t lo, size_t n) {
  mx::array out({static_cast<int>(n)}, a.dtype(), nullptr, {});
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = flags.col_contiguous = true;
  out.copy_shared_buffer(a, {1}, flags, n, static_cast<int64_t>(lo));
  out.set_status(mx::array::Status::available);
  return out;
}

mx::array copy_entries(const mx::array& a, size_t lo, size_t n) {
  auto out = entries(n, a.dtype());
  const size_t item = a.itemsize();
  // Asked for here and not in the threads: the first question moves memory of a GPU to the host.
  char* to = out.data<char>();
  const char* from = a.data<char>() + lo * item;
  parallel_for(n, plan_parts(n), [=](size_t b, size_t e) { std::memcpy(to + b * item, from + b * item, (e - b) * item); });
  return out;
}

mx::array pointers(size_t n_major, mx::Dtype dtype) { return fresh({static_cast<int>(n_major + 1)}, dtype); }

template <class I> void check_total(size_t n) {
  if (n > static_cast<size_t>(std::numeric_limits<I>::max())) {
    throw std::overflow_error("the selection would have " + std::to_string(n) + " entries, which its index dtype cannot count");
  }
}

// f(Tag<I>, Tag<W>) over the index type and the width of the values.
template <class F>
decltype(auto) with_types(const Compressed& in, F&& f) {
  return with_index(in.indices, [&](auto i) {
    return dispatch_width(in.data.dtype(), [&](auto w) { return f(i, w); });
  });
}

template <class Row>
Compressed take_rows(const Compressed& in, size_t n, Row row) {
  auto indptr = pointers(n, in.indptr.dtype());
  return with_types(in, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const size_t count = cs_take_major_count<I>(n, row, ptr<I>(in.indptr), out_ptr<I>(indptr));
    check_total<I>(count);
    auto indices = entries(count, in.indices.dtype()), data = entries(count, in.data.dtype());
    cs_take_major<W, I>(n, row, ptr<I>(in.indptr), ptr<I>(in.indices), raw<W>(in.data), ptr<I>(indptr),
                        out_ptr<I>(indices), out_raw<W>(data));
    return Compressed{data, indices, indptr};
  });
}

// Slices start, start + step, ... (n of them). A run of neighbours shares the buffers when `share` allows it.
Compressed major_range(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t start, int64_t n,
                       int64_t step, bool share) {
  auto in = ready(Compressed{data, indices, indptr});
  if (n > 0 && step != 1) {
    return take_rows(in, n, [=](size_t k) { return start + static_cast<int64_t>(k) * step; });
  }
  auto out = pointers(n, indptr.dtype());
  return with_index(indptr, [&](auto i) {
    using I = typename decltype(i)::type;
    const I* p = ptr<I>(in.indptr);
    const I first = n ? p[start] : I{0};
    I* o = out_ptr<I>(out);
    o[0] = 0;
    for (int64_t k = 1; k <= n; ++k) o[k] = p[start + k] - first;
    const size_t count = o[n];
    if (share) return Compressed{entries_from(in.data, first, count), entries_from(in.indices, first, count), out};
    return Compressed{copy_entries(in.data, first, count), copy_entries(in.indices, first, count), out};
  });
}

Compressed major_list(const mx::array& data, const mx::array& indices, const mx::array& indptr, const Places& rows) {
  const int64_t* r = rows.data();
  return take_rows(ready(Compressed{data, indices, indptr}), rows.size(), [=](size_t k) { return r[k]; });
}

template <class I, class W, class Place>
Compressed filter(const Compressed& in, Place place, bool backward) {
  const size_t n_major = in.indptr.size() - 1;
  auto indptr = pointers(n_major, in.indptr.dtype());
  const I *p = ptr<I>(in.indptr), *x = ptr<I>(in.indices);
  const size_t n = cs_filter_count<I>(n_major, p, x, place, out_ptr<I>(indptr));
  auto indices = entries(n, in.indices.dtype()), data = entries(n, in.data.dtype());
  cs_filter<W, I>(n_major, p, x, raw<W>(in.data), place, backward, ptr<I>(indptr), out_ptr<I>(indices), out_raw<W>(data));
  return {data, indices, indptr};
}

// Minor indices start, start + step, ... (n of them). Sorted slices stay sorted.
Compressed minor_range(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t start, int64_t n,
                       int64_t step, int64_t n_minor, bool sorted) {
  auto in = ready(Compressed{data, indices, indptr});
  const size_t n_major = in.indptr.size() - 1;
  return with_types(in, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    if (n == 0) {
      auto out = pointers(n_major, in.indptr.dtype());
      std::fill_n(out_ptr<I>(out), n_major + 1, I{0});
      return Compressed{entries(0, in.data.dtype()), entries(0, in.indices.dtype()), out};
    }
    if ((step > 1 || step < -1) && static_cast<size_t>(n_minor) <= in.indices.size() + 4096) {
      std::vector<I> table(n_minor, I{-1}); // a load costs less than the branches of a division
      for (int64_t k = 0; k < n; ++k) table[start + k * step] = static_cast<I>(k);
      return filter<I, W>(in, TablePlace<I>{table.data()}, step < 0);
    }
    if (!sorted || step != 1) return filter<I, W>(in, StridePlace<I>(start, n, step), step < 0);
    auto out = pointers(n_major, in.indptr.dtype());
    std::unique_ptr<I[]> begins(new I[n_major + 1]);
    const I first = static_cast<I>(start), last = static_cast<I>(start + n);
    const size_t count =
        cs_window_count<I>(n_major, ptr<I>(in.indptr), ptr<I>(in.indices), first, last, begins.get(), out_ptr<I>(out));
    auto x = entries(count, in.indices.dtype()), v = entries(count, in.data.dtype());
    cs_window<W, I>(n_major, begins.get(), ptr<I>(in.indices), raw<W>(in.data), first, ptr<I>(out), out_ptr<I>(x),
                    out_raw<W>(v));
    return Compressed{v, x, out};
  });
}

template <class I, class W, class Groups>
Compressed repeat(const Compressed& in, Groups groups) {
  const size_t n_major = in.indptr.size() - 1;
  auto indptr = pointers(n_major, in.indptr.dtype());
  const I *p = ptr<I>(in.indptr), *x = ptr<I>(in.indices);
  const size_t n = cs_repeat_count<I>(n_major, p, x, groups, out_ptr<I>(indptr));
  check_total<I>(n);
  auto indices = entries(n, in.indices.dtype()), data = entries(n, in.data.dtype());
  cs_repeat<W, I>(n_major, p, x, raw<W>(in.data), groups, ptr<I>(indptr), out_ptr<I>(indices), out_raw<W>(data));
  return {data, indices, indptr};
}

// Minor indices in any order and number. Sorted slices stay sorted when the list does not fall.
Compressed minor_list(const mx::array& data, const mx::array& indices, const mx::array& indptr, const Places& list,
                      int64_t n_minor) {
  auto in = ready(Compressed{data, indices, indptr});
  const int64_t* wanted = list.data();
  const size_t k = list.size();
  return with_types(in, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    if (static_cast<size_t>(n_minor) > 4 * (in.indices.size() + k) + 4096) {
      std::vector<I> order(k);
      std::iota(order.begin(), order.end(), I{0});
      std::stable_sort(order.begin(), order.end(), [&](I a, I b) { return wanted[a] < wanted[b]; });
      std::vector<int64_t> keys(k);
      for (size_t q = 0; q < k; ++q) keys[q] = wanted[order[q]];
      return repeat<I, W>(in, SearchGroups<I>{keys.data(), k, order.data()});
    }
    std::vector<I> table(n_minor + 1, I{-1});
    size_t q = 0;
    for (; q < k && table[wanted[q]] < 0; ++q) table[wanted[q]] = static_cast<I>(q);
    if (q == k) return filter<I, W>(in, TablePlace<I>{table.data()}, false);
    std::fill(table.begin(), table.end(), I{0});
    for (q = 0; q < k; ++q) ++table[wanted[q] + 1];
    std::partial_sum(table.begin(), table.end(), table.begin());
    std::vector<I> next(table.begin(), table.end() - 1), order(k);
    for (q = 0; q < k; ++q) order[next[wanted[q]]++] = static_cast<I>(q);
    return repeat<I, W>(in, TableGroups<I>{table.data(), order.data()});
  });
}

// The summed entries at (major[s], minor[s]), dense.
mx::array sample_at(const mx::array& data, const mx::array& indices, const mx::array& indptr, const Places& major,
                    const Places& minor, bool sorted) {
  auto in = ready(Compressed{data, indices, indptr});
  const size_t n = major.size();
  auto out = entries(n, data.dtype());
  with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_value(data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      cs_sample<T, I>(ptr<I>(in.indptr), ptr<I>(in.indices), ptr<T>(in.data), sorted, n, major.data(), minor.data(),
                      out_ptr<T>(out));
    });
  });
  return out;
}

// Every stored entry at (major[s], minor[s]), for values that cannot be read: (positions, s of each).
py::tuple entries_at(const mx::array& indices, const mx::array& indptr, const Places& major, const Places& minor,
                     bool sorted) {
  const auto x = host_ready(indices), p = host_ready(indptr);
  std::vector<int32_t> found, which;
  with_index(x, [&](auto i) {
    using I = typename decltype(i)::type;
    for (py::ssize_t s = 0; s < major.size(); ++s) {
      const int64_t m = major.data()[s];
      for_entries_at(ptr<I>(x), ptr<I>(p)[m], ptr<I>(p)[m + 1], static_cast<I>(minor.data()[s]), sorted, [&](I e) {
        found.push_back(static_cast<int32_t>(e));
        which.push_back(static_cast<int32_t>(s));
      });
    }
  });
  auto positions = entries(found.size(), mx::int32), samples = entries(found.size(), mx::int32);
  std::copy(found.begin(), found.end(), positions.data<int32_t>());
  std::copy(which.begin(), which.end(), samples.data<int32_t>());
  return py::make_tuple(positions, samples);
}

// NumPy's dtype object for the values of `dtype`; null for bfloat16, which NumPy lacks.
PyObject* numpy_dtype(mx::Dtype dtype) {
  static PyObject* known[16] = {};
  PyObject*& slot = known[static_cast<int>(dtype.val())];
  if (!slot) {
    const char* name = dispatch_value(dtype, [](auto t) -> const char* {
      using T = typename decltype(t)::type;
      if constexpr (std::is_same_v<T, mx::bfloat16_t>) return nullptr;
      else if constexpr (std::is_same_v<T, bool>) return "?";
      else if constexpr (std::is_same_v<T, mx::complex64_t>) return "c8";
      else if constexpr (std::is_same_v<T, mx::float16_t>) return "f2";
      else if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? "f4" : "f8";
      else if constexpr (std::is_signed_v<T>) return sizeof(T) == 1 ? "i1" : sizeof(T) == 2 ? "i2" : sizeof(T) == 4 ? "i4" : "i8";
      else return sizeof(T) == 1 ? "u1" : sizeof(T) == 2 ? "u2" : sizeof(T) == 4 ? "u4" : "u8";
    });
    if (!name) return nullptr;
    slot = py::dtype(name).release().ptr();
  }
  return slot;
}

// The element at (major, minor): an mx.array, or a rank-0 ndarray. None where its values cannot be read at once.
py::object element(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t major, int64_t minor,
                   bool sorted, bool as_numpy) {
  if (data.is_tracer() || (as_numpy && !numpy_dtype(data.dtype()))) return py::none();
  auto in = ready(Compressed{data, indices, indptr});
  return with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    return dispatch_value(data.dtype(), [&](auto t) -> py::object {
      using T = typename decltype(t)::type;
      const I* p = ptr<I>(in.indptr);
      const T* v = ptr<T>(in.data);
      T total{};
      for_entries_at(ptr<I>(in.indices), p[major], p[major + 1], static_cast<I>(minor), sorted,
                     [&](I e) { total = add(total, v[e]); });
      if (!as_numpy) {
        auto out = fresh({}, data.dtype());
        *out_ptr<T>(out) = total;
        return to_python(std::move(out));
      }
      return py::array(py::reinterpret_borrow<py::dtype>(numpy_dtype(data.dtype())), std::vector<py::ssize_t>{}, &total);
    });
  });
}

// Sorted by place; of equal places the last. `todo`: numbers of the samples to place.
std::vector<NewEntry> new_entries(const std::vector<size_t>& todo, const int64_t* major, const int64_t* minor) {
  std::vector<NewEntry> out;
  out.reserve(todo.size());
  for (size_t s : todo) out.push_back({major[s], minor[s], s});
  auto before = [](const NewEntry& a, const NewEntry& b) {
    return a.major != b.major ? a.major < b.major : a.minor != b.minor ? a.minor < b.minor : a.value > b.value;
  };
  if (!std::is_sorted(out.begin(), out.end(), before)) std::sort(out.begin(), out.end(), before);
  auto same = [](const NewEntry& a, const NewEntry& b) { return a.major == b.major && a.minor == b.minor; };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

// Set places to values; of repeated places the last counts. `insert`: also where nothing is stored. Returns
// (outcome, trio): 0, the same structure; 1, a new one; 2, nothing done, as a place is stored more than once.
// `alone`: Python holds no other reference to data, whose buffer may then be the result's.
py::tuple set_many(const mx::array& data, const mx::array& indices, const mx::array& indptr, const Places& major,
                   const Places& minor, const mx::array& values, bool sorted, bool insert, bool alone) {
  // Only what nothing else can see may be written in place: no other handle, no graph node, no task in flight.
  const bool in_place = alone && data.is_available() && data.flags().row_contiguous && data.is_donatable();
  auto in = ready(Compressed{data, indices, indptr});
  const auto x = host_ready(values);
  const size_t n = major.size(), n_major = in.indptr.size() - 1;
  const bool one = x.size() == 1; // for every place
  std::vector<int64_t> positions(n);
  return with_types(in, [&](auto i, auto w) -> py::tuple {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const I *p = ptr<I>(in.indptr), *q = ptr<I>(in.indices);
    if (!cs_locate<I>(p, q, sorted, n, major.data(), minor.data(), positions.data())) {
      return py::make_tuple(2, py::none());
    }
    std::vector<size_t> todo;
    if (insert) for (size_t s = 0; s < n; ++s) if (positions[s] < 0) todo.push_back(s);
    auto changed = in_place ? in.data : copy_entries(in.data, 0, in.data.size());
    W* v = out_raw<W>(changed);
    for (size_t s = 0; s < n; ++s) if (positions[s] >= 0) v[positions[s]] = raw<W>(x)[one ? 0 : s];
    if (todo.empty()) return py::make_tuple(0, as_tuple({changed, in.indices, in.indptr}));
    auto added = new_entries(todo, major.data(), minor.data());
    if (one) for (auto& a : added) a.value = 0;
    const size_t total = in.indices.size() + added.size();
    check_total<I>(total);
    auto out_indptr = pointers(n_major, in.indptr.dtype());
    auto out_indices = entries(total, in.indices.dtype()), out_data = entries(total, in.data.dtype());
    cs_insert<W, I>(n_major, p, q, v, sorted, added.data(), added.size(), raw<W>(x), out_ptr<I>(out_indptr),
                    out_ptr<I>(out_indices), out_raw<W>(out_data));
    return py::make_tuple(1, as_tuple({out_data, out_indices, out_indptr}));
  });
}

// Entries in coordinate form inside the ranges (start, length, step), one for each axis: (data, coordinates).
py::tuple coo_range(const mx::array& data, const std::vector<py::object>& coords,
                    const std::vector<std::array<int64_t, 3>>& ranges, const std::vector<int64_t>& shape) {
  const auto values = host_ready(data);
  std::vector<mx::array> in;
  for (const auto& c : coords) in.push_back(host_ready(*as_array(c.ptr())));
  const size_t nnz = values.size();
  return with_index(in[0], [&](auto i) {
    using I = typename decltype(i)::type;
    BoxPlace<I> box;
    std::vector<const I*> c;
    bool empty = false;
    for (size_t a = 0; a < in.size(); ++a) {
      const auto [start, n, step] = ranges[a];
      box.axes.emplace_back(start, n, step);
      box.whole.push_back(start == 0 && step == 1 && n == shape[a]);
      c.push_back(ptr<I>(in[a]));
      empty |= n == 0;
    }
    const size_t read = empty ? 0 : nnz;
    const auto counts = coo_filter_count<I>(read, c, box, plan_parts(2 * read * in.size()));
    auto out_data = entries(counts.back(), values.dtype());
    std::vector<mx::array> out;
    std::vector<I*> o;
    for (const auto& x : in) out.push_back(entries(counts.back(), x.dtype()));
    for (auto& x : out) o.push_back(out_ptr<I>(x));
    dispatch_width(values.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      coo_filter<W, I>(read, c, raw<W>(values), box, counts, o, out_raw<W>(out_data));
    });
    return py::make_tuple(out_data, out);
  });
}

} // namespace

void bind_index(py::module_& m) {
  m.def("major_range", [](const mx::array& d, const mx::array& i, const mx::array& p, int64_t start, int64_t n,
                          int64_t step, bool share) { return as_tuple(major_range(d, i, p, start, n, step, share)); });
  m.def("major_list", [](const mx::array& d, const mx::array& i, const mx::array& p, const Places& rows) {
    return as_tuple(major_list(d, i, p, rows));
  });
  m.def("minor_range", [](const mx::array& d, const mx::array& i, const mx::array& p, int64_t start, int64_t n,
                          int64_t step, int64_t n_minor, bool sorted) {
    return as_tuple(minor_range(d, i, p, start, n, step, n_minor, sorted));
  });
  m.def("minor_list", [](const mx::array& d, const mx::array& i, const mx::array& p, const Places& list,
                         int64_t n_minor) { return as_tuple(minor_list(d, i, p, list, n_minor)); });
  m.def("sample_at", &sample_at);
  m.def("entries_at", &entries_at);
  m.def("element", &element);
  m.def("set_many", &set_many);
  m.def("coo_range", &coo_range);
}

} // namespace sp
