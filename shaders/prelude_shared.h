// Behind every compiler's own prelude: what a segmented reduction carries for one output. op is a constant of the
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

// What a running sum of lengths, leaving out negative ones, or a running maximum of offsets becomes with one more, both
// at most `most`.
template <typename I> SP_FUNCTION I sp_add_up(bool lengths, I sum, I more, I most) {
  if (more > most) more = most;
  if (!lengths) return more > sum ? more : sum;
  if (more <= 0) return sum;
  return sum < most - more ? I(sum + more) : most;
}

// The value of a slice of n rows; not for 5, whose two parts are kept apart.
template <typename A> SP_FUNCTION A sp_finish(int op, sp_state<A> s, int64_t n) {
  if (op == 1) return n > 0 ? sp_divide(s.value, n) : A(0);
  return s.value;
}

// A sum with what rounding took from it, and what rounding took from that.
struct sp_triple {
  float value, error, rest;
};
SP_FUNCTION sp_triple sp_triple_of(float value, float error, float rest) {
  sp_triple s;
  s.value = value;
  s.error = error;
  s.rest = rest;
  return s;
}
SP_FUNCTION float sp_sum_error(float a, float b, float sum) {
  const float part = sum - a;
  return (a - (sum - part)) + (b - part);
}
SP_FUNCTION sp_triple sp_triple_plus(sp_triple a, sp_triple b) {
  const float value = a.value + b.value, missing = sp_sum_error(a.value, b.value, value);
  const float errors = a.error + b.error, error = errors + missing;
  const float rest = sp_sum_error(a.error, b.error, errors) + sp_sum_error(errors, missing, error);
  return sp_triple_of(value, error, (a.rest + b.rest) + rest);
}
SP_FUNCTION sp_triple sp_triple_plus_product(sp_triple sum, float a, float b) {
  const float product = sp_rounded_product(a, b);
  return sp_triple_plus(sum, sp_triple_of(product, sp_product_error(a, b, product), 0));
}

// Numbers of a recurrence, real or complex.
SP_FUNCTION float sp_real(float a) { return a; }
SP_FUNCTION float sp_imag(float) { return 0; }
SP_FUNCTION float sp_made(float, float re, float) { return re; }
SP_FUNCTION float sp_conj(float a) { return a; }
SP_FUNCTION float sp_negative(float a) { return -a; }
SP_FUNCTION float sp_times(float a, float b) { return a * b; }
SP_FUNCTION float sp_quotient(float a, float b) { return a / b; }
SP_FUNCTION float sp_real(SP_COMPLEX a) { return SP_REAL(a); }
SP_FUNCTION float sp_imag(SP_COMPLEX a) { return SP_IMAG(a); }
SP_FUNCTION SP_COMPLEX sp_made(SP_COMPLEX, float re, float im) { return SP_COMPLEX(re, im); }
SP_FUNCTION SP_COMPLEX sp_conj(SP_COMPLEX a) { return SP_COMPLEX(SP_REAL(a), -SP_IMAG(a)); }
SP_FUNCTION SP_COMPLEX sp_negative(SP_COMPLEX a) { return SP_COMPLEX(0 - SP_REAL(a), 0 - SP_IMAG(a)); }
// By parts where a factor is real, so that infinity times it is no nan.
SP_FUNCTION SP_COMPLEX sp_times(SP_COMPLEX a, SP_COMPLEX b) {
  const float u = SP_REAL(a), v = SP_IMAG(a), s = SP_REAL(b), t = SP_IMAG(b);
  if (t == 0) return SP_COMPLEX(u * s, v == 0 ? 0.0f : v * s);
  if (v == 0) return SP_COMPLEX(u * s, u * t);
  return sp_mul(a, b);
}
// By parts where b is real, so that infinity divides; else scaled, so that squares stay within bounds.
SP_FUNCTION SP_COMPLEX sp_quotient(SP_COMPLEX a, SP_COMPLEX b) {
  const float u = SP_REAL(a), v = SP_IMAG(a), s = SP_REAL(b), t = SP_IMAG(b);
  if (t == 0) return SP_COMPLEX(u / s, v / s);
  if ((s < 0 ? -s : s) >= (t < 0 ? -t : t)) {
    const float r = t / s, d = s + t * r;
    return SP_COMPLEX((u + v * r) / d, (v - u * r) / d);
  }
  const float r = s / t, d = s * r + t;
  return SP_COMPLEX((u * r + v) / d, (v * r - u) / d);
}
SP_FUNCTION float sp_root(float square) { return sqrt(square); } // nan below 0
SP_FUNCTION float sp_hypot(float a, float b) {
  const float u = a < 0 ? -a : a, v = b < 0 ? -b : b, large = u < v ? v : u, small = u < v ? u : v;
  if (!(large > 0 && large < SP_INFINITY)) return u + v; // zero, infinity or nan
  return large * sqrt(1 + small / large * (small / large));
}
SP_FUNCTION float sp_modulus(float a) { return a < 0 ? -a : a; }
SP_FUNCTION float sp_modulus(SP_COMPLEX a) { return sp_hypot(SP_REAL(a), SP_IMAG(a)); }
