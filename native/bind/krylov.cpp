// Recorded recurrences: made from lists of numbers, and replayed over ndarrays.
#include "bind/bind.h"
#include "bind/numpy.h"
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

std::shared_ptr<Recording> recording(int vectors, int scalars, int operators, int square,
                                     const std::vector<std::pair<int, double>>& constants, const Part& guess,
                                     const Part& start, const std::vector<Part>& steps, int halves, bool tests_last) {
  Recording r{vectors, scalars, operators, square, constants, segment_of(guess), segment_of(start), {}, halves, tests_last};
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
  const KrylovTask task{*recording, held, *dtype, n, k, single, guess, b.data(), x.mutable_data(), tolerance.data(), maxiter, true};
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

} // namespace

void bind_krylov(py::module_& m) {
  py::class_<Recording, std::shared_ptr<Recording>>(m, "Recording")
      .def(py::init(&recording), "vectors"_a, "scalars"_a, "operators"_a, "square"_a, "constants"_a, "guess"_a, "start"_a,
           "steps"_a, "halves"_a, "tests_last"_a);
  m.def("krylov_numpy", &krylov_numpy, "recording"_a, "operators"_a, "b"_a, "x"_a, "guess"_a, "tolerance"_a, "maxiter"_a);
  m.def("krylov", lazy(&krylov), "recording"_a, "operators"_a, "b"_a, "x"_a, "tolerance"_a, "maxiter"_a, "stream"_a,
        "[x, codes, steps, norms] as a node.");
}

} // namespace sp
