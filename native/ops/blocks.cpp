#include "ops/blocks.h"

#include <cstring>
#include <numeric>

#include "kernels/blocks.h"
#include "ops/values.h"

namespace sp {

namespace {

Output blocks_for(int n, int64_t R, int64_t C, mx::Dtype dtype) {
  return {{n, to_dim(R), to_dim(C)}, dtype};
}

// How many blocks of each block row hold an entry of a, given as its pattern.
template <class I>
Pass blocks_count(const Arrays& a, int64_t n_minor, int64_t R, int64_t C) {
  return {a, {indptr_for((a[0].size() - 1) / R, a[0].dtype())}, [=](const Arrays& in, Arrays& out) {
            cs_count_blocks(pattern_of<I>(in, n_minor), R, C, out_ptr<I>(out[0]));
          }};
}

// The blocks and, in place of their values, where each entry goes in those: (indptr, indices, positions).
template <class I>
Arrays block_positions(const Compressed& a, int64_t n_minor, int64_t R, int64_t C) {
  Pass fill{pattern(a), {{{kEntries}, a.indices.dtype()}, {a.indices.shape(), mx::int64}}, nullptr};
  fill.kernel = [=](const Arrays& in, Arrays& out) {
    auto* to = out_ptr<int64_t>(out[2]);
    const BsrPattern<I> blocks{pattern_of<I>(out, n_minor / C), static_cast<size_t>(R), static_cast<size_t>(C)};
    cs_to_blocks<I>(pattern_of<I>(in, n_minor), blocks, out_ptr<I>(out[1]),
                    [=](size_t e, size_t at) { to[e] = static_cast<int64_t>(at); });
  };
  return sized(blocks_count<I>(pattern(a), n_minor, R, C), fill);
}

} // namespace

int64_t count_blocks(const mx::array& indices, const mx::array& indptr, int64_t n_minor, int64_t R, int64_t C) {
  return with_index(indices, [&](auto i) {
    using I = typename decltype(i)::type;
    const auto counted = run(blocks_count<I>({indptr, indices}, n_minor, R, C));
    const I* lengths = ptr<I>(counted[0]);
    return std::accumulate(lengths + 1, lengths + counted[0].size(), int64_t{0});
  });
}

Compressed cs_to_blocks(const Compressed& a, int64_t n_minor, int64_t R, int64_t C) {
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    if (a.data.is_tracer()) {
      const auto found = block_positions<I>(a, n_minor, R, C);
      const int blocks = to_dim(found[1].size());
      const auto values = summed(a.data, found[2], blocks * R * C);
      return Compressed{mx::reshape(values, blocks_for(blocks, R, C, a.data.dtype()).shape), found[1], found[0]};
    }
    Pass fill{parts(a), {{{kEntries}, a.indices.dtype()}, blocks_for(kEntries, R, C, a.data.dtype())}, nullptr};
    fill.kernel = [=](const Arrays& in, Arrays& out) {
      std::memset(out[2].data<char>(), 0, out[2].nbytes());
      dispatch_unsigned(in[2].dtype(), [&](auto t) {
        using T = typename decltype(t)::type;
        const T* from = ptr<T>(in[2]);
        T* to = out_ptr<T>(out[2]);
        const auto blocks = blocks_of<T, I>(out, n_minor / C);
        cs_to_blocks<I>(pattern_of<I>(in, n_minor), blocks, out_ptr<I>(out[1]), [=](size_t e, size_t at) {
          to[at] = static_cast<T>(add(static_cast<acc_t<T>>(to[at]), static_cast<acc_t<T>>(from[e])));
        });
      });
    };
    return compressed(sized(blocks_count<I>(pattern(a), n_minor, R, C), fill));
  });
}

Compressed blocks_to_cs(const Compressed& given) {
  return moved(given, [](const Compressed& a) {
    const size_t n = a.data.size(), rows = a.n_major() * a.data.shape(1);
    return compressed(run({parts(a), room_for(rows, n, a), [&](const Arrays& in, Arrays& out) {
                             with_width(a, [&](auto i, auto w) {
                               using I = typename decltype(i)::type;
                               using W = typename decltype(w)::type;
                               bsr_to_cs(blocks_of<W, I>(in), out_of<W, I>(out));
                             });
                           }}));
  });
}

Compressed transpose_blocks(const Compressed& given, int64_t n_block_columns) {
  return moved(given, [=](const Compressed& a) {
    auto results = room_for(n_block_columns, a.indices.size(), a);
    results[2] = blocks_for(a.data.shape(0), a.data.shape(2), a.data.shape(1), a.data.dtype());
    return compressed(run({parts(a), results, [&](const Arrays& in, Arrays& out) {
                             with_width(a, [&](auto i, auto w) {
                               using I = typename decltype(i)::type;
                               using W = typename decltype(w)::type;
                               bsr_transpose(blocks_of<W, I>(in, n_block_columns), out_of<W, I>(out));
                             });
                           }}));
  });
}

namespace {

// f(op) for the element-wise operation.
template <class T, class F>
void with_block_op(MergeOp op, F&& f) {
  using A = acc_t<T>;
  switch (op) {
    case MergeOp::plus: return f([](T x, T y) { return static_cast<T>(add(static_cast<A>(x), static_cast<A>(y))); });
    case MergeOp::multiply: return f([](T x, T y) { return static_cast<T>(mul(static_cast<A>(x), static_cast<A>(y))); });
    case MergeOp::minus:
      return f([](T x, T y) {
        using U = wrapping_t<T>;
        if constexpr (std::is_same_v<T, bool>) return x != y;
        else if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<U>(x) - static_cast<U>(y));
        else return static_cast<T>(static_cast<A>(x) - static_cast<A>(y));
      });
    default: throw std::invalid_argument("blocks are added, subtracted or multiplied");
  }
}

} // namespace

std::optional<Compressed> without_zero_blocks(const Compressed& given) {
  const auto a = evaluated(given);
  return with_width(a, [&](auto i, auto w) -> std::optional<Compressed> {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const auto nonzero = nonzero_of<W>(a.data.dtype());
    if (bsr_all_nonzero(blocks_of<W, I>(parts(a)), nonzero)) return std::nullopt;
    const Pass count{parts(a), {indptr_for(a.n_major(), a.indptr.dtype())}, [=](const Arrays& in, Arrays& out) {
                       bsr_nonzero_count(blocks_of<W, I>(in), nonzero, out_ptr<I>(out[0]));
                     }};
    const auto values = blocks_for(kEntries, a.data.shape(1), a.data.shape(2), a.data.dtype());
    const Pass fill{parts(a), {{{kEntries}, a.indices.dtype()}, values}, [=](const Arrays& in, Arrays& out) {
                      bsr_nonzero(blocks_of<W, I>(in), nonzero, out_of<W, I>(out));
                    }};
    return compressed(sized(count, fill));
  });
}

Compressed merge_blocks(MergeOp op, const Compressed& a, const Compressed& b) {
  if (a.data.is_tracer() || b.data.is_tracer()) return merge_traced(op, a, b);
  const bool both = op == MergeOp::multiply;
  const int64_t R = a.data.shape(1), C = a.data.shape(2);
  const Pass count{joined(pattern(a), pattern(b)), {indptr_for(a.n_major(), a.indptr.dtype())},
                   [&](const Arrays& in, Arrays& out) {
                     with_index(a.indices, [&](auto i) {
                       using I = typename decltype(i)::type;
                       bsr_merge_count(pattern_of<I>(in), pattern_of<I>(in, 0, 2), both, out_ptr<I>(out[0]));
                     });
                   }};
  const Output values = blocks_for(kEntries, R, C, a.data.dtype());
  Pass fill{joined(parts(a), parts(b)), {{{kEntries}, a.indices.dtype()}, values}, nullptr};
  bool zeros = false;
  fill.kernel = [&](const Arrays& in, Arrays& out) {
    with_unsigned(a, [&](auto i, auto t) {
      using I = typename decltype(i)::type;
      using T = typename decltype(t)::type;
      with_block_op<T>(op, [&](auto combine) {
        auto pass = [&]<size_t area>() {
          const auto left = blocks_of<T, I>(in), right = blocks_of<T, I>(in, 0, 3);
          zeros = bsr_merge<area>(left, right, both, out_of<T, I>(out), combine) < out[1].size();
        };
        if constexpr (has_small_blocks<T, I>) {
          switch (R * C) {
            case 4: return pass.template operator()<4>();
            case 9: return pass.template operator()<9>();
            case 16: return pass.template operator()<16>();
            default: break;
          }
        }
        pass.template operator()<0>();
      });
    });
  };
  auto merged = compressed(sized(count, fill));
  return zeros ? without_zero_blocks(merged).value_or(merged) : merged;
}

Compressed matmul_blocks(const Compressed& a, const Compressed& b, int64_t n_block_columns) {
  const int64_t R = a.data.shape(1), n = a.data.shape(2), C = b.data.shape(2);
  const Pass count{joined(pattern(a), pattern(b)), {indptr_for(a.n_major(), a.indptr.dtype())},
                   [&](const Arrays& in, Arrays& out) {
                     with_index(a.indices, [&](auto i) {
                       using I = typename decltype(i)::type;
                       bsr_matmul_count(pattern_of<I>(in), pattern_of<I>(in, n_block_columns, 2), out_ptr<I>(out[0]));
                     });
                   }};
  const Output values = blocks_for(kEntries, R, C, a.data.dtype());
  Pass fill{joined(parts(a), parts(b)), {{{kEntries}, a.indices.dtype()}, values}, nullptr};
  fill.kernel = [&](const Arrays& in, Arrays& out) {
    with_unsigned(a, [&](auto i, auto t) {
      using I = typename decltype(i)::type;
      using T = typename decltype(t)::type;
      const auto left = blocks_of<T, I>(in);
      const auto right = blocks_of<T, I>(in, n_block_columns, 3);
      bsr_matmul_structure<I>(left, right, ptr<I>(out[0]), out_ptr<I>(out[1]));
      auto pass = [&]<int s>() { bsr_matmul_values<s, s, s>(left, right, out_of<T, I>(out)); };
      if constexpr (has_small_blocks<T, I>) {
        switch (R == n && n == C ? R : 0) {
          case 2: return pass.template operator()<2>();
          case 3: return pass.template operator()<3>();
          case 4: return pass.template operator()<4>();
          case 6: return pass.template operator()<6>();
          default: break;
        }
      }
      pass.template operator()<0>();
    });
  };
  return compressed(sized(count, fill));
}

namespace {

// The rows that each diagonal of a has in the array, by ascending offset.
template <class T, class I>
std::vector<DiagonalRows<T>> rows_by_offset(DiaView<T, I> a) {
  std::vector<size_t> order(a.n_diagonals);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [=](size_t x, size_t y) { return a.offsets[x] < a.offsets[y]; });
  std::vector<DiagonalRows<T>> rows;
  for (size_t d : order) {
    const int64_t k = static_cast<int64_t>(a.offsets[d]), lo = std::max<int64_t>(0, -k);
    const int64_t hi = std::min(a.n_major, std::min(a.n_minor, a.length) - k);
    if (lo < hi) rows.push_back({a.data + static_cast<int64_t>(d) * a.length + k, k, lo, hi});
  }
  return rows;
}

// Offsets and data at element `at` of a list.
template <class T, class I>
DiaView<T, I> diagonals_of(const Arrays& in, const Diagonals& a, size_t at) {
  const auto &offsets = in[at], &data = in[at + 1];
  return {{a.n_rows, a.n_columns, data.shape(1), offsets.size(), ptr<I>(offsets)}, ptr<T>(data)};
}

} // namespace

Compressed dia_to_cs(const Diagonals& a) {
  return with_width({a.data, a.offsets, a.offsets}, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const Arrays operands{a.offsets, a.data};
    const auto nonzero = nonzero_of<W>(a.data.dtype());
    const Pass count{operands, {indptr_for(a.n_rows, a.offsets.dtype())}, [=](const Arrays& in, Arrays& out) {
                       dia_count(a.n_rows, rows_by_offset(diagonals_of<W, I>(in, a, 0)), nonzero, out_ptr<I>(out[0]));
                     }};
    const std::vector<Output> entries{{{kEntries}, a.offsets.dtype()}, {{kEntries}, a.data.dtype()}};
    const Pass fill{operands, entries, [=](const Arrays& in, Arrays& out) {
                      dia_to_cs(a.n_rows, rows_by_offset(diagonals_of<W, I>(in, a, 0)), nonzero, out_of<W, I>(out));
                    }};
    return compressed(sized(count, fill));
  });
}

mx::array matmul_diagonals(const Diagonals& a, const Diagonals& b, const mx::array& offsets, int64_t length) {
  const Output values{to_shape({static_cast<int64_t>(offsets.size()), length}, a.data.dtype()), a.data.dtype()};
  return run({{a.offsets, a.data, b.offsets, b.data, offsets}, {values}, [&](const Arrays& in, Arrays& out) {
                with_unsigned({a.data, offsets, offsets}, [&](auto i, auto t) {
                  using I = typename decltype(i)::type;
                  using T = typename decltype(t)::type;
                  const DiaPattern<I> product{a.n_rows, b.n_columns, length, in[4].size(), ptr<I>(in[4])};
                  const auto left = diagonals_of<T, I>(in, a, 0), right = diagonals_of<T, I>(in, b, 2);
                  dia_matmul_values(left, right, product, out_ptr<T>(out[0]));
                });
              }})[0];
}

} // namespace sp
