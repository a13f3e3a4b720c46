#include "ops/merge.h"

#include <array>
#include <optional>

#include "kernels/convert.h"
#include "kernels/merge_pieces.h"
#include "ops/on_device.h"
#include "ops/values.h"

namespace sp {

namespace {

mx::array copy_of(const mx::array& a) {
  return with_index(a, [&](auto i) {
    using I = typename decltype(i)::type;
    return run({{a}, {{a.shape(), a.dtype()}}, [](const Arrays& in, Arrays& out) {
                  copy_values<I>(in[0].size(), ptr<I>(in[0]), out_ptr<I>(out[0]));
                }})[0];
  });
}

// The number of entries of two arrays of one structure; none of others.
template <class I>
std::optional<size_t> same_structure(const Compressed& a, const Compressed& b) {
  const auto in = evaluated(joined(pattern(a), pattern(b)));
  const auto x = pattern_of<I>(in), y = pattern_of<I>(in, 0, 2);
  if (!cs_same_structure(x, y)) return std::nullopt;
  return x.nnz();
}

// Whether there are zeros among the first results on one structure: then the values alone are no result.
template <MergeOp op, class T>
bool cancels(const mx::array& a, const mx::array& b, size_t n) {
  std::array<T, 1024> values;
  const auto in = evaluated(Arrays{a, b});
  return merge_both<op>(std::min(n, values.size()), ptr<T>(in[0]), ptr<T>(in[1]), values.data()) != 0;
}

// Sums and differences of the usual value types in one pass; none of one structure where there are zeros among them.
template <MergeOp op, class T, class I>
std::optional<Compressed> merge_at_once(const Compressed& a, const Compressed& b) {
  if (const auto same = same_structure<I>(a, b)) {
    const size_t n = *same;
    if (cancels<op, T>(a.data, b.data, n)) return std::nullopt;
    size_t zeros = 0;
    const auto values = run({{a.data, b.data}, {room_for(n, a.data.dtype())}, [&](const Arrays& in, Arrays& out) {
                               zeros = merge_same<op, T>(n, ptr<T>(in[0]), ptr<T>(in[1]), out_ptr<T>(out[0]));
                             }});
    if (zeros) return std::nullopt;
    return Compressed{values[0], first_entries(copy_of(a.indices), n), copy_of(a.indptr)};
  }
  const size_t room = a.indices.size() + b.indices.size();
  return compressed(cut(run({joined(parts(a), parts(b)),
                             room_for(a.n_major(), room, a), [](const Arrays& in, Arrays& out) {
                               cs_merge<op>(view_of<T, I>(in), view_of<T, I>(in, 0, 3), out_of<T, I>(out));
                             }})));
}

template <class T, class I>
std::optional<Compressed> merge_at_once(MergeOp op, const Compressed& a, const Compressed& b) {
  return op == MergeOp::plus ? merge_at_once<MergeOp::plus, T, I>(a, b) : merge_at_once<MergeOp::minus, T, I>(a, b);
}

// (indptr, indices, tags) of the union.
template <class I>
Arrays union_of(const Compressed& a, const Compressed& b) {
  const size_t room = a.indices.size() + b.indices.size();
  return cut(run({joined(pattern(a), pattern(b)),
                  {indptr_for(a.n_major(), a.indptr.dtype()), room_for(room, a.indices.dtype()), room_for(room, mx::uint8)},
                  [](const Arrays& in, Arrays& out) {
                    auto* tags = out_ptr<uint8_t>(out[2]);
                    cs_union(pattern_of<I>(in), pattern_of<I>(in, 0, 2), out_ptr<I>(out[0]), out_ptr<I>(out[1]), tags);
                  }}));
}

// What is not marked as zero of arrays over the entries of a union, its indptr first.
template <class I>
Arrays without_marked(Arrays entries, const mx::array& marks) {
  const size_t n = marks.size();
  const auto* tags = ptr<uint8_t>(marks);
  const auto before = unmarked_before(n, tags);
  cs_union_drop<I>(entries[0].size() - 1, tags, ptr<I>(entries[0]), out_ptr<I>(entries[0]));
  for (size_t k = 1; k < entries.size(); ++k) {
    entries[k] = dispatch_width(entries[k].dtype(), [&](auto w) {
      using W = typename decltype(w)::type;
      return run({{entries[k]}, {room_for(before.back(), entries[k].dtype())}, [&](const Arrays& in, Arrays& out) {
                    compact(n, before, [=](size_t e) { return !(tags[e] & kZero); }, ptr<W>(in[0]), out_ptr<W>(out[0]));
                  }})[0];
    });
  }
  return entries;
}

// Results in memory of their own size where they fill little of a room that they were cut from.
Arrays fitted(Arrays results, size_t room) {
  if (results[1].size() > room / 4) return results;
  for (size_t r = 1; r < results.size(); ++r) {
    results[r] = run({{results[r]}, {{results[r].shape(), results[r].dtype()}}, [](const Arrays& in, Arrays& out) {
                        std::memcpy(out_ptr<char>(out[0]), ptr<char>(in[0]), in[0].nbytes());
                      }})[0];
  }
  return results;
}

} // namespace

Compressed merge_traced(MergeOp op, const Compressed& a, const Compressed& b) {
  if (is_comparison(op)) throw std::invalid_argument("comparisons have no derivative");
  const auto s = mx::default_stream(mx::default_device());
  const int nnz_a = a.data.shape(0), nnz_b = b.data.shape(0);
  return with_index(a.indices, [&](auto i) {
    using I = typename decltype(i)::type;
    if (nnz_a == nnz_b && same_structure<I>(a, b)) return Compressed{combined(op, a.data, b.data, s), a.indices, a.indptr};
    auto found = union_of<I>(a, b);
    auto tags = found.back();
    found.pop_back();
    const auto places = run({{tags}, {{tags.shape(), found[1].dtype()}, {tags.shape(), found[1].dtype()}},
                             [=](const Arrays& in, Arrays& out) {
                               const auto* from = ptr<uint8_t>(in[0]);
                               union_places<I>(in[0].size(), from, nnz_a, nnz_b, out_ptr<I>(out[0]), out_ptr<I>(out[1]));
                             }});
    found = joined(found, places);
    if (op == MergeOp::multiply) {
      auto* t = out_ptr<uint8_t>(tags);
      for (size_t e = 0; e < tags.size(); ++e) if (t[e] != (kInA | kInB)) t[e] |= kZero;
      found = without_marked<I>(found, tags);
    }
    auto at = [&](const mx::array& data, const mx::array& place) { // a zero behind the entries, where there is none
      if (op == MergeOp::multiply) return mx::take(data, place, 0);
      auto shape = data.shape();
      shape[0] = 1;
      return mx::take(mx::concatenate({data, mx::zeros(shape, data.dtype())}, 0), place, 0);
    };
    return Compressed{combined(op, at(a.data, found[2]), at(b.data, found[3]), s), found[1], found[0]};
  });
}

std::optional<mx::array> merge_shared(MergeOp op, const mx::array& x, const mx::array& y) {
  const auto s = shader_stream(x.dtype());
  if (!s || x.shape() != y.shape() || !is_combined(op, x.dtype()) || is_comparison(op) && is_traced(x, y)) return std::nullopt;
  return combined(op, x, y, *s);
}

Compressed merge(MergeOp op, const Compressed& a, const Compressed& b, bool a_canonical, bool b_canonical) {
  const bool traced = is_traced(a.data, b.data);
  if (const auto s = shader_stream(a.data.dtype()); s && a_canonical && b_canonical && is_combined(op, a.data.dtype())) {
    if (!traced || !is_comparison(op)) return merge_on_device(op, a, b, *s);
  }
  if (!is_comparison(op) && traced) return merge_traced(op, a, b);
  const auto dtype = is_comparison(op) ? mx::bool_ : a.data.dtype();
  const bool at_once = (op == MergeOp::plus || op == MergeOp::minus) && a_canonical && b_canonical;
  if (at_once) {
    const auto merged = with_value(a, [&](auto i, auto t) -> std::optional<Compressed> {
      using T = typename decltype(t)::type;
      if constexpr (is_field_v<T>) return merge_at_once<T, typename decltype(i)::type>(op, a, b);
      else return std::nullopt;
    });
    if (merged) return *merged;
  }
  return with_width(a, [&](auto i, auto w) {
    using I = typename decltype(i)::type;
    using W = typename decltype(w)::type;
    const MergeValueType<I> type{merge_values_of(a.data.dtype()), sum_equal_of<I>(a.data.dtype())};
    auto merged = [&](auto u) {
      using U = typename decltype(u)::type;
      const size_t room = a.indices.size() + b.indices.size();
      const std::vector<Output> results{indptr_for(a.n_major(), a.indptr.dtype()), room_for(room, a.indices.dtype()),
                                        room_for(room, dtype)};
      return compressed(fitted(cut(run({joined(parts(a), parts(b)), results, [=](const Arrays& in, Arrays& out) {
        const MergeOperand<W, I> x{view_of<W, I>(in), a_canonical}, y{view_of<W, I>(in, 0, 3), b_canonical};
        cs_merge_pieces<W, I, U>(op, type, x, y, out_of<U, I>(out));
      }})), room));
    };
    return is_comparison(op) ? merged(Tag<uint8_t>{}) : merged(Tag<W>{});
  });
}

} // namespace sp
