#include "bind/bind.h"
#include "bind/mlx_array.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sp {

namespace {

using Positions = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

// What is done for each element is inlined by order: this unit is compiled quickly rather than well.
#define SP_EACH inline __attribute__((always_inline))

// An object array of lists, as the user left it: every access looks again.
class Lists {
 public:
  explicit Lists(const py::array& a) : array_(a), n_(static_cast<size_t>(a.size())) {
    if (a.dtype().kind() != 'O' || a.ndim() != 1 || !(a.flags() & py::array::c_style)) {
      throw py::type_error("rows and data must be 1-D object arrays of lists");
    }
  }
  size_t size() const { return n_; }
  SP_EACH py::object operator[](int64_t i) const {
    if (i < 0 || static_cast<size_t>(i) >= n_) throw py::index_error("row " + std::to_string(i) + " is out of range");
    PyObject* x = static_cast<PyObject* const*>(array_.data())[i];
    if (!x || !PyList_Check(x)) throw py::type_error("rows and data must hold lists");
    return py::reinterpret_borrow<py::object>(x);
  }

 private:
  py::array array_;
  size_t n_;
};

// Element k of a list that any call back into Python may have changed. Borrowed: whatever may call back holds it.
SP_EACH py::handle item(const py::object& list, Py_ssize_t k) {
  if (k >= PyList_GET_SIZE(list.ptr())) throw std::runtime_error("a list changed while it was read");
  return PyList_GET_ITEM(list.ptr(), k);
}

py::object held(py::handle x) { return py::reinterpret_borrow<py::object>(x); }

SP_EACH int64_t integer(py::handle x) {
  const auto own = PyLong_Check(x.ptr()) ? py::object() : held(x); // only what is no int is asked for one
  const long long v = PyLong_AsLongLong(x.ptr());
  if (v == -1 && PyErr_Occurred()) throw py::error_already_set();
  return v;
}

SP_EACH double real(py::handle x) {
  if (PyFloat_Check(x.ptr())) return PyFloat_AS_DOUBLE(x.ptr());
  const auto own = held(x);
  if (const auto* a = as_array(x.ptr())) refuse_traced(*a); // as a number it would be a constant
  const double v = PyFloat_AsDouble(x.ptr());
  if (v == -1.0 && PyErr_Occurred()) throw py::error_already_set();
  return v;
}

bool truth(const py::object& x) {
  const int v = PyObject_IsTrue(x.ptr());
  if (v < 0) throw py::error_already_set();
  return v != 0;
}

void ok(int status) {
  if (status < 0) throw py::error_already_set();
}

// For loops over elements, which need the lock: now and then other threads have their turn, and Ctrl-C ends the loop.
class Turns {
 public:
  void operator()(size_t steps = 1) {
    if (steps < left_) left_ -= steps; else look();
  }

 private:
  using Clock = std::chrono::steady_clock;
  void look() {
    left_ = every;
    if (Clock::now() < next_) return;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    { const py::gil_scoped_release turn; }
    next_ = Clock::now() + std::chrono::milliseconds(5);
  }
  static constexpr size_t every = 1000;
  size_t left_ = every;
  Clock::time_point next_ = Clock::now() + std::chrono::milliseconds(5);
};

// Where column j stands in a row, or belongs.
struct Place {
  Py_ssize_t at;
  bool found;
};

Place place(const py::object& row, int64_t j) {
  Py_ssize_t low = 0, high = PyList_GET_SIZE(row.ptr());
  if (high && integer(item(row, high - 1)) < j) return {high, false};
  if (const int64_t first = high ? integer(item(row, 0)) : j; first >= j) return {0, high && first == j};
  while (low < high) {
    const Py_ssize_t mid = low + (high - low) / 2;
    if (integer(item(row, mid)) < j) low = mid + 1;
    else high = mid;
  }
  return {low, low < PyList_GET_SIZE(row.ptr()) && integer(item(row, low)) == j};
}

py::array_t<int64_t> list_lengths(const py::array& lists) {
  const Lists all(lists);
  py::array_t<int64_t> out(static_cast<py::ssize_t>(all.size()));
  int64_t* p = out.mutable_data();
  for (size_t i = 0; i < all.size(); ++i) p[i] = PyList_GET_SIZE(all[static_cast<int64_t>(i)].ptr());
  return out;
}

template <class T, class F>
bool flatten_as(const Lists& lists, py::array& out, F&& value) {
  T* p = static_cast<T*>(out.mutable_data());
  const auto count = static_cast<size_t>(out.size());
  size_t at = 0;
  Turns turns;
  for (size_t i = 0; i < lists.size(); ++i) {
    turns();
    const py::object list = lists[static_cast<int64_t>(i)];
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list.ptr()); ++k, ++at) {
      turns();
      if (at == count) throw py::value_error("rows and data must hold lists of the same lengths");
      p[at] = value(item(list, k));
    }
  }
  if (at != count) throw py::value_error("rows and data must hold lists of the same lengths");
  return true;
}

template <class T>
T narrowed(int64_t v) {
  if (v < std::numeric_limits<T>::min() || v > std::numeric_limits<T>::max()) {
    PyErr_SetString(PyExc_OverflowError, (std::to_string(v) + " does not fit the dtype").c_str());
    throw py::error_already_set();
  }
  return static_cast<T>(v);
}

// Write the elements of all lists, one after the other; false for a dtype that NumPy reads as fast.
bool list_flatten(const py::array& array, py::array out) {
  const Lists lists(array);
  if (out.ndim() != 1 || !(out.flags() & py::array::c_style)) throw py::type_error("out must be 1-D and contiguous");
  const auto kind = out.dtype().kind();
  const auto size = out.itemsize();
  if (kind == 'f' && size == 8) return flatten_as<double>(lists, out, [](py::handle x) { return real(x); });
  if (kind == 'f' && size == 4) {
    return flatten_as<float>(lists, out, [](py::handle x) { return static_cast<float>(real(x)); });
  }
  if (kind == 'i' && size == 8) return flatten_as<int64_t>(lists, out, [](py::handle x) { return integer(x); });
  if (kind == 'i' && size == 4) {
    return flatten_as<int32_t>(lists, out, [](py::handle x) { return narrowed<int32_t>(integer(x)); });
  }
  return false;
}

// The lists of the rows that an assignment changes, as they were before it.
class Before {
 public:
  void keep(int64_t i, const py::object& row, const py::object& xs) {
    if (i == last_) return;
    last_ = i;
    auto [at, fresh] = kept_.try_emplace(i);
    if (fresh) at->second = {std::pair(row, copied(row)), std::pair(xs, copied(xs))};
  }
  void restore() {
    for (auto& [i, lists] : kept_) {
      for (auto& [list, old] : lists) ok(PyList_SetSlice(list.ptr(), 0, PY_SSIZE_T_MAX, old.ptr()));
    }
  }

 private:
  static py::object copied(const py::object& list) {
    return py::reinterpret_steal<py::object>(PyList_GetSlice(list.ptr(), 0, PY_SSIZE_T_MAX));
  }
  int64_t last_ = -1;
  std::unordered_map<int64_t, std::array<std::pair<py::object, py::object>, 2>> kept_;
};

// before: null, or where to keep what changes.
void assign_each(const py::array& rows, const py::array& data, const Positions& i, const Positions& j, const py::list& values,
                 Before* before) {
  const Lists columns(rows), stored(data);
  const auto n = static_cast<size_t>(i.size());
  if (static_cast<size_t>(j.size()) != n || values.size() != n) throw py::value_error("lengths differ");
  Turns turns;
  for (size_t k = 0; k < n; ++k) {
    turns();
    const py::object row = columns[i.data()[k]], xs = stored[i.data()[k]];
    const py::object x = held(item(values, static_cast<Py_ssize_t>(k)));
    if (PyList_GET_SIZE(row.ptr()) != PyList_GET_SIZE(xs.ptr())) {
      throw py::value_error("rows and data must hold lists of the same lengths");
    }
    if (before) before->keep(i.data()[k], row, xs);
    const bool nonzero = truth(x);
    const auto [at, found] = place(row, j.data()[k]);
    if (found && nonzero) {
      ok(PyList_SetItem(xs.ptr(), at, py::object(x).release().ptr()));
    } else if (found) {
      ok(PyList_SetSlice(row.ptr(), at, at + 1, nullptr));
      ok(PyList_SetSlice(xs.ptr(), at, at + 1, nullptr));
    } else if (nonzero) {
      ok(PyList_Insert(row.ptr(), at, py::int_(j.data()[k]).ptr()));
      ok(PyList_Insert(xs.ptr(), at, x.ptr()));
    }
  }
}

// Set (i[k], j[k]) to values[k] for every k in turn; a zero removes what is there. All or, after an error or Ctrl-C in a
// long one, nothing.
void list_assign(const py::array& rows, const py::array& data, const Positions& i, const Positions& j, const py::list& values) {
  constexpr py::ssize_t brief = 5000; // takes less than what Turns waits for
  if (i.size() < brief) return assign_each(rows, data, i, j, values, nullptr);
  Before before;
  try {
    assign_each(rows, data, i, j, values, &before);
  } catch (...) {
    before.restore();
    throw;
  }
}

// Those k for which (i[k], j[k]) holds a value other than zero, and these values.
py::tuple list_sample(const py::array& rows, const py::array& data, const Positions& i, const Positions& j) {
  const Lists columns(rows), stored(data);
  if (i.size() != j.size()) throw py::value_error("lengths differ");
  std::vector<int64_t> hits;
  py::list values;
  Turns turns;
  for (py::ssize_t k = 0; k < i.size(); ++k) {
    turns();
    const py::object row = columns[i.data()[k]];
    const auto [at, found] = place(row, j.data()[k]);
    if (!found) continue;
    const py::object x = held(item(stored[i.data()[k]], at));
    if (!truth(x)) continue;
    hits.push_back(k);
    values.append(x);
  }
  return py::make_tuple(py::array_t<int64_t>(static_cast<py::ssize_t>(hits.size()), hits.data()), values);
}

// Where results go: two object arrays with a pair of lists for each row.
struct Pairs {
  py::array columns, values;
  explicit Pairs(py::ssize_t n) : columns(py::dtype("O"), n), values(py::dtype("O"), n) {}
  void put(py::ssize_t r, py::object js, py::object xs) {
    set(columns, r, std::move(js));
    set(values, r, std::move(xs));
  }

 private:
  static void set(py::array& a, py::ssize_t r, py::object list) {
    PyObject*& slot = static_cast<PyObject**>(a.mutable_data())[r];
    Py_XDECREF(slot);
    slot = list.release().ptr();
  }
};

void check_pair(const py::object& js, const py::object& xs) {
  if (PyList_GET_SIZE(js.ptr()) != PyList_GET_SIZE(xs.ptr())) {
    throw py::value_error("rows and data must hold lists of the same lengths");
  }
}

py::object slice(const py::object& list, Py_ssize_t from, Py_ssize_t to) {
  return py::reinterpret_steal<py::object>(PyList_GetSlice(list.ptr(), from, to));
}

// The rows `taken`, cut to the columns start, start + step, ... (n of them), which are numbered from 0.
py::tuple list_cut(const py::array& rows, const py::array& data, const Positions& taken, int64_t start, int64_t step, int64_t n) {
  const Lists columns(rows), stored(data);
  Pairs out(taken.size());
  const int64_t last = start + step * (n - 1), low = std::min(start, last), high = std::max(start, last);
  Turns turns;
  for (py::ssize_t r = 0; r < taken.size(); ++r) {
    const py::object row = columns[taken.data()[r]], xs = stored[taken.data()[r]];
    check_pair(row, xs);
    const Py_ssize_t from = n ? place(row, low).at : 0, to = n ? place(row, high + 1).at : 0;
    turns(static_cast<size_t>(to - from) + 1);
    if (step == 1) {
      py::object js = slice(row, from, to);
      for (Py_ssize_t k = 0; start && k < to - from; ++k) ok(PyList_SetItem(js.ptr(), k, PyLong_FromLongLong(integer(item(js, k)) - start)));
      out.put(r, std::move(js), slice(xs, from, to));
      continue;
    }
    py::list js, kept;
    for (Py_ssize_t k = from; k < to; ++k) {
      const Py_ssize_t at = step > 0 ? k : from + to - 1 - k;
      const int64_t distance = integer(item(row, at)) - start;
      if (distance % step) continue;
      js.append(py::int_(distance / step));
      kept.append(item(xs, at));
    }
    out.put(r, std::move(js), std::move(kept));
  }
  return py::make_tuple(out.columns, out.values);
}

// The rows `taken` at the columns `wanted`, in that order and as often as they stand there; zeros are not taken along.
// Cost: the entries of these rows, those of the result with their sorting, and the width.
py::tuple list_take(const py::array& rows, const py::array& data, const Positions& taken, const Positions& wanted, int64_t width) {
  const Lists columns(rows), stored(data);
  Pairs out(taken.size());
  const auto n = static_cast<size_t>(wanted.size());
  std::vector<size_t> first(static_cast<size_t>(width) + 1, 0), place(n); // where in `wanted` each column stands
  for (size_t k = 0; k < n; ++k) {
    const int64_t j = wanted.data()[k];
    if (j < 0 || j >= width) throw py::index_error("column " + std::to_string(j) + " is out of range");
    ++first[static_cast<size_t>(j) + 1];
  }
  for (size_t j = 0; j < static_cast<size_t>(width); ++j) first[j + 1] += first[j];
  std::vector<size_t> next(first.begin(), first.end() - 1);
  for (size_t k = 0; k < n; ++k) place[next[static_cast<size_t>(wanted.data()[k])]++] = k;
  std::vector<std::pair<size_t, py::object>> found;
  Turns turns;
  for (py::ssize_t r = 0; r < taken.size(); ++r) {
    const py::object row = columns[taken.data()[r]], xs = stored[taken.data()[r]];
    check_pair(row, xs);
    found.clear();
    for (Py_ssize_t e = 0; e < PyList_GET_SIZE(row.ptr()); ++e) {
      const int64_t j = integer(item(row, e));
      turns();
      if (j < 0 || j >= width || first[static_cast<size_t>(j)] == first[static_cast<size_t>(j) + 1]) continue;
      const py::object x = held(item(xs, e));
      if (!truth(x)) continue;
      for (size_t p = first[static_cast<size_t>(j)]; p < first[static_cast<size_t>(j) + 1]; ++p) found.emplace_back(place[p], x);
    }
    auto by_place = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (!std::is_sorted(found.begin(), found.end(), by_place)) std::sort(found.begin(), found.end(), by_place);
    py::list js(found.size()), kept(found.size());
    for (size_t k = 0; k < found.size(); ++k) {
      ok(PyList_SetItem(js.ptr(), static_cast<Py_ssize_t>(k), PyLong_FromSize_t(found[k].first)));
      ok(PyList_SetItem(kept.ptr(), static_cast<Py_ssize_t>(k), found[k].second.release().ptr()));
    }
    out.put(r, std::move(js), std::move(kept));
  }
  return py::make_tuple(out.columns, out.values);
}

} // namespace

void bind_lists(py::module_& m) {
  m.def("list_lengths", &list_lengths);
  m.def("list_flatten", &list_flatten);
  m.def("list_assign", &list_assign);
  m.def("list_sample", &list_sample);
  m.def("list_cut", &list_cut);
  m.def("list_take", &list_take);
}

} // namespace sp
