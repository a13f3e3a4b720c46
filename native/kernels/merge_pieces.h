// Element-wise operations on two structures of one shape in pieces that fit a cache: what is touched beyond the operands
// is the result. Operands that are not canonical are sorted and summed piece by piece.
#pragma once

#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "merge.h"

namespace sp {

// Places pieces of unknown length one after the other, in the order of their numbers, whichever worker makes them. A
// worker takes the next number when it begins, so that those who wait wait for somebody who works.
class InOrder {
 public:
  size_t next() { return taken_++; }
  // Where `piece` begins, once all before it are done.
  size_t begin(size_t piece) {
    while (turn_.load(std::memory_order_acquire) != piece) {
      if (failed_.load(std::memory_order_relaxed)) throw std::runtime_error("another worker failed");
      std::this_thread::yield();
    }
    return end_;
  }
  // Says that `piece`, whose turn it is, has n entries.
  void done(size_t piece, size_t n) {
    end_ += n;
    turn_.store(piece + 1, std::memory_order_release);
  }
  void fail() { failed_.store(true); }

 private:
  std::atomic<size_t> taken_{0}, turn_{0};
  std::atomic<bool> failed_{false};
  size_t end_ = 0;
};

template <class W, class I>
struct MergeOperand {
  CsView<W, I> entries;
  bool canonical;
};

// What is done with values of one type: all else here only moves them, so that types of one width W share it.
template <class I>
struct MergeValueType {
  MergeValues combine;
  SumEqual<I> sum;
};

// Some slices of an operand in canonical form: the operand's own, or sorted and summed copies.
template <class W, class I>
class CanonicalSlices {
 public:
  CanonicalSlices(MergeOperand<W, I> from, SumEqual<I> sum) : from_(from), canonical_(sum, false) {}

  void read(size_t lo, size_t hi) {
    const auto& a = from_.entries;
    first_ = lo;
    const size_t from = a.begin(lo), count = a.end(hi - 1) - from;
    if (from_.canonical) {
      indices = a.indices + from;
      data = a.data + from;
      left = a.nnz() - from;
      return;
    }
    if (count > room_) {
      own_indices_.reset(new I[count]);
      own_data_.reset(new W[count]);
      room_ = count;
    }
    lengths_.resize(hi - lo);
    size_t end = 0;
    for (size_t i = lo; i < hi; ++i) {
      const size_t at = a.begin(i), n = a.end(i) - at;
      lengths_[i - lo] = canonical_(n, a.indices + at, a.data + at, own_indices_.get() + end, own_data_.get() + end);
      end += lengths_[i - lo];
    }
    indices = own_indices_.get();
    data = own_data_.get();
    left = end;
  }

  size_t length(size_t i) const {
    return from_.canonical ? from_.entries.end(i) - from_.entries.begin(i) : lengths_[i - first_];
  }

  void advance(size_t n) {
    indices += n;
    left -= n;
  }

  // The next index, the first value that no window has taken, and how many values there are from it on at least.
  const I* indices = nullptr;
  const W* data = nullptr;
  size_t left = 0;

 private:
  MergeOperand<W, I> from_;
  CanonicalSlice<W, I> canonical_;
  size_t first_ = 0, room_ = 0;
  std::unique_ptr<I[]> own_indices_;
  std::unique_ptr<W[]> own_data_;
  std::vector<size_t> lengths_;
};

constexpr size_t kMergeWindow = 8192; // entries of a union at a time
constexpr size_t kMergePiece = 4 * kMergeWindow; // entries of both operands in slices that are taken together

// Where pieces begin, n_major last: of about kMergePiece entries and slices, or of one longer slice.
template <class I>
std::vector<size_t> merge_pieces(CsPattern<I> a, CsPattern<I> b) {
  std::vector<size_t> starts{0};
  auto before = [&](size_t i) { return static_cast<size_t>(a.indptr[i]) + static_cast<size_t>(b.indptr[i]) + i; };
  for (size_t from = 0; from < a.n_major; starts.push_back(from)) {
    size_t lo = from + 1, hi = std::min(a.n_major, from + kMergePiece);
    const size_t goal = before(from) + kMergePiece;
    while (lo < hi) {
      const size_t mid = (lo + hi + 1) / 2;
      if (before(mid) <= goal) lo = mid; else hi = mid - 1;
    }
    from = lo;
  }
  return starts;
}

// Merges pieces: one for each worker. U is the width of the results.
template <class W, class I, class U>
class PieceMerger {
 public:
  PieceMerger(MergeOp op, MergeValueType<I> type, MergeOperand<W, I> a, MergeOperand<W, I> b, I* out_indptr)
      : op_(op), combine_(type.combine), x_(a, type.sum), y_(b, type.sum), out_indptr_(out_indptr) {
    const size_t entries = std::min(kMergeWindow, a.entries.nnz() + b.entries.nnz());
    indices_.reset(new I[entries]);
    tags_.reset(new uint8_t[entries]);
    values_.reset(new U[entries]);
  }

  // Slices lo .. hi into out_indices and out_data; their lengths go to out_indptr. Returns how many entries that are.
  size_t run(size_t lo, size_t hi, I* out_indices, U* out_data) {
    to_indices_ = out_indices;
    to_data_ = out_data;
    written_ = 0;
    slice_ = lo;
    x_.read(lo, hi);
    y_.read(lo, hi);
    for (size_t i = lo; i < hi; ++i) {
      out_indptr_[i + 1] = 0;
      size_t nx = x_.length(i), ny = y_.length(i);
      while (nx + ny > kMergeWindow - filled_) {
        if (filled_) flush();
        if (nx + ny <= kMergeWindow) break;
        const auto [u, v] = some(nx, ny);
        put(u, v);
        nx -= u;
        ny -= v;
      }
      put(nx, ny);
      ends_.push_back(filled_);
    }
    flush();
    return written_;
  }

 private:
  // How much of the slices' rest fits a window and stands before the rest of both.
  std::pair<size_t, size_t> some(size_t nx, size_t ny) const {
    constexpr size_t half = kMergeWindow / 2;
    const I *x = x_.indices, *y = y_.indices;
    const size_t u = std::min(nx, half), v = std::min(ny, half);
    if (u == nx) return {u < 1 || v < 1 || x[u - 1] <= y[v - 1] ? u : upto(x, u, y[v - 1]), v};
    if (v == ny) return {u, v < 1 || y[v - 1] <= x[u - 1] ? v : upto(y, v, x[u - 1])};
    return x[u - 1] <= y[v - 1] ? std::pair{u, upto(y, v, x[u - 1])} : std::pair{upto(x, u, y[v - 1]), v};
  }
  static size_t upto(const I* x, size_t n, I most) { return static_cast<size_t>(std::upper_bound(x, x + n, most) - x); }

  void put(size_t nx, size_t ny) {
    const I *x = x_.indices, *y = y_.indices;
    filled_ += merge_slice(x, x + nx, y, y + ny, indices_.get() + filled_, tags_.get() + filled_);
    x_.advance(nx);
    y_.advance(ny);
    from_x_ += nx;
    from_y_ += ny;
  }

  void flush() {
    const U* values = values_.get();
    const I* indices = indices_.get();
    const uint8_t* tags = tags_.get();
    const MergeOperands from{x_.data, from_x_ + x_.left, y_.data, from_y_ + y_.left};
    const size_t zeros = combine_(op_, filled_, tags_.get(), from, values_.get());
    size_t k = 0;
    auto keep = [&](size_t end) {
      size_t n = written_;
      if (zeros == 0) {
        n += end - k;
      } else {
        for (size_t e = k; e < end; ++e) {
          to_indices_[n] = indices[e]; // a dropped entry leaves room for the next one
          to_data_[n] = values[e];
          n += !(tags[e] & kZero);
        }
      }
      out_indptr_[slice_ + 1] += static_cast<I>(n - written_);
      written_ = n;
      k = end;
    };
    if (zeros == 0) {
      std::copy_n(indices, filled_, to_indices_ + written_);
      std::copy_n(values, filled_, to_data_ + written_);
    }
    for (size_t end : ends_) {
      keep(end);
      ++slice_;
    }
    if (k < filled_) keep(filled_);
    ends_.clear();
    x_.data += std::exchange(from_x_, 0);
    y_.data += std::exchange(from_y_, 0);
    filled_ = 0;
  }

  MergeOp op_;
  MergeValues combine_;
  CanonicalSlices<W, I> x_, y_;
  I* out_indptr_;
  std::unique_ptr<I[]> indices_;
  std::unique_ptr<uint8_t[]> tags_;
  std::unique_ptr<U[]> values_;
  I* to_indices_ = nullptr;
  U* to_data_ = nullptr;
  size_t written_ = 0, slice_ = 0; // entries of this piece, and the slice that the window begins in
  size_t filled_ = 0, from_x_ = 0, from_y_ = 0; // entries in the window, and what they came from
  std::vector<size_t> ends_; // of slices in the window
};

// C = op(A, B) without the entries that are zero (NaN is kept), canonical. Buffers have room for nnz_a + nnz_b, of which
// no more than the result is touched. No aliasing. Cost: O(nnz_a + nnz_b + n_major), with sorting where that is needed.
template <class W, class I, class U>
void cs_merge_pieces(MergeOp op, MergeValueType<I> type, MergeOperand<W, I> a, MergeOperand<W, I> b, CsOut<U, I> out) {
  const size_t n_major = a.entries.n_major, entries = a.entries.nnz() + b.entries.nnz();
  if (entries + n_major <= kMergePiece) {
    if (n_major) PieceMerger<W, I, U>(op, type, a, b, out.indptr).run(0, n_major, out.indices, out.data);
    lengths_to_indptr(n_major, out.indptr);
    return;
  }
  const auto starts = merge_pieces<I>(a.entries, b.entries);
  InOrder order;
  run_parts(plan_parts(4 * entries + n_major), [&](int) {
    try {
      PieceMerger<W, I, U> merger(op, type, a, b, out.indptr);
      std::unique_ptr<I[]> indices(new I[kMergePiece]);
      std::unique_ptr<U[]> data(new U[kMergePiece]);
      for (size_t piece; (piece = order.next()) + 1 < starts.size();) {
        const size_t lo = starts[piece], hi = starts[piece + 1];
        if (a.entries.end(hi - 1) - a.entries.begin(lo) + b.entries.end(hi - 1) - b.entries.begin(lo) > kMergePiece) {
          const size_t at = order.begin(piece); // a long slice: straight to where it belongs
          order.done(piece, merger.run(lo, hi, out.indices + at, out.data + at));
          continue;
        }
        const size_t n = merger.run(lo, hi, indices.get(), data.get()), at = order.begin(piece);
        order.done(piece, n);
        std::copy_n(indices.get(), n, out.indices + at);
        std::copy_n(data.get(), n, out.data + at);
      }
    } catch (...) {
      order.fail();
      throw;
    }
  });
  lengths_to_indptr(n_major, out.indptr);
}

// A, which may be some slices of an array, in canonical form. Buffers have room for its entries; no more than the result
// is touched. No aliasing. Cost: O(nnz log slice).
template <class W, class I>
void cs_canonical_pieces(CsView<W, I> a, SumEqual<I> sum, CsOut<W, I> out) {
  const size_t n_major = a.n_major;
  const auto starts = merge_pieces<I>(a, a);
  InOrder order;
  run_parts(plan_parts(4 * (a.nnz() - a.begin(0)) + n_major), [&](int) {
    try {
      CanonicalSlices<W, I> slices({a, false}, sum);
      for (size_t piece; (piece = order.next()) + 1 < starts.size();) {
        const size_t lo = starts[piece], hi = starts[piece + 1];
        check_interrupt();
        slices.read(lo, hi);
        const size_t n = slices.left, at = order.begin(piece);
        order.done(piece, n);
        for (size_t i = lo; i < hi; ++i) out.indptr[i + 1] = static_cast<I>(slices.length(i));
        std::copy_n(slices.indices, n, out.indices + at);
        std::copy_n(slices.data, n, out.data + at);
      }
    } catch (...) {
      order.fail();
      throw;
    }
  });
  lengths_to_indptr(n_major, out.indptr);
}

} // namespace sp
