// What NumPy sees of buffers: views, which of them users can write to, and which an array keeps to hand them out again.
#include <algorithm>
#include <array>
#include <unordered_map>

#include <Python.h>
#include <structmember.h>

#include "bind/bind.h"
#include "bind/exposed.h"
#include "bind/mlx_array.h"
#include "bind/numpy.h"
#include "primitives/evaluate.h"
#include "primitives/node.h"
#include "primitives/structure.h"
#include "primitives/wait.h"

namespace sp {

bool& settles_values() {
  static bool on = false;
  return on;
}

void wait_unlocked(Arrays pending) {
  without_lock([&] {
    for (auto& a : pending) expect_evaluation(a);
    wait_for(std::move(pending));
    return true;
  });
}

namespace {

// Evaluates an array that nobody else has yet: this thread computes what it can of it, which is quicker than MLX's.
void settle_unlocked(const mx::array& a) {
  without_lock([&] {
    expect_evaluation(a);
    settle({a});
    return true;
  });
}

struct Kept;

struct Memory;

// Of one allocation, the views that users can write to it by, and who keeps them. It is exposed as long as the memory of a
// view lives, which may outlive the view itself (`A.data.base`); what is derived from a view, by NumPy or anything else,
// keeps that.
struct Exposure {
  struct View { const Memory* memory; PyObject* weak; }; // a weak reference to the ndarray
  std::vector<View> views;
  Kept* kept = nullptr;
};
using Exposures = std::unordered_map<const void*, Exposure>;

// By the allocation that slices and reshaped forms share; arrays without memory by themselves.
Exposures& exposed() {
  static auto* all = new Exposures; // never destroyed: views may outlive the module
  return *all;
}
Exposures& exposed_empty() {
  static auto* all = new Exposures;
  return *all;
}

const void* key_of(const mx::array& a) {
  return a.size() ? a.buffer().ptr() : reinterpret_cast<const void*>(a.id());
}

// The base of an ndarray over an array's memory, which it keeps, whatever becomes of the Python object of that array.
struct Memory {
  PyObject_HEAD
  mx::array array;
  bool writable, exposed; // exposed: whether it stands among the exposures
};
PyTypeObject* memory_type = nullptr;

// What NumPy asks before it marks an ndarray as writable (again): the memory that it is over, as bytes.
int buffer_of_memory(PyObject* self, Py_buffer* buffer, int flags) {
  auto* memory = reinterpret_cast<Memory*>(self);
  auto& a = memory->array;
  void* start = a.size() ? a.data<char>() : reinterpret_cast<char*>(memory);
  return PyBuffer_FillInfo(buffer, self, start, static_cast<Py_ssize_t>(a.nbytes()), !memory->writable, flags);
}

void free_memory(PyObject* self) {
  auto* memory = reinterpret_cast<Memory*>(self);
  PyObject* weak = nullptr;
  if (memory->exposed) {
    auto& all = memory->array.size() ? exposed() : exposed_empty();
    if (const auto found = all.find(key_of(memory->array)); found != all.end()) {
      auto& views = found->second.views;
      const auto at = std::ranges::find(views, memory, &Exposure::View::memory);
      if (at != views.end()) {
        weak = at->weak;
        views.erase(at);
      }
      if (views.empty()) all.erase(found);
    }
  }
  Py_XDECREF(weak);
  memory->array.~array();
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

constexpr int kMostBuffers = 3;

// What an array hands out again, until anything else is to see a buffer: buffers, or tuples of them, and their views.
struct Kept {
  PyObject_HEAD
  std::array<PyObject*, kMostBuffers> held, views;
};
PyTypeObject* kept_type = nullptr;
Py_ssize_t kept_offset = 0; // of the slot in an array
PyTypeObject* kept_in = nullptr;

// f(Python object, array) for a buffer, or for each in a tuple of them.
template <class F>
void each_buffer(PyObject* held, F&& f) {
  const bool several = PyTuple_Check(held);
  for (Py_ssize_t k = 0; k < (several ? PyTuple_GET_SIZE(held) : 1); ++k) {
    PyObject* x = several ? PyTuple_GET_ITEM(held, k) : held;
    const auto* a = as_array(x);
    if (!a) throw py::type_error("buffers are arrays of MLX");
    f(x, *a);
  }
}

void give_up(Kept* kept, int place) {
  PyObject *held = std::exchange(kept->held[place], nullptr), *views = std::exchange(kept->views[place], nullptr);
  if (!held) return;
  each_buffer(held, [&](PyObject*, const mx::array& a) {
    const auto found = exposed().find(key_of(a));
    if (found != exposed().end() && found->second.kept == kept) found->second.kept = nullptr;
  });
  Py_DECREF(views); // which may run anything, as weak references call back
  Py_DECREF(held);
}

void free_kept(PyObject* self) {
  for (int place = 0; place < kMostBuffers; ++place) give_up(reinterpret_cast<Kept*>(self), place);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

Kept*& kept_of(PyObject* owner) { return *reinterpret_cast<Kept**>(reinterpret_cast<char*>(owner) + kept_offset); }

// Whether a user holds a view of this. Of one that only an array keeps nobody does, and it is given up.
bool is_held(const void* allocation) {
  const auto found = exposed().find(allocation);
  if (found == exposed().end()) return false;
  if (Kept* kept = found->second.kept) {
    const auto alive = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(kept));
    for (int place = 0; place < kMostBuffers; ++place) {
      bool here = false;
      if (kept->held[place]) each_buffer(kept->held[place], [&](PyObject*, const mx::array& a) { here |= key_of(a) == allocation; });
      if (here) give_up(kept, place);
    }
  }
  return exposed().contains(allocation);
}

bool is_exposed(const mx::array& a) {
  if (!is_there(a)) {
    if (a.is_tracer()) return false;
    if (settles_values()) settle_unlocked(a); // in numpy mode nothing is pending but what this call has made
    else wait_unlocked({a});
  }
  return a.size() && is_held(key_of(a));
}

bool any_exposed(bool beside_kept) {
  if (!beside_kept) return !exposed().empty();
  std::vector<py::object> all;
  for (auto& [allocation, one] : exposed()) {
    if (one.kept) all.push_back(py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(one.kept)));
  }
  for (auto& kept : all) {
    for (int place = 0; place < kMostBuffers; ++place) give_up(reinterpret_cast<Kept*>(kept.ptr()), place);
  }
  return !exposed().empty();
}

// Strides of an array without elements mean nothing, and it may have no memory.
enum class For { us, users, reading };
py::object ndarray_over(const mx::array& a, py::dtype dtype, For whom) {
  static double nothing[2];
  const bool expose = whom == For::users;
  constexpr size_t kMost = 64; // dimensions of NumPy
  if (a.ndim() > kMost) throw std::invalid_argument("NumPy has no arrays of " + std::to_string(a.ndim()) + " dimensions");
  std::array<Py_intptr_t, kMost> shape, strides;
  for (size_t d = 0; d < a.ndim(); ++d) {
    shape[d] = a.shape(static_cast<int>(d));
    strides[d] = static_cast<Py_intptr_t>(a.strides(static_cast<int>(d)) * static_cast<int64_t>(a.itemsize()));
  }
  auto& all = a.size() ? exposed() : exposed_empty();
  void* start = a.size() ? const_cast<char*>(a.data<char>()) : reinterpret_cast<char*>(nothing);
  if (const auto found = expose ? all.find(key_of(a)) : all.end(); found != all.end()) {
    for (const auto& one : found->second.views) {
      PyObject* known = PyWeakref_GetObject(one.weak);
      if (known == Py_None) continue;
      const auto* v = py::detail::array_proxy(known);
      if (v->data == start && v->nd == static_cast<int>(a.ndim()) && v->descr == dtype.ptr() &&
          std::equal(v->dimensions, v->dimensions + v->nd, shape.begin()) &&
          (!a.size() || std::equal(v->strides, v->strides + v->nd, strides.begin()))) {
        return py::reinterpret_borrow<py::object>(known);
      }
    }
  }
  auto* memory = PyObject_New(Memory, memory_type);
  if (!memory) throw py::error_already_set();
  new (&memory->array) mx::array(a);
  memory->writable = whom != For::reading;
  memory->exposed = false;
  auto base = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(memory));
  const auto& api = py::detail::npy_api::get();
  auto made = py::reinterpret_steal<py::object>(
      api.PyArray_NewFromDescr_(api.PyArray_Type_, dtype.release().ptr(), static_cast<int>(a.ndim()), shape.data(),
                                a.size() ? strides.data() : nullptr, start, whom == For::reading ? 0 : py::detail::npy_api::NPY_ARRAY_WRITEABLE_, nullptr));
  if (!made) throw py::error_already_set();
  if (expose) {
    PyObject* weak = PyWeakref_NewRef(made.ptr(), nullptr);
    if (!weak) throw py::error_already_set();
    all[key_of(a)].views.push_back({memory, weak});
    memory->exposed = true;
  }
  if (api.PyArray_SetBaseObject_(made.ptr(), base.release().ptr())) throw py::error_already_set();
  return made;
}

py::object view(const mx::array& given, bool writable) {
  const auto whom = writable ? For::us : For::reading;
  auto dtype = numpy_dtype(given.dtype());
  if (!dtype) return py::none();
  refuse_traced(given);
  if (given.status() == mx::array::Status::available) return ndarray_over(given, std::move(*dtype), whom);
  const mx::array a = given; // Python can change what its handle refers to meanwhile
  wait_unlocked({a});
  return ndarray_over(a, std::move(*dtype), whom);
}

// The same of a new array, which nobody else has yet.
py::object view_of_new(const mx::array& a) {
  if (!is_there(a) && !a.is_tracer()) settle_unlocked(a);
  return view(a, true);
}

// Whether an ndarray is what `view` gives.
bool is_view_of(const py::array& v, const mx::array& a) {
  refuse_traced(a);
  if (!a.size() || !is_there(a) || v.data() != a.data<char>() || v.ndim() != static_cast<py::ssize_t>(a.ndim())) return false;
  for (int d = 0; d < static_cast<int>(a.ndim()); ++d) {
    if (v.shape(d) != a.shape(d) || v.strides(d) != static_cast<py::ssize_t>(a.strides(d) * a.itemsize())) return false;
  }
  const auto dtype = numpy_dtype(a.dtype());
  return dtype && dtype->equal(v.dtype());
}

// A copy with memory of its own.
mx::array own(const mx::array& a) {
  auto made = fresh(a.shape(), a.dtype());
  if (!a.size()) return made;
  const char* from = a.data<char>();
  py::array ordered;
  if (!a.flags().row_contiguous) {
    ordered = py::array::ensure(ndarray_over(a, *numpy_dtype(a.dtype()), For::us), py::array::c_style);
    from = static_cast<const char*>(ordered.data());
  }
  std::memcpy(made.data<char>(), from, made.nbytes());
  return made;
}

py::tuple unexposed(const py::args& arrays) {
  if (exposed().empty()) return arrays;
  py::tuple kept(arrays.size());
  for (size_t k = 0; k < arrays.size(); ++k) {
    const auto* a = as_array(arrays[k].ptr());
    if (!a) throw py::type_error("unexposed takes arrays of MLX");
    kept[k] = is_exposed(*a) ? to_python(own(*a)) : py::reinterpret_borrow<py::object>(arrays[k]);
  }
  return kept;
}

py::object get(const py::object& owner, const py::str& name) {
  return PyDict_Check(owner.ptr()) ? py::object(owner[name]) : py::object(owner.attr(name));
}

// Whether nothing but the owner of `held` and as many `others` that have the same object see this memory: no other
// handle, slice, graph node or task. It may be a tuple of arrays; what the owner's own `structure` holds does not count.
bool only_held(const py::object& held, int others, Structure* structure) {
  bool found = !PyTuple_Check(held.ptr()) || Py_REFCNT(held.ptr()) == 2;
  const Py_ssize_t references = PyTuple_Check(held.ptr()) ? 1 : 2 + others; // the owner's, and `held`
  static const mx::array nothing(0);
  each_buffer(held.ptr(), [&](PyObject* x, const mx::array& a) {
    const bool outer = structure && structure->outer.id() == a.id(), inner = structure && structure->inner.id() == a.id();
    if (outer) structure->outer = nothing;
    if (inner) structure->inner = nothing;
    found = found && Py_REFCNT(x) == references && a.is_donatable();
    if (outer) structure->outer = a;
    if (inner) structure->inner = a;
  });
  return found;
}

// The same of attribute `name` of `owner`, or an item where that is a dict.
bool sole(const py::object& owner, const py::str& name, int others, Structure* structure) {
  return only_held(get(owner, name), others, structure);
}

template <class F>
py::object mapped(const py::object& held, F&& f) {
  if (!PyTuple_Check(held.ptr())) return f(*as_array(held.ptr()));
  py::tuple made(PyTuple_GET_SIZE(held.ptr()));
  Py_ssize_t k = 0;
  each_buffer(held.ptr(), [&](PyObject*, const mx::array& a) { made[k++] = f(a); });
  return made;
}

int place_of(const std::string& name) { return name == "_data" ? 0 : name == "_indptr" ? 2 : 1; }
constexpr size_t kKept = 1 << 16; // elements; beside work with more, making a view costs nothing

// Unless another array keeps views of the same memory.
void keep(PyObject* owner, int place, const py::object& held, const py::object& views) {
  Kept*& mine = kept_of(owner);
  bool fit = true;
  each_buffer(held.ptr(), [&](PyObject*, const mx::array& a) {
    const auto found = exposed().find(key_of(a));
    fit = fit && a.size() <= kKept && (found == exposed().end() || !found->second.kept || found->second.kept == mine);
  });
  if (!fit) return;
  if (!mine) {
    auto* made = PyObject_New(Kept, kept_type);
    if (!made) throw py::error_already_set();
    made->held = made->views = {};
    mine = made;
  }
  mine->held[place] = held.inc_ref().ptr();
  mine->views[place] = views.inc_ref().ptr();
  each_buffer(held.ptr(), [&](PyObject*, const mx::array& a) {
    if (const auto found = exposed().find(key_of(a)); found != exposed().end()) found->second.kept = mine;
  });
}

py::object views_for_users(const py::object& held) {
  return mapped(held, [](const mx::array& a) { return ndarray_over(a, *numpy_dtype(a.dtype()), For::users); });
}

// What is derived from buffers is not kept while users may write to them.
void drop_plan(const py::object& owner, const Structure& structure) {
  if (!structure.pattern.plan) return;
  auto unplanned = structure;
  unplanned.pattern.plan = nullptr;
  owner.attr("_structure") = std::move(unplanned);
}

// A GPU holds on to what its last work has read for some time after its end: waits until it does not. False where none is.
bool release_by_gpu() {
  if (!mx::is_available(mx::Device::gpu)) return false;
  const auto s = mx::peek_default_stream(mx::Device::gpu);
  if (s) without_lock([&] { return mx::synchronize(*s), true; });
  return s.has_value();
}

// Views of a buffer of `owner` (an array, or the dict of those that were assigned to it), or of a tuple of them, by which
// users may write: of a copy, which `owner` gets, if anything but this array sees it. bfloat16 is copied to float32.
py::object hand_out(const py::object& owner, const py::str& name, int others, Structure* structure) {
  const int place = place_of(name);
  const bool is_array = Py_TYPE(owner.ptr()) != &PyDict_Type;
  bool ours = false, half = false; // ours: this array handed it out, or nothing else has it but by its transpose
  for (bool waited = false;;) { // other threads run while it waits; from the last look on none does
    if (is_array) {
      if (Kept* kept = kept_of(owner.ptr())) give_up(kept, place); // of another buffer
    }
    Arrays pending;
    ours = true;
    {
      const auto held = get(owner, name);
      each_buffer(held.ptr(), [&](PyObject*, const mx::array& a) {
        refuse_traced(a);
        if (!is_there(a)) pending.push_back(a);
        else ours = ours && (!a.size() || is_held(key_of(a)));
        half |= a.dtype() == mx::bfloat16;
      });
    }
    if (!pending.empty()) {
      wait_unlocked(std::move(pending));
      continue;
    }
    ours = ours || half || sole(owner, name, others, structure);
    if (ours || waited || !release_by_gpu()) break;
    waited = true;
  }
  if (half) {
    return mapped(get(owner, name), [](const mx::array& a) { return view(mx::astype(a, mx::float32), true); });
  }
  if (!ours) {
    const auto made = mapped(get(owner, name), [](const mx::array& a) { return to_python(own(a)); });
    if (!is_array) owner[name] = made;
    else owner.attr(name) = made;
    if (is_array && place) owner.attr("_bind")();
    if (structure) structure = owner.attr("_structure").cast<Structure*>();
  }
  if (structure) drop_plan(owner, *structure);
  const auto held = get(owner, name);
  auto views = views_for_users(held);
  if (is_array) keep(owner.ptr(), place, held, views);
  return views;
}

// What a property calls: an array's kept views at once, and else its `_attribute`.
struct Reader {
  PyObject* name;
  int place;
};

// What hand_out gives, where there is nothing to wait for, to copy or to ask Python for; else null. Until it ends no other
// thread runs, so that no lock is needed.
py::object first_read(const py::object& owner, const Reader& reader) {
  static PyObject *const pending = PyUnicode_InternFromString("_pending"), *const kin = PyUnicode_InternFromString("_kin"),
                  *const bound = PyUnicode_InternFromString("_bound"), *const described = PyUnicode_InternFromString("_structure");
  const auto of_owner = [&](PyObject* name) {
    auto found = py::reinterpret_steal<py::object>(PyObject_GetAttr(owner.ptr(), name));
    if (!found) throw py::error_already_set();
    return found;
  };
  if (Kept* kept = kept_of(owner.ptr())) give_up(kept, reader.place); // of another buffer; which may run anything
  if (!of_owner(pending).is_none() || (reader.place == 0 && py::len(of_owner(kin)))) return {};
  const auto held = of_owner(reader.name);
  bool plain = true, seen = true;
  each_buffer(held.ptr(), [&](PyObject*, const mx::array& a) {
    plain = plain && is_there(a) && !a.is_tracer() && a.dtype() != mx::bfloat16;
    if (!plain || !a.size()) return;
    const auto found = exposed().find(key_of(a));
    plain = found == exposed().end() || !found->second.kept;
    seen = seen && found != exposed().end();
  });
  if (!plain) return {};
  const auto structure = of_owner(bound).ptr() == Py_True ? of_owner(described) : py::none();
  auto* known = structure.is_none() ? nullptr : structure.cast<Structure*>();
  if (!seen && !only_held(held, 0, known)) return {};
  if (known) drop_plan(owner, *known);
  auto views = views_for_users(held);
  keep(owner.ptr(), reader.place, held, views);
  return views;
}

PyObject* read(PyObject* self, PyObject* owner) {
  static PyObject* const otherwise = PyUnicode_InternFromString("_attribute");
  const auto* reader = static_cast<const Reader*>(PyCapsule_GetPointer(self, nullptr));
  if (settles_values() && kept_in && PyObject_TypeCheck(owner, kept_in)) {
    const Kept* kept = kept_of(owner);
    if (kept && kept->views[reader->place]) {
      PyObject* now = PyObject_GetAttr(owner, reader->name);
      if (!now) return nullptr;
      Py_DECREF(now);
      kept = kept_of(owner);
      if (kept && kept->held[reader->place] == now) return Py_NewRef(kept->views[reader->place]);
    }
    try {
      if (auto views = first_read(py::reinterpret_borrow<py::object>(owner), *reader)) return views.release().ptr();
    } catch (py::error_already_set& error) {
      error.restore();
      return nullptr;
    } catch (const std::exception&) { // which `_attribute` meets again, in Python's terms
    }
  }
  return PyObject_CallMethodOneArg(owner, otherwise, reader->name);
}

// The dtype of an array's values as numpy mode has it; else what its `_seen_dtype` says.
PyObject* read_dtype(PyObject*, PyObject* owner) {
  static PyObject *const pending = PyUnicode_InternFromString("_pending"), *const data = PyUnicode_InternFromString("_data"),
                  *const otherwise = PyUnicode_InternFromString("_seen_dtype");
  if (settles_values()) {
    PyObject* assigned = PyObject_GetAttr(owner, pending);
    if (!assigned) return nullptr;
    Py_DECREF(assigned);
    if (assigned == Py_None) {
      PyObject* held = PyObject_GetAttr(owner, data);
      if (!held) return nullptr;
      const auto* a = as_array(held);
      const auto* dtype = a ? &numpy_dtype(a->dtype()) : nullptr;
      PyObject* found = dtype && *dtype ? (*dtype)->inc_ref().ptr() : nullptr;
      Py_DECREF(held);
      if (found) return found;
    }
  }
  return PyObject_CallMethodNoArgs(owner, otherwise);
}

py::object dtype_reader() {
  static PyMethodDef method{"dtype", &read_dtype, METH_O, nullptr};
  return py::reinterpret_steal<py::object>(PyCFunction_New(&method, nullptr));
}

py::object reader(const std::string& name) {
  static PyMethodDef method{"read", &read, METH_O, nullptr};
  const py::capsule self(new Reader{PyUnicode_InternFromString(name.c_str()), place_of(name)}); // never destroyed
  return py::reinterpret_steal<py::object>(PyCFunction_New(&method, self.ptr()));
}

void keep_views_in(const py::object& slot) {
  auto* member = reinterpret_cast<PyMemberDescrObject*>(slot.ptr());
  if (Py_TYPE(slot.ptr()) != &PyMemberDescr_Type) throw py::type_error("slot must be that of a class");
  kept_offset = member->d_member->offset;
  kept_in = PyDescr_TYPE(member);
}

void give_up_views(const py::object& owner) {
  if (!kept_in || !PyObject_TypeCheck(owner.ptr(), kept_in)) throw py::type_error("owner must be an array that keeps views");
  Py_XDECREF(std::exchange(kept_of(owner.ptr()), nullptr));
}

PyTypeObject* made_type(const char* name, int size, destructor free, getbufferproc buffer = nullptr) {
  PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(free)},
                         {buffer ? Py_bf_getbuffer : 0, reinterpret_cast<void*>(buffer)}, {0, nullptr}};
  PyType_Spec spec{name, size, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  PyObject* made = PyType_FromSpec(&spec);
  if (!made) throw py::error_already_set();
  return reinterpret_cast<PyTypeObject*>(made);
}

} // namespace

void bind_exposed(py::module_& m) {
  memory_type = made_type("mlx_sparse._native.Memory", sizeof(Memory), &free_memory, &buffer_of_memory);
  kept_type = made_type("mlx_sparse._native.Kept", sizeof(Kept), &free_kept);
  m.def("view", &view, "a"_a, "writable"_a = true, "An ndarray over the memory of an array, which is waited for as by evaluate; None for bfloat16.");
  m.def("view_of_new", &view_of_new, "a"_a, "The same of an array that nobody else has yet.");
  m.def("is_view_of", &is_view_of, "v"_a, "a"_a);
  m.def("hand_out", &hand_out, "owner"_a, "name"_a, "others"_a, "structure"_a.none(true),
        "Writable views of a buffer, or of a tuple of them, which `owner` keeps.");
  m.def("reader", &reader, "name"_a, "A function for a property: the views that an array keeps, or what `_attribute` says.");
  m.def("dtype_reader", &dtype_reader, "A function for a property: the dtype of values in numpy mode, or what `_seen_dtype` says.");
  m.def("keep_views_in", &keep_views_in, "slot"_a, "In which slot of arrays the views stand that they keep.");
  m.def("give_up_views", &give_up_views, "owner"_a, "Keep no views: something else is to see the buffers.");
  m.def("is_exposed", &is_exposed, "a"_a, "Whether a user holds an ndarray over the memory of `a`, which is evaluated.");
  m.def("any_exposed", &any_exposed, "beside_kept"_a = false,
        "Whether users hold views of any buffer; with beside_kept those that only arrays keep are given up.");
  m.def("unexposed", &unexposed, "These, a copy for each that users can write to. Evaluates what is pending if there are any.");
  m.def("sole", &sole, "owner"_a, "name"_a, "others"_a, "structure"_a.none(true));
}

} // namespace sp
