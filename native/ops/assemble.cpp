#include "ops/assemble.h"

#include <pybind11/numpy.h>

#include "ops/evaluated.h"
#include "kernels/assemble.h"
#include "kernels/coo_axes.h"
#include "bind/mlx_array.h"

namespace sp {

std::vector<mx::array> coo_reshape_host(const std::vector<mx::array>& coords, const std::vector<int64_t>& strides,
                                        const std::vector<int64_t>& dims, int64_t total, bool wide) {
  if (coords.empty() || coords.size() != strides.size()) throw std::invalid_argument("one stride per coordinate array");
  std::vector<mx::array> in, out;
  for (const auto& c : coords) {
    if (c.dtype() != coords[0].dtype() || c.size() != coords[0].size()) {
      throw std::invalid_argument("coordinate arrays of one length and dtype");
    }
    in.push_back(host_ready(c));
  }
  const size_t nnz = in[0].size();
  for (size_t a = 0; a < std::max<size_t>(dims.size(), 1); ++a) out.push_back(entries(nnz, wide ? mx::int64 : mx::int32));
  constexpr int64_t kExactInDouble = int64_t{1} << 52;
  with_index(in[0], [&](auto i) {
    using I = typename decltype(i)::type;
    with_index(out[0], [&](auto o) {
      using O = typename decltype(o)::type;
      std::vector<const I*> from;
      std::vector<O*> to;
      for (const auto& c : in) from.push_back(ptr<I>(c));
      for (auto& c : out) to.push_back(out_ptr<O>(c));
      coo_reshape<I, O>(nnz, from, strides, dims, total < kExactInDouble, to);
    });
  });
  return out;
}

namespace {

template <class W, class I>
std::vector<Block<W, I>> blocks_of(const std::vector<Compressed>& in, const std::vector<int64_t>& minors) {
  std::vector<Block<W, I>> blocks;
  for (size_t b = 0; b < in.size(); ++b) {
    blocks.push_back({reinterpret_cast<const W*>(in[b].data.data<char>()), ptr<I>(in[b].indices), ptr<I>(in[b].indptr),
                      in[b].indptr.size() - 1, minors[b]});
  }
  return blocks;
}

} // namespace

Compressed stack_host(const std::vector<Compressed>& given, const std::vector<int64_t>& minors, bool along_major, bool wide) {
  if (given.empty() || given.size() != minors.size()) throw std::invalid_argument("one minor length per block");
  std::vector<Compressed> in;
  size_t nnz = 0, n_major = along_major ? 0 : given[0].indptr.size() - 1;
  for (const auto& c : given) {
    if (c.data.dtype() != given[0].data.dtype() || c.indices.dtype() != given[0].indices.dtype() ||
        c.indptr.dtype() != given[0].indices.dtype() || (!along_major && c.indptr.size() - 1 != n_major)) {
      throw std::invalid_argument("blocks of one dtype, one index dtype and fitting shapes");
    }
    in.push_back(ready(c));
    nnz += c.indices.size();
    if (along_major) n_major += c.indptr.size() - 1;
  }
  const auto index = wide ? mx::int64 : mx::int32;
  auto data = entries(nnz, in[0].data.dtype()), indices = entries(nnz, index), indptr = entries(n_major + 1, index);
  with_index(in[0].indices, [&](auto i) {
    using I = typename decltype(i)::type;
    with_index(indices, [&](auto o) {
      using O = typename decltype(o)::type;
      dispatch_width(data.dtype(), [&](auto w) {
        using W = typename decltype(w)::type;
        const auto blocks = blocks_of<W, I>(in, minors);
        auto* to = reinterpret_cast<W*>(data.data<char>());
        if (along_major) cs_stack_major(blocks, to, out_ptr<O>(indices), out_ptr<O>(indptr));
        else cs_stack_minor(blocks, n_major, to, out_ptr<O>(indices), out_ptr<O>(indptr));
      });
    });
  });
  return {data, indices, indptr};
}

Compressed band_host(const Compressed& given, int64_t low, int64_t high, int64_t limit) {
  auto in = ready(given);
  const size_t n_major = in.indptr.size() - 1;
  auto indptr = fresh(in.indptr.shape(), in.indptr.dtype());
  return with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    cs_count_band(n_major, ptr<I>(in.indptr), ptr<I>(in.indices), low, high, limit, out_ptr<I>(indptr));
    const size_t n = static_cast<size_t>(ptr<I>(indptr)[n_major]);
    auto indices = entries(n, in.indices.dtype()), data = entries(n, in.data.dtype());
    dispatch_width(data.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      cs_band(n_major, ptr<I>(in.indptr), ptr<I>(in.indices), reinterpret_cast<const W*>(in.data.data<char>()), low, high,
              limit, ptr<I>(indptr), out_ptr<I>(indices), reinterpret_cast<W*>(data.data<char>()));
    });
    return Compressed{data, indices, indptr};
  });
}

Compressed from_diagonals_host(const std::vector<mx::array>& given, const std::vector<int64_t>& offsets, int64_t n_major,
                               int64_t n_minor, bool wide) {
  if (given.empty() || given.size() != offsets.size()) throw std::invalid_argument("one offset per diagonal");
  std::vector<mx::array> in;
  std::vector<int64_t> first, count;
  size_t nnz = 0;
  for (size_t d = 0; d < given.size(); ++d) {
    const int64_t k = offsets[d], from = std::max<int64_t>(-k, 0);
    count.push_back(std::max<int64_t>(0, std::min(n_major - from, n_minor - std::max<int64_t>(k, 0))));
    first.push_back(from);
    in.push_back(host_ready(given[d]));
    if (in[d].dtype() != in[0].dtype() || (in[d].size() != 1 && static_cast<int64_t>(in[d].size()) < count[d])) {
      throw std::invalid_argument("diagonals of one dtype, each long enough or of length 1");
    }
    nnz += static_cast<size_t>(count[d]);
  }
  const auto index = wide ? mx::int64 : mx::int32;
  auto data = entries(nnz, in[0].dtype()), indices = entries(nnz, index);
  auto indptr = entries(static_cast<size_t>(n_major) + 1, index);
  with_index(indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_width(data.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      std::vector<Diagonal<W>> diagonals;
      for (size_t d = 0; d < in.size(); ++d) {
        diagonals.push_back({reinterpret_cast<const W*>(in[d].data<char>()), in[d].size() == 1, first[d], count[d], offsets[d]});
      }
      std::sort(diagonals.begin(), diagonals.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
      cs_from_diagonals(diagonals, static_cast<size_t>(n_major), reinterpret_cast<W*>(data.data<char>()),
                        out_ptr<I>(indices), out_ptr<I>(indptr));
    });
  });
  return {data, indices, indptr};
}

// The elements (along the first axis) of arrays of one length that `mask` keeps, in order.
std::vector<mx::array> keep_host(const std::vector<mx::array>& arrays, const py::array_t<bool, py::array::c_style>& mask) {
  const auto n = static_cast<size_t>(mask.size());
  const bool* keep = mask.data();
  const auto before = kept_before(n, keep, plan_parts(4 * n));
  std::vector<mx::array> out;
  for (const auto& a : arrays) {
    if (a.ndim() == 0 || static_cast<size_t>(a.shape(0)) != n) throw std::invalid_argument("arrays and mask of one length");
    const auto in = host_ready(a);
    auto shape = in.shape();
    shape[0] = static_cast<int>(before.back());
    auto& kept = out.emplace_back(fresh(std::move(shape), in.dtype()));
    const size_t width = n ? in.nbytes() / n : 0;
    auto run = [&](auto w) {
      using W = typename decltype(w)::type;
      copy_kept<W>(n, width, keep, before, reinterpret_cast<const W*>(in.data<char>()), reinterpret_cast<W*>(kept.data<char>()));
    };
    if (width == in.itemsize()) dispatch_width(in.dtype(), run);
    else run(Tag<char>{});
  }
  return out;
}

void bind_coo(pybind11::module_& m) {
  using Trio = std::tuple<mx::array, mx::array, mx::array>;
  auto compressed = [](const Trio& t) { return Compressed{std::get<0>(t), std::get<1>(t), std::get<2>(t)}; };
  auto tuple = [](const Compressed& c) { return py::make_tuple(c.data, c.indices, c.indptr); };
  m.def("coo_reshape", &coo_reshape_host);
  m.def("keep", &keep_host);
  m.def("extent", [](const mx::array& index) {
    const auto x = host_ready(index);
    if (x.size() == 0) throw std::invalid_argument("an empty array has no extent");
    return with_index(x, [&](auto i) {
      using I = typename decltype(i)::type;
      const auto [low, high] = extent<I>(x.size(), ptr<I>(x));
      return std::pair<int64_t, int64_t>(low, high);
    });
  });
  m.def("stack", [=](const std::vector<Trio>& blocks, const std::vector<int64_t>& minors, bool along_major, bool wide) {
    std::vector<Compressed> in;
    for (const auto& b : blocks) in.push_back(compressed(b));
    return tuple(stack_host(in, minors, along_major, wide));
  });
  m.def("band", [=](const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t low, int64_t high,
                    int64_t limit) { return tuple(band_host({data, indices, indptr}, low, high, limit)); });
  m.def("from_diagonals", [=](const std::vector<mx::array>& diagonals, const std::vector<int64_t>& offsets,
                              int64_t n_major, int64_t n_minor, bool wide) {
    return tuple(from_diagonals_host(diagonals, offsets, n_major, n_minor, wide));
  });
}

} // namespace sp
