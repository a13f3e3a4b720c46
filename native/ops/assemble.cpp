#include "ops/assemble.h"

#include "kernels/assemble.h"
#include "kernels/coo_axes.h"
#include "kernels/fromdense.h"
#include "ops/filter.h"
#include "ops/values.h"

namespace sp {

namespace {

mx::Dtype index_dtype(bool wide) { return wide ? mx::int64 : mx::int32; }

#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("O3"))) // which makes vectors of it
#endif
void add_to_each(size_t n, auto x, const decltype(x)* y, decltype(x)* out) {
  for (size_t k = 0; k < n; ++k) out[k] = x + y[k];
}

} // namespace

Arrays coo_reshape(const Arrays& coords, const std::vector<int64_t>& strides, const std::vector<int64_t>& dims,
                   int64_t total, bool wide) {
  if (coords.empty() || coords.size() != strides.size()) throw std::invalid_argument("one stride per coordinate array");
  for (const auto& c : coords) {
    if (c.dtype() != coords[0].dtype() || c.size() != coords[0].size()) {
      throw std::invalid_argument("coordinate arrays of one length and dtype");
    }
  }
  const size_t nnz = coords[0].size();
  const std::vector<Output> results(std::max<size_t>(dims.size(), 1), room_for(nnz, index_dtype(wide)));
  constexpr int64_t kExactInDouble = int64_t{1} << 52;
  return run({coords, results, [&](const Arrays& in, Arrays& out) {
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
              }});
}

mx::array pair_sums(const mx::array& x, int64_t scale, const mx::array& y) {
  if (x.dtype() != y.dtype()) throw std::invalid_argument("x and y of one dtype");
  const size_t m = x.size(), n = y.size();
  return run({{x, y}, {room_for(m * n, x.dtype())}, [&](const Arrays& in, Arrays& out) {
                with_index(in[0], [&](auto i) {
                  using I = typename decltype(i)::type;
                  const I *left = ptr<I>(in[0]), *right = ptr<I>(in[1]);
                  I* to = out_ptr<I>(out[0]);
                  parallel_for(m, plan_parts(m * n / 8), [&](size_t lo, size_t hi) {
                    for (size_t k = lo; k < hi; ++k) add_to_each(n, static_cast<I>(left[k] * scale), right, to + k * n);
                  });
                });
              }})[0];
}

Arrays keep(const Arrays& arrays, Mask mask) {
  const size_t n = mask.n;
  const bool* kept = mask.keep;
  const auto before = counted_before(n, plan_parts(4 * n), [=](size_t lo, size_t hi) {
    return static_cast<size_t>(std::count(kept + lo, kept + hi, true));
  });
  auto of = [=](size_t e) { return kept[e]; };
  auto one = [&](const mx::array& a) {
    if (a.ndim() == 0 || static_cast<size_t>(a.shape(0)) != n) {
      throw std::invalid_argument("arrays and mask of one length");
    }
    auto shape = a.shape();
    shape[0] = to_dim(before.back());
    return run({{a}, {{shape, a.dtype()}}, [&](const Arrays& in, Arrays& out) {
                  const size_t width = n ? in[0].nbytes() / n : 0;
                  if (width != in[0].itemsize()) {
                    return compact_rows(n, before, of, width, ptr<char>(in[0]), out_ptr<char>(out[0]));
                  }
                  dispatch_width(in[0].dtype(), [&](auto w) {
                    using W = typename decltype(w)::type;
                    compact(n, before, of, ptr<W>(in[0]), out_ptr<W>(out[0]));
                  });
                }})[0];
  };
  Arrays out;
  for (const auto& a : arrays) {
    out.push_back(a.is_tracer() ? mx::take(a, one(positions_of({to_dim(n)})), 0) : one(a));
  }
  return out;
}

std::pair<int64_t, int64_t> extent(const mx::array& index) {
  if (index.size() == 0) throw std::invalid_argument("an empty array has no extent");
  const auto x = evaluated(index);
  return with_index(x, [&](auto i) {
    using I = typename decltype(i)::type;
    const auto [low, high] = extent<I>(x.size(), ptr<I>(x));
    return std::pair<int64_t, int64_t>(low, high);
  });
}

Compressed stack(const std::vector<Compressed>& blocks, const std::vector<int64_t>& minors, bool along_major, bool wide) {
  if (blocks.empty() || blocks.size() != minors.size()) throw std::invalid_argument("one minor length per block");
  const auto& first = blocks[0];
  Arrays operands;
  size_t nnz = 0, n_major = along_major ? 0 : first.n_major();
  for (const auto& c : blocks) {
    if (c.data.dtype() != first.data.dtype() || c.indices.dtype() != first.indices.dtype() ||
        c.indptr.dtype() != first.indices.dtype() || (!along_major && c.n_major() != n_major)) {
      throw std::invalid_argument("blocks of one dtype, one index dtype and fitting shapes");
    }
    operands = joined(std::move(operands), parts(c));
    nnz += c.indices.size();
    if (along_major) n_major += c.n_major();
  }
  const auto index = index_dtype(wide);
  return compressed(run({operands, {indptr_for(n_major, index), room_for(nnz, index), room_for(nnz, first.data.dtype())},
                         [&](const Arrays& in, Arrays& out) {
                           with_width(first, [&](auto i, auto w) {
                             with_index(out[0], [&](auto o) {
                               using I = typename decltype(i)::type;
                               using W = typename decltype(w)::type;
                               using O = typename decltype(o)::type;
                               std::vector<CsView<W, I>> views;
                               for (size_t b = 0; b < minors.size(); ++b) {
                                 views.push_back(view_of<W, I>(in, minors[b], 3 * b));
                               }
                               if (along_major) cs_stack_major(views, out_of<W, O>(out));
                               else cs_stack_minor(views, out_of<W, O>(out));
                             });
                           });
                         }}));
}

Compressed band(const Compressed& given, int64_t low, int64_t high, int64_t limit) {
  return moved(given, [=](const Compressed& a) {
    return with_width(a, [&](auto i, auto w) {
      using I = typename decltype(i)::type;
      using W = typename decltype(w)::type;
      return filtered<W, I>(a, {}, [=](const Arrays& in) { return BandEntries<I>{ptr<I>(in[1]), low, high, limit}; });
    });
  });
}

Compressed from_diagonals(const Arrays& diagonals, const std::vector<int64_t>& offsets, int64_t n_major, int64_t n_minor,
                          bool wide) {
  if (diagonals.empty() || diagonals.size() != offsets.size()) throw std::invalid_argument("one offset per diagonal");
  std::vector<int64_t> first, count;
  size_t nnz = 0;
  const auto dtype = diagonals[0].dtype();
  for (size_t d = 0; d < diagonals.size(); ++d) {
    const int64_t k = offsets[d], from = std::max<int64_t>(-k, 0);
    count.push_back(std::max<int64_t>(0, std::min(n_major - from, n_minor - std::max<int64_t>(k, 0))));
    first.push_back(from);
    const auto& x = diagonals[d];
    if (x.dtype() != dtype || (x.size() != 1 && static_cast<int64_t>(x.size()) < count[d])) {
      throw std::invalid_argument("diagonals of one dtype, each long enough or of length 1");
    }
    nnz += static_cast<size_t>(count[d]);
  }
  const auto index = index_dtype(wide);
  return compressed(run({diagonals, {indptr_for(n_major, index), room_for(nnz, index), room_for(nnz, dtype)},
                         [&](const Arrays& in, Arrays& out) {
                           with_index(out[0], [&](auto i) {
                             dispatch_width(dtype, [&](auto w) {
                               using I = typename decltype(i)::type;
                               using W = typename decltype(w)::type;
                               std::vector<Diagonal<W>> views;
                               for (size_t d = 0; d < in.size(); ++d) {
                                 views.push_back({ptr<W>(in[d]), in[d].size() == 1, first[d], count[d], offsets[d]});
                               }
                               std::sort(views.begin(), views.end(), [](auto& a, auto& b) { return a.offset < b.offset; });
                               cs_from_diagonals(views, static_cast<size_t>(n_major), out_of<W, I>(out));
                             });
                           });
                         }}));
}

Compressed fromdense(const Dense& x, bool by_rows, bool wide) {
  const size_t n_major = by_rows ? x.n_rows : x.n_columns, n_minor = by_rows ? x.n_columns : x.n_rows;
  const int64_t major = by_rows ? x.row_step : x.column_step, minor = by_rows ? x.column_step : x.row_step;
  const auto index = index_dtype(wide);
  return dispatch_index(index, [&](auto i) {
    return dispatch_width(x.dtype, [&](auto w) {
      using I = typename decltype(i)::type;
      using W = typename decltype(w)::type;
      const DenseView<W> dense{n_major, n_minor, static_cast<const W*>(x.data), major, minor};
      const auto nonzero = nonzero_of<W>(x.dtype);
      const Pass count{{}, {indptr_for(n_major, index)}, [=](const Arrays&, Arrays& out) {
                         cs_count_dense(dense, nonzero, out_ptr<I>(out[0]));
                       }};
      const Pass fill{{}, {{{kEntries}, index}, {{kEntries}, x.dtype}}, [=](const Arrays&, Arrays& out) {
                        cs_fromdense(dense, nonzero, out_of<W, I>(out));
                      }};
      return compressed(sized(count, fill));
    });
  });
}

} // namespace sp
