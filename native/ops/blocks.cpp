#include "ops/blocks.h"

#include <numeric>
#include <optional>

#include "ops/evaluated.h"
#include "kernels/blocks.h"
#include "bind/mlx_array.h"

namespace sp {

namespace {

py::tuple as_tuple(const Compressed& c) { return py::make_tuple(c.data, c.indices, c.indptr); }

mx::array indptr_of(size_t n, mx::Dtype dtype) { return fresh({static_cast<int>(n + 1)}, dtype); }

mx::array blocks_of(size_t n, size_t R, size_t C, mx::Dtype dtype) {
  if (n * R * C > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw std::overflow_error("the result would have " + std::to_string(n * R * C) + " entries; an array holds at most 2**31 - 1");
  }
  return fresh({static_cast<int>(n), static_cast<int>(R), static_cast<int>(C)}, dtype);
}

int64_t count_blocks(const mx::array& indices, const mx::array& indptr, int64_t n_minor, int64_t R, int64_t C) {
  auto x = host_ready(indices), p = host_ready(indptr);
  const size_t n_major = p.size() - 1;
  auto counts = indptr_of(n_major / R, p.dtype());
  return with_index(x, [&](auto i) {
    using I = typename decltype(i)::type;
    return static_cast<int64_t>(cs_count_blocks<I>(n_major, n_minor, R, C, ptr<I>(p), ptr<I>(x), out_ptr<I>(counts)));
  });
}

// (values or positions, indices, indptr): without data, where each entry goes in the flat values of the blocks.
Compressed compressed_to_blocks(const mx::array* data, const mx::array& indices, const mx::array& indptr, int64_t n_minor,
                                int64_t R, int64_t C) {
  auto x = host_ready(indices), p = host_ready(indptr);
  const size_t n_major = p.size() - 1;
  auto out_indptr = indptr_of(n_major / R, p.dtype());
  return with_index(x, [&](auto i) {
    using I = typename decltype(i)::type;
    const size_t n = cs_count_blocks<I>(n_major, n_minor, R, C, ptr<I>(p), ptr<I>(x), out_ptr<I>(out_indptr));
    auto out_indices = entries(n, x.dtype());
    auto run = [&](auto&& place) {
      cs_to_blocks<I>(n_major, n_minor, R, C, ptr<I>(p), ptr<I>(x), out_ptr<I>(out_indptr), out_ptr<I>(out_indices), place);
    };
    if (!data) {
      auto position = entries(x.size(), mx::int64);
      auto* to = position.data<int64_t>();
      run([=](size_t e, size_t at) { to[e] = static_cast<int64_t>(at); });
      return Compressed{position, out_indices, out_indptr};
    }
    auto values = host_ready(*data);
    auto out = blocks_of(n, R, C, values.dtype());
    std::memset(out.data<char>(), 0, out.nbytes());
    dispatch_unsigned(values.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      const T* from = values.data<T>();
      T* to = out.data<T>();
      run([=](size_t e, size_t at) { to[at] = static_cast<T>(add(static_cast<acc_t<T>>(to[at]), static_cast<acc_t<T>>(from[e]))); });
    });
    return Compressed{out, out_indices, out_indptr};
  });
}

Compressed blocks_to_compressed(const mx::array& data, const mx::array& indices, const mx::array& indptr) {
  auto in = ready({data, indices, indptr});
  const size_t n = in.indptr.size() - 1, R = in.data.shape(1), C = in.data.shape(2);
  auto out_data = entries(in.data.size(), in.data.dtype()), out_indices = entries(in.data.size(), in.indices.dtype());
  auto out_indptr = indptr_of(n * R, in.indptr.dtype());
  with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_width(in.data.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      blocks_to_cs<W, I>(n, R, C, ptr<I>(in.indptr), ptr<I>(in.indices), reinterpret_cast<const W*>(in.data.data<char>()),
                         out_ptr<I>(out_indptr), out_ptr<I>(out_indices), reinterpret_cast<W*>(out_data.data<char>()));
    });
  });
  return {out_data, out_indices, out_indptr};
}

Compressed transpose_blocks_host(const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_bcols) {
  auto in = ready({data, indices, indptr});
  const size_t rows = in.indptr.size() - 1, R = in.data.shape(1), C = in.data.shape(2), n = in.data.shape(0);
  auto out = blocks_of(n, C, R, in.data.dtype()), out_indices = entries(n, in.indices.dtype());
  auto out_indptr = indptr_of(static_cast<size_t>(n_bcols), in.indptr.dtype());
  with_index(in.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_width(in.data.dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      transpose_blocks<W, I>(rows, n_bcols, R, C, ptr<I>(in.indptr), ptr<I>(in.indices),
                             reinterpret_cast<const W*>(in.data.data<char>()), out_ptr<I>(out_indptr),
                             out_ptr<I>(out_indices), reinterpret_cast<W*>(out.data<char>()));
    });
  });
  return {out, out_indices, out_indptr};
}

Compressed diagonals_to_compressed(const mx::array& data_, const mx::array& offsets_, int64_t M, int64_t N) {
  auto data = host_ready(data_), offsets = host_ready(offsets_);
  const size_t n = offsets.size();
  const int64_t L = data.shape(1);
  auto indptr = indptr_of(static_cast<size_t>(M), offsets.dtype());
  return with_index(offsets, [&](auto i) {
    using I = typename decltype(i)::type;
    const I* at = ptr<I>(offsets);
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [=](size_t a, size_t b) { return at[a] < at[b]; });
    return dispatch_value(data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      std::vector<DiagonalRows<T>> rows;
      for (size_t d : order) {
        const int64_t k = static_cast<int64_t>(at[d]), lo = std::max<int64_t>(0, -k), hi = std::min(M, std::min(N, L) - k);
        if (lo < hi) rows.push_back({data.data<T>() + static_cast<int64_t>(d) * L + k, k, lo, hi});
      }
      dia_count<T, I>(M, rows, out_ptr<I>(indptr));
      const size_t nnz = lengths_to_indptr<I>(static_cast<size_t>(M), out_ptr<I>(indptr));
      auto indices = entries(nnz, offsets.dtype()), values = entries(nnz, data.dtype());
      dia_to_cs<T, I>(M, rows, out_ptr<I>(indptr), out_ptr<I>(indices), values.template data<T>());
      return Compressed{values, indices, indptr};
    });
  });
}

// a (M x K) times b (K x N) by diagonals: the values at `offsets`, which ascend, for columns below `length`.
mx::array matmul_diagonals(const mx::array& a_, const mx::array& ka_, const mx::array& b_, const mx::array& kb_,
                           const mx::array& offsets_, int64_t M, int64_t K, int64_t N, int64_t length) {
  auto a = host_ready(a_), ka = host_ready(ka_), b = host_ready(b_), kb = host_ready(kb_), k = host_ready(offsets_);
  auto out = fresh({static_cast<int>(k.size()), static_cast<int>(length)}, a.dtype());
  with_index(ka, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_unsigned(a.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      dia_matmul_values<T, I>(M, K, N, length, ka.size(), a.shape(1), ptr<I>(ka), a.data<T>(), kb.size(), b.shape(1),
                              ptr<I>(kb), b.data<T>(), k.size(), ptr<I>(k), out.data<T>());
    });
  });
  return out;
}

// f(op) for the element-wise operation of that name.
template <class T, class F>
void with_block_op(const std::string& name, F&& f) {
  using A = acc_t<T>;
  if (name == "plus") return f([](T x, T y) { return static_cast<T>(add(static_cast<A>(x), static_cast<A>(y))); });
  if (name == "multiply") return f([](T x, T y) { return static_cast<T>(mul(static_cast<A>(x), static_cast<A>(y))); });
  f([](T x, T y) {
    if constexpr (std::is_same_v<T, bool>) return x != y;
    else if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<wrapping_t<T>>(x) - static_cast<wrapping_t<T>>(y));
    else return static_cast<T>(static_cast<A>(x) - static_cast<A>(y));
  });
}

// Element-wise sum, difference or product of canonical block arrays; and whether some block of it is all zeros.
std::pair<Compressed, bool> merge_blocks(const std::string& name, const Compressed& a_lazy, const Compressed& b_lazy) {
  auto a = ready(a_lazy), b = ready(b_lazy);
  const size_t rows = a.indptr.size() - 1, R = a.data.shape(1), C = a.data.shape(2);
  auto indptr = indptr_of(rows, a.indptr.dtype());
  std::optional<Compressed> result;
  bool zeros = false;
  with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    dispatch_unsigned(a.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      with_block_op<T>(name, [&](auto op) {
        auto pass = [&]<size_t area>(I* indices, T* out) {
          return bsr_merge<area, T, I>(rows, R * C, name == "multiply", ptr<I>(a.indptr), ptr<I>(a.indices), a.data.data<T>(),
                                       ptr<I>(b.indptr), ptr<I>(b.indices), b.data.data<T>(), out_ptr<I>(indptr), indices, out, op);
        };
        const size_t n = pass.template operator()<0>(nullptr, nullptr);
        auto indices = entries(n, a.indices.dtype()), data = blocks_of(n, R, C, a.data.dtype());
        auto fill = [&]<size_t area>() { return pass.template operator()<area>(out_ptr<I>(indices), data.template data<T>()); };
        bool known = is_field_v<T>;
        if constexpr (is_field_v<T>) {
          if (R * C == 4) zeros = fill.template operator()<4>() < n;
          else if (R * C == 9) zeros = fill.template operator()<9>() < n;
          else if (R * C == 16) zeros = fill.template operator()<16>() < n;
          else known = false;
        }
        if (!known) zeros = fill.template operator()<0>() < n;
        result = Compressed{data, indices, indptr};
      });
    });
  });
  return {*result, zeros};
}

Compressed matmul_blocks(const Compressed& a_lazy, const Compressed& b_lazy, int64_t n_bcols) {
  auto a = ready(a_lazy), b = ready(b_lazy);
  const size_t rows = a.indptr.size() - 1, R = a.data.shape(1), n = a.data.shape(2), C = b.data.shape(2);
  auto indptr = indptr_of(rows, a.indptr.dtype());
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    const I *ap = ptr<I>(a.indptr), *ai = ptr<I>(a.indices), *bp = ptr<I>(b.indptr), *bi = ptr<I>(b.indices);
    const size_t blocks = bsr_matmul_structure<I>(rows, n_bcols, ap, ai, bp, bi, out_ptr<I>(indptr), nullptr);
    auto indices = entries(blocks, a.indices.dtype());
    bsr_matmul_structure<I>(rows, n_bcols, ap, ai, bp, bi, out_ptr<I>(indptr), out_ptr<I>(indices));
    auto data = blocks_of(blocks, R, C, a.data.dtype());
    dispatch_unsigned(a.data.dtype(), [&](auto t) {
      using T = typename decltype(t)::type;
      auto run = [&]<int s>() {
        bsr_matmul_values<s, s, s, T, I>(rows, n_bcols, R, n, C, ap, ai, a.data.data<T>(), bp, bi, b.data.data<T>(),
                                         ptr<I>(indptr), ptr<I>(indices), data.data<T>());
      };
      bool done = false;
      if constexpr (is_field_v<T>) {
        const size_t size = R == n && n == C ? R : 0;
        done = true;
        if (size == 2) run.template operator()<2>();
        else if (size == 3) run.template operator()<3>();
        else if (size == 4) run.template operator()<4>();
        else if (size == 6) run.template operator()<6>();
        else done = false;
      }
      if (!done) run.template operator()<0>();
    });
    return Compressed{data, indices, indptr};
  });
}

} // namespace

void bind_blocks(py::module_& m) {
  m.def("count_blocks", &count_blocks);
  m.def("cs_to_blocks", [](const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_minor,
                           int64_t R, int64_t C) {
    return as_tuple(compressed_to_blocks(&data, indices, indptr, n_minor, R, C));
  });
  m.def("block_positions", [](const mx::array& indices, const mx::array& indptr, int64_t n_minor, int64_t R, int64_t C) {
    return as_tuple(compressed_to_blocks(nullptr, indices, indptr, n_minor, R, C));
  });
  m.def("blocks_to_cs", [](const mx::array& data, const mx::array& indices, const mx::array& indptr) {
    return as_tuple(blocks_to_compressed(data, indices, indptr));
  });
  m.def("transpose_blocks", [](const mx::array& data, const mx::array& indices, const mx::array& indptr, int64_t n_bcols) {
    return as_tuple(transpose_blocks_host(data, indices, indptr, n_bcols));
  });
  m.def("dia_to_cs", [](const mx::array& data, const mx::array& offsets, int64_t M, int64_t N) {
    return as_tuple(diagonals_to_compressed(data, offsets, M, N));
  });
  m.def("matmul_diagonals", &matmul_diagonals);
  m.def("merge_blocks", [](const std::string& op, const mx::array& ad, const mx::array& ai, const mx::array& ap,
                           const mx::array& bd, const mx::array& bi, const mx::array& bp) {
    auto [merged, zeros] = merge_blocks(op, {ad, ai, ap}, {bd, bi, bp});
    return py::make_tuple(merged.data, merged.indices, merged.indptr, zeros);
  });
  m.def("matmul_blocks", [](const mx::array& ad, const mx::array& ai, const mx::array& ap, const mx::array& bd,
                            const mx::array& bi, const mx::array& bp, int64_t n_bcols) {
    return as_tuple(matmul_blocks({ad, ai, ap}, {bd, bi, bp}, n_bcols));
  });
}

} // namespace sp
