// What a segmented reduction carries for one output. op is a constant of the
// shader: 0 sum, 1 mean, 2 product, 3 max, 4 min, 5 log-sum-exp, 6 first position of the max, 7 of the min.
// weight belongs to 5 (the sum of exp(x - value)), at to 6 and 7 (-1: nothing yet).
template <typename A>
struct sp_state {
  A value, weight;
  int64_t at;
};

template <typename A> SP_FUNCTION bool sp_less(A a, A b) { return a < b; }
SP_FUNCTION bool sp_less(SP_COMPLEX, SP_COMPLEX) { return false; }

// The neutral elements of max and min: infinities, or the ends of an integer type.
template <typename A> SP_FUNCTION A sp_lowest(A) {
  return A(-1) < A(0) ? A(uint64_t(1) << (8 * sizeof(A) - 1)) : A(0);
}
template <typename A> SP_FUNCTION A sp_highest(A) {
  return A(-1) < A(0) ? A((uint64_t(1) << (8 * sizeof(A) - 1)) - 1) : A(~uint64_t(0));
}
SP_FUNCTION float sp_lowest(float) { return -SP_INFINITY; }
SP_FUNCTION float sp_highest(float) { return SP_INFINITY; }
SP_FUNCTION bool sp_lowest(bool) { return false; }
SP_FUNCTION bool sp_highest(bool) { return true; }
SP_FUNCTION SP_COMPLEX sp_lowest(SP_COMPLEX) { return SP_COMPLEX(0.0f, 0.0f); }
SP_FUNCTION SP_COMPLEX sp_highest(SP_COMPLEX) { return SP_COMPLEX(0.0f, 0.0f); }

template <typename A> SP_FUNCTION A sp_divide(A a, int64_t n) { return A(a / A(n)); }
SP_FUNCTION bool sp_divide(bool a, int64_t) { return a; }
SP_FUNCTION SP_COMPLEX sp_divide(SP_COMPLEX a, int64_t n) { return sp_mul(a, SP_COMPLEX(1.0f / float(n), 0.0f)); }

// Whether x takes the place of the extreme `best`; the first NaN stays.
template <typename A> SP_FUNCTION bool sp_wins(bool greatest, A x, A best) {
  return (greatest ? sp_less(best, x) : sp_less(x, best)) || (x != x && best == best);
}

template <typename A> SP_FUNCTION sp_state<A> sp_start(int op) {
  sp_state<A> s;
  s.value = op == 2 ? A(1) : op == 3 || op == 5 ? sp_lowest(A(0)) : op == 4 ? sp_highest(A(0)) : A(0);
  s.weight = A(0);
  s.at = -1;
  return s;
}

// The state of a and b together, a before b; positions may come in any order.
template <typename A> SP_FUNCTION sp_state<A> sp_join(int op, sp_state<A> a, sp_state<A> b) {
  if (op <= 1) {
    a.value = sp_add(a.value, b.value);
  } else if (op == 2) {
    a.value = sp_mul(a.value, b.value);
  } else if (op <= 4) {
    if (sp_wins(op == 3, b.value, a.value)) a.value = b.value;
  } else if (op == 5) {
    if (b.weight == A(0)) return a;
    if (sp_less(a.value, b.value)) {
      const A kept = a.weight == A(0) ? A(0) : sp_mul(a.weight, sp_exp(A(a.value - b.value)));
      a.weight = sp_add(kept, b.weight);
      a.value = b.value;
    } else if (a.value == b.value) {
      a.weight = sp_add(a.weight, b.weight);
    } else {
      a.weight = sp_add(a.weight, sp_mul(b.weight, sp_exp(A(b.value - a.value))));
    }
  } else if (b.at >= 0) {
    const bool greatest = op == 6;
    if (a.at < 0 || sp_wins(greatest, b.value, a.value) || (b.at < a.at && !sp_wins(greatest, a.value, b.value))) return b;
  }
  return a;
}

template <typename A> SP_FUNCTION sp_state<A> sp_fold(int op, sp_state<A> s, A x, int64_t row) {
  sp_state<A> one;
  one.value = x;
  one.weight = A(1);
  one.at = row;
  return sp_join(op, s, one);
}

// The value of a slice of n rows; not for 5, whose two parts are kept apart.
template <typename A> SP_FUNCTION A sp_finish(int op, sp_state<A> s, int64_t n) {
  if (op == 1) return n > 0 ? sp_divide(s.value, n) : A(0);
  return s.value;
}

// What a running sum of lengths, leaving out negative ones, or a running maximum of offsets becomes with one more, both
// at most `most`.
template <typename I> SP_FUNCTION I sp_add_up(bool lengths, I sum, I more, I most) {
  if (more > most) more = most;
  if (!lengths) return more > sum ? more : sum;
  if (more <= 0) return sum;
  return sum < most - more ? I(sum + more) : most;
}
