// Recorded recurrences: made from lists of numbers, and replayed over ndarrays, as a whole or step by step.
#include <complex>
#include <mutex>

#include <pybind11/complex.h>

#include "bind/bind.h"
#include "bind/numpy.h"
#include "primitives/basis.h"
#include "primitives/krylov.h"

namespace sp {

namespace {

using Code = std::vector<std::array<int, 6>>;
using Part = std::tuple<Code, std::vector<int>, std::vector<std::pair<int, int>>>;

Segment segment_of(const Part& part) {
  Segment s{{}, std::get<1>(part), std::get<2>(part)};
  for (const auto& i : std::get<0>(part)) {
    if (i[0] < 0) throw std::invalid_argument("not an instruction");
    s.code.push_back({static_cast<Op>(i[0]), i[1], i[2], i[3], i[4], i[5]});
  }
  return s;
}

// counts: of vectors, scalars and operators; segments: guess, start and steps.
std::shared_ptr<Recording> recording(const std::array<int, 3>& counts, int square,
                                     const std::vector<std::pair<int, double>>& constants,
                                     const std::tuple<Part, Part, std::vector<Part>>& segments, int halves, bool tests_last,
                                     const std::vector<int>& spaces) {
  const auto& [guess, start, steps] = segments;
  Recording r{counts[0], counts[1], counts[2], square, constants, segment_of(guess), segment_of(start), {}, halves,
              tests_last, spaces};
  for (const auto& step : steps) r.steps.push_back(segment_of(step));
  return make_recording(std::move(r));
}

// Solves for b, one vector or columns, into x, which holds the guess if there is one: (codes, norms of each test).
std::pair<std::vector<int>, py::array_t<double>> krylov_numpy(
    const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators, const py::array& b,
    py::array x, bool guess, const std::vector<double>& tolerance, int64_t maxiter) {
  const auto dtype = mlx_dtype(b.dtype());
  const bool single = b.ndim() == 1;
  if (!dtype || (!single && b.ndim() != 2) || !x.dtype().equal(b.dtype()) || x.size() != b.size() ||
      !(b.flags() & py::array::c_style) || !(x.flags() & py::array::c_style)) {
    throw std::invalid_argument("b and x must be contiguous arrays of one dtype and shape");
  }
  const auto n = static_cast<size_t>(b.shape(0)), k = single ? size_t{1} : static_cast<size_t>(b.shape(1));
  if (tolerance.size() != k) throw std::invalid_argument("one tolerance is needed for each column");
  auto held = operators; // evaluated below
  const KrylovTask task{*recording, held, *dtype, {n, n}, k, single, guess, b.data(), x.mutable_data(), tolerance.data(), maxiter, true};
  const auto found = without_lock([&] {
    for (auto& a : held) {
      for (auto& part : a) part = host_ready(part);
    }
    return krylov_host(task);
  });
  const auto tests = static_cast<py::ssize_t>(k ? found.norms.size() / k : 0);
  py::array_t<double> norms(single ? std::vector<py::ssize_t>{tests} : std::vector<py::ssize_t>{tests, static_cast<py::ssize_t>(k)});
  std::copy(found.norms.begin(), found.norms.end(), norms.mutable_data());
  return {found.codes, norms};
}

// The same on a device: (x, codes, norms of each test).
std::tuple<mx::array, std::vector<int>, py::array_t<float>> krylov_device(
    const std::shared_ptr<Recording>& recording, const std::vector<KrylovOperator>& operators, const mx::array& b,
    const std::optional<mx::array>& x, const mx::array& tolerance, int64_t maxiter, mx::Stream s) {
  const bool single = b.ndim() == 1;
  const auto k = static_cast<size_t>(single ? 1 : b.shape(1));
  auto held = operators; // Python can change what a handle of its refers to
  auto right = b, bounds = tolerance;
  auto guess = x;
  auto found = without_lock([&] { return krylov_on_device(recording, held, right, guess, bounds, maxiter, s); });
  const auto tests = static_cast<py::ssize_t>(k ? found.norms.size() / k : 0);
  py::array_t<float> norms(single ? std::vector<py::ssize_t>{tests} : std::vector<py::ssize_t>{tests, static_cast<py::ssize_t>(k)});
  std::copy(found.norms.begin(), found.norms.end(), norms.mutable_data());
  return {std::move(found.x), std::move(found.codes), std::move(norms)};
}

// A recording that is taken step by step, of which S knows how.
template <class S>
class Steps {
 public:
  // The first `count` real scalars of the state, by column.
  std::vector<std::vector<double>> start(int count) { return taken(count, [&] { return steps_->start(); }); }
  std::vector<std::vector<double>> step(int count) { return taken(count, [&] { return steps_->step(); }); }

  void freeze(const std::vector<bool>& closed) {
    if (closed.size() != k_) throw std::invalid_argument("one truth value is needed for each column");
    without_lock([&] {
      const std::lock_guard alone(turn_);
      for (size_t j = 0; j < k_; ++j) if (closed[j]) steps_->freeze(j);
      return true;
    });
  }

 protected:
  explicit Steps(std::shared_ptr<Recording> recording) : recording_(std::move(recording)) {}

  template <class F>
  std::vector<std::vector<double>> taken(int count, F&& f) {
    const int first = recording_->square;
    if (count < 0 || count > recording_->scalars - first) throw std::invalid_argument("the state has fewer scalars");
    std::vector<std::vector<double>> found(k_, std::vector<double>(count));
    const bool goes_on = without_lock([&] {
      const std::lock_guard alone(turn_);
      const bool took = f();
      for (size_t j = 0; j < k_; ++j) {
        for (int i = 0; i < count; ++i) found[j][i] = steps_->number(first + i, j);
      }
      return took;
    });
    if (!goes_on) throw std::invalid_argument("the method has broken down, which ends its steps");
    return found;
  }

  void check_slot(int slot) const {
    if (slot < 0 || slot >= recording_->vectors) throw std::invalid_argument("no such vector");
  }

  std::shared_ptr<Recording> recording_;
  size_t k_ = 1;
  std::mutex turn_;
  std::unique_ptr<S> steps_;
};

// From the iterate x, which is written to, and its residual r.
class HostSteps : public Steps<KrylovHostSteps> {
 public:
  HostSteps(std::shared_ptr<Recording> recording, std::vector<KrylovOperator> operators, py::array x, py::array r)
      : Steps(std::move(recording)), operators_(std::move(operators)), x_(std::move(x)), r_(std::move(r)) {
    const auto dtype = mlx_dtype(r_.dtype());
    single_ = r_.ndim() == 1;
    const auto& spaces = recording_->spaces;
    const bool square = spaces[0] == spaces[1];
    if (!dtype || (!single_ && r_.ndim() != 2) || !x_.dtype().equal(r_.dtype()) || x_.ndim() != r_.ndim() ||
        (square && x_.shape(0) != r_.shape(0)) || (!single_ && x_.shape(1) != r_.shape(1)) ||
        !(x_.flags() & py::array::c_style) || !(r_.flags() & py::array::c_style)) {
      throw std::invalid_argument("x and r must be contiguous arrays of one dtype and matching shapes");
    }
    k_ = single_ ? 1 : r_.shape(1);
    std::array<size_t, 2> n{};
    n[1 - spaces[1]] = x_.shape(0); // of both spaces if there is one
    n[spaces[1]] = r_.shape(0);
    void* out = x_.mutable_data();
    steps_ = without_lock([&] {
      for (auto& a : operators_) {
        for (auto& part : a) part = host_ready(part);
      }
      return krylov_steps({*recording_, operators_, *dtype, n, k_, single_, true, r_.data(), out, nullptr, 0, false});
    });
  }

  py::array vector(int slot) {
    check_slot(slot);
    const auto rows = recording_->spaces[slot] == recording_->spaces[0] ? x_.shape(0) : r_.shape(0);
    py::array out(x_.dtype(), single_ ? std::vector<py::ssize_t>{rows} : std::vector<py::ssize_t>{rows, static_cast<py::ssize_t>(k_)});
    const std::lock_guard alone(turn_);
    steps_->copy(slot, out.mutable_data());
    return out;
  }

 private:
  std::vector<KrylovOperator> operators_;
  py::array x_, r_;
  bool single_;
};

class DeviceSteps : public Steps<KrylovDeviceSteps> {
 public:
  DeviceSteps(std::shared_ptr<Recording> recording, const std::vector<KrylovOperator>& operators, const mx::array& x,
              const mx::array& r, int given, int64_t steps, mx::Stream s)
      : Steps(std::move(recording)) {
    k_ = r.ndim() == 1 ? 1 : r.shape(1);
    auto held = operators; // Python can change what a handle of its refers to
    const auto iterate = x, residual = r;
    steps_ = without_lock([&] { return krylov_device_steps(*recording_, std::move(held), iterate, residual, given, steps, s); });
  }

  mx::array vector(int slot) {
    check_slot(slot);
    return without_lock([&] {
      const std::lock_guard alone(turn_);
      return steps_->vector(slot);
    });
  }
};

// ---- bases -----------------------------------------------------------------------------------------------------------

// Refuses vectors that are no contiguous arrays of the dtype and length of the rows.
void check_basis(const py::array& rows, const py::array& v, size_t first, size_t count) {
  if (rows.ndim() != 2 || v.ndim() != 1 || v.shape(0) != rows.shape(1) || !v.dtype().equal(rows.dtype()) ||
      !(rows.flags() & py::array::c_style) || !(v.flags() & py::array::c_style) ||
      first + count > static_cast<size_t>(rows.shape(0))) {
    throw std::invalid_argument("a basis and a vector must be contiguous arrays of one dtype and length");
  }
}

// Extends the first `count` rows by w: its coefficients as numbers.
py::list basis_extend(py::array rows, size_t count, const py::array& w, double slack) {
  check_basis(rows, w, count, 1);
  return with_field(rows, [&](auto t) {
    using T = typename decltype(t)::type;
    T* all = static_cast<T*>(rows.mutable_data());
    const auto* v = static_cast<const T*>(w.data());
    const auto n = static_cast<size_t>(w.shape(0));
    const auto h = without_lock([&] { return extend_basis(BasisView<T>{all, count, n}, v, all + count * n, slack); });
    py::list numbers;
    for (size_t k = 0; k < count; ++k) {
      if constexpr (is_complex_v<T>) numbers.append(std::complex<double>(h[k].re, h[k].im));
      else numbers.append(h[k]);
    }
    numbers.append(real_part(h[count]));
    return numbers;
  });
}

// out <- the sum of y[k] times the row first + k.
void basis_combine(const py::array& rows, size_t first, const py::array& y, py::array out) {
  const auto count = static_cast<size_t>(y.size());
  check_basis(rows, out, first, count);
  if (y.ndim() != 1 || !y.dtype().equal(rows.dtype()) || !(y.flags() & py::array::c_style)) {
    throw std::invalid_argument("weights must be a contiguous vector of the dtype of a basis");
  }
  with_field(rows, [&](auto t) {
    using T = typename decltype(t)::type;
    const auto n = static_cast<size_t>(rows.shape(1));
    const BasisView<T> basis{static_cast<const T*>(rows.data()) + first * n, count, n};
    T* v = static_cast<T*>(out.mutable_data());
    const auto* weights = static_cast<const T*>(y.data());
    without_lock([&] { return combine_basis(basis, weights, v), true; });
  });
}

} // namespace

void bind_krylov(py::module_& m) {
  py::class_<Recording, std::shared_ptr<Recording>>(m, "Recording")
      .def(py::init(&recording), "counts"_a, "square"_a, "constants"_a, "segments"_a, "halves"_a, "tests_last"_a,
           "spaces"_a = std::vector<int>{});
  auto by_steps = [](auto c) {
    using S = typename decltype(c)::type;
    c.def("start", &S::start, "count"_a).def("step", &S::step, "count"_a).def("freeze", &S::freeze, "closed"_a);
    c.def("vector", &S::vector, "slot"_a);
  };
  by_steps(py::class_<HostSteps>(m, "KrylovSteps")
               .def(py::init<std::shared_ptr<Recording>, std::vector<KrylovOperator>, py::array, py::array>(), "recording"_a,
                    "operators"_a, "x"_a, "r"_a));
  by_steps(py::class_<DeviceSteps>(m, "KrylovDeviceSteps")
               .def(py::init<std::shared_ptr<Recording>, const std::vector<KrylovOperator>&, const mx::array&, const mx::array&,
                             int, int64_t, mx::Stream>(),
                    "recording"_a, "operators"_a, "x"_a, "r"_a, "given"_a, "steps"_a, "stream"_a));
  m.def("krylov_numpy", &krylov_numpy, "recording"_a, "operators"_a, "b"_a, "x"_a, "guess"_a, "tolerance"_a, "maxiter"_a);
  m.def("krylov_device", &krylov_device, "recording"_a, "operators"_a, "b"_a, "x"_a, "tolerance"_a, "maxiter"_a, "stream"_a);
  m.def("basis_extend", &basis_extend, "rows"_a, "count"_a, "w"_a, "slack"_a);
  m.def("basis_combine", &basis_combine, "rows"_a, "first"_a, "y"_a, "out"_a);
  m.def("extend_rows", lazy(&extend_rows), "rows"_a, "count"_a, "w"_a, "keep"_a, "always"_a = true, "stream"_a = py::none());
  m.def("combine_rows", lazy(&combine_rows), "rows"_a, "first"_a, "y"_a, "stream"_a = py::none());
  m.def("krylov", lazy(&krylov), "recording"_a, "operators"_a, "b"_a, "x"_a, "tolerance"_a, "maxiter"_a, "stream"_a,
        "[x, codes, steps, norms] as a node.");
}

} // namespace sp
