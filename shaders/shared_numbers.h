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
