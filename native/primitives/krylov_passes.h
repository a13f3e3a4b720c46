// The launches of a recorded recurrence on a GPU: what each does, as krylov_pass.metal reads it. Knows no device.
#pragma once

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "krylov.h"

namespace sp {

// As in krylov_pass.metal.
constexpr int kDots = 4, kWords = 6;
constexpr int kCopy = 20, kStep = 21, kTest = 22, kGive = 23; // scalar instructions besides those of Op
constexpr int kX = 0, kResidual = 1, kB = 2, kNone = -1;      // where these vectors begin

// What one launch does.
struct KrylovPass {
  int matrix = -1, diagonal = -1; // operators
  int triangle = -1, form = 0;    // of a solve, which is all that the pass does
  int into = 0, from = 0;         // places of the product's result and operand
  int made = -1, other = 0, a = 0, b = 0; // the operand is a * from + b * other, if there is a place where it is made
  int space = 0, dots = 0;
  std::vector<std::array<int, kWords>> vectors, scalars;
};

// Writes a recording down as passes. Vectors are renamed from step to step, so steps differ until the names come again.
class PassWriter {
 public:
  // joins: whether a product makes its operand where the pass before would do nothing else. given: 0, or how many numbers
  // each step gives to the host, which decides by them in place of a test.
  PassWriter(const Recording& r, bool joins, int given)
      : r_(r), one_(r.scalars), spare_(r.scalars + 1), given_(given), joins_(joins) {
    places_.resize(std::max(r.vectors, kB + 1) + (joins ? 1 : 0)); // the last one: that of no vector
    std::iota(places_.begin(), places_.end(), 0);
  }
  int slots() const { return r_.scalars + 2; }
  int one() const { return one_; }
  const std::vector<int>& places() const { return places_; }

  // What comes before the steps; of those that the host decides on, from the residual.
  std::vector<KrylovPass> first(bool guess, bool last) {
    open(r_.spaces[kX]);
    if (given_ > 0) {
      passes_.clear();
    } else if (guess) {
      segment(r_.guess, false);
    } else {
      vector({static_cast<int>(Op::zero), kX, kNone, kNone, one_, one_});
      open(r_.spaces[kResidual]);
      vector({static_cast<int>(Op::overwrite), places_[kResidual], kB, kNone, one_, one_});
    }
    segment(r_.start, false);
    test(last, 0);
    return std::move(passes_);
  }

  // Step number `turn`, without the scalar instructions that it begins with: they are with what comes before it.
  std::vector<KrylovPass> step(size_t turn, bool last) {
    passes_.clear();
    segment(r_.steps[turn % r_.steps.size()], true);
    if (passes_.empty()) throw std::invalid_argument("a step of a recorded recurrence without operations on vectors");
    scalars().push_back({kStep});
    test(last, turn + 1);
    return std::move(passes_);
  }

 private:
  void open(int space) {
    passes_.emplace_back();
    passes_.back().space = space;
  }
  void vector(const std::array<int, kWords>& words) { passes_.back().vectors.push_back(words); }
  std::vector<std::array<int, kWords>>& scalars() {
    if (passes_.empty() || passes_.back().triangle >= 0) open(0);
    return passes_.back().scalars;
  }

  void segment(const Segment& s, bool begun) {
    for (size_t at = 0; at < s.code.size(); ++at) {
      const auto& i = s.code[at];
      if (i.op == Op::pass) {
        begun = false;
        pass(&i);
        at += i.out;
      } else if (i.op == Op::solve) {
        begun = false;
        open(0);
        auto& p = passes_.back();
        p.triangle = i.a, p.form = i.c, p.into = places_[i.out], p.from = places_[i.b];
      } else if (!begun) {
        scalar(i);
      }
    }
    if (!s.order.empty()) {
      if (s.order[0] != kX) throw std::invalid_argument("a recorded recurrence on a GPU leaves its iterate where it is");
      auto renamed = places_;
      for (size_t v = 0; v < s.order.size(); ++v) renamed[v] = places_[s.order[v]];
      places_ = std::move(renamed);
    }
    copies(s.copies);
  }

  void scalar(const Instruction& i) { scalars().push_back({static_cast<int>(i.op), i.out, i.a, i.b, i.c, i.d}); }

  // Whether the last pass only updates the operand of the product `first`, which no operation after it spoils for others.
  bool joined(const Instruction* first) const {
    if (!joins_ || first->a < 0 || passes_.empty()) return false;
    const auto& p = passes_.back();
    if (p.matrix >= 0 || p.triangle >= 0 || p.dots > 0 || !p.scalars.empty() || p.vectors.size() != 1) return false;
    const int op = p.vectors[0][0], out = p.vectors[0][1], x = p.vectors[0][2];
    const int from = places_[first->c], into = places_[first->b];
    const bool updates = op == static_cast<int>(Op::plus) || op == static_cast<int>(Op::combine);
    if (!updates || out != from || x == from || into == x || from == kX || from == kB) return false;
    return std::none_of(first + 1, first + 1 + first->out, [&](auto& i) { return i.op != Op::dot && places_[i.out] == x; });
  }

  void pass(const Instruction* first) {
    const bool joins = joined(first);
    const auto update = joins ? passes_.back().vectors[0] : std::array<int, kWords>{};
    if (joins) passes_.pop_back();
    open(first->d);
    if (first->a >= 0) {
      auto& p = passes_.back();
      p.matrix = first->a, p.into = places_[first->b], p.from = places_[first->c];
      if (joins) {
        p.made = places_.back(), p.other = update[2], p.b = update[5];
        p.a = update[0] == static_cast<int>(Op::plus) ? one_ : update[4];
        for (auto& place : places_) place = place == p.from ? p.made : place == p.made ? p.from : place;
      }
    }
    for (const auto* i = first + 1; i <= first + first->out; ++i) {
      const bool dots = i->op == Op::dot && passes_.back().dots == kDots;
      if (dots || (i->op == Op::scale && passes_.back().diagonal >= 0 && passes_.back().diagonal != i->a)) open(first->d);
      auto& p = passes_.back();
      const int op = static_cast<int>(i->op);
      switch (i->op) {
        case Op::dot:
          ++p.dots;
          vector({op, i->out, places_[i->a], places_[i->b], one_, one_});
          break;
        case Op::scale:
          p.diagonal = i->a;
          vector({op, places_[i->out], places_[i->b], kNone, one_, one_});
          break;
        case Op::squares: vector({op, places_[i->out], places_[i->a], kNone, one_, one_}); break;
        case Op::zero: vector({op, places_[i->out], kNone, kNone, one_, one_}); break;
        case Op::overwrite: vector({op, places_[i->out], places_[i->c], kNone, i->a, i->b}); break;
        default: vector({op, places_[i->out], places_[i->c], places_[i->out], i->a, i->b}); break;
      }
    }
  }

  // At once, one after the other: what is still to be read is not written to, but by way of a spare slot.
  void copies(std::vector<std::pair<int, int>> left) {
    auto copy = [&](int to, int from) { scalars().push_back({kCopy, to, from, from}); };
    std::erase_if(left, [](auto& c) { return c.first == c.second; });
    while (!left.empty()) {
      auto next = std::ranges::find_if(left, [&](auto& c) {
        return std::ranges::none_of(left, [&](auto& other) { return &other != &c && other.second == c.first; });
      });
      if (next == left.end()) { // a cycle
        const int moved = left[0].first;
        copy(spare_, moved);
        for (auto& c : left) if (c.second == moved) c.second = spare_;
        continue;
      }
      copy(next->first, next->second);
      left.erase(next);
    }
  }

  void test(bool last, size_t next) {
    if (given_ > 0) scalars().push_back({kGive, r_.square, r_.square, r_.square, given_});
    else scalars().push_back({kTest, !last || r_.tests_last, r_.square, r_.square});
    if (last) return;
    for (const auto& i : r_.steps[next % r_.steps.size()].code) {
      if (i.op == Op::pass || i.op == Op::solve) break;
      scalar(i);
    }
  }

  const Recording& r_;
  int one_, spare_; // slots: of the number 1, and for copies in a cycle
  int given_;
  bool joins_;
  std::vector<int> places_;
  std::vector<KrylovPass> passes_;
};

} // namespace sp
